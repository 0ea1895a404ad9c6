//! Whether somebody may do something: pure.

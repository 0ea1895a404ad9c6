//! Drives tasks and runs.

//! What every adapter of a port has to do, as suites that run on the one in memory and on the real one.

pub mod journal;

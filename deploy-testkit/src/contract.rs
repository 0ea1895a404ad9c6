//! What every adapter of a port keeps to: one suite a port, run on the one in memory and on the real ones.

pub mod cluster;

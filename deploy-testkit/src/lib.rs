//! stub
pub mod contract;
pub mod memory;

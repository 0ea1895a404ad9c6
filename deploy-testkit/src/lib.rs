//! stub
pub mod contract;
pub mod fixture;
pub mod memory;

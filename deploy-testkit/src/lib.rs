//! stub

pub mod builders;
pub mod contract;
pub mod memory;

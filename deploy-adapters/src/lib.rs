//! stub

pub mod storage;
pub mod system;

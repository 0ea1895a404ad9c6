//! stub
pub mod local;

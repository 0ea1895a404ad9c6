//! stub
pub mod git;
pub mod templates;

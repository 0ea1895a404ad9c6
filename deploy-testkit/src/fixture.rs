//! What tests are given to work on. Nothing here asserts anything.

#[cfg(feature = "git-http")]
pub mod git;
#[cfg(feature = "git-http")]
pub mod git_http;
pub mod tree;

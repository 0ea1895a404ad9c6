//! What tests are given to work on. Nothing here asserts anything.

#[cfg(feature = "git-http")]
pub mod git;
#[cfg(feature = "git-http")]
pub mod git_http;
#[cfg(feature = "git-http")]
pub mod sshd;
#[cfg(feature = "git-http")]
pub mod tls;
pub mod tree;

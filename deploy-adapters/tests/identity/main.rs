//! Tokens: those of a foreign issuer (PyJWT), good and crafted, each with what becomes of it; forgeries made out of them;
//! files of keys that are refused, and files that change.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why it did not run"
)]

mod contract;
mod forgery;
mod issuer;
mod key_files;
mod rotation;
mod tokens;

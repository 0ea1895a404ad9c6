//! The local cluster, with real processes. Waiting is by its events, by what a process says through a pipe, or by a
//! clock that the test moves; nothing sleeps.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking, and so do their fixtures"
)]

mod contract;
mod cron;
mod jobs;
mod restart;
mod rollouts;
mod support;

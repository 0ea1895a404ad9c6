//! The Kubernetes adapter against the stand-in of the API server, and, where `DEPLOY_TEST_KUBECONFIG` names a cluster,
//! the contract against that. Waiting is by events, under one patience; nothing sleeps.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking, and so do their fixtures"
)]

mod build;
mod contract;
mod counts;
mod faults;
mod kills;
mod ownership;
mod states;
mod support;
mod watches;

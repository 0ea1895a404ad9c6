//! The stand-in for the Kubernetes API, spoken to as any client does: by plain http. What is said here of status codes,
//! reasons and fields is what a real server of Kubernetes 1.34 answered to the same requests.

#![cfg(feature = "kubernetes")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "kubernetes/applying.rs"]
mod applying;
#[path = "kubernetes/client.rs"]
mod client;
#[path = "kubernetes/deleting.rs"]
mod deleting;
#[path = "kubernetes/faults.rs"]
mod faults;
#[path = "kubernetes/jobs.rs"]
mod jobs;
#[path = "kubernetes/objects.rs"]
mod objects;
#[path = "kubernetes/rollouts.rs"]
mod rollouts;
#[path = "kubernetes/watching.rs"]
mod watching;

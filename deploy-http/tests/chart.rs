//! The Helm chart as `helm` renders it: that it lints, that what comes out are objects Kubernetes knows, that the server
//! takes the configuration it is given, and that its rights are the ones it needs. Nothing is installed anywhere.
//!
//! Rendering needs helm and is asked for by `DEPLOY_TEST_HELM`, one binary or several separated by `:`; `.ci/run` gets a
//! Helm 3 and a Helm 4 and sets it. Without it those tests say how, and pass.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why it was not run"
)]

#[path = "chart/applied.rs"]
mod applied;
#[path = "chart/calls.rs"]
mod calls;
#[path = "chart/hardening.rs"]
mod hardening;
#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/objects.rs"]
mod objects;
#[path = "chart/permissions.rs"]
mod permissions;
#[path = "chart/refusals.rs"]
mod refusals;
#[path = "chart/server.rs"]
mod server;
#[path = "chart/values.rs"]
mod values;

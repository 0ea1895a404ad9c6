//! The real binary over all of its routes, asked by curl, on real git repositories: once in a folder, once over HTTP by
//! git's own `http-backend`. What has to be walked is derived from the route table, so a new route fails here until it
//! is. Nothing sleeps: it waits by the server's own `?wait=`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking, and shows the server's log then"
)]

#[path = "common/api.rs"]
mod api;
#[path = "common/curl.rs"]
mod curl;
#[path = "common/node.rs"]
mod node;
#[path = "common/scene.rs"]
mod scene;
#[path = "common/server.rs"]
mod server;
#[path = "common/started.rs"]
mod started;

#[path = "routes/deletes.rs"]
mod deletes;
#[path = "routes/documents.rs"]
mod documents;
#[path = "routes/identity.rs"]
mod identity;
#[path = "routes/kubernetes.rs"]
mod kubernetes;
#[path = "routes/listeners.rs"]
mod listeners;
#[path = "routes/lists.rs"]
mod lists;
#[path = "routes/live.rs"]
mod live;
#[path = "routes/pipelines.rs"]
mod pipelines;
#[path = "routes/policy.rs"]
mod policy;
#[path = "routes/refusals.rs"]
mod refusals;
#[path = "routes/tasks.rs"]
mod tasks;
#[path = "routes/templates.rs"]
mod templates;
#[path = "routes/tokens.rs"]
mod tokens;
#[path = "routes/verbs.rs"]
mod verbs;
#[path = "routes/walk.rs"]
mod walk;
#[path = "routes/works.rs"]
mod works;

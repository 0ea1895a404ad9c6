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

mod common {
    pub mod api;
    pub mod curl;
    pub mod scene;
    pub mod server;
}

mod routes {
    mod deletes;
    mod identity;
    mod lists;
    mod pipelines;
    mod refusals;
    mod tasks;
    mod templates;
    mod verbs;
    mod walk;
    mod works;
}

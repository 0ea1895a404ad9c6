//! The HTTP edge of Deploy API and the parts of its binary.
//!
//! [`routes`] is *the* table; [`gate`] decides whether a request is let in; a handler parses, calls one use case of
//! [`deploy_core::Deployer`] and renders with [`wire`]; [`problem`] is the only place where an error becomes a status.
//! What this crate refuses to do: decide anything about tasks and runs (that is the core's), or talk to git, a cluster
//! or a database (that is the adapters').

#![forbid(unsafe_code)]

pub mod browser;
pub mod check;
pub mod compose;
pub mod conditional;
pub mod config;
pub mod cursor;
pub mod demo;
pub mod edge;
pub mod forms;
pub mod gate;
pub mod handlers;
pub mod identity;
pub mod logging;
pub mod policy_file;
pub mod prefix;
pub mod problem;
pub mod query;
pub mod reply;
pub mod router;
pub mod routes;
pub mod server;
pub mod serving;
pub mod text;
pub mod wire;

//! The core of Deploy API: the pure domain, the ports it needs, and the engine that drives tasks and runs.
//!
//! No io, no clock, no randomness: those come in through [`ports`]. Everything that is decided is decided here.

#![forbid(unsafe_code)]

pub mod authz;
pub mod changes;
pub mod deployer;
pub mod engine;
pub mod error;
pub mod manifest;
pub mod names;
pub mod pipeline;
pub mod ports;
pub mod task;
pub mod usecase;
pub mod work;
pub mod workload;

pub use deployer::{Deployer, DeployerBuilder};
pub use error::{Error, ErrorCode};

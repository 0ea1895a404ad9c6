//! The core of Deploy API: the pure domain, the ports it needs, and the engine that drives tasks and runs.
//!
//! No io, no clock, no randomness: those come in through [`ports`]. Everything that is decided is decided here.
//!
//! # Embedding it
//!
//! Ports go in, use cases come out, and beside them an [`engine::Engine`] that is to be spawned once. Here every port is
//! an adapter in memory, out of `deploy-testkit`; a server gives a real cluster, git and a database.
//!
//! ```
//! use std::sync::Arc;
//!
//! use deploy_core::Deployer;
//! use deploy_core::deployer::{DeployTask, Reader};
//! use deploy_core::task::State;
//! use deploy_testkit::World;
//!
//! # async fn embed() -> Result<(), Box<dyn std::error::Error>> {
//! let world = World::automatic();
//! let manifest = br#"{"name": "load", "type": "job", "image": "registry.example/load:1", "cmd": ["true"]}"#;
//! world.put_manifest("etl", "load", manifest);
//!
//! let (deployer, engine) = Deployer::builder()
//!     .cluster(Arc::new(world.cluster.clone()))
//!     .namespaces(Arc::new(world.cluster.clone()))
//!     .inventory(Arc::new(world.cluster.clone()))
//!     .logs(Arc::new(world.cluster.clone()))
//!     .source(world.source.clone())
//!     .journal(Arc::new(world.store.clone()))
//!     .tasks(Arc::new(world.store.clone()))
//!     .runs(Arc::new(world.store.clone()))
//!     .works(Arc::new(world.store.clone()))
//!     .templates(world.templates.clone())
//!     .clock(Arc::new(world.clock.clone()))
//!     .ids(Arc::new(deploy_testkit::memory::SequentialIds::default()))
//!     .build()?;
//! // The engine goes on until the future it is given is ready.
//! let engine = tokio::spawn(engine.run(std::future::pending()));
//!
//! let request = DeployTask {
//!     repository: "etl".parse()?,
//!     directory: "load".parse()?,
//!     namespace: None,
//!     name: None,
//!     branch: None,
//!     schedule: None,
//!     replace: false,
//! };
//! // Answers when the job is there.
//! let task = deployer.deploy_task(&World::caller(), request).await?.task;
//!
//! // Listen first, then read: no change falls between the two.
//! let mut changes = deployer.changes().subscribe(task.id().uuid());
//! let ended = loop {
//!     let task = deployer.task(Reader::Anyone, task.id()).await?.task;
//!     if task.status.state.is_final() {
//!         break task;
//!     }
//!     changes.changed().await;
//! };
//! assert_eq!(ended.status.state, State::Succeeded);
//! assert_eq!(ended.status.exit_code, Some(0));
//! # engine.abort();
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(embed()).unwrap();
//! ```

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
pub mod secret;
pub mod task;
pub mod usecase;
pub mod work;
pub mod workload;

pub use deployer::{Deployer, DeployerBuilder};
pub use error::{Error, ErrorCode};

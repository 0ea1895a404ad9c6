//! What anyone needs to test with Deploy API's core: in-memory adapters for every port with scripted failures and a call
//! log, contract suites that every adapter passes, crash points, builders with defaults. It is public: embedders test
//! with it too. mockall's mocks of the ports are `deploy_core::ports::Mock*`, by its feature `mock`.

#![forbid(unsafe_code)]

pub mod builders;
pub mod contract;
pub mod crash;
pub mod fixture;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod measure;
pub mod memory;
pub mod world;

pub use world::World;

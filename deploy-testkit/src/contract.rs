//! What every adapter of a port has to do, as suites that run on the one in memory and on the real one.

pub mod cluster;
pub mod journal;
pub mod source_repository;
pub mod template_store;
pub mod token_verifier;

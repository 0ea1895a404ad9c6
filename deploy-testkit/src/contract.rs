//! Contract suites: what every adapter of a port does, in-memory ones included. They hold no adapter of their own.

pub mod source_repository;
pub mod template_store;

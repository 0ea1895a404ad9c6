//! In-memory adapters, one a port, with scripted failures and a log of calls. They keep nothing and reach nothing.

pub mod source_repository;
pub mod template_store;

//! Every port in memory, with scripted failures and a log of the calls. They keep nothing and reach nothing.

pub mod cluster;
pub mod image_builder;
mod journal;
mod records;
pub mod source_repository;
mod system;
pub mod template_store;
pub mod token_verifier;

pub use journal::{Call, Fate, MemoryStore};
pub use records::Records;
pub use system::{ManualClock, SequentialIds};

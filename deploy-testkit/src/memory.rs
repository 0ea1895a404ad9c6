//! Every port in memory, with scripted failures and a log of the calls. They keep nothing and reach nothing.

pub mod cluster;
mod journal;
mod records;
pub mod source_repository;
mod system;
pub mod template_store;

pub use journal::{Call, Fate, MemoryStore};
pub use records::Records;
pub use system::{ManualClock, SequentialIds};

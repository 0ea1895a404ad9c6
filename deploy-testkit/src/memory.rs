//! Every port in memory, with scripted failures and a log of the calls.

mod journal;
mod records;
mod system;

pub use journal::{Call, Fate, MemoryStore};
pub use records::Records;
pub use system::{ManualClock, SequentialIds};

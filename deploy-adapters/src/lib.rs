//! What the core needs of the world, by the technology that gives it: git, SQLite, processes of this machine, signed
//! tokens. One folder an adapter, each behind a port of `deploy_core::ports`; adapters never know one another.

pub mod git;
pub mod identity;
pub mod kubernetes;
pub mod local;
pub mod storage;
pub mod system;
pub mod templates;

//! What the core needs of the world, one trait a file. Every trait is dyn-compatible and named for the need; adapters
//! are named for their technology. A port's error has one variant per decision the core takes and one opaque rest, and
//! no port hides a failure as "not found".

mod cluster;
mod image_builder;
mod inventory;
mod journal;
mod records;
mod source_repository;
mod system;
mod template_store;
mod token_verifier;

#[cfg(feature = "mock")]
pub use cluster::MockCluster;
pub use cluster::{Cluster, ClusterError, Freshness};
#[cfg(feature = "mock")]
pub use image_builder::MockImageBuilder;
pub use image_builder::{BuildError, ImageBuilder};
pub use inventory::{Inventory, InventoryError, Listed, Logs, LogsError, NamespaceError, Namespaces};
#[cfg(feature = "mock")]
pub use inventory::{MockInventory, MockLogs, MockNamespaces};
#[cfg(feature = "mock")]
pub use journal::MockJournal;
pub use journal::{Change, Generation, Journal, JournalError, OpenRun, Recovery};
#[cfg(feature = "mock")]
pub use records::{MockRuns, MockTasks, MockWorks};
pub use records::{Page, RecordsError, Runs, TaskCursor, Tasks, Works};
#[cfg(feature = "mock")]
pub use source_repository::MockSourceRepository;
pub use source_repository::{Resolved, SourceError, SourceRepository};
pub use system::{Clock, Ids};
#[cfg(feature = "mock")]
pub use system::{MockClock, MockIds};
#[cfg(feature = "mock")]
pub use template_store::MockTemplateStore;
pub use template_store::{TemplateError, TemplateStore};
#[cfg(feature = "mock")]
pub use token_verifier::MockTokenVerifier;
pub use token_verifier::{Claims, TokenError, TokenVerifier};

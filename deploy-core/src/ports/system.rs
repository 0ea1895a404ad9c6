//! Time and ids, injected so that the core has neither.

use std::time::Duration;

use async_trait::async_trait;

use crate::names::{PipelineId, TaskId, WorkId};
use crate::workload::Timestamp;

/// Time.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock, for records. It may jump; nothing expires by it but records.
    fn now(&self) -> Timestamp;

    /// Waits, by a clock that does not jump.
    async fn sleep(&self, duration: Duration);
}

/// New ids: UUIDv7, so that they sort by time.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Ids: Send + Sync {
    /// A task's.
    fn task(&self) -> TaskId;
    /// A run's.
    fn pipeline(&self) -> PipelineId;
    /// A work's.
    fn work(&self) -> WorkId;
}

//! Keyed reads and pages of what the journal recorded.

use async_trait::async_trait;

use crate::error::BoxError;
use crate::names::{Namespace, PipelineId, TaskId, WorkId};
use crate::pipeline::Run;
use crate::task::Task;
use crate::work::Work;
use crate::workload::{Kind, Slot, Timestamp};

/// Some items, and whether more follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether more follow the last one.
    pub more: bool,
}

/// A place in the list of tasks: kind, namespace, name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskCursor {
    /// The kind.
    pub kind: Kind,
    /// The namespace.
    pub namespace: Namespace,
    /// The name.
    pub name: String,
}

/// Reads tasks.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Tasks: Send + Sync {
    /// One task.
    async fn get(&self, id: TaskId) -> Result<Option<Task>, RecordsError>;

    /// The task whose object holds that place.
    async fn holder(&self, slot: &Slot) -> Result<Option<Task>, RecordsError>;

    /// Whether any record of a place is left that is no step of a run, held or not.
    async fn is_recorded(&self, slot: &Slot) -> Result<bool, RecordsError>;

    /// The tasks that hold a place, by kind (job, cronjob, deployment, service), namespace and name.
    async fn page<'a>(
        &self,
        namespace: Option<&'a Namespace>,
        after: Option<&'a TaskCursor>,
        limit: usize,
    ) -> Result<Page<Task>, RecordsError>;

    /// Finished jobs that still hold their place and ended before that time, oldest first.
    async fn finished_jobs(&self, before: Timestamp, limit: usize) -> Result<Vec<Task>, RecordsError>;
}

/// Reads runs.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Runs: Send + Sync {
    /// One run.
    async fn get(&self, id: PipelineId) -> Result<Option<Run>, RecordsError>;

    /// A run's steps, in the order of their index.
    async fn steps(&self, id: PipelineId) -> Result<Vec<Task>, RecordsError>;

    /// Runs, newest first: those older than `after`.
    async fn page<'a>(
        &self,
        namespace: Option<&'a Namespace>,
        after: Option<PipelineId>,
        limit: usize,
    ) -> Result<Page<Run>, RecordsError>;
}

/// Reads works.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Works: Send + Sync {
    /// One work.
    async fn get(&self, id: WorkId) -> Result<Option<Work>, RecordsError>;
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// It cannot be read now.
    #[error("the database cannot be used")]
    Unavailable(#[source] BoxError),
    /// What is stored does not read as what it should be.
    #[error("a stored record is damaged")]
    Damaged(#[source] BoxError),
}

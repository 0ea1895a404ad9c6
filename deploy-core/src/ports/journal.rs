//! The one place where anything is recorded.

use async_trait::async_trait;

use crate::error::BoxError;
use crate::names::{PipelineId, TaskId};
use crate::pipeline::{Run, RunEvent, RunStatus};
use crate::task::{Status, Task};
use crate::work::Work;
use crate::workload::{Slot, Timestamp};

/// Records what was decided: tasks, steps, runs and works change together or not at all.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Journal: Send + Sync {
    /// Takes the lead: commits of every earlier generation are refused from now on.
    async fn lead(&self) -> Result<Generation, JournalError>;

    /// Records all of `changes`, durably, or none. Every change is safe to repeat: a commit whose answer was lost is
    /// sent again.
    async fn commit(&self, changes: &[Change], generation: Generation) -> Result<(), JournalError>;

    /// Everything an engine has to look after: live tasks, open runs with all their steps and events, works that load.
    async fn recover(&self) -> Result<Recovery, JournalError>;
}

/// Who leads. Grows by one with each leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub i64);

/// One change of the record.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A new task.
    PutTask(Box<Task>),
    /// How a task stands. `live` is [`Task::is_live`].
    SetStatus {
        /// Which.
        task: TaskId,
        /// How it stands now.
        status: Box<Status>,
        /// Whether the engine still has to look after it.
        live: bool,
    },
    /// Every record of that name leaves, but those of steps, which their runs keep.
    RemoveTasks(Slot),
    /// A new run; its steps are put as tasks beside it.
    PutRun(Box<Run>),
    /// How a run stands.
    SetRun {
        /// Which.
        run: PipelineId,
        /// How it stands now.
        status: RunStatus,
    },
    /// Something happened to a run.
    AppendEvent {
        /// Which.
        run: PipelineId,
        /// Its place in the run's order, from 0, without gaps.
        seq: u64,
        /// What.
        event: RunEvent,
    },
    /// A work, new or moved on.
    PutWork(Box<Work>),
    /// Works asked for before that time leave.
    RemoveWorksBefore(Timestamp),
}

/// What an engine finds when it takes the lead.
#[derive(Debug, Default, PartialEq)]
pub struct Recovery {
    /// Live tasks that are not steps of an open run.
    pub tasks: Vec<Task>,
    /// Open runs.
    pub runs: Vec<OpenRun>,
    /// Works that load.
    pub works: Vec<Work>,
}

/// A run that has not ended.
#[derive(Debug, PartialEq)]
pub struct OpenRun {
    /// The run.
    pub run: Run,
    /// All its steps, in the order of their index.
    pub steps: Vec<Task>,
    /// Its events, in their order.
    pub events: Vec<RunEvent>,
}

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A newer generation leads.
    #[error("another engine has taken the lead")]
    Superseded,
    /// It cannot be recorded now.
    #[error("the database cannot be used")]
    Unavailable(#[source] BoxError),
}

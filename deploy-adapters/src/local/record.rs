//! What is kept of an object: one [`Record`] is one JSON file, so that a server that starts again knows what ran, what
//! has ended and which processes to end. It holds no open file and no running thing.

use deploy_core::workload::{Condition, Ended, Reason, Timestamp, Uid, Workload};
use serde::{Deserialize, Serialize};

use super::group::Group;

/// One object: what was asked, and how far it has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// What was asked last.
    pub workload: Workload,
    /// This incarnation.
    pub uid: Uid,
    /// Grows with every write that the core asked for.
    pub revision: u64,
    /// Grows when what the processes are made of changes; replicas of an older one are replaced.
    pub template: u64,
    /// Stopped by the core: nothing of it starts any more.
    pub suspended: bool,
    /// The exported code tree, by its folder in the cache.
    pub code: Option<String>,
    /// Times of the schedule up to this one are done with.
    pub anchor: Timestamp,
    /// Attempts of a job that have failed.
    pub failures: u32,
    /// How a job ended.
    pub ended: Option<End>,
    /// Its pods, oldest first.
    pub pods: Vec<PodRecord>,
}

impl Record {
    /// The pod of that name.
    pub(super) fn pod_mut(&mut self, name: &str) -> Option<&mut PodRecord> {
        self.pods.iter_mut().find(|pod| pod.name == name)
    }

    /// Whether a process of it was recorded and not yet seen to end.
    pub(super) fn has_processes(&self) -> bool {
        self.pods.iter().any(|pod| pod.process.is_some())
    }

    /// The condition of an object of which nothing runs, from what is recorded alone.
    pub(super) fn condition_at_rest(&self) -> Condition {
        match &self.ended {
            Some(end) => Condition::Ended(end.clone().into()),
            None if self.suspended => Condition::Stopped,
            None => Condition::Pending(None),
        }
    }
}

/// How a job ended; [`Ended`] as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// `None` = succeeded.
    pub failure: Option<Reason>,
    /// Where it ran.
    pub exit_code: Option<i32>,
    /// Where it ran.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
}

impl From<End> for Ended {
    fn from(end: End) -> Self {
        Self {
            failure: end.failure,
            exit_code: end.exit_code,
            started_at: end.started_at,
            finished_at: end.finished_at,
        }
    }
}

/// One pod: a process group, or what is left to tell of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PodRecord {
    /// `<object>-<5 characters>`.
    pub name: String,
    /// How it is.
    pub phase: Phase,
    /// Why, where it is not well.
    pub reason: Option<Reason>,
    /// How often its process was started again.
    pub restarts: u32,
    /// Since when it runs, or ran.
    pub started_at: Option<Timestamp>,
    /// Its process group, from before the command runs until after the last process of it is gone.
    pub process: Option<Group>,
    /// The [`Record::template`] it was made of.
    pub template: u64,
    /// The scheduled time it belongs to, for a cron job.
    pub run: Option<Timestamp>,
}

impl PodRecord {
    /// A pod that has not started.
    pub(super) const fn pending(name: String, template: u64, run: Option<Timestamp>) -> Self {
        Self {
            name,
            phase: Phase::Pending,
            reason: None,
            restarts: 0,
            started_at: None,
            process: None,
            template,
            run,
        }
    }
}

/// Kubernetes' phases of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Nothing runs, something will.
    Pending,
    /// Its process runs.
    Running,
    /// It ended with 0.
    Succeeded,
    /// It did not.
    Failed,
}

impl Phase {
    /// Kubernetes' word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

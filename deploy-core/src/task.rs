//! One deploy of one task, as it is recorded: what was asked ([`Task`], never changed) and how it stands
//! ([`Status`], changed by [`lifecycle`] alone).

pub mod lifecycle;

use serde::{Deserialize, Serialize};

use crate::names::{Branch, CommitId, Directory, Identity, PipelineId, RepositoryName, StepName, TaskId};
use crate::pipeline::StepState;
use crate::workload::{Kind, ObjectRef, Reason, Slot, Timestamp, Uid, Warning, Workload};

/// One deploy of one task, or one step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What the cluster is asked to run.
    pub workload: Workload,
    /// Where its manifest comes from; `None` for a configuration given with the request.
    pub source: Option<Source>,
    /// The step it is, for a task of a run.
    pub step: Option<Step>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Remarks made when it was accepted.
    pub warnings: Vec<Warning>,
    /// Whether the image has to be built before it can run.
    pub build: bool,
    /// How it stands.
    pub status: Status,
}

impl Task {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.workload.task
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.workload.kind()
    }

    /// The object it becomes.
    #[must_use]
    pub fn object(&self) -> ObjectRef {
        self.workload.object()
    }

    /// The place it needs for itself.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.workload.slot()
    }

    /// Who asked for it.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.workload.identity
    }

    /// The run it belongs to.
    #[must_use]
    pub const fn run(&self) -> Option<PipelineId> {
        self.workload.run
    }

    /// Whether the engine still has to look after it: an effect is outstanding, or its object may change.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.status.intent.is_some()
            || match self.status.state {
                State::Waiting | State::Building | State::Pending | State::Running => true,
                State::Scheduled | State::Ready | State::Updating | State::Degraded => self.status.holds,
                _ => false,
            }
    }
}

/// Where in git a document was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The repository.
    pub repository: RepositoryName,
    /// The directory.
    pub directory: Directory,
    /// The branch taken.
    pub branch: Branch,
    /// The commit read.
    pub commit: CommitId,
}

/// What a task of a run knows of its place in the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its place in pipeline.json, from 0.
    pub index: u32,
    /// Its name there.
    pub name: StepName,
    /// `repository/directory`, as written there.
    pub namespacetask: String,
    /// The places of the steps that must be finished before it.
    pub dependance: Vec<u32>,
    /// Whether it runs even if another step has failed.
    pub run_if_error: bool,
    /// Seconds its rollout may take, for a deployment or service.
    pub rollout_seconds: u32,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The state that users see; [`State::Waiting`] and [`State::Skipped`] are seen on steps alone.
    pub state: State,
    /// Why.
    pub reason: Option<Reason>,
    /// When its container started, or its rollout was ready.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The container's exit code, where it ran and ended.
    pub exit_code: Option<i32>,
    /// What was recorded to be done and is not yet known to be done. Recovery does it again.
    pub intent: Option<Intent>,
    /// What the image builder made; this is what runs.
    pub image: Option<String>,
    /// Whether the object under its name is this task's.
    pub holds: bool,
    /// The object's incarnation.
    pub uid: Option<Uid>,
    /// The version of our last write to the object; what was observed of an older one is not acted on.
    pub revision: u64,
    /// Whether this task brought the object into being, as opposed to updating one that was there.
    pub created_object: bool,
    /// The task that took its place.
    pub superseded_by: Option<TaskId>,
    /// The state of the step, for a task of a run: a deployment goes on when its step has succeeded.
    pub step: Option<StepState>,
    /// Remarks made later.
    pub warnings: Vec<Warning>,
}

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A step that has not started.
    Waiting,
    /// Its image is built.
    Building,
    /// Asked of the cluster; nothing runs yet.
    Pending,
    /// A job's container runs.
    Running,
    /// A job ended well.
    Succeeded,
    /// It did not.
    Failed,
    /// It was stopped by a kill.
    Killed,
    /// A cron job waits for its times.
    Scheduled,
    /// Every replica is up.
    Ready,
    /// A new version is rolled out.
    Updating,
    /// Replicas are missing.
    Degraded,
    /// A newer deploy took its name.
    Superseded,
    /// A user deleted it.
    Deleted,
    /// A step that never ran.
    Skipped,
}

impl State {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Building => "building",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Updating => "updating",
            Self::Degraded => "degraded",
            Self::Superseded => "superseded",
            Self::Deleted => "deleted",
            Self::Skipped => "skipped",
        }
    }

    /// Whether a task in this state never changes again by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Killed | Self::Superseded | Self::Deleted | Self::Skipped
        )
    }
}

/// What was recorded to be done; carried out after it is stored, and again after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Intent {
    /// Build the image.
    Build,
    /// Remove the finished or replaced object of that task in the foreground, then create.
    Replace {
        /// Whose object it is.
        old: TaskId,
        /// Its incarnation.
        uid: Uid,
    },
    /// Create or update the object.
    Apply,
    /// Stop what runs, leaving the name burnt.
    Stop,
    /// Remove the object, because a user asked.
    Delete,
    /// Remove a finished job's object, `--job-retention` after its end.
    Expire,
}

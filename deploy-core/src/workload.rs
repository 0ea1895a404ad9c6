//! What is asked of a cluster, and what is observed of it, in our words. Adapters translate; nothing here knows
//! Kubernetes' types, and nothing a manifest says reaches a pod but through these fields.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::manifest::{
    ConcurrencyPolicy, EnvVar, Image, Labels, Published, PullPolicy, Resources, Schedule, Violation,
};
use crate::names::{
    CommitId, Directory, Identity, Namespace, PipelineId, RepositoryName, ResourceName, TaskId,
};

/// A point in time, UTC.
pub type Timestamp = DateTime<Utc>;

/// The four kinds of task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Runs to its end, once.
    Job,
    /// Starts jobs on a schedule.
    CronJob,
    /// Keeps replicas running.
    Deployment,
    /// A deployment with an address.
    Service,
}

impl Kind {
    /// As it is written in JSON and routes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::CronJob => "cronjob",
            Self::Deployment => "deployment",
            Self::Service => "service",
        }
    }

    /// What the kind asks of a name beyond a label: a CronJob's leaves 11 characters for its jobs' suffix (Kubernetes:
    /// at most 52), a Service's begins with a letter (RFC 1035 label).
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub fn accepts_name(self, name: &ResourceName) -> Result<(), &'static str> {
        match self {
            Self::CronJob if name.as_str().len() > 52 => {
                Err("the name of a cronjob has at most 52 characters")
            }
            Self::Service if !name.as_str().starts_with(|c: char| c.is_ascii_lowercase()) => {
                Err("the name of a service begins with a letter (RFC 1035 label)")
            }
            _ => Ok(()),
        }
    }

    /// Deployments and services share a name: a service owns the deployment it selects.
    #[must_use]
    pub const fn slot(self) -> SlotKind {
        match self {
            Self::Job => SlotKind::Job,
            Self::CronJob => SlotKind::CronJob,
            Self::Deployment | Self::Service => SlotKind::Deployment,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which names collide: kinds of one slot kind share their names inside a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotKind {
    /// Jobs.
    Job,
    /// Cron jobs.
    CronJob,
    /// Deployments and services.
    Deployment,
}

impl SlotKind {
    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::CronJob => "cronjob",
            Self::Deployment => "deployment",
        }
    }
}

/// A place that at most one task holds at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// Which kinds compete for the name.
    pub kind: SlotKind,
    /// The namespace.
    pub namespace: Namespace,
    /// The name.
    pub name: ResourceName,
}

/// One task as a cluster is asked to run it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// The task this object belongs to; written on the object.
    pub task: TaskId,
    /// Who asked for it; written on the object.
    pub identity: Identity,
    /// The run whose step it is.
    pub run: Option<PipelineId>,
    /// Where it runs.
    pub namespace: Namespace,
    /// The object's name.
    pub name: ResourceName,
    /// The user's labels. Selectors are never made of them.
    pub labels: Labels,
    /// What is run.
    pub container: Container,
    /// Where the task's `code/` is, when it comes from git.
    pub code: Option<Code>,
    /// How it is run.
    pub shape: Shape,
}

impl Workload {
    /// The kind its shape belongs to.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.shape {
            Shape::Job { .. } => Kind::Job,
            Shape::CronJob { .. } => Kind::CronJob,
            Shape::Deployment { .. } => Kind::Deployment,
            Shape::Service { .. } => Kind::Service,
        }
    }

    /// The object this workload becomes.
    #[must_use]
    pub fn object(&self) -> ObjectRef {
        ObjectRef {
            kind: self.kind(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// The place it needs for itself.
    #[must_use]
    pub fn slot(&self) -> Slot {
        Slot {
            kind: self.kind().slot(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// The one container of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// What is pulled.
    pub image: Image,
    /// When it is pulled; absent = Kubernetes' own rule.
    pub pull_policy: Option<PullPolicy>,
    /// Command and arguments; absent = the image's own.
    pub command: Option<Vec<String>>,
    /// Environment, names unique.
    pub env: Vec<EnvVar>,
    /// Requests and limits.
    pub resources: Resources,
}

/// A task's directory at one commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Code {
    /// The repository.
    pub repository: RepositoryName,
    /// The task's directory; the code is in `code/` below it.
    pub directory: Directory,
    /// The commit.
    pub commit: CommitId,
}

/// How a container is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Shape {
    /// To its end, once.
    Job {
        /// How often a failed pod is tried again.
        retries: u8,
        /// Seconds after which it is stopped as failed.
        timeout_seconds: Option<u32>,
    },
    /// To its end, on a schedule.
    CronJob {
        /// When.
        schedule: Schedule,
        /// In which time zone.
        timezone: chrono_tz::Tz,
        /// What happens when the last one still runs.
        concurrency: ConcurrencyPolicy,
        /// As for a job.
        retries: u8,
        /// As for a job.
        timeout_seconds: Option<u32>,
    },
    /// Kept running.
    Deployment {
        /// How many.
        replicas: u32,
    },
    /// Kept running, with an address.
    Service {
        /// How many.
        replicas: u32,
        /// The container's port.
        port: u16,
        /// How it is exposed outside the cluster.
        published: Option<Published>,
    },
}

/// An object in a cluster, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: ResourceName,
}

impl ObjectRef {
    /// The place it takes.
    #[must_use]
    pub fn slot(&self) -> Slot {
        Slot {
            kind: self.kind.slot(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// The cluster's own id of one incarnation of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Uid(pub String);

/// What one look at an object told.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Which object.
    pub object: ObjectRef,
    /// Which incarnation of it.
    pub uid: Uid,
    /// The task written on it; `None` where the mark was damaged.
    pub task: Option<TaskId>,
    /// Which version of our own writes the status speaks of. Never lower than what [`Applied::revision`] said once
    /// that write has been seen; an older one is not acted on.
    pub revision: u64,
    /// How it is doing.
    pub condition: Condition,
}

/// How an object is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Accepted; nothing runs yet. The reason says what it waits for, where the cluster tells.
    Pending(Option<Reason>),
    /// A job's container runs.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// A job ended.
    Ended(Ended),
    /// A job is suspended and nothing of it runs any more.
    Stopped,
    /// A cron job waits for its next time.
    Scheduled,
    /// Every replica of the wanted version is up.
    Ready {
        /// Since when.
        since: Timestamp,
    },
    /// A new version is being rolled out, with what holds it up where that is known.
    Updating(Option<Reason>),
    /// It was up, or should be, and is not.
    Degraded(Reason),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// `None` = succeeded.
    pub failure: Option<Reason>,
    /// The container's exit code, where it ran.
    pub exit_code: Option<i32>,
    /// When its container started, where it did.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// What an apply did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The object's incarnation.
    pub uid: Uid,
    /// Whether it is new, as opposed to updated in place or found as ours.
    pub created: bool,
    /// The version of this write; see [`Observed::revision`].
    pub revision: u64,
}

/// Why a task is as it is: a code of a closed list, and the cluster's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The stable code.
    pub code: ReasonCode,
    /// Words for people; for a failed container with the last 20 lines of its log.
    pub message: String,
}

impl Reason {
    /// A reason of `code`, in these words.
    #[must_use]
    pub fn new(code: ReasonCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// The closed list of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCode {
    /// The image could not be built.
    ImageBuildFailed,
    /// The image could not be pulled.
    ImagePullFailed,
    /// No node takes the pod.
    Unschedulable,
    /// The namespace's quota is used up.
    QuotaExceeded,
    /// The container ends again and again.
    CrashLooping,
    /// The container used more memory than its limit.
    OutOfMemory,
    /// The container ended with a code other than 0.
    ExitCode,
    /// It took longer than `timeout-seconds`.
    DeadlineExceeded,
    /// The pod was evicted from its node.
    Evicted,
    /// A new version did not become ready.
    RolloutFailed,
    /// The finished object of the same name is being removed first.
    Replacing,
    /// It waits for a limit to leave it room.
    Queued,
    /// The server was told to stop, or lost the cluster, before this was done; it will not be done.
    Interrupted,
    /// A user deleted it.
    Deleted,
    /// Its object or process vanished.
    Lost,
    /// The cluster refused it.
    ClusterRefused,
}

/// Something the user should know that did not stop the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The stable code.
    pub code: WarningCode,
    /// Words for people.
    pub message: String,
}

impl Warning {
    /// A warning of `code`, in these words.
    #[must_use]
    pub fn new(code: WarningCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// The closed list of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningCode {
    /// The default branch does not exist; the remote's HEAD was taken.
    DefaultBranchAbsent,
    /// The cluster at hand accepts this and does nothing with it.
    NoEffect,
    /// A `/code/` path was mapped to the local copy.
    PathMapped,
    /// A pipeline step's manifest has a schedule, which a step ignores.
    ScheduleIgnored,
    /// A rollout that this run had only updated was left as it is.
    RolloutLeft,
}

/// What a cluster says of a workload before anything is stored: pure, no calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Review {
    /// Accepted, with remarks.
    pub warnings: Vec<Warning>,
    /// Not accepted; any of them makes the request a 422.
    pub violations: Vec<Violation>,
    /// Whether this cluster runs images, so that one which has to be built must be.
    pub runs_images: bool,
}

/// One pod, as the lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: Namespace,
    /// The task it runs.
    pub task_id: Option<TaskId>,
    /// Kubernetes' word: Pending, Running, Succeeded, Failed, Unknown.
    pub phase: String,
    /// Why, where it is not well.
    pub reason: Option<Reason>,
    /// How often its container was started again.
    pub restarts: u32,
    /// Where it runs.
    pub node: Option<String>,
    /// Since when.
    pub started_at: Option<Timestamp>,
}

/// One namespace that tasks may be deployed into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamespaceView {
    /// Its name.
    pub name: Namespace,
    /// The repository that claimed it by a derived use.
    pub repository: Option<RepositoryName>,
    /// Since when it exists.
    pub created_at: Timestamp,
}

/// An object that a delete removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// Kubernetes' kind in our spelling: job, cronjob, deployment, service.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: ResourceName,
    /// Its incarnation; `None` where only a record was left.
    pub uid: Option<Uid>,
}

/// Labels as plain text, for adapters.
pub type LabelMap = BTreeMap<String, String>;

//! manifest.json as a type. [`Manifest::parse`] is the only way from bytes to a [`Manifest`]; it is an allow-list that
//! answers every violation at once, each with a JSON pointer.

mod document;
pub(crate) mod fields;
mod labels;
pub(crate) mod nearest;
pub(crate) mod parse;
mod quantity;
mod schedule;

use serde::{Deserialize, Serialize};

pub use document::{Document, Position};
pub use labels::Labels;
pub use quantity::{Quantity, QuantityError};
pub use schedule::{FieldProblem, Schedule, ScheduleError, ScheduleField};

use crate::names::ResourceName;

/// One thing wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Where: a JSON pointer (RFC 6901); the empty string is the whole document.
    pub pointer: String,
    /// What was found, what was expected, and the cure.
    pub message: String,
}

impl Violation {
    /// A violation at `pointer`.
    #[must_use]
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

/// One task, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The name to deploy under when the route gives none.
    pub name: ResourceName,
    /// Job, deployment or service.
    pub kind: ManifestKind,
    /// Labels on the objects and pods.
    pub labels: Labels,
    /// What is run.
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

/// What is particular to each `type` of manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ManifestKind {
    /// A job, or a cron job where a schedule is given here or by the request.
    Job {
        /// When; `None` = once, now.
        schedule: Option<Schedule>,
        /// The schedule's time zone.
        timezone: chrono_tz::Tz,
        /// What a schedule does when the last job still runs.
        concurrency: ConcurrencyPolicy,
        /// How often a failed pod is tried again, 0 to 10.
        retries: u8,
        /// Seconds after which it is stopped as failed.
        timeout_seconds: Option<u32>,
    },
    /// A deployment.
    Deployment {
        /// 0 to 100.
        replicas: u32,
        /// Seconds that a rollout may take as a pipeline's step.
        timeout_seconds: Option<u32>,
    },
    /// A service.
    Service {
        /// 0 to 100.
        replicas: u32,
        /// The container's port.
        port: u16,
        /// How it is exposed outside the cluster.
        published: Option<Published>,
        /// Seconds that a rollout may take as a pipeline's step.
        timeout_seconds: Option<u32>,
    },
}

/// The image a container runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Image {
    /// `image`: only pulled.
    Pulled(String),
    /// `image-destination`: built from `code/Dockerfile` where the task has one, and pushed here first.
    Built(String),
}

impl Image {
    /// The reference that pods pull.
    #[must_use]
    pub fn reference(&self) -> &str {
        match self {
            Self::Pulled(reference) | Self::Built(reference) => reference,
        }
    }
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// When the node has none.
    IfNotPresent,
    /// Never.
    Never,
}

/// What a cron job does when it is time and the last job still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ConcurrencyPolicy {
    /// Starts another.
    Allow,
    /// Leaves this one out.
    #[default]
    Forbid,
    /// Stops the last one.
    Replace,
}

/// One variable of a container's environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    /// Its name: a C identifier, as Kubernetes has accepted it always.
    pub name: String,
    /// Its value.
    pub value: EnvValue,
}

/// Where a variable's value comes from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvValue {
    /// As given.
    Literal(String),
    /// From a Secret in the task's namespace.
    Secret {
        /// The Secret's name.
        name: String,
        /// The key in it.
        key: String,
    },
}

/// A value may be a password, whatever the field is for; it is never printed.
impl std::fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("***"),
            Self::Secret { name, key } => write!(f, "secret {name}/{key}"),
        }
    }
}

/// Requests and limits of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// CPU, in cores.
    pub cpu_request: Option<Quantity>,
    /// CPU, in cores.
    pub cpu_limit: Option<Quantity>,
    /// Memory, in bytes.
    pub memory_request: Option<Quantity>,
    /// Memory, in bytes.
    pub memory_limit: Option<Quantity>,
}

/// How a service is exposed outside the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The group that may open it.
    pub access: Option<String>,
    /// The URL prefix it is served under; begins and ends in `/`.
    pub prefix: String,
    /// What the prefix is replaced by.
    pub rewrite: String,
    /// Request timeout, milliseconds.
    pub timeout_ms: u32,
    /// Keep a user on one pod.
    pub sticky_sessions: bool,
    /// Served without the platform's login.
    pub bypass_auth: bool,
}

//! A run of a pipeline, as it is recorded. Its definition is its steps' tasks ([`crate::task::Step`]); what happened
//! is its events, in stored order; everything else follows from the two ([`run::Progress`]).

pub mod definition;
pub mod graph;
pub mod run;

use serde::{Deserialize, Serialize};

use crate::names::{Identity, Namespace, PipelineId, PipelineName};
use crate::task::Source;
use crate::workload::{Timestamp, Warning};

/// One run, without its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: PipelineId,
    /// Its name, from the route.
    pub name: PipelineName,
    /// The name of the whole, as the definition gives it.
    pub original: Option<String>,
    /// Where its steps run.
    pub namespace: Namespace,
    /// Where the definition comes from.
    pub source: Option<Source>,
    /// Who asked for it.
    pub identity: Identity,
    /// The groups they were in then: what a step may replace is decided when it does.
    pub groups: Vec<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Remarks.
    pub warnings: Vec<Warning>,
    /// How it stands.
    pub status: RunStatus,
}

/// How a run stands: the part of its row that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStatus {
    /// Its state.
    pub state: RunState,
    /// Whether a step has failed.
    pub in_error: bool,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How many steps stand how.
    pub counts: StepCounts,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Steps run or wait.
    Running,
    /// A kill is being carried out.
    Killing,
    /// Every step is finished and none failed.
    Succeeded,
    /// Every step is finished and one failed.
    Failed,
    /// A kill was carried out.
    Killed,
}

impl RunState {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Killing => "killing",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Killed => "killed",
        }
    }

    /// Whether the run has ended.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Killed)
    }
}

/// The state of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// It has not started.
    Waiting,
    /// It runs.
    Running,
    /// It ended well.
    Succeeded,
    /// It did not.
    Failed,
    /// It never ran, because another failed.
    Skipped,
    /// It was killed, or never started because of a kill.
    Killed,
}

impl StepState {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Killed => "killed",
        }
    }

    /// Whether the step is finished, whatever its end.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// How many steps of a run stand how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StepCounts {
    /// Not started.
    pub waiting: u32,
    /// Running.
    pub running: u32,
    /// Ended well.
    pub succeeded: u32,
    /// Failed.
    pub failed: u32,
    /// Never ran.
    pub skipped: u32,
    /// Killed.
    pub killed: u32,
}

/// Something that happened to a run, stored in the order in which it was decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEvent {
    /// A running step ended.
    StepEnded {
        /// Which.
        step: u32,
        /// How.
        end: StepEnd,
    },
    /// A user killed the run.
    Kill {
        /// Whether waiting run-if-error steps still run.
        cleanup: bool,
    },
}

/// How a step that ran ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepEnd {
    /// Well.
    Succeeded,
    /// Not well.
    Failed,
    /// By a kill.
    Killed,
}

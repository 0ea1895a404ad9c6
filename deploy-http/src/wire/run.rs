//! A run's JSON.

use deploy_core::names::{Branch, CommitId, Identity, StepName};
use deploy_core::pipeline::{Run, StepCounts, StepState};
use deploy_core::task::{State, Step, Task};
use deploy_core::workload::{Reason, Warning};
use serde::Serialize;

use super::{SourceJson, Time};

/// A run and its steps.
#[derive(Debug, Serialize)]
pub struct RunJson<'a> {
    #[serde(flatten)]
    run: Common<'a>,
    steps: Vec<StepJson<'a>>,
}

impl<'a> RunJson<'a> {
    /// The JSON of a run and its steps, in the order of the definition.
    #[must_use]
    pub fn new(run: &'a Run, steps: &'a [Task]) -> Self {
        let names: Vec<&StepName> = steps
            .iter()
            .filter_map(|task| Some(&task.step.as_ref()?.name))
            .collect();
        let steps = steps
            .iter()
            .filter_map(|task| Some(StepJson::new(task, task.step.as_ref()?, &names)));
        Self {
            run: Common::new(run),
            steps: steps.collect(),
        }
    }
}

/// A run in a list: how many steps stand how, in place of the steps.
#[derive(Debug, Serialize)]
pub struct RunItem<'a> {
    #[serde(flatten)]
    run: Common<'a>,
    step_counts: StepCounts,
}

impl<'a> RunItem<'a> {
    /// The JSON of a run.
    #[must_use]
    pub fn new(run: &'a Run) -> Self {
        Self {
            run: Common::new(run),
            step_counts: run.status.counts,
        }
    }
}

#[derive(Debug, Serialize)]
struct Common<'a> {
    id: String,
    name: &'a str,
    original: Option<&'a str>,
    namespace: &'a str,
    state: &'static str,
    source: Option<SourceJson<'a>>,
    identity: &'a Identity,
    created_at: Time,
    finished_at: Option<Time>,
    in_error: bool,
    warnings: &'a [Warning],
}

impl<'a> Common<'a> {
    fn new(run: &'a Run) -> Self {
        Self {
            id: run.id.to_string(),
            name: run.name.as_str(),
            original: run.original.as_deref(),
            namespace: run.namespace.as_str(),
            state: run.status.state.as_str(),
            source: run.source.as_ref().map(SourceJson::from),
            identity: &run.identity,
            created_at: Time(run.created_at),
            finished_at: run.status.finished_at.map(Time),
            in_error: run.status.in_error,
            warnings: &run.warnings,
        }
    }
}

#[derive(Debug, Serialize)]
struct StepJson<'a> {
    name: &'a StepName,
    namespacetask: &'a str,
    dependance: Vec<&'a StepName>,
    run_if_error: bool,
    state: &'static str,
    reason: Option<&'a Reason>,
    task_id: Option<String>,
    branch: Option<&'a Branch>,
    commit: Option<&'a CommitId>,
    started_at: Option<Time>,
    finished_at: Option<Time>,
    exit_code: Option<i32>,
}

impl<'a> StepJson<'a> {
    fn new(task: &'a Task, step: &'a Step, names: &[&'a StepName]) -> Self {
        // A step that never became a task has no id to ask for.
        let is_task = !matches!(task.status.state, State::Waiting | State::Skipped);
        let dependance = step
            .dependance
            .iter()
            .filter_map(|index| usize::try_from(*index).ok());
        Self {
            name: &step.name,
            namespacetask: &step.namespacetask,
            dependance: dependance.filter_map(|index| names.get(index).copied()).collect(),
            run_if_error: step.run_if_error,
            state: task.status.step.unwrap_or(StepState::Waiting).as_str(),
            reason: task.status.reason.as_ref(),
            task_id: is_task.then(|| task.id().to_string()),
            branch: task.source.as_ref().map(|source| &source.branch),
            commit: task.source.as_ref().map(|source| &source.commit),
            started_at: task.status.started_at.map(Time),
            finished_at: task.status.finished_at.map(Time),
            exit_code: task.status.exit_code,
        }
    }
}

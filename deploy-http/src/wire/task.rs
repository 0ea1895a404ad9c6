//! A task's JSON.

use deploy_core::names::Identity;
use deploy_core::task::Task;
use deploy_core::workload::{Pod, Reason, Shape, Warning};
use serde::Serialize;

use super::{PodJson, SourceJson, Time};

/// A task and its pods.
#[derive(Debug, Serialize)]
pub struct TaskJson<'a> {
    #[serde(flatten)]
    task: TaskItem<'a>,
    pods: Vec<PodJson<'a>>,
}

impl<'a> TaskJson<'a> {
    /// The JSON of a task and its pods.
    #[must_use]
    pub fn new(task: &'a Task, pods: &'a [Pod]) -> Self {
        Self {
            task: TaskItem::new(task),
            pods: pods.iter().map(PodJson::from).collect(),
        }
    }
}

/// A task in a list.
#[derive(Debug, Serialize)]
pub struct TaskItem<'a> {
    id: String,
    name: &'a str,
    namespace: &'a str,
    kind: &'static str,
    state: &'static str,
    reason: Option<&'a Reason>,
    warnings: Vec<&'a Warning>,
    source: Option<SourceJson<'a>>,
    image: &'a str,
    schedule: Option<String>,
    identity: &'a Identity,
    pipeline_id: Option<String>,
    superseded_by: Option<String>,
    created_at: Time,
    started_at: Option<Time>,
    finished_at: Option<Time>,
    exit_code: Option<i32>,
}

impl<'a> TaskItem<'a> {
    /// The JSON of a task.
    #[must_use]
    pub fn new(task: &'a Task) -> Self {
        let schedule = match &task.workload.shape {
            Shape::CronJob { schedule, .. } => Some(schedule.to_string()),
            Shape::Job { .. } | Shape::Deployment { .. } | Shape::Service { .. } => None,
        };
        Self {
            id: task.id().to_string(),
            name: task.workload.name.as_str(),
            namespace: task.workload.namespace.as_str(),
            kind: task.kind().as_str(),
            state: task.status.state.as_str(),
            reason: task.status.reason.as_ref(),
            warnings: task.warnings.iter().chain(&task.status.warnings).collect(),
            source: task.source.as_ref().map(SourceJson::from),
            image: task.workload.container.image.reference(),
            schedule,
            identity: task.identity(),
            pipeline_id: task.run().map(|id| id.to_string()),
            superseded_by: task.status.superseded_by.map(|id| id.to_string()),
            created_at: Time(task.created_at),
            started_at: task.status.started_at.map(Time),
            finished_at: task.status.finished_at.map(Time),
            exit_code: task.status.exit_code,
        }
    }
}

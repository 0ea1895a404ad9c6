//! The one translator between records and rows: what is immutable as one JSON document, what changes as another.

use std::borrow::Cow;

use deploy_core::error::BoxError;
use deploy_core::names::{Identity, Namespace, PipelineId, PipelineName};
use deploy_core::pipeline::Run;
use deploy_core::ports::RecordsError;
use deploy_core::task::{Source, Step, Task};
use deploy_core::workload::{Kind, Timestamp, Warning, Workload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A task's row: id, immutable part, status.
pub(super) type TaskRow = (String, String, String);

/// A run's row: id, immutable part, status.
pub(super) type RunRow = (String, String, String);

/// A document with its id: an event with its run's, a work with its own.
pub(super) type DocumentRow = (String, String);

/// The order in which lists show kinds, as a column.
pub(super) const fn rank(kind: Kind) -> i64 {
    match kind {
        Kind::Job => 0,
        Kind::CronJob => 1,
        Kind::Deployment => 2,
        Kind::Service => 3,
    }
}

/// A task without its status.
#[derive(Serialize, Deserialize)]
struct TaskSpec<'a> {
    workload: Cow<'a, Workload>,
    source: Cow<'a, Option<Source>>,
    step: Cow<'a, Option<Step>>,
    created_at: Timestamp,
    warnings: Cow<'a, [Warning]>,
    build: bool,
}

/// A run without its status.
#[derive(Serialize, Deserialize)]
struct RunSpec<'a> {
    id: PipelineId,
    name: Cow<'a, PipelineName>,
    original: Cow<'a, Option<String>>,
    namespace: Cow<'a, Namespace>,
    source: Cow<'a, Option<Source>>,
    identity: Cow<'a, Identity>,
    // A record from before it was kept was made by somebody of no group.
    #[serde(default)]
    groups: Cow<'a, [String]>,
    created_at: Timestamp,
    warnings: Cow<'a, [Warning]>,
}

/// The immutable part of a task.
pub(super) fn task_spec(task: &Task) -> Result<String, BoxError> {
    // Taken apart by name: a new field does not compile until it has its place here.
    let Task {
        workload,
        source,
        step,
        created_at,
        warnings,
        build,
        status: _,
    } = task;
    json(&TaskSpec {
        workload: Cow::Borrowed(workload),
        source: Cow::Borrowed(source),
        step: Cow::Borrowed(step),
        created_at: *created_at,
        warnings: Cow::Borrowed(warnings),
        build: *build,
    })
}

/// The immutable part of a run.
pub(super) fn run_spec(run: &Run) -> Result<String, BoxError> {
    let Run {
        id,
        name,
        original,
        namespace,
        source,
        identity,
        groups,
        created_at,
        warnings,
        status: _,
    } = run;
    json(&RunSpec {
        id: *id,
        name: Cow::Borrowed(name),
        original: Cow::Borrowed(original),
        namespace: Cow::Borrowed(namespace),
        source: Cow::Borrowed(source),
        identity: Cow::Borrowed(identity),
        groups: Cow::Borrowed(groups),
        created_at: *created_at,
        warnings: Cow::Borrowed(warnings),
    })
}

/// Any document.
pub(super) fn json<T: Serialize>(document: &T) -> Result<String, BoxError> {
    serde_json::to_string(document).map_err(Into::into)
}

/// A task from its row.
pub(super) fn task((id, spec, status): TaskRow) -> Result<Task, RecordsError> {
    let spec: TaskSpec<'static> = parsed("task", &id, &spec)?;
    Ok(Task {
        workload: spec.workload.into_owned(),
        source: spec.source.into_owned(),
        step: spec.step.into_owned(),
        created_at: spec.created_at,
        warnings: spec.warnings.into_owned(),
        build: spec.build,
        status: parsed("status of task", &id, &status)?,
    })
}

/// A run from its row.
pub(super) fn run((id, spec, status): RunRow) -> Result<Run, RecordsError> {
    let spec: RunSpec<'static> = parsed("run", &id, &spec)?;
    Ok(Run {
        id: spec.id,
        name: spec.name.into_owned(),
        original: spec.original.into_owned(),
        namespace: spec.namespace.into_owned(),
        source: spec.source.into_owned(),
        identity: spec.identity.into_owned(),
        groups: spec.groups.into_owned(),
        created_at: spec.created_at,
        warnings: spec.warnings.into_owned(),
        status: parsed("status of run", &id, &status)?,
    })
}

/// Any document from its row.
pub(super) fn document<T: DeserializeOwned>(
    what: &'static str,
    (id, body): &DocumentRow,
) -> Result<T, RecordsError> {
    parsed(what, id, body)
}

/// A failure of the database while reading. A column of another type than ours is a damaged record.
pub(super) fn unreadable(error: sqlx::Error) -> RecordsError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => RecordsError::Damaged(error.into()),
        other => RecordsError::Unavailable(other.into()),
    }
}

fn parsed<T: DeserializeOwned>(what: &'static str, id: &str, text: &str) -> Result<T, RecordsError> {
    serde_json::from_str(text).map_err(|source| {
        RecordsError::Damaged(
            Damage {
                what,
                id: id.to_owned(),
                source,
            }
            .into(),
        )
    })
}

/// Which record it was.
#[derive(Debug, thiserror::Error)]
#[error("the {what} {id} does not decode")]
struct Damage {
    what: &'static str,
    id: String,
    #[source]
    source: serde_json::Error,
}

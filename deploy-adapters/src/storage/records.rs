//! Keyed reads and pages. Every query here is answered from an index: its cost follows what it returns, never how much
//! is stored (`tests/plans.rs` asks SQLite).

use async_trait::async_trait;
use deploy_core::names::{Namespace, PipelineId, TaskId, WorkId};
use deploy_core::pipeline::Run;
use deploy_core::ports::{Page, RecordsError, Runs, TaskCursor, Tasks, Works};
use deploy_core::task::Task;
use deploy_core::work::Work;
use deploy_core::workload::{Slot, Timestamp};

use super::SqlStore;
use super::rows::{self, DocumentRow, RunRow, TaskRow};

/// A query for whole tasks, with this end.
macro_rules! select_tasks {
    ($tail:literal) => {
        concat!(
            "SELECT t.id, s.spec, t.status FROM task t JOIN task_spec s ON s.task_id = t.id ",
            $tail
        )
    };
}
pub(super) use select_tasks;

pub(super) const TASK: &str = select_tasks!("WHERE t.id = $1");
pub(super) const HOLDER: &str =
    select_tasks!("WHERE t.slot = $1 AND t.namespace = $2 AND t.name = $3 AND t.holds");
pub(super) const RECORDED: &str =
    "SELECT id FROM task WHERE slot = $1 AND namespace = $2 AND name = $3 AND run_id IS NULL LIMIT 1";
pub(super) const TASKS: &str = select_tasks!(
    "WHERE t.holds AND (t.kind, t.namespace, t.name) > ($1, $2, $3)
     ORDER BY t.kind, t.namespace, t.name LIMIT $4"
);
pub(super) const TASKS_OF_NAMESPACE: &str = select_tasks!(
    "WHERE t.holds AND t.namespace = $1 AND (t.kind, t.name) > ($2, $3)
     ORDER BY t.kind, t.name LIMIT $4"
);
pub(super) const FINISHED_JOBS: &str = select_tasks!(
    "WHERE t.holds AND t.kind = 0 AND t.finished_ms < $1 ORDER BY t.finished_ms, t.id LIMIT $2"
);
pub(super) const STEPS: &str = select_tasks!("WHERE t.run_id = $1 ORDER BY t.step_index");
pub(super) const RUN: &str = "SELECT id, spec, status FROM run WHERE id = $1";
pub(super) const RUNS: &str = "SELECT id, spec, status FROM run WHERE id < $1 ORDER BY id DESC LIMIT $2";
pub(super) const RUNS_OF_NAMESPACE: &str = "SELECT id, spec, status FROM run
     WHERE namespace = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
pub(super) const WORK: &str = "SELECT id, body FROM work WHERE id = $1";

#[async_trait]
impl Tasks for SqlStore {
    async fn get(&self, id: TaskId) -> Result<Option<Task>, RecordsError> {
        let row: Option<TaskRow> = sqlx::query_as(TASK)
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await
            .map_err(rows::unreadable)?;
        row.map(rows::task).transpose()
    }

    async fn holder(&self, slot: &Slot) -> Result<Option<Task>, RecordsError> {
        let row: Option<TaskRow> = sqlx::query_as(HOLDER)
            .bind(slot.kind.as_str())
            .bind(slot.namespace.as_str())
            .bind(slot.name.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(rows::unreadable)?;
        row.map(rows::task).transpose()
    }

    async fn is_recorded(&self, slot: &Slot) -> Result<bool, RecordsError> {
        let row: Option<(String,)> = sqlx::query_as(RECORDED)
            .bind(slot.kind.as_str())
            .bind(slot.namespace.as_str())
            .bind(slot.name.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(rows::unreadable)?;
        Ok(row.is_some())
    }

    async fn page<'a>(
        &self,
        namespace: Option<&'a Namespace>,
        after: Option<&'a TaskCursor>,
        limit: usize,
    ) -> Result<Page<Task>, RecordsError> {
        let query = match namespace {
            Some(namespace) => {
                let (kind, name) = place_in(namespace, after);
                sqlx::query_as(TASKS_OF_NAMESPACE)
                    .bind(namespace.as_str())
                    .bind(kind)
                    .bind(name)
            }
            None => {
                let (kind, namespace, name) = after.map_or((-1, "", ""), |after| {
                    (
                        rows::rank(after.kind),
                        after.namespace.as_str(),
                        after.name.as_str(),
                    )
                });
                sqlx::query_as(TASKS).bind(kind).bind(namespace).bind(name)
            }
        };
        let found: Vec<TaskRow> = query
            .bind(one_more(limit))
            .fetch_all(&self.readers)
            .await
            .map_err(rows::unreadable)?;
        page(found, limit, rows::task)
    }

    async fn finished_jobs(&self, before: Timestamp, limit: usize) -> Result<Vec<Task>, RecordsError> {
        let found: Vec<TaskRow> = sqlx::query_as(FINISHED_JOBS)
            .bind(before.timestamp_millis())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(rows::unreadable)?;
        found.into_iter().map(rows::task).collect()
    }
}

#[async_trait]
impl Runs for SqlStore {
    async fn get(&self, id: PipelineId) -> Result<Option<Run>, RecordsError> {
        let row: Option<RunRow> = sqlx::query_as(RUN)
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await
            .map_err(rows::unreadable)?;
        row.map(rows::run).transpose()
    }

    async fn steps(&self, id: PipelineId) -> Result<Vec<Task>, RecordsError> {
        let found: Vec<TaskRow> = sqlx::query_as(STEPS)
            .bind(id.to_string())
            .fetch_all(&self.readers)
            .await
            .map_err(rows::unreadable)?;
        found.into_iter().map(rows::task).collect()
    }

    async fn page<'a>(
        &self,
        namespace: Option<&'a Namespace>,
        after: Option<PipelineId>,
        limit: usize,
    ) -> Result<Page<Run>, RecordsError> {
        // Ids are hexadecimal digits, so "g" lies past the newest.
        let before = after.map_or_else(|| "g".to_owned(), |id| id.to_string());
        let query = match namespace {
            Some(namespace) => sqlx::query_as(RUNS_OF_NAMESPACE).bind(namespace.as_str()),
            None => sqlx::query_as(RUNS),
        };
        let found: Vec<RunRow> = query
            .bind(before)
            .bind(one_more(limit))
            .fetch_all(&self.readers)
            .await
            .map_err(rows::unreadable)?;
        page(found, limit, rows::run)
    }
}

#[async_trait]
impl Works for SqlStore {
    async fn get(&self, id: WorkId) -> Result<Option<Work>, RecordsError> {
        let row: Option<DocumentRow> = sqlx::query_as(WORK)
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await
            .map_err(rows::unreadable)?;
        row.map(|row| rows::document("work", &row)).transpose()
    }
}

/// The place of a cursor among the tasks of one namespace, which need not be the cursor's own.
fn place_in<'a>(namespace: &Namespace, after: Option<&'a TaskCursor>) -> (i64, &'a str) {
    let Some(after) = after else {
        return (-1, "");
    };
    let kind = rows::rank(after.kind);
    match after.namespace.cmp(namespace) {
        std::cmp::Ordering::Equal => (kind, &after.name),
        // All of this kind are still to come: every name sorts after the empty one.
        std::cmp::Ordering::Less => (kind, ""),
        // All of this kind have been.
        std::cmp::Ordering::Greater => (kind + 1, ""),
    }
}

fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// What was found, without the one that only tells that there is more.
fn page<R, T>(
    mut found: Vec<R>,
    limit: usize,
    decode: fn(R) -> Result<T, RecordsError>,
) -> Result<Page<T>, RecordsError> {
    let more = found.len() > limit;
    found.truncate(limit);
    Ok(Page {
        items: found.into_iter().map(decode).collect::<Result<_, _>>()?,
        more,
    })
}

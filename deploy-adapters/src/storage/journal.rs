//! Commits, and what an engine finds when it takes the lead. A commit is one transaction; it decides nothing but
//! whether its generation still leads.

use async_trait::async_trait;
use deploy_core::error::BoxError;
use deploy_core::names::{PipelineId, TaskId};
use deploy_core::pipeline::{Run, RunEvent, RunStatus};
use deploy_core::ports::{Change, Generation, Journal, JournalError, OpenRun, RecordsError, Recovery};
use deploy_core::task::{Status, Task};
use deploy_core::work::{Work, WorkProgress};
use deploy_core::workload::Slot;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Sqlite};

use super::SqlStore;
use super::records::{HOLDER, select_tasks};
use super::rows::{self, DocumentRow, RunRow, TaskRow};

pub(super) const LIVE_TASKS: &str = select_tasks!(
    "WHERE t.live = TRUE AND NOT EXISTS (SELECT 1 FROM run r WHERE r.id = t.run_id AND r.open = TRUE)
     ORDER BY t.id"
);
pub(super) const OPEN_RUNS: &str = "SELECT id, spec, status FROM run WHERE open = TRUE ORDER BY id";
// `CROSS JOIN`, because SQLite keeps to its order: from the few open runs to their steps, never through all steps.
pub(super) const OPEN_STEPS: &str = "SELECT t.id, s.spec, t.status
     FROM run r CROSS JOIN task t JOIN task_spec s ON s.task_id = t.id
     WHERE r.open = TRUE AND t.run_id = r.id ORDER BY r.id, t.step_index";
pub(super) const OPEN_EVENTS: &str = "SELECT e.run_id, e.event
     FROM run r CROSS JOIN run_event e WHERE r.open = TRUE AND e.run_id = r.id ORDER BY r.id, e.seq";
pub(super) const LOADING_WORKS: &str = "SELECT id, body FROM work WHERE loading = TRUE ORDER BY id";
pub(super) const REMOVE_TASKS: &str =
    "DELETE FROM task WHERE slot = $1 AND namespace = $2 AND name = $3 AND run_id IS NULL";
pub(super) const REMOVE_WORKS: &str = "DELETE FROM work WHERE created_ms < $1";

#[async_trait]
impl Journal for SqlStore {
    async fn lead(&self) -> Result<Generation, JournalError> {
        sqlx::query_scalar("UPDATE leader SET generation = generation + 1 WHERE one = 1 RETURNING generation")
            .fetch_one(&self.writer)
            .await
            .map(Generation)
            .map_err(unavailable)
    }

    async fn commit(&self, changes: &[Change], generation: Generation) -> Result<(), JournalError> {
        let mut connection = self.writer.acquire().await.map_err(unavailable)?;
        let outcome = write(&mut connection, changes, generation).await;
        if matches!(outcome, Err(JournalError::Unavailable(_))) {
            // SQLite ends some transactions by itself (a full disk), which sqlx does not notice: it would refuse to
            // begin another one on this connection for ever. A new one costs a millisecond.
            discard(connection).await;
        }
        outcome
    }

    async fn recover(&self) -> Result<Recovery, JournalError> {
        let mut connection = self.readers.acquire().await.map_err(unavailable)?;
        let outcome = read(&mut connection).await;
        if outcome.is_err() {
            discard(connection).await;
        }
        outcome
    }
}

async fn discard(connection: PoolConnection<Sqlite>) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection to the database did not close well");
    }
}

/// One transaction. Dropped halfway, it is rolled back.
async fn write(
    connection: &mut SqliteConnection,
    changes: &[Change],
    generation: Generation,
) -> Result<(), JournalError> {
    // The lock first: whoever reads the generation here is alone until the commit.
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(unavailable)?;
    let leader: i64 = sqlx::query_scalar("SELECT generation FROM leader WHERE one = 1")
        .fetch_one(&mut *transaction)
        .await
        .map_err(unavailable)?;
    if leader != generation.0 {
        transaction.rollback().await.map_err(unavailable)?;
        return Err(JournalError::Superseded);
    }
    release_first(&mut transaction, changes).await?;
    for change in changes {
        apply(&mut transaction, change).await.map_err(|source| {
            unavailable(Unrecorded {
                change: name(change),
                source,
            })
        })?;
    }
    transaction.commit().await.map_err(unavailable)
}

/// One task lets go of a place and another takes it, in either order: whoever lets go does so before any change is
/// applied, since the index that allows one holder looks at each statement.
async fn release_first(connection: &mut SqliteConnection, changes: &[Change]) -> Result<(), JournalError> {
    let takes = |change: &Change| match change {
        Change::PutTask(task) => task.status.holds,
        Change::SetStatus { status, .. } => status.holds,
        _ => false,
    };
    if !changes.iter().any(takes) {
        return Ok(());
    }
    for change in changes {
        if let Change::SetStatus { task, status, .. } = change
            && !status.holds
        {
            sqlx::query("UPDATE task SET holds = FALSE WHERE id = $1 AND holds")
                .bind(task.to_string())
                .execute(&mut *connection)
                .await
                .map_err(unavailable)?;
        }
    }
    Ok(())
}

async fn apply(connection: &mut SqliteConnection, change: &Change) -> Result<(), BoxError> {
    match change {
        Change::PutTask(task) => put_task(connection, task).await,
        Change::SetStatus { task, status, live } => set_status(connection, *task, status, *live).await,
        Change::RemoveTasks(slot) => remove_tasks(connection, slot).await,
        Change::PutRun(run) => put_run(connection, run).await,
        Change::SetRun { run, status } => set_run(connection, *run, status).await,
        Change::AppendEvent { run, seq, event } => append_event(connection, *run, *seq, *event).await,
        Change::PutWork(work) => put_work(connection, work).await,
        Change::RemoveWorksBefore(time) => {
            sqlx::query(REMOVE_WORKS)
                .bind(time.timestamp_millis())
                .execute(connection)
                .await?;
            Ok(())
        }
    }
}

/// A task that is there already stays as it is: it was put by the same commit, sent twice.
async fn put_task(connection: &mut SqliteConnection, task: &Task) -> Result<(), BoxError> {
    let id = task.id().to_string();
    let slot = task.slot();
    let inserted = sqlx::query(
        "INSERT INTO task (id, slot, namespace, name, kind, run_id, step_index, live, holds, finished_ms, status)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING",
    )
    .bind(&id)
    .bind(slot.kind.as_str())
    .bind(slot.namespace.as_str())
    .bind(slot.name.as_str())
    .bind(rows::rank(task.kind()))
    .bind(task.run().map(|run| run.to_string()))
    .bind(task.step.as_ref().map(|step| i64::from(step.index)))
    .bind(task.is_live())
    .bind(task.status.holds)
    .bind(task.status.finished_at.map(|time| time.timestamp_millis()))
    .bind(rows::json(&task.status)?)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if inserted == 1 {
        sqlx::query("INSERT INTO task_spec (task_id, spec) VALUES ($1, $2)")
            .bind(id)
            .bind(rows::task_spec(task)?)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// A task that is not there was removed since; its status has no one left to tell.
async fn set_status(
    connection: &mut SqliteConnection,
    task: TaskId,
    status: &Status,
    live: bool,
) -> Result<(), BoxError> {
    sqlx::query("UPDATE task SET live = $2, holds = $3, finished_ms = $4, status = $5 WHERE id = $1")
        .bind(task.to_string())
        .bind(live)
        .bind(status.holds)
        .bind(status.finished_at.map(|time| time.timestamp_millis()))
        .bind(rows::json(status)?)
        .execute(connection)
        .await?;
    Ok(())
}

async fn remove_tasks(connection: &mut SqliteConnection, slot: &Slot) -> Result<(), BoxError> {
    sqlx::query(REMOVE_TASKS)
        .bind(slot.kind.as_str())
        .bind(slot.namespace.as_str())
        .bind(slot.name.as_str())
        .execute(&mut *connection)
        .await?;
    let step: Option<TaskRow> = sqlx::query_as(HOLDER)
        .bind(slot.kind.as_str())
        .bind(slot.namespace.as_str())
        .bind(slot.name.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(row) = step {
        let mut task = rows::task(row)?;
        task.status.holds = false;
        set_status(connection, task.id(), &task.status, task.is_live()).await?;
    }
    Ok(())
}

/// As with a task, the first one stays.
async fn put_run(connection: &mut SqliteConnection, run: &Run) -> Result<(), BoxError> {
    sqlx::query(
        "INSERT INTO run (id, namespace, open, spec, status) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(run.id.to_string())
    .bind(run.namespace.as_str())
    .bind(!run.status.state.is_final())
    .bind(rows::run_spec(run)?)
    .bind(rows::json(&run.status)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// Runs are never removed: one that is not there was never put.
async fn set_run(
    connection: &mut SqliteConnection,
    run: PipelineId,
    status: &RunStatus,
) -> Result<(), BoxError> {
    let updated = sqlx::query("UPDATE run SET open = $2, status = $3 WHERE id = $1")
        .bind(run.to_string())
        .bind(!status.state.is_final())
        .bind(rows::json(status)?)
        .execute(connection)
        .await?
        .rows_affected();
    if updated == 1 {
        Ok(())
    } else {
        Err("there is no such run".into())
    }
}

/// The same event at the same place is the same commit, sent twice. Another one there would be lost, and one after a gap
/// would be read back at another place: both are refused.
async fn append_event(
    connection: &mut SqliteConnection,
    run: PipelineId,
    seq: u64,
    event: RunEvent,
) -> Result<(), BoxError> {
    let run = run.to_string();
    let seq = i64::try_from(seq)?;
    let inserted = sqlx::query(
        "INSERT INTO run_event (run_id, seq, event) SELECT $1, $2, $3
         WHERE $2 = 0 OR EXISTS (SELECT 1 FROM run_event WHERE run_id = $1 AND seq = $2 - 1)
         ON CONFLICT (run_id, seq) DO NOTHING",
    )
    .bind(&run)
    .bind(seq)
    .bind(rows::json(&event)?)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if inserted == 1 {
        return Ok(());
    }
    let known: Option<DocumentRow> =
        sqlx::query_as("SELECT run_id, event FROM run_event WHERE run_id = $1 AND seq = $2")
            .bind(run)
            .bind(seq)
            .fetch_optional(connection)
            .await?;
    let Some(known) = known else {
        return Err("the event before it is missing".into());
    };
    if rows::document::<RunEvent>("event of run", &known)? == event {
        Ok(())
    } else {
        Err("another event has that place in the run".into())
    }
}

/// The last one stays: a work moves on.
async fn put_work(connection: &mut SqliteConnection, work: &Work) -> Result<(), BoxError> {
    sqlx::query(
        "INSERT INTO work (id, created_ms, loading, body) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET loading = excluded.loading, body = excluded.body",
    )
    .bind(work.id.to_string())
    .bind(work.created_at.timestamp_millis())
    .bind(matches!(work.progress, WorkProgress::Loading))
    .bind(rows::json(work)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// Five ordered scans in one snapshot, however many runs are open.
async fn read(connection: &mut SqliteConnection) -> Result<Recovery, JournalError> {
    let mut snapshot = connection.begin().await.map_err(unavailable)?;
    let tasks = all(&mut snapshot, LIVE_TASKS, rows::task).await?;
    let mut runs: Vec<OpenRun> = all(&mut snapshot, OPEN_RUNS, |row: RunRow| {
        rows::run(row).map(|run| OpenRun {
            run,
            steps: Vec::new(),
            events: Vec::new(),
        })
    })
    .await?;
    let steps = all(&mut snapshot, OPEN_STEPS, rows::task).await?;
    let events = all(&mut snapshot, OPEN_EVENTS, |row: DocumentRow| {
        rows::document::<RunEvent>("event of run", &row).map(|event| (row.0, event))
    })
    .await?;
    let works = all(&mut snapshot, LOADING_WORKS, |row: DocumentRow| {
        rows::document("work", &row)
    })
    .await?;
    snapshot.rollback().await.map_err(unavailable)?;

    // All three are in the order of the run's id.
    let mut steps = steps.into_iter().peekable();
    let mut events = events.into_iter().peekable();
    for open in &mut runs {
        let id = open.run.id;
        let text = id.to_string();
        while let Some(step) = steps.next_if(|step| step.run() == Some(id)) {
            open.steps.push(step);
        }
        while let Some((_, event)) = events.next_if(|(run, _)| *run == text) {
            open.events.push(event);
        }
    }
    if steps.next().is_some() || events.next().is_some() {
        return Err(unavailable("a step or an event belongs to no open run"));
    }
    Ok(Recovery { tasks, runs, works })
}

async fn all<R, T>(
    connection: &mut SqliteConnection,
    query: &'static str,
    decode: impl Fn(R) -> Result<T, RecordsError>,
) -> Result<Vec<T>, JournalError>
where
    R: for<'r> sqlx::FromRow<'r, <Sqlite as sqlx::Database>::Row> + Send + Unpin,
{
    let found: Vec<R> = sqlx::query_as(query)
        .fetch_all(connection)
        .await
        .map_err(unavailable)?;
    found
        .into_iter()
        .map(decode)
        .collect::<Result<_, _>>()
        .map_err(unavailable)
}

fn unavailable(source: impl Into<BoxError>) -> JournalError {
    JournalError::Unavailable(source.into())
}

/// Which change it was.
#[derive(Debug, thiserror::Error)]
#[error("{change} was not recorded")]
struct Unrecorded {
    change: String,
    #[source]
    source: BoxError,
}

fn name(change: &Change) -> String {
    match change {
        Change::PutTask(task) => format!("task {}", task.id()),
        Change::SetStatus { task, .. } => format!("the status of task {task}"),
        Change::RemoveTasks(slot) => {
            format!(
                "the removal of {} {}/{}",
                slot.kind.as_str(),
                slot.namespace,
                slot.name
            )
        }
        Change::PutRun(run) => format!("run {}", run.id),
        Change::SetRun { run, .. } => format!("the status of run {run}"),
        Change::AppendEvent { run, seq, .. } => format!("event {seq} of run {run}"),
        Change::PutWork(work) => format!("work {}", work.id),
        Change::RemoveWorksBefore(_) => "the removal of old works".to_owned(),
    }
}

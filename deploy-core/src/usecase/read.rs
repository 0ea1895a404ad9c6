//! What users read of one task or run: states and logs. A state is one keyed read, and its pods from memory. What a reader
//! may not read is answered as what is not there: same code, same words.

use crate::authz::Reader;
use crate::deployer::Deployer;
use crate::error::{Error, ErrorCode};
use crate::names::{Namespace, PipelineId, TaskId};
use crate::pipeline::Run;
use crate::ports::{InventoryError, LogsError};
use crate::task::Task;
use crate::workload::Pod;

use super::cluster_unavailable;
use super::sight::Sight;

/// A task and what runs of it.
#[derive(Debug, Clone)]
pub struct TaskView {
    /// The record.
    pub task: Task,
    /// Its pods.
    pub pods: Vec<Pod>,
}

/// A run and its steps.
#[derive(Debug, Clone)]
pub struct RunView {
    /// The record.
    pub run: Run,
    /// Its steps, in the order of the definition.
    pub steps: Vec<Task>,
}

impl Deployer {
    /// One task.
    ///
    /// # Errors
    /// No such task that may be read; it cannot be read now.
    pub async fn task(&self, reader: Reader<'_>, id: TaskId) -> Result<TaskView, Error> {
        // A step that has not started is no task yet.
        let task = self
            .ports
            .tasks
            .get(id)
            .await?
            .filter(|task| task.status.intent.is_some() || was_started(task))
            .filter(|task| self.sight(reader).shows_task(task));
        let task = task.ok_or_else(|| Error::new(ErrorCode::TaskNotFound, "there is no task of this id"))?;
        self.view(task).await
    }

    pub(super) async fn view(&self, task: Task) -> Result<TaskView, Error> {
        let pods = if task.status.holds {
            self.ports.inventory.pods_of(task.id()).await?
        } else {
            Vec::new()
        };
        Ok(TaskView { task, pods })
    }

    /// The last `lines` lines of what a task wrote.
    ///
    /// # Errors
    /// No such task that may be read, or nothing of it has run; it cannot be read now.
    pub async fn task_log(&self, reader: Reader<'_>, id: TaskId, lines: usize) -> Result<String, Error> {
        let task = self.task(reader, id).await?.task;
        self.ports
            .logs
            .tail(&task.object(), id, lines)
            .await
            .map_err(|error| match error {
                LogsError::NotFound => Error::new(
                    ErrorCode::ObjectNotFound,
                    "nothing of this task has run yet, or its log went with its object",
                ),
                LogsError::Unavailable(source) => cluster_unavailable(source),
            })
    }

    /// One run of a namespace.
    ///
    /// # Errors
    /// No such run there that may be read; it cannot be read now.
    pub async fn pipeline(
        &self,
        reader: Reader<'_>,
        namespace: &Namespace,
        id: PipelineId,
    ) -> Result<RunView, Error> {
        let (run, sight) = (self.run(id).await?, self.sight(reader));
        if run.namespace != *namespace || !sight.shows_run(&run) {
            return Err(no_run());
        }
        self.with_steps(run, &sight).await
    }

    pub(super) async fn run(&self, id: PipelineId) -> Result<Run, Error> {
        self.ports.runs.get(id).await?.ok_or_else(no_run)
    }

    pub(super) async fn run_view(&self, reader: Reader<'_>, id: PipelineId) -> Result<RunView, Error> {
        let run = self.run(id).await?;
        self.with_steps(run, &self.sight(reader)).await
    }

    /// A run with its steps. That a step is there is the run's; why it failed, which may hold the end of its log, is the
    /// step's own, and shown to whoever may read that.
    async fn with_steps(&self, run: Run, sight: &Sight<'_>) -> Result<RunView, Error> {
        let mut steps = self.ports.runs.steps(run.id).await?;
        for step in &mut steps {
            if !sight.shows_task(step)
                && let Some(reason) = &mut step.status.reason
            {
                "what it says is not yours to read".clone_into(&mut reason.message);
            }
        }
        Ok(RunView { run, steps })
    }

    /// Whether the database and the cluster answer.
    ///
    /// # Errors
    /// Which of them does not.
    pub async fn ready(&self) -> Result<(), Error> {
        self.ports.runs.page(None, None, 1).await?;
        self.ports.inventory.age().await?;
        Ok(())
    }
}

fn was_started(task: &Task) -> bool {
    !matches!(
        task.status.state,
        crate::task::State::Waiting | crate::task::State::Skipped
    )
}

pub(super) fn no_run() -> Error {
    Error::new(
        ErrorCode::PipelineNotFound,
        "there is no run of this id in this namespace",
    )
}

impl From<InventoryError> for Error {
    fn from(error: InventoryError) -> Self {
        let InventoryError::Unavailable(source) = error;
        cluster_unavailable(source)
    }
}

//! What users read: states, lists, logs. A state is one keyed read, and its pods from memory.

use std::time::Duration;

use crate::deployer::Deployer;
use crate::error::{Error, ErrorCode};
use crate::names::{Namespace, PipelineId, TaskId};
use crate::pipeline::Run;
use crate::ports::{InventoryError, Listed, LogsError, Page, TaskCursor};
use crate::task::Task;
use crate::workload::{NamespaceView, Pod};

use super::cluster_unavailable;

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
    /// No such task; it cannot be read now.
    pub async fn task(&self, id: TaskId) -> Result<TaskView, Error> {
        // A step that has not started is no task yet.
        let task = self
            .ports
            .tasks
            .get(id)
            .await?
            .filter(|task| task.status.intent.is_some() || was_started(task));
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
    /// No such task, or nothing of it has run; it cannot be read now.
    pub async fn task_log(&self, id: TaskId, lines: usize) -> Result<String, Error> {
        let task = self.task(id).await?.task;
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
    /// No such run there; it cannot be read now.
    pub async fn pipeline(&self, namespace: &Namespace, id: PipelineId) -> Result<RunView, Error> {
        let run = self.run(id).await?;
        if run.namespace != *namespace {
            return Err(no_run());
        }
        let steps = self.ports.runs.steps(id).await?;
        Ok(RunView { run, steps })
    }

    pub(super) async fn run(&self, id: PipelineId) -> Result<Run, Error> {
        self.ports.runs.get(id).await?.ok_or_else(no_run)
    }

    pub(super) async fn run_view(&self, id: PipelineId) -> Result<RunView, Error> {
        let run = self.run(id).await?;
        let steps = self.ports.runs.steps(id).await?;
        Ok(RunView { run, steps })
    }

    /// The tasks that hold a name, by kind, namespace and name, and the age of what is known of the cluster.
    ///
    /// # Errors
    /// They cannot be read now.
    pub async fn list_tasks(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&TaskCursor>,
        limit: usize,
    ) -> Result<(Page<Task>, Duration), Error> {
        let page = self.ports.tasks.page(namespace, after, limit).await?;
        Ok((page, self.ports.inventory.age().await?))
    }

    /// Pods, by namespace and name: at most `limit` of those after `after`.
    ///
    /// # Errors
    /// Nothing has been seen of the cluster yet.
    pub async fn list_pods(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&(String, String)>,
        limit: usize,
    ) -> Result<Listed<Pod>, Error> {
        Ok(self.ports.inventory.pods(namespace, after, limit).await?)
    }

    /// The namespaces that may be deployed into, by name: at most `limit` of those after `after`.
    ///
    /// # Errors
    /// Nothing has been seen of the cluster yet.
    pub async fn list_namespaces(
        &self,
        after: Option<&Namespace>,
        limit: usize,
    ) -> Result<Listed<NamespaceView>, Error> {
        self.ports
            .namespaces
            .list(after, limit)
            .await
            .map_err(cluster_unavailable)
    }

    /// Runs, newest first: at most `limit` of those older than `after`.
    ///
    /// # Errors
    /// They cannot be read now.
    pub async fn list_pipelines(
        &self,
        namespace: Option<&Namespace>,
        after: Option<PipelineId>,
        limit: usize,
    ) -> Result<Page<Run>, Error> {
        Ok(self.ports.runs.page(namespace, after, limit).await?)
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

fn no_run() -> Error {
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

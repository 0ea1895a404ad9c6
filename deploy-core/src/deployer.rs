//! The core as a library: ports in, use cases out.

use std::time::Duration;

use serde_json::Value;

use crate::changes::Changes;
use crate::error::Error;
use crate::manifest::Schedule;
use crate::names::*;
use crate::pipeline::Run;
use crate::ports::{Listed, Page, TaskCursor};
use crate::task::Task;
use crate::work::{DocumentKind, Work};
use crate::workload::*;

/// Who asks, as the edge believes it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub identity: Identity,
    /// The groups they are in.
    pub groups: Vec<String>,
}

/// A deploy of a task that git holds.
#[derive(Debug, Clone)]
pub struct DeployTask {
    /// Where its manifest is.
    pub repository: RepositoryName,
    /// Where its manifest is.
    pub directory: Directory,
    /// Where it shall run; `None` = the repository's.
    pub namespace: Option<Namespace>,
    /// Under which name; `None` = the manifest's.
    pub name: Option<ResourceName>,
    /// From which branch; `None` = the default.
    pub branch: Option<Branch>,
    /// Overrides the manifest's.
    pub schedule: Option<Schedule>,
    /// Whether a job that has not finished is removed first.
    pub replace: bool,
}

/// A deploy of a configuration given with the request.
#[derive(Debug, Clone)]
pub struct DeployConfiguration {
    /// Where it shall run.
    pub namespace: Namespace,
    /// manifest.json
    pub configuration: Vec<u8>,
    /// Where its code is, for an `image-destination`.
    pub origin: Option<(RepositoryName, Directory)>,
    /// Whether a job that has not finished is removed first.
    pub replace: bool,
}

/// A run of a pipeline that git holds.
#[derive(Debug, Clone)]
pub struct RunPipeline {
    /// Where its definition is.
    pub repository: RepositoryName,
    /// Where its definition is.
    pub directory: Directory,
    /// The run's name.
    pub name: PipelineName,
    /// Where its steps run; `None` = the repository's.
    pub namespace: Option<Namespace>,
    /// From which branch; `None` = the default.
    pub branch: Option<Branch>,
}

/// A run of a configuration given with the request.
#[derive(Debug, Clone)]
pub struct RunConfiguration {
    /// Where its steps run.
    pub namespace: Namespace,
    /// pipeline.json
    pub configuration: Vec<u8>,
}

/// A load of a document from git.
#[derive(Debug, Clone)]
pub struct LoadConfiguration {
    /// Which of the two.
    pub kind: DocumentKind,
    /// Where it is.
    pub repository: RepositoryName,
    /// Where it is.
    pub directory: Directory,
    /// From which branch; `None` = the default.
    pub branch: Option<Branch>,
}

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

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Deployer {}
/// Takes the ports.
#[derive(Default)]
pub struct DeployerBuilder {}

#[allow(unused_variables, clippy::todo, missing_docs)]
impl Deployer {
    pub fn builder() -> DeployerBuilder {
        todo!()
    }
    pub fn changes(&self) -> &Changes {
        todo!()
    }
    /// Deploys a task from git. Answers when its object exists in the cluster, or its image is being built.
    pub async fn deploy_task(&self, caller: &Caller, request: DeployTask) -> Result<TaskView, Error> {
        todo!()
    }
    pub async fn deploy_configuration(
        &self,
        caller: &Caller,
        request: DeployConfiguration,
    ) -> Result<TaskView, Error> {
        todo!()
    }
    pub async fn delete_task(
        &self,
        caller: &Caller,
        kind: Kind,
        namespace: Namespace,
        name: ResourceName,
    ) -> Result<Vec<Deleted>, Error> {
        todo!()
    }
    pub async fn run_pipeline(&self, caller: &Caller, request: RunPipeline) -> Result<RunView, Error> {
        todo!()
    }
    pub async fn run_configuration(
        &self,
        caller: &Caller,
        request: RunConfiguration,
    ) -> Result<RunView, Error> {
        todo!()
    }
    /// Kills a run. `true` beside the view where it had ended before.
    pub async fn kill_pipeline(
        &self,
        caller: &Caller,
        id: PipelineId,
        cleanup: bool,
    ) -> Result<(RunView, bool), Error> {
        todo!()
    }
    pub async fn load_configuration(&self, request: LoadConfiguration) -> Result<Work, Error> {
        todo!()
    }
    pub async fn work(&self, kind: DocumentKind, id: WorkId) -> Result<Work, Error> {
        todo!()
    }
    pub async fn task(&self, id: TaskId) -> Result<TaskView, Error> {
        todo!()
    }
    pub async fn task_log(&self, id: TaskId, lines: usize) -> Result<String, Error> {
        todo!()
    }
    /// A run of that namespace.
    pub async fn pipeline(&self, namespace: &Namespace, id: PipelineId) -> Result<RunView, Error> {
        todo!()
    }
    pub async fn list_tasks(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&TaskCursor>,
        limit: usize,
    ) -> Result<(Page<Task>, Duration), Error> {
        todo!()
    }
    /// `more` is told by asking for one more than is shown.
    pub async fn list_pods(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&(String, String)>,
        limit: usize,
    ) -> Result<Listed<Pod>, Error> {
        todo!()
    }
    pub async fn list_namespaces(
        &self,
        after: Option<&Namespace>,
        limit: usize,
    ) -> Result<Listed<NamespaceView>, Error> {
        todo!()
    }
    pub async fn list_pipelines(
        &self,
        namespace: Option<&Namespace>,
        after: Option<PipelineId>,
        limit: usize,
    ) -> Result<Page<Run>, Error> {
        todo!()
    }
    pub async fn list_templates(
        &self,
        kind: DocumentKind,
        after: Option<&TemplatePath>,
        limit: usize,
    ) -> Result<Vec<TemplatePath>, Error> {
        todo!()
    }
    pub async fn template(&self, kind: DocumentKind, path: &TemplatePath) -> Result<Value, Error> {
        todo!()
    }
    /// Whether the database, and the cluster, answer: for readyz.
    pub async fn ready(&self) -> Result<(), Error> {
        todo!()
    }
}

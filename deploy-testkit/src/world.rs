//! A whole world in memory: every port wired, nothing reached, nothing kept. A test (or an embedder's first try) gives
//! it manifests, takes a [`Deployer`] and an [`Engine`] from it, and looks at what was recorded and what was started.
//! Nothing here runs by itself: whoever takes an engine spawns it, and time passes when the test says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use deploy_core::authz::Caller;
use deploy_core::engine::Engine;
use deploy_core::names::{Branch, PipelineId, RepositoryName, TaskId};
use deploy_core::pipeline::Run;
use deploy_core::task::Task;
use deploy_core::{Deployer, DeployerBuilder};

use crate::builders::parsed;
use crate::contract::source_repository::Publisher;
use crate::fixture::tree::{self, Entry};
use crate::memory::cluster::MemoryCluster;
use crate::memory::source_repository::MemorySourceRepository;
use crate::memory::template_store::MemoryTemplateStore;
use crate::memory::{ManualClock, MemoryStore, SequentialIds};

/// Every adapter in memory. An engine that is dropped and another taken from the same world are a crash and a restart.
pub struct World {
    /// Everything that is recorded.
    pub store: MemoryStore,
    /// Everything that runs.
    pub cluster: MemoryCluster,
    /// What users committed.
    pub source: Arc<MemorySourceRepository>,
    /// Templates.
    pub templates: Arc<MemoryTemplateStore>,
    /// Time, which stands still.
    pub clock: ManualClock,
    ids: Arc<SequentialIds>,
    branch: Branch,
    files: Mutex<BTreeMap<RepositoryName, Vec<Entry>>>,
}

impl Default for World {
    /// One in which nothing happens in the cluster but by the test's word.
    fn default() -> Self {
        Self::with(MemoryCluster::new)
    }
}

impl World {
    /// One in which every job succeeds, and every rollout is ready, in the moment it is applied.
    #[must_use]
    pub fn automatic() -> Self {
        Self::with(MemoryCluster::automatic)
    }

    fn with(cluster: fn(Arc<dyn deploy_core::ports::Clock>) -> MemoryCluster) -> Self {
        let clock = ManualClock::default();
        let branch: Branch = parsed("master");
        Self {
            store: MemoryStore::new(),
            cluster: cluster(Arc::new(clock.clone())),
            source: Arc::new(MemorySourceRepository::new(branch.clone())),
            templates: Arc::new(MemoryTemplateStore::new()),
            clock,
            ids: Arc::default(),
            branch,
            files: Mutex::default(),
        }
    }

    /// All ports given; whoever wants another journal, cluster or policy gives it over these.
    #[must_use]
    pub fn builder(&self) -> DeployerBuilder {
        Deployer::builder()
            .cluster(Arc::new(self.cluster.clone()))
            .namespaces(Arc::new(self.cluster.clone()))
            .inventory(Arc::new(self.cluster.clone()))
            .logs(Arc::new(self.cluster.clone()))
            .source(self.source.clone())
            .journal(Arc::new(self.store.clone()))
            .tasks(Arc::new(self.store.clone()))
            .runs(Arc::new(self.store.clone()))
            .works(Arc::new(self.store.clone()))
            .templates(self.templates.clone())
            .clock(Arc::new(self.clock.clone()))
            .ids(self.ids.clone())
    }

    /// The use cases, and an engine that is to be spawned.
    #[must_use]
    #[allow(
        clippy::expect_used,
        reason = "a port that is missing is a mistake in this file"
    )]
    pub fn deployer(&self) -> (Deployer, Engine) {
        self.builder()
            .build()
            .expect("invariant: builder() gives every port")
    }

    /// Commits a file to the default branch of a repository, beside those that were committed before.
    pub fn put_file(&self, repository: &str, path: &str, text: impl AsRef<[u8]>) {
        let repository: RepositoryName = parsed(repository);
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = files.entry(repository.clone()).or_default();
        entries.retain(|entry| entry.path != path);
        entries.push(tree::file(path, text));
        self.source.publish(&repository, &self.branch, entries);
    }

    /// Commits the manifest.json of a directory.
    pub fn put_manifest(&self, repository: &str, directory: &str, manifest: impl AsRef<[u8]>) {
        self.put_file(repository, &format!("{directory}/manifest.json"), manifest);
    }

    /// Commits the pipeline.json of a directory.
    pub fn put_pipeline(&self, repository: &str, directory: &str, pipeline: impl AsRef<[u8]>) {
        self.put_file(repository, &format!("{directory}/pipeline.json"), pipeline);
    }

    /// Somebody who asks: `ada@example.com`, in no group.
    #[must_use]
    pub fn caller() -> Caller {
        Caller {
            identity: parsed("ada@example.com"),
            groups: Vec::default(),
        }
    }

    /// Waits until a task's record is as `wanted`.
    pub async fn until_task(&self, id: TaskId, wanted: impl Fn(&Task) -> bool) -> Task {
        self.store
            .until(|records| records.task(id).filter(|task| wanted(task)).cloned())
            .await
    }

    /// Waits until a run has ended.
    pub async fn until_ended(&self, id: PipelineId) -> Run {
        self.store
            .until(|records| records.run(id).filter(|run| run.status.state.is_final()).cloned())
            .await
    }

    /// Waits until the step of that name is as `wanted`.
    pub async fn until_step(&self, id: PipelineId, name: &str, wanted: impl Fn(&Task) -> bool) -> Task {
        self.store
            .until(|records| {
                let is_meant =
                    |task: &&Task| task.step.as_ref().is_some_and(|step| step.name.as_str() == name);
                records
                    .steps(id)
                    .into_iter()
                    .find(is_meant)
                    .filter(|task| wanted(task))
                    .cloned()
            })
            .await
    }
}

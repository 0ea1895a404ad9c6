//! Everything of ours from the use cases down: the engine, the record in SQLite, the Kubernetes adapter.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deploy_adapters::kubernetes::{KubernetesCluster, KubernetesConfig};
use deploy_adapters::storage::SqlStore;
use deploy_adapters::system::{SystemClock, SystemIds};
use deploy_core::Deployer;
use deploy_core::authz::{Caller, Reader};
use deploy_core::deployer::{DeployConfiguration, RunConfiguration};
use deploy_core::engine::EngineError;
use deploy_core::names::{Namespace, PipelineId, TaskId};
use deploy_core::pipeline::RunState;
use deploy_core::ports::{Change, Generation, Journal, JournalError, Recovery};
use deploy_testkit::contract::source_repository::Publisher as _;
use deploy_testkit::fixture::tree::file;
use deploy_testkit::kubernetes::ApiServer;
use deploy_testkit::memory::source_repository::MemorySourceRepository;
use deploy_testkit::memory::template_store::MemoryTemplateStore;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Where everything is put.
pub(crate) const NAMESPACE: &str = "demo";
/// What tells our objects from another installation's.
pub(crate) const INSTANCE: &str = "bench";
/// What each job runs.
pub(crate) const IMAGE: &str = "registry.example/step:1";

/// A server without its HTTP.
pub(crate) struct Ours {
    pub(crate) server: ApiServer,
    deployer: Deployer,
    cluster: KubernetesCluster,
    journal: Arc<Counting>,
    stop: oneshot::Sender<()>,
    engine: JoinHandle<Result<(), EngineError>>,
    _folder: TempDir,
}

impl Ours {
    pub(crate) async fn new() -> Self {
        let (server, folder) = (crate::server().await, tempfile::tempdir().unwrap());
        let cluster = connect(&server, &folder).await;
        let source = MemorySourceRepository::new("master".parse().unwrap());
        let manifest = manifest("step").to_string();
        let (repository, branch) = ("etl".parse().unwrap(), "master".parse().unwrap());
        source.publish(&repository, &branch, &[file("step/manifest.json", manifest)]);
        let url = format!("sqlite:{}", folder.path().join("record.sqlite").display());
        let store = SqlStore::open(&url).await.unwrap();
        let journal = Arc::new(Counting {
            store: store.clone(),
            commits: Mutex::default(),
        });
        let (on_cluster, on_store) = (Arc::new(cluster.clone()), Arc::new(store));
        let (deployer, engine) = Deployer::builder()
            .cluster(on_cluster.clone())
            .namespaces(on_cluster.clone())
            .inventory(on_cluster.clone())
            .logs(on_cluster)
            .source(Arc::new(source))
            .journal(journal.clone())
            .tasks(on_store.clone())
            .runs(on_store.clone())
            .works(on_store)
            .templates(Arc::new(MemoryTemplateStore::new()))
            .clock(Arc::new(SystemClock))
            .ids(Arc::new(SystemIds))
            .build()
            .unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let engine = tokio::spawn(engine.run(async move {
            // Told to stop, or nobody is left to tell: both are an end.
            stopped.await.ok();
        }));
        Self {
            server,
            deployer,
            cluster,
            journal,
            stop,
            engine,
            _folder: folder,
        }
    }

    pub(crate) async fn close(self) {
        self.stop.send(()).unwrap();
        self.engine.await.unwrap().unwrap();
        self.cluster.shutdown();
        self.journal.store.close().await;
    }

    /// How long each write of the record took, since this was last asked.
    pub(crate) fn commits(&self) -> Vec<Duration> {
        std::mem::take(&mut self.journal.commits.lock().unwrap())
    }

    /// Deploys a job that ends at once; the time until it is answered. Returns when it has ended.
    pub(crate) async fn deploy(&self, name: &str) -> Duration {
        let request = DeployConfiguration {
            namespace: namespace(),
            configuration: manifest(name).to_string().into_bytes(),
            origin: None,
            replace: false,
        };
        let begun = Instant::now();
        let deployed = self.deployer.deploy_configuration(&caller(), request).await;
        let time = begun.elapsed();
        self.task_ended(deployed.unwrap().task.id()).await;
        time
    }

    async fn task_ended(&self, id: TaskId) {
        let mut changes = self.deployer.changes().subscribe(id.uuid());
        while !self.is_over(id).await {
            changes.changed().await;
        }
    }

    async fn is_over(&self, id: TaskId) -> bool {
        let view = self.deployer.task(Reader::Anyone, id).await.unwrap();
        view.task.status.state.is_final()
    }

    /// Runs a pipeline of so many steps, each after those in `before`; the time from the request to its recorded end.
    pub(crate) async fn run(
        &self,
        steps: usize,
        before: impl Fn(usize) -> Range<usize>,
    ) -> (Duration, RunState) {
        let name = |step: usize| format!("step-{step}");
        let task = |step: usize| {
            let before: Vec<String> = before(step).map(name).collect();
            json!({"name": name(step), "namespacetask": "etl/step", "dependance": before})
        };
        let tasks: Vec<Value> = (0..steps).map(task).collect();
        let request = RunConfiguration {
            namespace: namespace(),
            configuration: json!({"name": "bench", "tasks": tasks}).to_string().into_bytes(),
        };
        let begun = Instant::now();
        let accepted = self.deployer.run_configuration(&caller(), request).await;
        let state = self.run_ended(accepted.unwrap().run.id).await;
        (begun.elapsed(), state)
    }

    async fn run_ended(&self, id: PipelineId) -> RunState {
        let mut changes = self.deployer.changes().subscribe(id.uuid());
        loop {
            let view = self.deployer.pipeline(Reader::Anyone, &namespace(), id).await;
            let state = view.unwrap().run.status.state;
            if state.is_final() {
                return state;
            }
            changes.changed().await;
        }
    }
}

/// The record, and how often it is written and how long that takes.
struct Counting {
    store: SqlStore,
    commits: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Journal for Counting {
    async fn lead(&self) -> Result<Generation, JournalError> {
        self.store.lead().await
    }

    async fn commit(&self, changes: &[Change], generation: Generation) -> Result<(), JournalError> {
        let begun = Instant::now();
        let outcome = self.store.commit(changes, generation).await;
        self.commits.lock().unwrap().push(begun.elapsed());
        outcome
    }

    async fn recover(&self) -> Result<Recovery, JournalError> {
        self.store.recover().await
    }
}

/// The adapter on a stand-in, when it has seen it.
pub(crate) async fn connect(server: &ApiServer, folder: &TempDir) -> KubernetesCluster {
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, server.kubeconfig()).unwrap();
    let mut config = KubernetesConfig::new(INSTANCE.parse().unwrap());
    config.kubeconfig = Some(file);
    let cluster = KubernetesCluster::connect(config, Arc::new(SystemClock))
        .await
        .unwrap();
    cluster.synced().await;
    cluster
}

fn namespace() -> Namespace {
    NAMESPACE.parse().unwrap()
}

fn manifest(name: &str) -> Value {
    json!({"name": name, "type": "job", "image": IMAGE, "cmd": ["exit", "0"]})
}

fn caller() -> Caller {
    Caller {
        identity: "ada@example.com".parse().unwrap(),
        groups: Vec::new(),
    }
}

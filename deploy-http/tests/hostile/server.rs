//! The real edge in this process, over adapters in memory: what a request has cost the world outside is counted, port by
//! port. The one file of these tests that knows how a gate is put together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deploy_core::Deployer;
use deploy_core::engine::Engine;
use deploy_core::names::{Namespace, RepositoryName, TaskId};
use deploy_core::ports::{Inventory, InventoryError, Listed, Logs, LogsError, NamespaceError, Namespaces};
use deploy_core::work::{DocumentKind, WorkProgress};
use deploy_core::workload::{NamespaceView, ObjectRef, Pod};
use deploy_http::edge::Edge;
use deploy_http::forms::BodyLimits;
use deploy_http::gate::{Ends, Gate};
use deploy_http::handlers::Services;
use deploy_http::identity::{IdentityRules, ProtectReads, Trust};
use deploy_testkit::World;
use deploy_testkit::contract::template_store::Publisher as _;
use deploy_testkit::memory::Records;
use deploy_testkit::memory::cluster::{MemoryCluster, Verb};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Body;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The largest body it takes.
pub const MAX_BODY: usize = 1 << 20;

/// An edge, and what is behind it.
pub struct Server {
    edge: Arc<Edge>,
    /// The adapters.
    pub world: World,
    counted: Arc<Counted>,
    /// The id of a task that is there.
    pub task: String,
    /// Of a run.
    pub run: String,
    /// Of a load of a manifest.
    pub task_work: String,
    /// Of a load of a pipeline.
    pub pipeline_work: String,
}

/// How often each port was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    source: usize,
    cluster: usize,
    applies: usize,
    listings: usize,
    templates: usize,
    store: usize,
    commits: usize,
}

impl Calls {
    /// Whether nothing was started between the two.
    pub const fn started_nothing_since(self, before: Self) -> bool {
        self.applies == before.applies
    }

    /// Whether nothing was recorded or started between the two.
    pub const fn changed_nothing_since(self, before: Self) -> bool {
        self.commits == before.commits && self.applies == before.applies
    }
}

/// An answer, complete.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub body: Bytes,
}

impl Server {
    /// A server whose bodies may take that long, with one task, one run, one work and one template of each kind.
    pub async fn start(body_time: Duration) -> Self {
        let world = World::automatic();
        let manifest = json!({"name": "ok", "type": "job", "image": "registry.example/ok:1"}).to_string();
        world.put_manifest("demo", "ok", manifest.as_bytes());
        let pipeline = json!({"name": "p", "tasks": [{"name": "a", "namespacetask": "demo/ok"}]}).to_string();
        world.put_pipeline("demo", "ok", pipeline.as_bytes());
        let path = "ok.json".parse().unwrap();
        world
            .templates
            .put(DocumentKind::Task, &path, manifest.as_bytes());
        world
            .templates
            .put(DocumentKind::Pipeline, &path, pipeline.as_bytes());
        let counted = Arc::new(Counted {
            cluster: world.cluster.clone(),
            calls: AtomicUsize::new(0),
        });
        let built = world
            .builder()
            .inventory(counted.clone())
            .namespaces(counted.clone())
            .logs(counted.clone())
            .build();
        let (deployer, engine): (Deployer, Engine) = built.unwrap();
        tokio::spawn(engine.run(std::future::pending()));
        let services = Services {
            deployer,
            drain: CancellationToken::new(),
        };
        let edge = Arc::new(Edge::new(gate(body_time), services, TaskTracker::new()));
        let mut server = Self {
            edge,
            world,
            counted,
            task: String::new(),
            run: String::new(),
            task_work: String::new(),
            pipeline_work: String::new(),
        };
        let load = |of: &str| format!("/v2/{of}/load/configuration/from-git/demo/ok");
        server.task = server.begin("GET", "/v1/task/deploy/demo/ok", "id").await;
        server.run = server.begin("GET", "/v1/pipeline/runas/demo/ok/p", "id").await;
        server.task_work = server.begin("POST", &load("task"), "work_id").await;
        server.pipeline_work = server.begin("POST", &load("pipeline"), "work_id").await;
        server.world.until_ended(server.run.parse().unwrap()).await;
        for work in [&server.task_work, &server.pipeline_work] {
            let work = work.parse().unwrap();
            let loaded = |records: &Records| {
                let work = records.work(work)?;
                (work.progress != WorkProgress::Loading).then_some(())
            };
            server.world.store.until(loaded).await;
        }
        server.settle().await;
        server
    }

    /// Begins something; its id.
    async fn begin(&self, verb: &str, path: &str, id: &str) -> String {
        let request = Request::builder()
            .method(verb)
            .uri(path)
            .header("host", "localhost")
            .header("identity", "ada@example.com");
        let answer = self.answer(request.body(Full::<Bytes>::default()).unwrap()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        body[id].as_str().unwrap().to_owned()
    }

    /// Answers a request that comes from this machine.
    pub async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<deploy_core::error::BoxError>,
    {
        let (parts, body) = self.edge.answer(ends(), request).await.into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    /// Puts a template of a task beside those that are there.
    pub fn put_template(&self, path: &str, bytes: &[u8]) {
        let path = path.parse().unwrap();
        self.world.templates.put(DocumentKind::Task, &path, bytes);
    }

    /// The edge itself, for a listener.
    pub fn edge(&self) -> Arc<Edge> {
        self.edge.clone()
    }

    /// What every port was asked so far.
    pub fn calls(&self) -> Calls {
        let (store, commits) = self.world.store.count_calls();
        let cluster = self.world.cluster.calls();
        Calls {
            source: self.world.source.calls().len(),
            applies: cluster.iter().filter(|call| call.verb == Verb::Apply).count(),
            cluster: cluster.len(),
            listings: self.counted.calls.load(Ordering::Relaxed),
            templates: self.world.templates.calls(),
            commits,
            store,
        }
    }

    /// Lets the engine act until it waits: on one thread a few turns of everyone are enough.
    pub async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

fn gate(time: Duration) -> Gate {
    Gate {
        identity: IdentityRules {
            trust: Trust::Loopback,
            protect_reads: ProtectReads::External,
            tokens: None,
        },
        body: BodyLimits {
            bytes: MAX_BODY,
            time,
        },
    }
}

fn ends() -> Ends {
    let loopback = "127.0.0.1:8080".parse().unwrap();
    Ends {
        local: loopback,
        peer: loopback,
    }
}

/// The ports of the cluster in memory that keep no list of their calls.
struct Counted {
    cluster: MemoryCluster,
    calls: AtomicUsize,
}

impl Counted {
    fn cluster(&self) -> &MemoryCluster {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.cluster
    }
}

#[async_trait]
impl Inventory for Counted {
    async fn pods<'a>(
        &self,
        namespace: Option<&'a Namespace>,
        after: Option<&'a (String, String)>,
        limit: usize,
    ) -> Result<Listed<Pod>, InventoryError> {
        self.cluster().pods(namespace, after, limit).await
    }

    async fn pods_of(&self, task: TaskId) -> Result<Vec<Pod>, InventoryError> {
        self.cluster().pods_of(task).await
    }

    async fn age(&self) -> Result<Duration, InventoryError> {
        self.cluster().age().await
    }
}

#[async_trait]
impl Namespaces for Counted {
    async fn ensure<'a>(
        &self,
        namespace: &'a Namespace,
        claim: Option<&'a RepositoryName>,
    ) -> Result<(), NamespaceError> {
        self.cluster().ensure(namespace, claim).await
    }

    async fn list<'a>(
        &self,
        after: Option<&'a Namespace>,
        limit: usize,
    ) -> Result<Listed<NamespaceView>, NamespaceError> {
        Namespaces::list(self.cluster(), after, limit).await
    }
}

#[async_trait]
impl Logs for Counted {
    async fn tail(&self, object: &ObjectRef, task: TaskId, lines: usize) -> Result<String, LogsError> {
        self.cluster().tail(object, task, lines).await
    }
}

//! What the tests of the engine share: an engine that runs, requests with defaults, and a limit on all waiting.

use std::time::Duration;

use deploy_core::deployer::{DeployConfiguration, DeployTask, RunPipeline, RunView};
use deploy_core::engine::{Engine, EngineError};
use deploy_core::task::Task;
use deploy_core::workload::{Kind, ObjectRef};
use deploy_core::{Deployer, Error};
use deploy_testkit::World;
use tokio::task::JoinHandle;

/// Use cases, with the engine behind them running.
pub(crate) struct Server {
    pub(crate) deployer: Deployer,
    engine: JoinHandle<Result<(), EngineError>>,
}

impl Server {
    pub(crate) fn start(world: &World) -> Self {
        Self::spawn(world.deployer())
    }

    pub(crate) fn spawn((deployer, engine): (Deployer, Engine)) -> Self {
        let engine = tokio::spawn(engine.run(std::future::pending()));
        Self { deployer, engine }
    }

    /// The process dies: whatever is under way is dropped where it stands.
    pub(crate) async fn crash(self) {
        self.engine.abort();
        assert!(
            self.engine.await.is_err_and(|error| error.is_cancelled()),
            "the engine ended by itself"
        );
    }

    pub(crate) async fn deploy(&self, request: DeployTask) -> Result<Task, Error> {
        let view = self.deployer.deploy_task(&World::caller(), request).await;
        view.map(|view| view.task)
    }

    pub(crate) async fn configure(&self, manifest: &str, replace: bool) -> Result<Task, Error> {
        let request = DeployConfiguration {
            namespace: "demo".parse().unwrap(),
            configuration: manifest.as_bytes().to_vec(),
            origin: None,
            replace,
        };
        let view = self
            .deployer
            .deploy_configuration(&World::caller(), request)
            .await;
        view.map(|view| view.task)
    }

    pub(crate) async fn run(&self, directory: &str) -> Result<RunView, Error> {
        let request = RunPipeline {
            repository: "demo".parse().unwrap(),
            directory: directory.parse().unwrap(),
            name: "nightly".parse().unwrap(),
            namespace: None,
            branch: None,
        };
        self.deployer.run_pipeline(&World::caller(), request).await
    }
}

/// A deploy of `demo/<directory>` as its manifest says.
pub(crate) fn from_git(directory: &str) -> DeployTask {
    DeployTask {
        repository: "demo".parse().unwrap(),
        directory: directory.parse().unwrap(),
        namespace: None,
        name: None,
        branch: None,
        schedule: None,
        replace: false,
    }
}

pub(crate) fn job(name: &str) -> String {
    format!(r#"{{"name":"{name}","type":"job","image":"registry.example/{name}:1","cmd":["run"]}}"#)
}

pub(crate) fn deployment(name: &str) -> String {
    format!(r#"{{"name":"{name}","type":"deployment","image":"registry.example/{name}:1"}}"#)
}

pub(crate) fn service(name: &str) -> String {
    format!(
        r#"{{"name":"{name}","type":"service","image":"registry.example/{name}:1","container-port":5000}}"#
    )
}

pub(crate) fn object(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef {
        kind,
        namespace: "demo".parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

/// No test waits longer; what it waits for is an event, and this says that it never came.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), test)
        .await
        .expect("what the test waits for never came")
}

/// Lets time pass, and whoever it wakes act.
pub(crate) async fn advance(world: &World, seconds: u64) {
    world.clock.advance(Duration::from_secs(seconds));
    settle().await;
}

/// Lets whoever is awake act until they wait again: on one thread a few turns of everyone are enough.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Lets time pass, second by second, until what is awaited is there.
pub(crate) async fn pass_until<T>(world: &World, awaited: impl Future<Output = T>) -> T {
    let mut awaited = Box::pin(awaited);
    loop {
        tokio::select! {
            biased;
            value = &mut awaited => return value,
            () = settle() => world.clock.advance(Duration::from_secs(1)),
        }
    }
}

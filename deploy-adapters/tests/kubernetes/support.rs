//! What the tests stand on: a stand-in, a cluster on it, and workloads.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use deploy_adapters::kubernetes::{KubernetesCluster, KubernetesConfig};
use deploy_core::manifest::ConcurrencyPolicy;
use deploy_core::names::Namespace;
use deploy_core::ports::{Clock, Namespaces};
use deploy_core::workload::{Shape, Workload};
use deploy_testkit::contract::cluster::{job, workload};
use deploy_testkit::kubernetes::{ApiServer, Settings};
use tempfile::TempDir;

/// Longer than anything takes: what is not there by then never comes.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs a test's body, and fails it where an event never comes.
pub(crate) async fn within_patience<T>(body: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, body)
        .await
        .expect("an event did not come")
}

/// The real clock; what waits between tries, waits a twentieth.
pub(crate) struct Hasty;

#[async_trait]
impl Clock for Hasty {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration / 20).await;
    }
}

/// A stand-in and a cluster on it, which has seen it.
pub(crate) struct Bench {
    pub(crate) server: ApiServer,
    pub(crate) cluster: KubernetesCluster,
    folder: TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut KubernetesConfig)) -> Self {
        let server = ApiServer::start_with(Settings::default(), Arc::new(Hasty))
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, server.kubeconfig()).unwrap();
        let mut config = KubernetesConfig::new("tests".parse().unwrap());
        config.kubeconfig = Some(file);
        change(&mut config);
        let cluster = KubernetesCluster::connect(config, Arc::new(Hasty)).await.unwrap();
        cluster.synced().await;
        let bench = Self {
            server,
            cluster,
            folder,
        };
        bench.namespace("contract").await;
        bench
    }

    /// Another server's cluster on the same stand-in, by `change` of its configuration.
    pub(crate) async fn another(&self, change: impl FnOnce(&mut KubernetesConfig)) -> KubernetesCluster {
        let mut config = KubernetesConfig::new("tests".parse().unwrap());
        config.kubeconfig = Some(self.folder.path().join("config"));
        change(&mut config);
        let cluster = KubernetesCluster::connect(config, Arc::new(Hasty)).await.unwrap();
        cluster.synced().await;
        cluster
    }

    /// Makes a namespace known.
    pub(crate) async fn namespace(&self, name: &str) {
        let namespace: Namespace = name.parse().unwrap();
        self.cluster.ensure(&namespace, None).await.unwrap();
    }
}

/// Ends at once with a code.
pub(crate) fn ends(code: u8) -> Vec<String> {
    vec!["exit".to_owned(), code.to_string()]
}

/// Runs until it is told to stop.
pub(crate) fn goes_on() -> Vec<String> {
    vec!["forever".to_owned()]
}

pub(crate) fn a_job(task: u128, name: &str) -> Workload {
    job(task, name, ends(0))
}

pub(crate) fn a_deployment(task: u128, name: &str) -> Workload {
    workload(task, name, goes_on(), Shape::Deployment { replicas: 1 })
}

pub(crate) fn a_service(task: u128, name: &str) -> Workload {
    let shape = Shape::Service {
        replicas: 1,
        port: 5000,
        published: None,
    };
    workload(task, name, goes_on(), shape)
}

pub(crate) fn a_cron_job(task: u128, name: &str) -> Workload {
    let shape = Shape::CronJob {
        schedule: "0 0 1 1 *".parse().unwrap(),
        timezone: "UTC".parse().unwrap(),
        concurrency: ConcurrencyPolicy::Forbid,
        retries: 0,
        timeout_seconds: None,
    };
    workload(task, name, ends(0), shape)
}

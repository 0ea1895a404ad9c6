//! A Kubernetes cluster keeps the contract of every cluster: the stand-in, and a real one where one is named.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use deploy_adapters::kubernetes::{KubernetesCluster, KubernetesConfig};
use deploy_adapters::system::SystemClock;
use deploy_core::ports::{Cluster, Inventory, Logs, Namespaces};
use deploy_core::workload::ObjectRef;
use deploy_testkit::contract::cluster::{Behaviour, ClusterDriver, keeps_the_contract};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace as NamespaceObject;
use kube::api::{Api, DeleteParams, ListParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::support::{Bench, ends, goes_on, within_patience};

/// The instance, and the namespaces, of the contract on a real cluster.
const INSTANCE: &str = "deploy-api-contract";

struct Driver {
    cluster: KubernetesCluster,
    /// Whether containers run: the stand-in's do what a word says.
    is_real: bool,
}

#[async_trait]
impl ClusterDriver for Driver {
    fn cluster(&self) -> Arc<dyn Cluster> {
        Arc::new(self.cluster.clone())
    }

    fn inventory(&self) -> Arc<dyn Inventory> {
        Arc::new(self.cluster.clone())
    }

    fn namespaces(&self) -> Arc<dyn Namespaces> {
        Arc::new(self.cluster.clone())
    }

    fn logs(&self) -> Arc<dyn Logs> {
        Arc::new(self.cluster.clone())
    }

    fn command(&self, behaviour: Behaviour) -> Vec<String> {
        let shell = |line: &str| vec!["sh".to_owned(), "-c".to_owned(), line.to_owned()];
        match behaviour {
            Behaviour::Ends(code) if self.is_real => shell(&format!("echo here; exit {code}")),
            // The first process of a container hears no signal that it does not ask for.
            Behaviour::GoesOn if self.is_real => {
                shell("trap 'exit 143' TERM; echo here; sleep 100000 & wait")
            }
            Behaviour::Ends(code) => ends(u8::try_from(code).expect("a code of a process")),
            Behaviour::GoesOn => goes_on(),
        }
    }

    /// The command says it all.
    async fn play(&self, _object: &ObjectRef, _behaviour: Behaviour) {}
}

async fn keeps_it(cluster: &KubernetesCluster, is_real: bool) {
    for namespace in ["contract", "contract-two", "contract-pods"] {
        let namespace = namespace.parse().unwrap();
        cluster
            .ensure(&namespace, None)
            .await
            .expect("a namespace of ours");
    }
    let driver = Driver {
        cluster: cluster.clone(),
        is_real,
    };
    keeps_the_contract(&driver).await;
    cluster.shutdown();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract_of_every_cluster() {
    within_patience(async {
        let bench = Bench::new().await;
        keeps_it(&bench.cluster, false).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a real cluster is asked for by a variable"
)]
async fn it_keeps_the_contract_on_a_real_cluster() {
    let Some(kubeconfig) = std::env::var_os("DEPLOY_TEST_KUBECONFIG").map(PathBuf::from) else {
        eprintln!("not run: DEPLOY_TEST_KUBECONFIG names the kubeconfig of a cluster; see CONTRIBUTING.md");
        return;
    };
    within_patience(async {
        clear(&kubeconfig).await;
        let mut config = KubernetesConfig::new(INSTANCE.parse().unwrap());
        config.kubeconfig = Some(kubeconfig.clone());
        let cluster = KubernetesCluster::connect(config, Arc::new(SystemClock))
            .await
            .unwrap();
        cluster.synced().await;
        keeps_it(&cluster, true).await;
        clear(&kubeconfig).await;
    })
    .await;
}

/// Removes what the contract left on a real cluster.
async fn clear(kubeconfig: &std::path::Path) {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("DEPLOY_TEST_KUBECONFIG names a kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    let all: Api<NamespaceObject> = Api::all(kube::Client::try_from(config).unwrap());
    let ours = format!("deploy-api/instance={INSTANCE}");
    let listed = all.list(&ListParams::default().labels(&ours)).await.unwrap();
    let mut left = listed.items.len();
    let version = listed.metadata.resource_version.unwrap();
    let watched = WatchParams::default().labels(&ours);
    let mut events = Box::pin(all.watch(&watched, &version).await.unwrap());
    for namespace in listed.items {
        let name = namespace.metadata.name.unwrap();
        all.delete(&name, &DeleteParams::default()).await.unwrap();
    }
    while left > 0 {
        if let WatchEvent::Deleted(_) = events.next().await.expect("the watch lasts").unwrap() {
            left -= 1;
        }
    }
}

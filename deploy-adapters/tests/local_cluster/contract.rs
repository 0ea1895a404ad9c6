//! The local cluster keeps the contract of every cluster.

use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::ports::{Cluster, Inventory, Logs, Namespaces};
use deploy_core::workload::ObjectRef;
use deploy_testkit::contract::cluster::{Behaviour, ClusterDriver, keeps_the_contract};

use crate::support::{Bench, Hasty, sh, within_patience};

struct Driver(Bench);

#[async_trait]
impl ClusterDriver for Driver {
    fn cluster(&self) -> Arc<dyn Cluster> {
        Arc::new(self.0.cluster.clone())
    }

    fn inventory(&self) -> Arc<dyn Inventory> {
        Arc::new(self.0.cluster.clone())
    }

    fn namespaces(&self) -> Arc<dyn Namespaces> {
        Arc::new(self.0.cluster.clone())
    }

    fn logs(&self) -> Arc<dyn Logs> {
        Arc::new(self.0.cluster.clone())
    }

    fn command(&self, behaviour: Behaviour) -> Vec<String> {
        match behaviour {
            Behaviour::Ends(code) => sh(&format!("echo here; exit {code}")),
            Behaviour::GoesOn => sh("echo here; exec sleep 1000"),
        }
    }

    async fn play(&self, _object: &ObjectRef, _behaviour: Behaviour) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract_of_every_cluster() {
    within_patience(async {
        let driver = Driver(Bench::new(Arc::new(Hasty)).await);
        keeps_the_contract(&driver).await;
        driver.0.cluster.shutdown().await;
    })
    .await;
}

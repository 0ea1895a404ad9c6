//! Kubernetes behind the core's ports: `objects` turns a workload into objects (pure), `seen` keeps what the cluster told
//! us, `state` reads states out of it (pure), `cluster` writes, `build` makes images. `kube::Error` ends in this folder.

mod build;
mod call;
mod cluster;
mod connect;
mod failure;
mod inventory;
mod logs;
mod marks;
mod namespaces;
mod objects;
mod review;
mod rules;
mod seen;
mod state;

use std::sync::Arc;

use deploy_core::ports::{Clock, SourceRepository};

use call::Calls;
use marks::Marks;
use objects::Translator;
use seen::Seen;

pub use build::{BuilderConfig, BuilderError, KubernetesImageBuilder};
pub use connect::{ConnectError, KubernetesConfig};
pub use rules::{Gateway, Rules};

/// A Kubernetes cluster. Cheap to clone; all clones share their caches and the bound on writes. The watches end with
/// [`KubernetesCluster::shutdown`] or the last clone; what runs in the cluster goes on.
#[derive(Clone)]
pub struct KubernetesCluster {
    calls: Calls,
    watches: kube::Client,
    seen: Seen,
    translator: Translator,
    marks: Marks,
    clock: Arc<dyn Clock>,
}

impl KubernetesCluster {
    /// Finds the cluster and begins to watch it. Nothing of it is waited for: until [`KubernetesCluster::synced`], and
    /// whenever it is away, changes are `Unavailable`.
    ///
    /// # Errors
    /// Nothing names a cluster, or what does cannot be used.
    pub async fn connect(config: KubernetesConfig, clock: Arc<dyn Clock>) -> Result<Self, ConnectError> {
        let clients = connect::clients(&config).await?;
        let marks = Marks::new(config.instance);
        Ok(Self {
            calls: Calls::new(clients.requests, config.deadline),
            seen: Seen::start(clients.watches.clone(), marks.clone(), clock.clone()),
            watches: clients.watches,
            translator: Translator::new(marks.clone(), config.rules),
            marks,
            clock,
        })
    }

    /// Builds images by Jobs of this cluster; the hash of a task's code is `source`'s to tell.
    ///
    /// # Errors
    /// The configuration cannot work.
    pub fn image_builder(
        &self,
        config: BuilderConfig,
        source: Arc<dyn SourceRepository>,
    ) -> Result<KubernetesImageBuilder, BuilderError> {
        KubernetesImageBuilder::new(self, config, source)
    }

    /// Waits until everything of ours was listed once.
    pub async fn synced(&self) {
        self.seen.synced().await;
    }

    /// Ends the watches. What was seen stays, and grows old.
    pub fn shutdown(&self) {
        self.seen.close();
    }
}

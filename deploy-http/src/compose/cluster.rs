//! The cluster that was asked for, as the flags describe it.

use std::sync::Arc;

use deploy_adapters::kubernetes::{BuilderConfig, Gateway, KubernetesCluster, KubernetesConfig, Rules};
use deploy_adapters::local::{LocalCluster, LocalOptions};
use deploy_core::manifest::Resources;
use deploy_core::ports::{Clock, Cluster, ImageBuilder, Inventory, Logs, Namespaces, SourceRepository};

use super::wrong;
use crate::config::{ClusterKind, Config, Exposure, GitBase, Kubernetes, Stop, Surroundings};

/// The cluster that was asked for.
pub(super) enum AnyCluster {
    Local(LocalCluster),
    Kubernetes(Box<KubernetesCluster>),
}

/// A cluster as the core sees it.
pub(super) struct OnCluster {
    pub(super) cluster: Arc<dyn Cluster>,
    pub(super) namespaces: Arc<dyn Namespaces>,
    pub(super) inventory: Arc<dyn Inventory>,
    pub(super) logs: Arc<dyn Logs>,
}

impl AnyCluster {
    pub(super) async fn open(
        config: &Config,
        source: Arc<dyn SourceRepository>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Stop> {
        match config.cluster.cluster {
            ClusterKind::Local => {
                let Surroundings {
                    search_path,
                    language,
                } = Surroundings::read();
                let mut options = LocalOptions::new(&config.storage.data_dir);
                options.search_path = search_path.unwrap_or(options.search_path);
                options.language = language;
                let cluster = LocalCluster::open(options, source, clock).await;
                cluster
                    .map(Self::Local)
                    .map_err(|error| wrong("the local cluster cannot be opened", &error))
            }
            // It need not be there yet: until it was seen, /readyz says no.
            ClusterKind::Kubernetes => {
                let own_prefix = config.listen.external_prefix.as_str();
                KubernetesCluster::connect(kubernetes(&config.cluster.kubernetes, own_prefix), clock)
                    .await
                    .map(|cluster| Self::Kubernetes(Box::new(cluster)))
                    .map_err(|error| wrong("--cluster kubernetes", &error))
            }
        }
    }

    pub(super) fn ports(&self) -> OnCluster {
        match self {
            Self::Local(cluster) => OnCluster::of(cluster),
            Self::Kubernetes(cluster) => OnCluster::of(&**cluster),
        }
    }

    /// What builds images there; `None` where none are built.
    pub(super) fn image_builder(
        &self,
        config: &Config,
        source: Arc<dyn SourceRepository>,
    ) -> Result<Option<Arc<dyn ImageBuilder>>, Stop> {
        let flags = &config.cluster.builder;
        let (Self::Kubernetes(cluster), Some(namespace)) = (self, &flags.build_namespace) else {
            return Ok(None);
        };
        let base = match &config.git.git_base_url {
            Some(GitBase::Url { url, .. }) => url.clone(),
            Some(GitBase::Folder(_)) | None => String::new(),
        };
        let mut builder = BuilderConfig::new(namespace.clone(), base);
        builder.image = flags.builder_image.clone().unwrap_or(builder.image);
        builder.push_secret.clone_from(&flags.builder_push_secret);
        builder.git_secret.clone_from(&flags.builder_git_secret);
        builder.cache.clone_from(&flags.builder_cache);
        builder.resources = Resources {
            cpu_request: flags.builder_cpu.clone(),
            cpu_limit: flags.builder_cpu.clone(),
            memory_request: flags.builder_memory.clone(),
            memory_limit: flags.builder_memory.clone(),
        };
        match cluster.image_builder(builder, source) {
            Ok(builder) => Ok(Some(Arc::new(builder))),
            Err(error) => Err(wrong("--build-namespace", &error)),
        }
    }

    pub(super) async fn shutdown(&self) {
        match self {
            Self::Local(cluster) => cluster.shutdown().await,
            Self::Kubernetes(cluster) => cluster.shutdown(),
        }
    }
}

impl OnCluster {
    fn of<C: Cluster + Namespaces + Inventory + Logs + Clone + 'static>(cluster: &C) -> Self {
        let cluster = Arc::new(cluster.clone());
        Self {
            cluster: cluster.clone(),
            namespaces: cluster.clone(),
            inventory: cluster.clone(),
            logs: cluster,
        }
    }
}

fn kubernetes(flags: &Kubernetes, own_prefix: &str) -> KubernetesConfig {
    let gateway = match &flags.exposure {
        Exposure::None => None,
        Exposure::Gateway { namespace, name } => Some(Gateway {
            namespace: namespace.clone(),
            name: name.clone(),
            own_prefix: own_prefix.to_owned(),
            auth: flags.exposure_auth.clone(),
        }),
    };
    let mut config = KubernetesConfig::new(flags.instance.clone());
    config.context.clone_from(&flags.kube_context);
    config.rules = Rules {
        image_pull_secret: flags.image_pull_secret.clone(),
        require_non_root: flags.require_non_root,
        gateway,
    };
    config
}

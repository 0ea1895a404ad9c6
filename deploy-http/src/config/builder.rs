//! How images are built in the cluster. Without a namespace for it none are, and a task whose image would have to be
//! built is refused.

use clap::Args;
use deploy_core::manifest::Quantity;
use deploy_core::names::{Namespace, ResourceName};

use super::{ClusterKind, Stop};

/// Where and by what images are built.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the fields' help says it")]
pub struct Builder {
    /// Where images are built; nothing else runs there, and nobody deploys into it [default: none are built]
    #[arg(long, env = "DEPLOY_BUILD_NAMESPACE", value_name = "NAME")]
    pub build_namespace: Option<Namespace>,
    /// What builds them [default: moby/buildkit:rootless]
    #[arg(long, env = "DEPLOY_BUILDER_IMAGE", value_name = "IMAGE", value_parser = reference)]
    pub builder_image: Option<String>,
    /// The Secret there that images are pushed with (kubernetes.io/dockerconfigjson)
    #[arg(long, env = "DEPLOY_BUILDER_PUSH_SECRET", value_name = "NAME")]
    pub builder_push_secret: Option<ResourceName>,
    /// The Secret there that code is fetched with (kubernetes.io/basic-auth)
    #[arg(long, env = "DEPLOY_BUILDER_GIT_SECRET", value_name = "NAME")]
    pub builder_git_secret: Option<ResourceName>,
    /// A repository in a registry that keeps layers between builds
    #[arg(long, env = "DEPLOY_BUILDER_CACHE", value_name = "REPOSITORY", value_parser = reference)]
    pub builder_cache: Option<String>,
    /// CPU that one build asks for and may use, in cores
    #[arg(long, env = "DEPLOY_BUILDER_CPU", value_name = "QUANTITY")]
    pub builder_cpu: Option<Quantity>,
    /// Memory that one build asks for and may use
    #[arg(long, env = "DEPLOY_BUILDER_MEMORY", value_name = "QUANTITY")]
    pub builder_memory: Option<Quantity>,
}

impl Builder {
    /// What no single flag can tell.
    pub(super) fn check(&self, cluster: ClusterKind) -> Result<(), Stop> {
        let given = [
            ("--builder-image", self.builder_image.is_some()),
            ("--builder-push-secret", self.builder_push_secret.is_some()),
            ("--builder-git-secret", self.builder_git_secret.is_some()),
            ("--builder-cache", self.builder_cache.is_some()),
            ("--builder-cpu", self.builder_cpu.is_some()),
            ("--builder-memory", self.builder_memory.is_some()),
        ];
        match (&self.build_namespace, given.iter().find(|(_, given)| *given)) {
            (None, Some((flag, _))) => Err(Stop::wrong(format!(
                "{flag} is for builds, and none are made; say where: --build-namespace NAME"
            ))),
            (Some(_), _) if cluster != ClusterKind::Kubernetes => Err(Stop::wrong(
                "--build-namespace has a meaning for --cluster kubernetes alone; say that too, or leave it out",
            )),
            _ => Ok(()),
        }
    }
}

/// A name in a registry, as the builder's script takes it: no word of a shell can be in it.
fn reference(text: &str) -> Result<String, &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    if text.is_empty() || text.len() > 255 || !text.chars().all(is_plain) || text.starts_with('-') {
        Err("it is a name in a registry, as in registry.example/team/builder:1")
    } else {
        Ok(text.to_owned())
    }
}

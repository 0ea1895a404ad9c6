//! What concerns `--cluster kubernetes` alone. Given to another cluster these flags would promise what nobody keeps, so
//! they are refused there.

use std::str::FromStr;

use clap::Args;
use clap::builder::BoolishValueParser;
use deploy_core::names::{Namespace, ResourceName};

use super::{ClusterKind, Stop};

/// Which cluster it is, as which installation, and by which rules.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the fields' help says it")]
pub struct Kubernetes {
    /// The context of the kubeconfig [default: its current one, or the pod's own service account]
    #[arg(long, env = "DEPLOY_KUBE_CONTEXT", value_name = "NAME", value_parser = context)]
    pub kube_context: Option<String>,
    /// What tells this installation's objects from another's
    #[arg(long, env = "DEPLOY_INSTANCE", value_name = "NAME", default_value = DEFAULT_INSTANCE)]
    pub instance: ResourceName,
    /// The Secret, in each task's namespace, that images are pulled with
    #[arg(long, env = "DEPLOY_IMAGE_PULL_SECRET", value_name = "NAME")]
    pub image_pull_secret: Option<ResourceName>,
    /// Every container has to run as another user than root, whether or not its namespace asks for it
    #[arg(long, env = "DEPLOY_REQUIRE_NON_ROOT", value_parser = BoolishValueParser::new())]
    pub require_non_root: bool,
    /// Where published services are exposed: gateway:NAMESPACE/NAME, or none
    #[arg(long, env = "DEPLOY_EXPOSURE", value_name = "KIND", default_value = "none")]
    pub exposure: Exposure,
    /// What enforces the group that a published service names; written on its route
    #[arg(long, env = "DEPLOY_EXPOSURE_AUTH", value_name = "NAME", value_parser = text)]
    pub exposure_auth: Option<String>,
    /// The namespace that images are built in [default: none are built]
    #[arg(long, env = "DEPLOY_BUILD_NAMESPACE", value_name = "NAME")]
    pub build_namespace: Option<Namespace>,
    /// What builds images: rootless BuildKit, or an image that is used as it is
    #[arg(long, env = "DEPLOY_BUILDER_IMAGE", value_name = "IMAGE", value_parser = text)]
    pub builder_image: Option<String>,
    /// The Secret, in the build namespace, that images are pushed with
    #[arg(long, env = "DEPLOY_BUILDER_PUSH_SECRET", value_name = "NAME")]
    pub builder_push_secret: Option<ResourceName>,
    /// The Secret, in the build namespace, that the code is fetched with
    #[arg(long, env = "DEPLOY_BUILDER_GIT_SECRET", value_name = "NAME")]
    pub builder_git_secret: Option<ResourceName>,
    /// Where in a registry layers are kept to be used again: registry/name
    #[arg(long, env = "DEPLOY_BUILDER_CACHE", value_name = "REPOSITORY", value_parser = text)]
    pub builder_cache: Option<String>,
}

const DEFAULT_INSTANCE: &str = "default";

/// How `published` becomes a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exposure {
    /// Not at all.
    None,
    /// By this Gateway (Gateway API).
    Gateway {
        /// Its namespace.
        namespace: Namespace,
        /// Its name.
        name: ResourceName,
    },
}

impl FromStr for Exposure {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str =
            "it is none, or gateway:NAMESPACE/NAME with the Gateway that routes are attached to";
        if text == "none" {
            return Ok(Self::None);
        }
        let (namespace, name) = text
            .strip_prefix("gateway:")
            .and_then(|gateway| gateway.split_once('/'))
            .ok_or(RULE)?;
        Ok(Self::Gateway {
            namespace: namespace.parse().map_err(|_| RULE)?,
            name: name.parse().map_err(|_| RULE)?,
        })
    }
}

impl Kubernetes {
    /// What no single flag can tell.
    pub(super) fn check(&self, cluster: ClusterKind) -> Result<(), Stop> {
        let builder = [
            ("--builder-image", self.builder_image.is_some()),
            ("--builder-push-secret", self.builder_push_secret.is_some()),
            ("--builder-git-secret", self.builder_git_secret.is_some()),
            ("--builder-cache", self.builder_cache.is_some()),
        ];
        let rest = [
            ("--kube-context", self.kube_context.is_some()),
            ("--instance", self.instance.as_str() != DEFAULT_INSTANCE),
            ("--image-pull-secret", self.image_pull_secret.is_some()),
            ("--require-non-root", self.require_non_root),
            ("--exposure", self.exposure != Exposure::None),
            ("--exposure-auth", self.exposure_auth.is_some()),
            ("--build-namespace", self.build_namespace.is_some()),
        ];
        let first = |flags: &[(&'static str, bool)]| {
            let given = flags.iter().find(|(_, given)| *given);
            given.map(|(flag, _)| *flag)
        };
        if cluster != ClusterKind::Kubernetes
            && let Some(flag) = first(&rest).or_else(|| first(&builder))
        {
            return Err(Stop::wrong(format!(
                "{flag} has a meaning for --cluster kubernetes alone; say that too, or leave {flag} out"
            )));
        }
        if self.build_namespace.is_none()
            && let Some(flag) = first(&builder)
        {
            return Err(Stop::wrong(format!(
                "{flag} is for building images, and none are built; say where: --build-namespace NAME"
            )));
        }
        if self.exposure_auth.is_some() && self.exposure == Exposure::None {
            return Err(Stop::wrong(
                "--exposure-auth guards routes, and none are made; say where to: --exposure gateway:NAMESPACE/NAME",
            ));
        }
        Ok(())
    }
}

fn context(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("a context has a name; `kubectl config get-contexts` lists them")
    } else {
        Ok(text.to_owned())
    }
}

fn text(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.len() > 253 || text.chars().any(char::is_control) || text.trim() != text {
        Err("1 to 253 characters, no blanks at either end")
    } else {
        Ok(text.to_owned())
    }
}

//! How the API server is found and spoken to: two clients, so that watches and requests never share a connection, with
//! time limits of our own. Nothing is sent here: a cluster that is away keeps no server from starting.
//!
//! Of what kube does by itself two things are off: it would send a POST again on 429, 503 and 504, although what was
//! answered so may have been done, and it would take a proxy from the environment that it is built without.

use std::path::{Path, PathBuf};
use std::time::Duration;

use deploy_core::error::BoxError;
use deploy_core::names::ResourceName;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::rules::Rules;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);

/// Which cluster, and as which installation.
#[derive(Debug, Clone)]
pub struct KubernetesConfig {
    /// The kubeconfig; `None` = where `KUBECONFIG` says, else `~/.kube/config`, else the pod's own service account.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; `None` = its current one.
    pub context: Option<String>,
    /// What tells this installation's objects from another's.
    pub instance: ResourceName,
    /// What it decides about every pod and route.
    pub rules: Rules,
    /// How long one change may take, with every call that it needs.
    pub deadline: Duration,
}

impl KubernetesConfig {
    /// The cluster that the environment names, with the defaults: a deadline of 8 s, no rules.
    #[must_use]
    pub fn new(instance: ResourceName) -> Self {
        Self {
            kubeconfig: None,
            context: None,
            instance,
            rules: Rules::default(),
            deadline: Duration::from_secs(8),
        }
    }
}

/// Why there is no way to a cluster. Nothing was sent yet.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing names a cluster.
    #[error(
        "no cluster is named: there is no kubeconfig, and this is no pod with a service account; set KUBECONFIG, or \
         run it in the cluster"
    )]
    NoCluster(#[source] BoxError),
    /// The kubeconfig cannot be used.
    #[error(
        "the kubeconfig cannot be used; see that `kubectl` works with it, and name a context that is in it"
    )]
    Kubeconfig(#[source] BoxError),
    /// The way to the cluster leads through a proxy.
    #[error(
        "the kubeconfig names a proxy-url, and the API server can only be spoken to directly; remove it, or run this \
         in the cluster"
    )]
    Proxy,
    /// The certificates or credentials cannot be used.
    #[error(
        "the certificates or credentials for the cluster cannot be used; mend them where the kubeconfig names them"
    )]
    Credentials(#[source] BoxError),
}

/// The two clients.
pub(super) struct Clients {
    pub(super) requests: Client,
    pub(super) watches: Client,
}

/// Reads the configuration and prepares both clients.
pub(super) async fn clients(config: &KubernetesConfig) -> Result<Clients, ConnectError> {
    // Where a second provider of cryptography is built in beside ring, TLS panics unless one was chosen before. An error
    // says that somebody has chosen already, which is as good.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let found = found(config.kubeconfig.as_deref(), config.context.as_deref()).await?;
    let client = || {
        let client = Client::try_from(ours(found.clone()));
        client.map_err(|error| ConnectError::Credentials(BoxError::from(error)))
    };
    Ok(Clients {
        requests: client()?,
        watches: client()?,
    })
}

/// As kube reads it, but that a kubeconfig which is there and broken is an error, and not a reason to look elsewhere.
async fn found(file: Option<&Path>, context: Option<&str>) -> Result<Config, ConnectError> {
    let read = match file {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        Err(error) if is_absent(&error) && file.is_none() && context.is_none() => {
            return Config::incluster().map_err(|error| ConnectError::NoCluster(BoxError::from(error)));
        }
        Err(error) => return Err(ConnectError::Kubeconfig(BoxError::from(error))),
    };
    let chosen = context
        .map(str::to_owned)
        .or_else(|| kubeconfig.current_context.clone());
    if names_a_proxy(&kubeconfig, chosen.as_deref()) {
        return Err(ConnectError::Proxy);
    }
    let options = KubeConfigOptions {
        context: chosen,
        ..KubeConfigOptions::default()
    };
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| ConnectError::Kubeconfig(BoxError::from(error)))
}

fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(source, _) => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn names_a_proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> bool {
    let context = kubeconfig
        .contexts
        .iter()
        .find(|known| Some(known.name.as_str()) == context)
        .and_then(|known| known.context.as_ref());
    let Some(context) = context else { return false };
    kubeconfig
        .clusters
        .iter()
        .filter(|known| known.name == context.cluster)
        .filter_map(|known| known.cluster.as_ref())
        .any(|cluster| cluster.proxy_url.as_deref().is_some_and(|url| !url.is_empty()))
}

/// Our time limits. Each call has a deadline of its own, and each watch a limit on its silence, so reading has none here.
fn ours(mut config: Config) -> Config {
    config.default_retry = false;
    config.proxy_url = None;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = None;
    config.write_timeout = None;
    config
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    const KUBECONFIG: &str = "apiVersion: v1
kind: Config
current-context: direct
clusters:
- name: direct
  cluster: {server: 'http://127.0.0.1:1'}
- name: proxied
  cluster: {server: 'http://127.0.0.1:1', proxy-url: 'http://127.0.0.1:2'}
contexts:
- name: direct
  context: {cluster: direct, user: nobody}
- name: proxied
  context: {cluster: proxied, user: nobody}
users:
- name: nobody
  user: {}
";

    async fn connect(text: &str, context: Option<&str>) -> Result<Config, ConnectError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, text).unwrap();
        found(Some(&file), context).await
    }

    #[tokio::test]
    async fn a_kubeconfig_is_read_by_its_current_context_or_the_one_that_is_asked_for() {
        let config = connect(KUBECONFIG, None).await.unwrap();
        assert_eq!(config.cluster_url.to_string(), "http://127.0.0.1:1/");
        assert!(matches!(
            connect(KUBECONFIG, Some("proxied")).await,
            Err(ConnectError::Proxy)
        ));
        for (text, context) in [(KUBECONFIG, Some("unknown")), ("clusters: 3", None)] {
            let refused = connect(text, context).await;
            assert!(matches!(refused, Err(ConnectError::Kubeconfig(_))), "{text}");
        }
        let absent = found(Some(Path::new("/nowhere/at/all")), None).await;
        assert!(matches!(absent, Err(ConnectError::Kubeconfig(_))));
    }

    #[tokio::test]
    async fn the_client_repeats_nothing_by_itself_and_takes_no_proxy_from_the_environment() {
        let mut config = connect(KUBECONFIG, None).await.unwrap();
        config.proxy_url = Some("http://proxy.example:3128".parse().unwrap());
        let config = ours(config);
        assert!(!config.default_retry);
        assert_eq!((config.proxy_url, config.connect_timeout), (None, Some(CONNECT)));
    }

    #[test]
    fn an_error_at_the_start_is_one_line_that_names_the_cure() {
        for error in [
            ConnectError::NoCluster("below".into()),
            ConnectError::Kubeconfig("below".into()),
            ConnectError::Proxy,
            ConnectError::Credentials("below".into()),
        ] {
            let text = error.to_string();
            assert!(text.contains("; ") && !text.contains('\n'), "{text}");
        }
    }
}

//! A client with nothing around it: kube's, its own types, one watch of the pods that says when they end.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use deploy_testkit::kubernetes::ApiServer;
use futures::future::join_all;
use futures::stream::{BoxStream, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;

use crate::ours::{IMAGE, INSTANCE, NAMESPACE};

pub(crate) struct Bare {
    pub(crate) server: ApiServer,
    client: Client,
    pods: Api<Pod>,
    watch: BoxStream<'static, kube::Result<WatchEvent<Pod>>>,
    /// Where the watch stands.
    version: String,
    /// Jobs whose container was seen to end.
    ended: HashSet<String>,
    made: usize,
}

impl Bare {
    pub(crate) async fn new() -> Self {
        let server = crate::server().await;
        server.put_namespace(NAMESPACE);
        let client = client(&server.kubeconfig()).await;
        Self {
            pods: Api::namespaced(client.clone(), NAMESPACE),
            server,
            client,
            watch: futures::stream::empty().boxed(),
            version: "0".to_owned(),
            ended: HashSet::new(),
            made: 0,
        }
    }

    /// Creates a job that ends at once; the time until it is answered. Returns when it has ended.
    pub(crate) async fn deploy(&mut self, name: &str) -> Duration {
        let begun = Instant::now();
        create(&self.client, name).await;
        let time = begun.elapsed();
        self.until_ended(&[name.to_owned()]).await;
        time
    }

    /// Creates so many jobs, each at the end of the one before.
    pub(crate) async fn chain(&mut self, steps: usize) -> Duration {
        let names = self.names(steps);
        let begun = Instant::now();
        for name in &names {
            self.at_once(std::slice::from_ref(name)).await;
        }
        begun.elapsed()
    }

    /// Creates one job, at its end so many at once, and one at the end of them all.
    pub(crate) async fn fan(&mut self, wide: usize) -> Duration {
        let names = self.names(wide + 2);
        let begun = Instant::now();
        self.at_once(&names[..1]).await;
        self.at_once(&names[1..=wide]).await;
        self.at_once(&names[wide + 1..]).await;
        begun.elapsed()
    }

    async fn at_once(&mut self, names: &[String]) {
        let client = self.client.clone();
        let creates = join_all(names.iter().map(|name| create(&client, name)));
        tokio::join!(creates, self.until_ended(names));
    }

    fn names(&mut self, count: usize) -> Vec<String> {
        self.made += count;
        (self.made - count..self.made)
            .map(|number| format!("bare-{number}"))
            .collect()
    }

    async fn until_ended(&mut self, names: &[String]) {
        while !names.iter().all(|name| self.ended.contains(name)) {
            self.listen().await;
        }
        self.ended.clear();
    }

    /// Takes one event in; a watch that is over goes on where it stood.
    async fn listen(&mut self) {
        let pod = match self.watch.next().await {
            Some(Ok(WatchEvent::Added(pod) | WatchEvent::Modified(pod))) => pod,
            Some(Ok(WatchEvent::Deleted(_) | WatchEvent::Bookmark(_))) => return,
            Some(Ok(WatchEvent::Error(status))) => panic!("{status:?}"),
            Some(Err(error)) => panic!("{error}"),
            None => {
                let parameters = WatchParams::default().labels(&selector());
                let watch = self.pods.watch(&parameters, &self.version).await.unwrap();
                self.watch = watch.boxed();
                return;
            }
        };
        if let Some(version) = &pod.metadata.resource_version {
            self.version.clone_from(version);
        }
        if let Some(job) = ended_job(&pod) {
            self.ended.insert(job.to_owned());
        }
    }
}

/// A client as kube makes it, but that it repeats nothing.
pub(crate) async fn client(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// What finds the pods of both sides.
pub(crate) fn selector() -> String {
    format!("app.kubernetes.io/managed-by=deploy-api,deploy-api/instance={INSTANCE}")
}

async fn create(client: &Client, name: &str) {
    let jobs: Api<Job> = Api::namespaced(client.clone(), NAMESPACE);
    jobs.create(&PostParams::default(), &job(name)).await.unwrap();
}

/// The job of a pod whose container has ended.
fn ended_job(pod: &Pod) -> Option<&str> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.first()?.state.as_ref()?.terminated.as_ref()?;
    let labels: &BTreeMap<String, String> = pod.metadata.labels.as_ref()?;
    labels.get("job-name").map(String::as_str)
}

/// As the adapter makes it of the manifest of [`crate::ours`].
fn job(name: &str) -> Job {
    let labels = json!({
        "app": name,
        "app.kubernetes.io/managed-by": "deploy-api",
        "deploy-api/instance": INSTANCE,
        "deploy-api/kind": "job",
        "deploy-api/workload": name,
    });
    let job = json!({
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": labels,
            "annotations": {"deploy-api/identity": "ada@example.com"},
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 10,
                    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [{
                        "name": "task",
                        "image": IMAGE,
                        "command": ["exit", "0"],
                        "resources": {},
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "terminationMessagePolicy": "FallbackToLogsOnError",
                    }],
                },
            },
        },
    });
    serde_json::from_value(job).unwrap()
}

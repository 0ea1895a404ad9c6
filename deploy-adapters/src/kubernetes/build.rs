//! The port: an image is built by a Job in a namespace of its own, named after what it builds, so that the same code at
//! the same destination is built once, whoever asks and however often, and different ones side by side.
//!
//! A Job that has succeeded is the record of what was built. Kubernetes removes it, with its pod, a while after it has
//! ended (`BuilderConfig::retention`); after that the same code is built again, from the registry's cache where there is
//! one. One that has failed is replaced by the next request. A builder whose task is stopped goes on to its end: others
//! may wait for it, and what it built is kept.
//!
//! It never runs anything but the builder, never in another namespace, and makes no Secret.

mod follow;
mod job;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::error::BoxError;
use deploy_core::manifest::Resources;
use deploy_core::names::{Namespace, ResourceName, TaskId};
use deploy_core::ports::{BuildError, Clock, ImageBuilder, SourceError, SourceRepository};
use deploy_core::workload::{Code, Uid};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PropagationPolicy;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::KubernetesCluster;
use super::call::{Calls, Place};
use super::failure::{Access, Failure};
use super::marks::{self, Marks};
use job::{Order, Recipe};
use verdict::Verdict;

/// How often a build is begun that vanishes, or that others cross.
const TRIES: u32 = 6;
/// The pause between two tries, and after a watch that broke.
const PAUSE: Duration = Duration::from_secs(1);
/// How much longer than its own deadline a Job is waited for: its end is told late where the cluster is busy.
const LATE: Duration = Duration::from_secs(60);

/// How images are built.
#[derive(Debug, Clone)]
pub struct BuilderConfig {
    /// Where the builder runs. Pod Security has to be `privileged` there: see `build/job.rs` for what it needs.
    pub namespace: Namespace,
    /// The builder: rootless BuildKit, or an image that has its `buildctl-daemonless.sh`, a shell, `sed` and `base64`.
    pub image: String,
    /// A Secret there, of type `kubernetes.io/dockerconfigjson`: what is pushed, and pulled, with.
    pub push_secret: Option<ResourceName>,
    /// Where the repositories are, http(s).
    pub git_base_url: String,
    /// A Secret there, of type `kubernetes.io/basic-auth`: what the code is fetched with.
    pub git_secret: Option<ResourceName>,
    /// A repository in a registry for layers that can be used again; one tag a task's directory.
    pub cache: Option<String>,
    /// What the builder asks for, and may use.
    pub resources: Resources,
    /// How long a build may take.
    pub deadline: Duration,
    /// How long what was built is remembered.
    pub retention: Duration,
}

impl BuilderConfig {
    /// Rootless BuildKit in that namespace, half an hour a build, remembered for a day.
    #[must_use]
    pub fn new(namespace: Namespace, git_base_url: impl Into<String>) -> Self {
        Self {
            namespace,
            image: "moby/buildkit:rootless".to_owned(),
            push_secret: None,
            git_base_url: git_base_url.into(),
            git_secret: None,
            cache: None,
            resources: Resources::default(),
            deadline: Duration::from_mins(30),
            retention: Duration::from_hours(24),
        }
    }
}

/// Why there is no builder.
#[derive(Debug, thiserror::Error)]
pub enum BuilderError {
    /// The builder fetches the code itself, and does so over http.
    #[error(
        "images are built in the cluster from git over http(s); give --git-base-url as https://…, or leave \
         --build-namespace out"
    )]
    BaseUrl,
}

/// [`ImageBuilder`] by Jobs.
pub struct KubernetesImageBuilder {
    calls: Calls,
    watches: kube::Client,
    clock: Arc<dyn Clock>,
    source: Arc<dyn SourceRepository>,
    marks: Marks,
    namespace: Namespace,
    deadline: Duration,
    recipe: Recipe,
}

#[async_trait]
impl ImageBuilder for KubernetesImageBuilder {
    async fn build(&self, task: TaskId, code: &Code, destination: &str) -> Result<String, BuildError> {
        if !job::is_plain(destination) {
            return Err(refused("an image is pushed to registry/name:tag"));
        }
        let tree = self
            .source
            .tree_hash(&code.repository, &code.commit, &code.directory, "code")
            .await
            .map_err(unread)?;
        let order = Order {
            code,
            destination,
            tree: &tree,
        };
        let name = order.name(&self.marks);
        tracing::debug!(%task, build = name, "an image is asked for");
        let job = self.recipe.job(&order, &self.marks);
        let built = tokio::time::timeout(self.deadline + LATE, self.built(&name, &job));
        let digest = built
            .await
            .map_err(|_| BuildError::Unavailable("the builder Job has not ended in its time".into()))??;
        Ok(format!("{destination}@{digest}"))
    }
}

/// How a build begins.
enum Begun {
    /// The Job is there; its end is waited for.
    Runs(Box<Job>),
    /// It was built before.
    Built(String),
    /// What was in the way goes.
    Again,
}

impl KubernetesImageBuilder {
    pub(super) fn new(
        cluster: &KubernetesCluster,
        config: BuilderConfig,
        source: Arc<dyn SourceRepository>,
    ) -> Result<Self, BuilderError> {
        if !["https://", "http://"]
            .iter()
            .any(|scheme| config.git_base_url.starts_with(scheme))
        {
            return Err(BuilderError::BaseUrl);
        }
        Ok(Self {
            calls: cluster.calls.clone(),
            watches: cluster.watches.clone(),
            clock: Arc::clone(&cluster.clock),
            source,
            marks: cluster.marks.clone(),
            namespace: config.namespace.clone(),
            deadline: config.deadline,
            recipe: Recipe::new(config),
        })
    }

    async fn built(&self, name: &str, job: &Job) -> Result<String, BuildError> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                self.clock.sleep(PAUSE).await;
            }
            match self.begin(name, job).await? {
                Begun::Built(digest) => return Ok(digest),
                Begun::Again => {}
                Begun::Runs(job) => {
                    if let Some(ended) = self.ended(*job).await? {
                        return self.outcome(name, &ended).await;
                    }
                    // Somebody removed it before its end: it is begun again.
                }
            }
        }
        Err(BuildError::Unavailable("the builder Job keeps vanishing".into()))
    }

    /// One write where it was not built before; one read more where it was, or is being built.
    async fn begin(&self, name: &str, job: &Job) -> Result<Begun, BuildError> {
        let place = self.place(name);
        let budget = self.calls.budget();
        match self.calls.create(&place, job, budget).await {
            Ok(answer) => return decoded(Access::Write, &answer).map(|job| Begun::Runs(Box::new(job))),
            // Its name says what it builds, so whoever's it is, it is this one.
            Err(Failure::AlreadyExists | Failure::Unknown(_)) => {}
            Err(failure) => return Err(failed(failure)),
        }
        let Some(found) = self.look(name).await? else {
            return Ok(Begun::Again);
        };
        let labels = found.metadata.labels.as_ref();
        let carries = |(key, value): (&String, &String)| {
            labels
                .and_then(|labels| labels.get(key))
                .is_some_and(|found| found == value)
        };
        // Others may have added theirs.
        if !self.marks.of_build(name).iter().all(carries) {
            return Err(refused(
                "a Job of the builder's name exists that was not created here",
            ));
        }
        if found.metadata.deletion_timestamp.is_some() {
            return Ok(Begun::Again);
        }
        match verdict::of(&found) {
            Verdict::Underway => return Ok(Begun::Runs(Box::new(found))),
            Verdict::Built => {
                if let Some(digest) = self.digest(name, &found).await? {
                    return Ok(Begun::Built(digest));
                }
            }
            Verdict::Failed(_) => {}
        }
        self.remove(&place, &found).await?;
        Ok(Begun::Again)
    }

    /// What came of a Job that has ended while it was waited for.
    async fn outcome(&self, name: &str, job: &Job) -> Result<String, BuildError> {
        match verdict::of(job) {
            Verdict::Failed(why) => {
                let pods = self.pods(name, job).await?;
                Err(BuildError::Failed {
                    message: verdict::last_words(&pods).unwrap_or(why),
                })
            }
            Verdict::Built | Verdict::Underway => match self.digest(name, job).await? {
                Some(digest) => {
                    self.record(name, job, &digest).await;
                    Ok(digest)
                }
                None => Err(refused(
                    "the builder ended well and did not say what it built; see that the builder's image is one of BuildKit",
                )),
            },
        }
    }

    /// What a Job built that has succeeded; `None` where neither it nor its pod says.
    async fn digest(&self, name: &str, job: &Job) -> Result<Option<String>, BuildError> {
        let annotations = job.metadata.annotations.as_ref();
        let recorded = annotations
            .and_then(|annotations| annotations.get(marks::DIGEST))
            .filter(|digest| verdict::is_digest(digest));
        if let Some(digest) = recorded {
            return Ok(Some(digest.clone()));
        }
        Ok(verdict::digest(&self.pods(name, job).await?))
    }

    /// Its pod may be gone sooner than the Job. Where this is lost, the same code is built once more in that case.
    async fn record(&self, name: &str, job: &Job, digest: &str) {
        let patch = json!({"metadata": {
            "uid": job.metadata.uid,
            "annotations": {marks::DIGEST: digest},
        }});
        let patched = self
            .calls
            .patch(&self.place(name), &patch, self.calls.budget())
            .await;
        if let Err(failure) = patched {
            tracing::warn!(
                build = name,
                error = &failure as &dyn std::error::Error,
                "what was built is not recorded"
            );
        }
    }

    async fn look(&self, name: &str) -> Result<Option<Job>, BuildError> {
        match self.calls.get(&self.place(name), self.calls.budget()).await {
            Ok(None) => Ok(None),
            Ok(Some(answer)) => decoded(Access::Read, &answer).map(Some),
            Err(failure) => Err(failed(failure)),
        }
    }

    /// The pods of that Job, and not of an earlier one of its name.
    async fn pods(&self, name: &str, job: &Job) -> Result<Vec<Pod>, BuildError> {
        #[derive(Deserialize)]
        struct Pods {
            items: Vec<Pod>,
        }
        let place = Place::of::<Pod>(Some(&self.namespace), "");
        let labels = format!("{}={name}", marks::BUILD);
        let listed = self.calls.list(&place, &labels, self.calls.budget()).await;
        let mut pods = decoded::<Pods>(Access::Read, &listed.map_err(failed)?)?.items;
        pods.retain(|pod| {
            let owners = pod.metadata.owner_references.iter().flatten();
            owners
                .map(|owner| Some(&owner.uid))
                .any(|owner| owner == job.metadata.uid.as_ref())
        });
        Ok(pods)
    }

    async fn remove(&self, place: &Place, job: &Job) -> Result<(), BuildError> {
        let uid = Uid(job.metadata.uid.clone().unwrap_or_default());
        let removed = self
            .calls
            .delete(place, &uid, PropagationPolicy::Background, self.calls.budget())
            .await;
        match removed {
            // Another may have been quicker, and begun it again.
            Ok(_) | Err(Failure::Absent(_) | Failure::Conflict(_)) => Ok(()),
            Err(failure) => Err(failed(failure)),
        }
    }

    fn place(&self, name: &str) -> Place {
        Place::of::<Job>(Some(&self.namespace), name)
    }
}

fn decoded<T: DeserializeOwned>(access: Access, answer: &[u8]) -> Result<T, BuildError> {
    serde_json::from_slice(answer).map_err(|error| failed(Failure::unreadable(access, error)))
}

fn failed(failure: Failure) -> BuildError {
    match failure {
        Failure::Absent(message) | Failure::Refused(message) => BuildError::Failed {
            message: format!("the cluster refused the builder Job: {message}"),
        },
        other => BuildError::Unavailable(BoxError::from(other)),
    }
}

fn refused(message: &str) -> BuildError {
    BuildError::Failed {
        message: message.to_owned(),
    }
}

/// The commit was resolved before, so what is not there now never comes.
fn unread(error: SourceError) -> BuildError {
    match error {
        SourceError::PathNotFound | SourceError::NotAFile { .. } | SourceError::TooLarge { .. } => {
            BuildError::Failed {
                message: format!("the task's code cannot be read: {error}"),
            }
        }
        other => BuildError::Unavailable(BoxError::from(other)),
    }
}

fn version(metadata: &ObjectMeta) -> &str {
    metadata.resource_version.as_deref().unwrap_or_default()
}

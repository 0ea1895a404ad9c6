//! The port: applies, stops, deletes and observes. A change asks nothing that the caches know, takes in what it is
//! answered, so that they are never older than our own last write, and ends within one deadline.

mod applied;
mod created;
mod removed;

use std::time::Duration;

use async_trait::async_trait;
use deploy_core::ports::{Cluster, ClusterError, Freshness};
use deploy_core::workload::{Applied, Deleted, Kind, ObjectRef, Observed, Review, Uid, Workload};
use futures::stream::BoxStream;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Service;

use super::call::{Budget, Place};
use super::failure::{Access, Failure};
use super::objects::Top;
use super::seen::{Cached, Meta, SeenCronJob, SeenDeployment, SeenJob, SeenService};
use super::{KubernetesCluster, review};

/// How often a change is tried that others cross.
const TRIES: u32 = 6;
/// The pause before the second try; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// When to try again what is still being removed.
const SOON: Duration = Duration::from_secs(1);

#[async_trait]
impl Cluster for KubernetesCluster {
    fn review(&self, workload: &Workload) -> Review {
        review::review(workload, self.translator.rules())
    }

    async fn apply(&self, workload: &Workload) -> Result<Applied, ClusterError> {
        let budget = self.ready().await?;
        match self.translator.top(workload, self.non_root(workload)) {
            Top::Job(job) => self.create_job(workload, &job, budget).await,
            Top::CronJob(cron_job) => self.put_cron_job(workload, *cron_job, budget).await,
            Top::Deployment(deployment) => self.put_rollout(workload, *deployment, budget).await,
        }
    }

    async fn stop(&self, workload: &Workload) -> Result<Applied, ClusterError> {
        let budget = self.ready().await?;
        match self.translator.top(workload, self.non_root(workload)) {
            Top::Job(_) => self.stop_job(workload, budget).await,
            Top::CronJob(mut cron_job) => {
                self.is_its_own::<SeenCronJob>(workload, &place::<CronJob>(&workload.object()), budget)
                    .await?;
                if let Some(spec) = &mut cron_job.spec {
                    spec.suspend = Some(true);
                }
                self.put_cron_job(workload, *cron_job, budget).await
            }
            Top::Deployment(mut deployment) => {
                self.is_its_own::<SeenDeployment>(workload, &place::<Deployment>(&workload.object()), budget)
                    .await?;
                if let Some(spec) = &mut deployment.spec {
                    spec.replicas = Some(0);
                }
                self.put_rollout(workload, *deployment, budget).await
            }
        }
    }

    async fn delete<'a>(
        &self,
        object: &'a ObjectRef,
        uid: Option<&'a Uid>,
    ) -> Result<Vec<Deleted>, ClusterError> {
        let budget = self.ready().await?;
        self.remove(object, uid, budget).await
    }

    async fn observe(
        &self,
        object: &ObjectRef,
        freshness: Freshness,
    ) -> Result<Option<Observed>, ClusterError> {
        let budget = self.ready().await?;
        match freshness {
            Freshness::Cached => Ok(self.seen.observed(object)),
            Freshness::Confirmed => self.confirm(object, budget).await,
        }
    }

    fn watch(&self) -> BoxStream<'static, Observed> {
        self.seen.subscribe()
    }
}

impl KubernetesCluster {
    /// The time of one change, once the first lists are there: nothing is decided before.
    async fn ready(&self) -> Result<Budget, ClusterError> {
        let budget = self.calls.budget();
        if !self.seen.is_synced() && budget.wait(self.seen.synced()).await.is_none() {
            return Err(ClusterError::Unavailable {
                retry_after: Some(SOON),
                source: "the first lists of the cluster are still under way".into(),
            });
        }
        Ok(budget)
    }

    /// Asks for an object, and takes the answer in.
    pub(super) async fn fetch<T: Cached + Clone>(
        &self,
        place: &Place,
        budget: Budget,
    ) -> Result<Option<T>, Failure> {
        let Some(answer) = self.calls.get(place, budget).await? else {
            return Ok(None);
        };
        self.note(Access::Read, &answer).map(Some)
    }

    /// Takes an answer in.
    pub(super) fn note<T: Cached + Clone>(&self, access: Access, answer: &[u8]) -> Result<T, Failure> {
        let object: T = self
            .seen
            .read(answer)
            .map_err(|error| Failure::unreadable(access, error))?;
        self.seen.note(object.clone());
        Ok(object)
    }

    /// That what holds the name, if anything does, is this task's: a stop is for one's own alone.
    async fn is_its_own<T: Cached + Clone>(
        &self,
        workload: &Workload,
        at: &Place,
        budget: Budget,
    ) -> Result<(), ClusterError> {
        match self.fetch::<T>(at, budget).await? {
            Some(found) if !found.meta().is_ours => Err(ClusterError::NotOurs),
            Some(found) if found.meta().task != Some(workload.task) => Err(ClusterError::Exists {
                task: found.meta().task,
                uid: uid(found.meta()),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// One look at an object that asks, its pods from the caches.
    async fn confirm(&self, object: &ObjectRef, budget: Budget) -> Result<Option<Observed>, ClusterError> {
        let is_ours = match object.kind {
            Kind::Job => self
                .fetch::<SeenJob>(&place::<Job>(object), budget)
                .await?
                .map(|job| job.meta.is_ours),
            Kind::CronJob => {
                let found = self
                    .fetch::<SeenCronJob>(&place::<CronJob>(object), budget)
                    .await?;
                found.map(|cron_job| cron_job.meta.is_ours)
            }
            Kind::Deployment | Kind::Service => return self.confirm_rollout(object, budget).await,
        };
        Ok(self.seen.observed(object).filter(|_| is_ours == Some(true)))
    }

    /// A service is a deployment with a Service before it, so both are asked for.
    async fn confirm_rollout(
        &self,
        object: &ObjectRef,
        budget: Budget,
    ) -> Result<Option<Observed>, ClusterError> {
        let (at_deployment, at_service) = (place::<Deployment>(object), place::<Service>(object));
        let (deployment, service) = futures::try_join!(
            self.fetch::<SeenDeployment>(&at_deployment, budget),
            self.fetch::<SeenService>(&at_service, budget),
        )?;
        let is_ours = deployment.is_some_and(|deployment| deployment.meta.is_ours);
        let kind = match service {
            Some(service) if service.meta.is_ours => Kind::Service,
            _ => Kind::Deployment,
        };
        if !is_ours || kind != object.kind {
            return Ok(None);
        }
        // The caches may still hold, or not yet hold, the Service.
        let seen = [Kind::Deployment, Kind::Service].into_iter().find_map(|kind| {
            self.seen.observed(&ObjectRef {
                kind,
                ..object.clone()
            })
        });
        Ok(seen.map(|observed| Observed {
            object: object.clone(),
            ..observed
        }))
    }

    /// Waits before a change is tried again; each time twice as long.
    pub(super) async fn pause(&self, attempt: u32) {
        self.clock
            .sleep(FIRST_PAUSE * 2_u32.saturating_pow(attempt))
            .await;
    }

    /// Whether the pods of a namespace have to run as another user than root.
    fn non_root(&self, workload: &Workload) -> bool {
        let namespace = self.seen.namespace(&workload.namespace);
        namespace.is_some_and(|namespace| namespace.meta.enforces_restricted)
    }
}

fn place<K: kube::Resource<DynamicType = ()>>(object: &ObjectRef) -> Place {
    Place::of::<K>(Some(&object.namespace), object.name.as_str())
}

fn uid(meta: &Meta) -> Uid {
    Uid((*meta.uid).to_owned())
}

fn applied(meta: &Meta, created: bool) -> Applied {
    Applied {
        uid: uid(meta),
        created,
        revision: meta.generation,
    }
}

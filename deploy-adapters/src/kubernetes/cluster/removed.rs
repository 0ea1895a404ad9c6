//! Deletes: by the incarnation's UID, answered when it is gone, with its pods.

use std::time::Duration;

use deploy_core::ports::ClusterError;
use deploy_core::workload::{Condition, Deleted, Kind, ObjectRef, Uid};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::api::PropagationPolicy;

use super::{TRIES, place, uid};
use crate::kubernetes::KubernetesCluster;
use crate::kubernetes::call::{Budget, Place, Removal};
use crate::kubernetes::failure::Failure;
use crate::kubernetes::seen::{Cached, Meta, SeenCronJob, SeenDeployment, SeenJob};

/// How long pods are waited for: their grace, and as long again for the cluster to see it.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// What is removed.
struct Doomed<'a> {
    object: &'a ObjectRef,
    at: Place,
    uid: Uid,
    propagation: PropagationPolicy,
}

impl KubernetesCluster {
    pub(super) async fn remove(
        &self,
        object: &ObjectRef,
        incarnation: Option<&Uid>,
        budget: Budget,
    ) -> Result<Vec<Deleted>, ClusterError> {
        let incarnation = match incarnation {
            Some(incarnation) => incarnation.clone(),
            None => {
                let found = match self.seen.observed(object) {
                    Some(observed) => Some(observed),
                    None => self.confirm(object, budget).await?,
                };
                match found {
                    Some(observed) => observed.uid,
                    None => return Ok(Vec::new()),
                }
            }
        };
        let at = match object.kind {
            Kind::Job => place::<Job>(object),
            Kind::CronJob => place::<CronJob>(object),
            Kind::Deployment | Kind::Service => place::<Deployment>(object),
        };
        // The caches hold what is ours. What somebody took our labels off is theirs since, whatever its uid.
        if !self.is_seen(object, &incarnation) && !self.is_ours_still(object, &at, budget).await? {
            return Ok(Vec::new());
        }
        let doomed = Doomed {
            propagation: self.propagation(object, &incarnation),
            object,
            at,
            uid: incarnation,
        };
        let was_there = match object.kind {
            Kind::Job => self.remove_it::<SeenJob>(&doomed, budget).await?,
            Kind::CronJob => self.remove_it::<SeenCronJob>(&doomed, budget).await?,
            Kind::Deployment | Kind::Service => self.remove_it::<SeenDeployment>(&doomed, budget).await?,
        };
        Ok(if was_there { doomed.deleted() } else { Vec::new() })
    }

    fn is_seen(&self, object: &ObjectRef, incarnation: &Uid) -> bool {
        let (namespace, name) = (&object.namespace, &object.name);
        let is_it = |meta: &Meta| uid(meta) == *incarnation;
        match object.kind {
            Kind::Job => self.seen.job(namespace, name).is_some_and(|job| is_it(&job.meta)),
            Kind::CronJob => self
                .seen
                .cron_job(namespace, name)
                .is_some_and(|cron_job| is_it(&cron_job.meta)),
            Kind::Deployment | Kind::Service => self
                .seen
                .deployment(namespace, name)
                .is_some_and(|deployment| is_it(&deployment.meta)),
        }
    }

    async fn is_ours_still(&self, object: &ObjectRef, at: &Place, budget: Budget) -> Result<bool, Failure> {
        let found = match object.kind {
            Kind::Job => self.fetch::<SeenJob>(at, budget).await?.map(|found| found.meta),
            Kind::CronJob => self
                .fetch::<SeenCronJob>(at, budget)
                .await?
                .map(|found| found.meta),
            Kind::Deployment | Kind::Service => self
                .fetch::<SeenDeployment>(at, budget)
                .await?
                .map(|found| found.meta),
        };
        Ok(found.is_some_and(|meta| meta.is_ours))
    }

    /// What may still run is waited for; of a job that has ended nothing does.
    fn propagation(&self, object: &ObjectRef, incarnation: &Uid) -> PropagationPolicy {
        let observed = self.seen.observed(object);
        match observed.filter(|observed| observed.uid == *incarnation) {
            Some(observed) if matches!(observed.condition, Condition::Ended(_)) => {
                PropagationPolicy::Background
            }
            _ => PropagationPolicy::Foreground,
        }
    }

    /// Answers whether it was there.
    async fn remove_it<T: Cached + Clone>(
        &self,
        doomed: &Doomed<'_>,
        budget: Budget,
    ) -> Result<bool, ClusterError> {
        for attempt in 0..TRIES {
            let propagation = doomed.propagation.clone();
            match self
                .calls
                .delete(&doomed.at, &doomed.uid, propagation, budget)
                .await
            {
                Ok(Removal::Gone) => return Ok(true),
                Ok(Removal::UnderWay) => return self.until_gone::<T>(doomed).await.map(|()| true),
                Err(Failure::Absent(_)) => return Ok(false),
                // Another incarnation, or somebody crossed it.
                Err(Failure::Conflict(_)) => {
                    if self.look_for::<T>(doomed, budget).await?.is_none() {
                        return Ok(false);
                    }
                    self.pause(attempt).await;
                }
                Err(Failure::Unknown(lost)) => {
                    return match self.look_for::<T>(doomed, budget).await {
                        Ok(None) => Ok(true),
                        Ok(Some(found)) if found.meta().deleted_at.is_some() => {
                            self.until_gone::<T>(doomed).await.map(|()| true)
                        }
                        Ok(Some(_)) | Err(_) => Err(ClusterError::Ambiguous(lost)),
                    };
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(Failure::Conflict("others kept changing the object".to_owned()).into())
    }

    /// Waits for the caches to tell that it is gone; what they never held, or do not tell in time, is asked for.
    async fn until_gone<T: Cached + Clone>(&self, doomed: &Doomed<'_>) -> Result<(), ClusterError> {
        let is_known = self
            .seen
            .observed(doomed.object)
            .is_some_and(|observed| observed.uid == doomed.uid);
        if !is_known && self.look_for::<T>(doomed, self.calls.budget()).await?.is_none() {
            return Ok(());
        }
        let (kind, uid) = (doomed.object.kind, &doomed.uid);
        if self.seen.until_gone(kind, uid, GONE_WITHIN).await
            || self.look_for::<T>(doomed, self.calls.budget()).await?.is_none()
        {
            return Ok(());
        }
        Err(ClusterError::Ambiguous("it is still being removed".into()))
    }

    /// The incarnation, if it is there.
    async fn look_for<T: Cached + Clone>(
        &self,
        doomed: &Doomed<'_>,
        budget: Budget,
    ) -> Result<Option<T>, Failure> {
        let found = self.fetch::<T>(&doomed.at, budget).await?;
        Ok(found.filter(|found| uid(found.meta()) == doomed.uid))
    }
}

impl Doomed<'_> {
    fn deleted(&self) -> Vec<Deleted> {
        let kinds: &[Kind] = match self.object.kind {
            Kind::Service => &[Kind::Service, Kind::Deployment],
            Kind::Deployment => &[Kind::Deployment],
            Kind::CronJob => &[Kind::CronJob],
            Kind::Job => &[Kind::Job],
        };
        let deleted = kinds.iter().map(|kind| Deleted {
            kind: *kind,
            namespace: self.object.namespace.clone(),
            name: self.object.name.clone(),
            uid: Some(self.uid.clone()),
        });
        deleted.collect()
    }
}

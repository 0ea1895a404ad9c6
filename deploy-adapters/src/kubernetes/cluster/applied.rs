//! What is updated in place: cron jobs, deployments, services and their routes, by server-side apply. Before the first
//! write everything is known to be ours or absent; the UID that is applied says which incarnation was meant.
//!
//! One gap is Kubernetes' own: an apply cannot ask for a name to be free, so what somebody else creates in the moment
//! between our look and our apply is taken over.

use deploy_core::ports::ClusterError;
use deploy_core::workload::{Applied, Shape, Uid, Workload};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::Service;
use kube::Resource;
use kube::api::PropagationPolicy;
use serde::Serialize;

use super::{SOON, TRIES, applied, place, uid};
use crate::kubernetes::KubernetesCluster;
use crate::kubernetes::call::{Budget, Place};
use crate::kubernetes::failure::{Access, Failure};
use crate::kubernetes::objects::HttpRoute;
use crate::kubernetes::seen::{Cached, Meta, SeenCronJob, SeenDeployment, SeenService};

/// What is known of the objects of a rollout before the first write.
struct Rollout {
    deployment: Option<Meta>,
    service: Option<Meta>,
    route: Option<Meta>,
}

impl KubernetesCluster {
    pub(super) async fn put_cron_job(
        &self,
        workload: &Workload,
        cron_job: CronJob,
        budget: Budget,
    ) -> Result<Applied, ClusterError> {
        let at = place::<CronJob>(&workload.object());
        let cached = self.seen.cron_job(&workload.namespace, &workload.name);
        let known = self
            .ours::<SeenCronJob>(&at, cached.map(|found| found.meta.clone()), budget)
            .await?;
        let created = known.is_none();
        let now = self
            .put::<SeenCronJob>(workload, &at, known, cron_job, budget)
            .await?;
        Ok(applied(&now, created))
    }

    /// A deployment, and with it what a service has besides, or no longer has.
    pub(super) async fn put_rollout(
        &self,
        workload: &Workload,
        deployment: Deployment,
        budget: Budget,
    ) -> Result<Applied, ClusterError> {
        let known = self.rollout(workload, budget).await?;
        let created = known.deployment.is_none();
        let at = place::<Deployment>(&workload.object());
        let before = known.deployment.clone();
        let now = self
            .put::<SeenDeployment>(workload, &at, before, deployment, budget)
            .await?;
        match self.put_rest(workload, &uid(&now), known, budget).await {
            Ok(()) => Ok(applied(&now, created)),
            // Half of it is there: it is not to be told as not done.
            Err(ClusterError::Unavailable { source, .. }) => Err(ClusterError::Ambiguous(source)),
            Err(refused @ (ClusterError::Refused { .. } | ClusterError::NotOurs)) if created => {
                self.take_back(&at, &uid(&now), budget).await;
                Err(refused)
            }
            Err(error) => Err(error),
        }
    }

    /// What there is of ours; what is there and is not ours ends it before anything is written.
    async fn rollout(&self, workload: &Workload, budget: Budget) -> Result<Rollout, ClusterError> {
        let object = workload.object();
        let (namespace, name) = (&workload.namespace, &workload.name);
        let cached = self.seen.deployment(namespace, name);
        let at = place::<Deployment>(&object);
        let deployment = self.ours::<SeenDeployment>(&at, cached.map(|found| found.meta.clone()), budget);
        let cached = self.seen.service(namespace, name).map(|found| found.meta.clone());
        let at = place::<Service>(&object);
        let service = async {
            match &workload.shape {
                Shape::Service { .. } => self.ours::<SeenService>(&at, cached.clone(), budget).await,
                // A new deployment has none; one that was a service is in the caches with it.
                _ => Ok(cached.clone()),
            }
        };
        let route = async {
            if self.is_published(workload) || (self.translator.rules().gateway.is_some() && cached.is_some())
            {
                self.route_of(workload, budget).await
            } else {
                Ok(None)
            }
        };
        let (deployment, service, route) = futures::try_join!(deployment, service, route)?;
        Ok(Rollout {
            deployment,
            service,
            route,
        })
    }

    async fn put_rest(
        &self,
        workload: &Workload,
        owner: &Uid,
        known: Rollout,
        budget: Budget,
    ) -> Result<(), ClusterError> {
        let object = workload.object();
        let (at_service, at_route) = (place::<Service>(&object), place::<HttpRoute>(&object));
        match (self.translator.service(workload, owner), known.service) {
            (Some(service), known) => {
                self.put::<SeenService>(workload, &at_service, known, service, budget)
                    .await?;
            }
            (None, Some(left)) => {
                self.drop_it(&at_service, &uid(&left), budget).await?;
                let is_gone = || self.seen.service(&workload.namespace, &workload.name).is_none();
                // A look that still finds it would take the deployment for a service. Where the watch is behind, the
                // next event puts that right.
                budget.wait(self.seen.until(|| is_gone().then_some(()))).await;
            }
            (None, None) => {}
        }
        match (self.translator.route(workload, owner), known.route) {
            (Some(route), known) => {
                self.put_route(workload, &at_route, known, route, budget).await?;
            }
            (None, Some(left)) => self.drop_it(&at_route, &uid(&left), budget).await?,
            (None, None) => {}
        }
        Ok(())
    }

    fn is_published(&self, workload: &Workload) -> bool {
        let published = matches!(
            &workload.shape,
            Shape::Service {
                published: Some(_),
                ..
            }
        );
        published && self.translator.rules().gateway.is_some()
    }

    /// The route of that name. Routes are not watched, so it is asked for.
    async fn route_of(&self, workload: &Workload, budget: Budget) -> Result<Option<Meta>, ClusterError> {
        let at = place::<HttpRoute>(&workload.object());
        let answer = match self.calls.get(&at, budget).await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ok(None),
            Err(Failure::Unserved) if self.is_published(workload) => {
                return Err(ClusterError::Refused {
                    message: "the cluster has no HTTPRoute: install the CRDs of the Gateway API, or do not publish this \
                              service"
                        .to_owned(),
                });
            }
            Err(Failure::Unserved) => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let meta = self.meta_of_route(Access::Read, &answer)?;
        match meta.is_ours {
            true => Ok(Some(meta)),
            false if self.is_published(workload) => Err(ClusterError::NotOurs),
            false => Ok(None),
        }
    }

    /// Of a route only its metadata is read, as of a Service.
    fn meta_of_route(&self, access: Access, answer: &[u8]) -> Result<Meta, Failure> {
        let route = self.seen.read::<SeenService>(answer);
        route
            .map(|route| route.meta)
            .map_err(|error| Failure::unreadable(access, error))
    }

    /// What is there of ours, from the caches where they know it.
    async fn ours<T: Cached + Clone>(
        &self,
        at: &Place,
        cached: Option<Meta>,
        budget: Budget,
    ) -> Result<Option<Meta>, ClusterError> {
        let known = match cached {
            Some(known) => Some(known),
            None => self
                .fetch::<T>(at, budget)
                .await?
                .map(|found| found.meta().clone()),
        };
        match known {
            Some(known) if !known.is_ours => Err(ClusterError::NotOurs),
            // An apply would succeed, and go with what it was applied to.
            Some(known) if known.deleted_at.is_some() => Err(ClusterError::Unavailable {
                retry_after: Some(SOON),
                source: "what has this name is still being removed".into(),
            }),
            known => Ok(known),
        }
    }

    /// Applies one object over what is known of it.
    async fn put<T: Cached + Clone>(
        &self,
        workload: &Workload,
        at: &Place,
        mut known: Option<Meta>,
        mut object: impl Serialize + Resource<DynamicType = ()>,
        budget: Budget,
    ) -> Result<Meta, ClusterError> {
        for attempt in 0..TRIES {
            object.meta_mut().uid = known.as_ref().map(|known| (*known.uid).to_owned());
            let answer = self.calls.apply(at, &object, budget).await;
            let now = answer.and_then(|answer| self.note::<T>(Access::Write, &answer));
            match now {
                Ok(now) => return Ok(now.meta().clone()),
                Err(Failure::Conflict(_)) => {
                    self.pause(attempt).await;
                    known = self.ours::<T>(at, None, budget).await?;
                }
                Err(Failure::Unknown(lost)) => {
                    let found = self.fetch::<T>(at, budget).await.ok().flatten();
                    let done = found.filter(|found| is_by(found.meta(), workload));
                    return match done {
                        Some(found) => Ok(found.meta().clone()),
                        None => Err(ClusterError::Ambiguous(lost)),
                    };
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(Failure::Conflict("others kept changing the object".to_owned()).into())
    }

    /// As [`Self::put`], for what no cache holds.
    async fn put_route(
        &self,
        workload: &Workload,
        at: &Place,
        mut known: Option<Meta>,
        mut route: HttpRoute,
        budget: Budget,
    ) -> Result<(), ClusterError> {
        for attempt in 0..TRIES {
            route.meta_mut().uid = known.as_ref().map(|known| (*known.uid).to_owned());
            match self.calls.apply(at, &route, budget).await {
                Ok(_) => return Ok(()),
                Err(Failure::Conflict(_)) => {
                    self.pause(attempt).await;
                    known = self.route_of(workload, budget).await?;
                }
                Err(Failure::Unknown(lost)) => {
                    let found = self.route_of(workload, budget).await.ok().flatten();
                    return match found.filter(|found| is_by(found, workload)) {
                        Some(_) => Ok(()),
                        None => Err(ClusterError::Ambiguous(lost)),
                    };
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(Failure::Conflict("others kept changing the route".to_owned()).into())
    }

    /// Removes what a service had besides. What is gone, or is another incarnation, is not there any more.
    async fn drop_it(&self, at: &Place, uid: &Uid, budget: Budget) -> Result<(), ClusterError> {
        match self
            .calls
            .delete(at, uid, PropagationPolicy::Background, budget)
            .await
        {
            Ok(_) | Err(Failure::Absent(_) | Failure::Conflict(_)) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Removes a deployment that was just made for a service which the cluster then refused.
    async fn take_back(&self, at: &Place, uid: &Uid, budget: Budget) {
        if let Err(error) = self.drop_it(at, uid, budget).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                error,
                "a deployment whose service was refused could not be removed"
            );
        }
    }
}

/// Whether this task wrote last.
fn is_by(meta: &Meta, workload: &Workload) -> bool {
    meta.is_ours && meta.task == Some(workload.task)
}

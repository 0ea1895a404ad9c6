//! A workload as Kubernetes objects: pure, and an allow-list by construction. Every field that an object of ours can
//! have is set in this folder, by its type; no JSON is passed through, so nothing that a manifest says reaches a pod
//! unread. What varies is the workload, an installation's rules, and whether the namespace insists on non-root.

mod cron_job;
mod deployment;
mod job;
mod pod;
mod route;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use deploy_core::workload::{Shape, Uid, Workload};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::marks::{self, Marks};
use super::rules::Rules;
pub(super) use pod::resources;
pub(super) use route::HttpRoute;

/// Turns workloads into objects, by the rules of one installation.
#[derive(Debug, Clone)]
pub(super) struct Translator {
    marks: Marks,
    rules: Rules,
}

/// The object that a workload is known by: it carries the task, and its UID is the workload's.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Top {
    /// Created.
    Job(Box<Job>),
    /// Applied.
    CronJob(Box<CronJob>),
    /// Applied; a service's comes first, since what else it has is owned by it.
    Deployment(Box<Deployment>),
}

impl Translator {
    pub(super) const fn new(marks: Marks, rules: Rules) -> Self {
        Self { marks, rules }
    }

    pub(super) const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The object to begin with. `non_root` where the namespace enforces Pod Security's `restricted`; an installation's
    /// own rule is known here.
    pub(super) fn top(&self, workload: &Workload, non_root: bool) -> Top {
        match &workload.shape {
            Shape::Job { .. } => Top::Job(Box::new(self.job(workload, false, non_root))),
            Shape::CronJob {
                schedule,
                timezone,
                concurrency,
                ..
            } => {
                let times = cron_job::Times {
                    schedule,
                    timezone: timezone.name(),
                    concurrency: *concurrency,
                };
                Top::CronJob(Box::new(self.cron_job(workload, times, non_root)))
            }
            Shape::Deployment { replicas } => {
                Top::Deployment(Box::new(self.deployment(workload, *replicas, None, non_root)))
            }
            Shape::Service { replicas, port, .. } => Top::Deployment(Box::new(self.deployment(
                workload,
                *replicas,
                Some(*port),
                non_root,
            ))),
        }
    }

    /// The Service in front of the pods; `None` where the workload has no address.
    pub(super) fn service(&self, workload: &Workload, owner: &Uid) -> Option<Service> {
        match &workload.shape {
            Shape::Service { port, .. } => Some(self.service_on(workload, *port, owner)),
            Shape::Job { .. } | Shape::CronJob { .. } | Shape::Deployment { .. } => None,
        }
    }

    /// The route to the Service; `None` where it is not published, or there is nowhere to publish it.
    pub(super) fn route(&self, workload: &Workload, owner: &Uid) -> Option<HttpRoute> {
        let Shape::Service { published, .. } = &workload.shape else {
            return None;
        };
        let gateway = self.rules.gateway.as_ref()?;
        Some(self.route_to(workload, published.as_ref()?, gateway, owner))
    }

    /// What a top object is called, and how it is told from others.
    fn metadata(&self, workload: &Workload) -> ObjectMeta {
        ObjectMeta {
            name: Some(workload.name.to_string()),
            namespace: Some(workload.namespace.to_string()),
            labels: Some(self.marks.of_top(workload)),
            annotations: Some(marks::annotations(&workload.identity)),
            ..ObjectMeta::default()
        }
    }

    /// The same for an object that goes when its Deployment goes.
    fn owned_metadata(&self, workload: &Workload, owner: &Uid, more: BTreeMap<String, String>) -> ObjectMeta {
        let mut metadata = self.metadata(workload);
        metadata.annotations.get_or_insert_default().extend(more);
        metadata.owner_references = Some(vec![OwnerReference {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: workload.name.to_string(),
            uid: owner.0.clone(),
            controller: Some(true),
            // A delete of the Deployment ends when this has gone, so that nothing is left when it is answered.
            block_owner_deletion: Some(true),
        }]);
        metadata
    }
}

//! What tasks become, pruned: jobs, cron jobs and deployments.

use std::sync::Arc;

use deploy_core::workload::{Slot, SlotKind, Timestamp};
use serde::Deserialize;

use super::kind::{Group, Watched, Wire};
use super::meta::{Meta, Pruner, WireMeta, time};
use super::place;
use super::shared::Shared;

/// One job of ours.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kubernetes) struct SeenJob {
    pub meta: Meta,
    pub is_suspended: bool,
    /// How often a failed pod is tried again.
    pub retries: u32,
    /// How many pods its controller counts as active or ending.
    pub pods_left: u32,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    /// Its true conditions.
    pub conditions: Vec<JobCondition>,
}

impl SeenJob {
    /// Whether its controller gave it up, or is about to.
    pub(in crate::kubernetes) fn has_failed(&self) -> bool {
        let kinds = [JobConditionKind::Failed, JobConditionKind::FailureTarget];
        self.conditions
            .iter()
            .any(|condition| kinds.contains(&condition.kind))
    }
}

/// A true condition of a job.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kubernetes) struct JobCondition {
    pub kind: JobConditionKind,
    pub reason: Arc<str>,
    pub message: Box<str>,
    pub since: Option<Timestamp>,
}

/// Which conditions of a job are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kubernetes) enum JobConditionKind {
    Complete,
    Failed,
    /// It will be complete once its pods are gone.
    SuccessCriteriaMet,
    /// It will be failed once its pods are gone.
    FailureTarget,
    Suspended,
}

/// One cron job of ours.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kubernetes) struct SeenCronJob {
    pub meta: Meta,
    pub is_suspended: bool,
    /// How many of its jobs its controller counts as running.
    pub active: u32,
}

/// One deployment of ours.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kubernetes) struct SeenDeployment {
    pub meta: Meta,
    /// How many replicas are wanted.
    pub wanted: u32,
    pub observed_generation: u64,
    pub replicas: u32,
    pub updated: u32,
    pub available: u32,
    pub available_since: Option<Timestamp>,
    pub progress: Option<Progress>,
    /// Why its pods are refused: the reason and the message.
    pub refusal: Option<(Arc<str>, Box<str>)>,
}

/// The condition `Progressing` of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kubernetes) struct Progress {
    pub is_true: bool,
    pub reason: Arc<str>,
    pub message: Box<str>,
    pub updated_at: Option<Timestamp>,
}

/// An object of which its spec and its status are read.
#[derive(Debug, Deserialize)]
pub(in crate::kubernetes) struct WireTop<S, T> {
    metadata: Option<WireMeta>,
    spec: Option<S>,
    pub(super) status: Option<T>,
}

impl<S, T> Default for WireTop<S, T> {
    fn default() -> Self {
        Self {
            metadata: None,
            spec: None,
            status: None,
        }
    }
}

impl<S, T> Wire for WireTop<S, T>
where
    S: for<'de> Deserialize<'de> + Send,
    T: for<'de> Deserialize<'de> + Send,
{
    fn take_meta(&mut self) -> WireMeta {
        self.metadata.take().unwrap_or_default()
    }
}

/// Nothing is read of it.
#[derive(Debug, Default, Deserialize)]
pub(in crate::kubernetes) struct Ignored {}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kubernetes) struct WireCondition {
    r#type: Option<String>,
    status: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    last_transition_time: Option<String>,
    last_update_time: Option<String>,
}

impl WireCondition {
    fn is(&self, kind: &str) -> bool {
        self.r#type.as_deref() == Some(kind)
    }

    fn is_true(&self) -> bool {
        self.status.as_deref() == Some("True")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kubernetes) struct WireJobSpec {
    suspend: Option<bool>,
    backoff_limit: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kubernetes) struct WireJobStatus {
    active: Option<i64>,
    terminating: Option<i64>,
    start_time: Option<String>,
    completion_time: Option<String>,
    conditions: Option<Vec<WireCondition>>,
}

impl Watched for SeenJob {
    type Wire = WireTop<WireJobSpec, WireJobStatus>;
    const PATH: &'static str = "/apis/batch/v1/jobs";
    const FIELDS: Option<&'static str> = None;

    fn prune(meta: Meta, wire: Self::Wire, pruner: &Pruner) -> Self {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        Self {
            is_suspended: spec.suspend == Some(true),
            // Kubernetes' own default, for a job that was edited.
            retries: count(spec.backoff_limit.or(Some(6))),
            pods_left: count(status.active).saturating_add(count(status.terminating)),
            started_at: time(status.start_time.as_deref()),
            completed_at: time(status.completion_time.as_deref()),
            conditions: conditions
                .iter()
                .filter_map(|condition| job_condition(condition, pruner))
                .collect(),
            meta,
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn groups(&self) -> Vec<Group> {
        task(&self.meta)
    }

    fn place(&self, _all: &Shared) -> Option<Slot> {
        place::of_job(self)
    }
}

fn job_condition(wire: &WireCondition, pruner: &Pruner) -> Option<JobCondition> {
    let kind = match wire.r#type.as_deref()? {
        "Complete" => JobConditionKind::Complete,
        "Failed" => JobConditionKind::Failed,
        "SuccessCriteriaMet" => JobConditionKind::SuccessCriteriaMet,
        "FailureTarget" => JobConditionKind::FailureTarget,
        "Suspended" => JobConditionKind::Suspended,
        _ => return None,
    };
    wire.is_true().then(|| JobCondition {
        kind,
        reason: pruner.shared(wire.reason.as_deref().unwrap_or_default()),
        message: boxed(wire.message.as_deref()),
        since: time(wire.last_transition_time.as_deref()),
    })
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::kubernetes) struct WireCronJobSpec {
    suspend: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::kubernetes) struct WireCronJobStatus {
    active: Option<Vec<Ignored>>,
}

impl Watched for SeenCronJob {
    type Wire = WireTop<WireCronJobSpec, WireCronJobStatus>;
    const PATH: &'static str = "/apis/batch/v1/cronjobs";
    const FIELDS: Option<&'static str> = None;

    fn prune(meta: Meta, wire: Self::Wire, _pruner: &Pruner) -> Self {
        let active = wire.status.and_then(|status| status.active).unwrap_or_default();
        Self {
            is_suspended: wire.spec.is_some_and(|spec| spec.suspend == Some(true)),
            active: u32::try_from(active.len()).unwrap_or(u32::MAX),
            meta,
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn groups(&self) -> Vec<Group> {
        task(&self.meta)
    }

    fn place(&self, _all: &Shared) -> Option<Slot> {
        place::own(SlotKind::CronJob, &self.meta)
    }
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::kubernetes) struct WireDeploymentSpec {
    replicas: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kubernetes) struct WireDeploymentStatus {
    observed_generation: Option<i64>,
    replicas: Option<i64>,
    updated_replicas: Option<i64>,
    available_replicas: Option<i64>,
    conditions: Option<Vec<WireCondition>>,
}

impl Watched for SeenDeployment {
    type Wire = WireTop<WireDeploymentSpec, WireDeploymentStatus>;
    const PATH: &'static str = "/apis/apps/v1/deployments";
    const FIELDS: Option<&'static str> = None;

    fn prune(meta: Meta, wire: Self::Wire, pruner: &Pruner) -> Self {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let condition = |kind: &str| conditions.iter().find(|condition| condition.is(kind));
        let shared = |text: &Option<String>| pruner.shared(text.as_deref().unwrap_or_default());
        Self {
            // Kubernetes' own default.
            wanted: count(spec.replicas.or(Some(1))),
            observed_generation: status
                .observed_generation
                .and_then(|number| u64::try_from(number).ok())
                .unwrap_or(0),
            replicas: count(status.replicas),
            updated: count(status.updated_replicas),
            available: count(status.available_replicas),
            available_since: condition("Available")
                .filter(|found| found.is_true())
                .and_then(|found| time(found.last_transition_time.as_deref())),
            progress: condition("Progressing").map(|found| Progress {
                is_true: found.is_true(),
                reason: shared(&found.reason),
                message: boxed(found.message.as_deref()),
                updated_at: time(found.last_update_time.as_deref()),
            }),
            refusal: condition("ReplicaFailure")
                .filter(|found| found.is_true())
                .map(|found| (shared(&found.reason), boxed(found.message.as_deref()))),
            meta,
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn groups(&self) -> Vec<Group> {
        task(&self.meta)
    }

    fn place(&self, _all: &Shared) -> Option<Slot> {
        place::own(SlotKind::Deployment, &self.meta)
    }
}

fn task(meta: &Meta) -> Vec<Group> {
    meta.task.map(Group::Task).into_iter().collect()
}

fn count(number: Option<i64>) -> u32 {
    let number = number.unwrap_or(0).max(0);
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) fn boxed(text: Option<&str>) -> Box<str> {
    Box::from(text.unwrap_or_default())
}

//! Pods, pruned: of each, its phase and what became of the task's own container. Containers that others inject beside
//! it are passed over: a sidecar decides neither a task's end nor its health.

use std::sync::Arc;

use deploy_core::workload::{Slot, Timestamp};
use serde::Deserialize;

use super::kind::{Group, Watched, Wire};
use super::meta::{Meta, Pruner, WireMeta, time};
use super::place;
use super::shared::Shared;

/// The name of the task's own container.
const CONTAINER: &str = "task";
/// How much of a termination message is kept.
const TAIL_LINES: usize = 20;

/// One pod of ours.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kubernetes) struct SeenPod {
    pub meta: Meta,
    /// Pending, Running, Succeeded, Failed or Unknown.
    pub phase: Arc<str>,
    pub node: Option<Arc<str>>,
    pub started_at: Option<Timestamp>,
    /// Whether it counts as ready.
    pub is_ready: bool,
    /// What the kubelet says of the pod as a whole: Evicted, NodeLost, …
    pub reason: Option<Arc<str>>,
    pub message: Option<Box<str>>,
    /// Why no node takes it, in the scheduler's words.
    pub unschedulable: Option<Box<str>>,
    /// Why it was disrupted (condition `DisruptionTarget`).
    pub disruption: Option<Box<str>>,
    pub container: Container,
    /// How often its container was started again.
    pub restarts: u32,
    /// How the container's last run ended, where it was started again.
    pub last_end: Option<Box<ContainerEnd>>,
}

/// The state of the task's container.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kubernetes) enum Container {
    /// Nothing is known of it yet.
    Unknown,
    /// It does not run yet, or not again.
    Waiting {
        reason: Arc<str>,
        message: Box<str>,
    },
    Running {
        since: Option<Timestamp>,
    },
    Terminated(Box<ContainerEnd>),
}

/// How a run of a container ended.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kubernetes) struct ContainerEnd {
    pub code: i32,
    /// Completed, Error, OOMKilled, …
    pub reason: Arc<str>,
    /// What it left as its termination message: the end of its log, where it failed.
    pub message: Box<str>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kubernetes) struct WirePod {
    metadata: Option<WireMeta>,
    spec: Option<WireSpec>,
    status: Option<WireStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSpec {
    node_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStatus {
    phase: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    start_time: Option<String>,
    conditions: Option<Vec<WireCondition>>,
    container_statuses: Option<Vec<WireContainer>>,
}

#[derive(Debug, Deserialize)]
struct WireCondition {
    r#type: Option<String>,
    status: Option<String>,
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireContainer {
    name: Option<String>,
    restart_count: Option<i64>,
    state: Option<WireState>,
    last_state: Option<WireState>,
}

#[derive(Debug, Default, Deserialize)]
struct WireState {
    waiting: Option<WireWaiting>,
    running: Option<WireRunning>,
    terminated: Option<WireTerminated>,
}

#[derive(Debug, Default, Deserialize)]
struct WireWaiting {
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRunning {
    started_at: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTerminated {
    exit_code: Option<i32>,
    reason: Option<String>,
    message: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
}

impl Wire for WirePod {
    fn take_meta(&mut self) -> WireMeta {
        self.metadata.take().unwrap_or_default()
    }
}

impl Watched for SeenPod {
    type Wire = WirePod;
    const PATH: &'static str = "/api/v1/pods";
    const FIELDS: Option<&'static str> = None;

    fn prune(meta: Meta, wire: WirePod, pruner: &Pruner) -> Self {
        let status = wire.status.unwrap_or_default();
        let condition = |kind: &str| {
            let mut conditions = status.conditions.iter().flatten();
            conditions.find(|condition| condition.r#type.as_deref() == Some(kind))
        };
        let is = |condition: &&WireCondition, status: &str| condition.status.as_deref() == Some(status);
        let unschedulable = condition("PodScheduled")
            .filter(|found| is(found, "False") && found.reason.as_deref() == Some("Unschedulable"))
            .map(|found| boxed(found.message.as_deref()));
        let disruption = condition("DisruptionTarget")
            .filter(|found| is(found, "True"))
            .map(|found| boxed(found.message.as_deref().or(found.reason.as_deref())));
        let is_ready = condition("Ready").is_some_and(|found| is(&found, "True"));
        let container = status.container_statuses.and_then(own).unwrap_or_default();
        let last = container.last_state.and_then(|state| state.terminated);
        Self {
            phase: pruner.shared(status.phase.as_deref().unwrap_or("Unknown")),
            node: wire
                .spec
                .and_then(|spec| spec.node_name)
                .filter(|node| !node.is_empty())
                .map(|node| pruner.shared(&node)),
            started_at: time(status.start_time.as_deref()),
            is_ready,
            reason: status
                .reason
                .filter(|reason| !reason.is_empty())
                .map(|reason| pruner.shared(&reason)),
            message: status
                .message
                .filter(|message| !message.is_empty())
                .map(Box::from),
            unschedulable,
            disruption,
            container: state(container.state.unwrap_or_default(), pruner),
            restarts: container
                .restart_count
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(0),
            last_end: last.map(|end| Box::new(ended(end, pruner))),
            meta,
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn groups(&self) -> Vec<Group> {
        let owner = self.meta.owner.clone().map(Group::Owner);
        let slot = self.meta.slot.clone();
        let slot = slot.map(|(kind, name)| Group::Slot(kind, Arc::clone(&self.meta.namespace), name));
        owner.into_iter().chain(slot).collect()
    }

    fn owner(&self) -> Option<&Arc<str>> {
        self.meta.owner.as_ref()
    }

    fn place(&self, all: &Shared) -> Option<Slot> {
        place::of_pod(all, self)
    }
}

/// The task's own container; where none has its name, the first.
fn own(mut containers: Vec<WireContainer>) -> Option<WireContainer> {
    if containers.is_empty() {
        return None;
    }
    let is_own = |container: &WireContainer| container.name.as_deref() == Some(CONTAINER);
    let position = containers.iter().position(is_own).unwrap_or(0);
    Some(containers.swap_remove(position))
}

fn state(wire: WireState, pruner: &Pruner) -> Container {
    if let Some(end) = wire.terminated {
        Container::Terminated(Box::new(ended(end, pruner)))
    } else if let Some(running) = wire.running {
        Container::Running {
            since: time(running.started_at.as_deref()),
        }
    } else if let Some(waiting) = wire.waiting {
        Container::Waiting {
            reason: pruner.shared(waiting.reason.as_deref().unwrap_or_default()),
            message: boxed(waiting.message.as_deref()),
        }
    } else {
        Container::Unknown
    }
}

fn ended(wire: WireTerminated, pruner: &Pruner) -> ContainerEnd {
    ContainerEnd {
        // The API always gives it; of an end without a code no success may be read.
        code: wire.exit_code.unwrap_or(-1),
        reason: pruner.shared(wire.reason.as_deref().unwrap_or_default()),
        message: Box::from(tail(wire.message.as_deref().unwrap_or_default())),
        started_at: time(wire.started_at.as_deref()),
        finished_at: time(wire.finished_at.as_deref()),
    }
}

fn tail(text: &str) -> &str {
    let text = text.trim_end();
    let mut breaks = text.rmatch_indices('\n');
    match breaks.nth(TAIL_LINES - 1) {
        Some((at, _)) => text.get(at + 1..).unwrap_or(text),
        None => text,
    }
}

fn boxed(text: Option<&str>) -> Box<str> {
    Box::from(text.unwrap_or_default())
}

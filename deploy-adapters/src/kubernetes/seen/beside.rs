//! What stands beside tasks, pruned: services, namespaces, and the events that say why a job has no pod.

use std::sync::Arc;

use deploy_core::workload::{Slot, SlotKind, Timestamp};
use serde::Deserialize;

use super::kind::{Group, Watched, Wire};
use super::meta::{Meta, Pruner, WireMeta, time};
use super::place;
use super::shared::Shared;
use super::tops::{Ignored, WireTop, boxed};

/// One service of ours.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kubernetes) struct SeenService {
    pub meta: Meta,
}

/// One namespace of ours; its claim and its Pod Security are in its metadata.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kubernetes) struct SeenNamespace {
    pub meta: Meta,
    pub is_terminating: bool,
}

/// That a job's pod could not be created.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kubernetes) struct SeenEvent {
    pub meta: Meta,
    /// The job, by its uid.
    pub job: Option<Arc<str>>,
    pub message: Box<str>,
    pub at: Option<Timestamp>,
}

impl Watched for SeenService {
    type Wire = WireTop<Ignored, Ignored>;
    const PATH: &'static str = "/api/v1/services";
    const FIELDS: Option<&'static str> = None;

    fn prune(meta: Meta, _wire: Self::Wire, _pruner: &Pruner) -> Self {
        Self { meta }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn groups(&self) -> Vec<Group> {
        Vec::new()
    }

    fn place(&self, _all: &Shared) -> Option<Slot> {
        place::own(SlotKind::Deployment, &self.meta)
    }
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::kubernetes) struct WireNamespaceStatus {
    phase: Option<String>,
}

impl Watched for SeenNamespace {
    type Wire = WireTop<Ignored, WireNamespaceStatus>;
    const PATH: &'static str = "/api/v1/namespaces";
    const FIELDS: Option<&'static str> = None;

    fn prune(meta: Meta, wire: Self::Wire, _pruner: &Pruner) -> Self {
        let phase = wire.status.and_then(|status| status.phase);
        Self {
            is_terminating: meta.deleted_at.is_some() || phase.as_deref() == Some("Terminating"),
            meta,
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn groups(&self) -> Vec<Group> {
        Vec::new()
    }

    fn place(&self, _all: &Shared) -> Option<Slot> {
        None
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kubernetes) struct WireEvent {
    metadata: Option<WireMeta>,
    involved_object: Option<WireInvolved>,
    message: Option<String>,
    last_timestamp: Option<String>,
    event_time: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct WireInvolved {
    uid: Option<String>,
}

impl Wire for WireEvent {
    fn take_meta(&mut self) -> WireMeta {
        self.metadata.take().unwrap_or_default()
    }
}

impl Watched for SeenEvent {
    type Wire = WireEvent;
    const PATH: &'static str = "/api/v1/events";
    const FIELDS: Option<&'static str> = Some("involvedObject.kind=Job,reason=FailedCreate");

    fn prune(meta: Meta, wire: WireEvent, pruner: &Pruner) -> Self {
        Self {
            job: wire
                .involved_object
                .and_then(|involved| involved.uid)
                .map(|uid| pruner.shared(&uid)),
            message: boxed(wire.message.as_deref()),
            at: time(wire.last_timestamp.as_deref())
                .or_else(|| time(wire.event_time.as_deref()))
                .or(meta.created_at),
            meta,
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn groups(&self) -> Vec<Group> {
        self.job.clone().map(Group::Owner).into_iter().collect()
    }

    fn place(&self, all: &Shared) -> Option<Slot> {
        place::of_owner(all, self.job.as_deref())
    }
}

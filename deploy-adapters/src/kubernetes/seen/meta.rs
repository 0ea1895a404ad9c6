//! What is kept of any object's metadata, and how the rest is dropped. Everything is read leniently: a mark that was
//! edited into nonsense is an absent mark, never an error.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta};
use deploy_core::names::TaskId;
use deploy_core::workload::{SlotKind, Timestamp};
use serde::Deserialize;

use crate::kubernetes::marks::{self, KIND, Marks, REPOSITORY, WORKLOAD};

/// The label by which a namespace enforces a level of Pod Security (Kubernetes: "Pod Security Admission").
const ENFORCES: &str = "pod-security.kubernetes.io/enforce";

/// Metadata as the API writes it, the parts we read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kubernetes) struct WireMeta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<WireOwner>>,
    creation_timestamp: Option<String>,
    deletion_timestamp: Option<String>,
    deletion_grace_period_seconds: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
struct WireOwner {
    kind: Option<String>,
    uid: Option<String>,
    controller: Option<bool>,
}

impl WireMeta {
    /// Out of an object that does not decode: what of it has the right type.
    pub(super) fn salvaged(object: &serde_json::Value) -> Self {
        let meta = &object["metadata"];
        let text = |key: &str| meta[key].as_str().map(str::to_owned);
        let labels = meta["labels"].as_object().map(|labels| {
            let texts = labels
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
            texts.collect()
        });
        let owners = meta["ownerReferences"].as_array().map(|owners| {
            let owner = |owner: &serde_json::Value| WireOwner {
                kind: owner["kind"].as_str().map(str::to_owned),
                uid: owner["uid"].as_str().map(str::to_owned),
                controller: owner["controller"].as_bool(),
            };
            owners.iter().map(owner).collect()
        });
        Self {
            name: text("name"),
            namespace: text("namespace"),
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            generation: meta["generation"].as_i64(),
            labels,
            owner_references: owners,
            creation_timestamp: text("creationTimestamp"),
            deletion_timestamp: text("deletionTimestamp"),
            deletion_grace_period_seconds: meta["deletionGracePeriodSeconds"].as_i64(),
        }
    }

    /// Whether there is enough of it to tell the object from others.
    pub(super) fn is_usable(&self) -> bool {
        let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        given(&self.name) && given(&self.uid)
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.resource_version.as_deref()
    }
}

/// What is kept of an object's metadata.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kubernetes) struct Meta {
    /// Empty for what lies in no namespace.
    pub namespace: Arc<str>,
    pub name: Arc<str>,
    pub uid: Arc<str>,
    /// The resourceVersion, where it is a number, as every API server's is.
    pub version: Option<u64>,
    pub generation: u64,
    pub created_at: Option<Timestamp>,
    /// When its deletion was asked for: the API tells when the grace is over, which is later.
    pub deleted_at: Option<Timestamp>,
    /// Whether it carries this installation's marks.
    pub is_ours: bool,
    /// Whether nothing but this metadata could be read.
    pub is_broken: bool,
    pub task: Option<TaskId>,
    /// What its labels say of which pods belong together.
    pub slot: Option<(SlotKind, Arc<str>)>,
    /// The uid of the owner that controls it.
    pub owner: Option<Arc<str>>,
    pub owner_is_cron_job: bool,
    /// Of a namespace: who claimed it.
    pub claim: Option<Arc<str>>,
    /// Of a namespace: whether it enforces Pod Security "restricted".
    pub enforces_restricted: bool,
}

/// Prunes metadata: what repeats is kept once.
#[derive(Debug)]
pub(in crate::kubernetes) struct Pruner {
    marks: Marks,
    texts: Mutex<HashSet<Arc<str>>>,
}

impl Pruner {
    pub(super) fn new(marks: Marks) -> Self {
        Self {
            marks,
            texts: Mutex::default(),
        }
    }

    pub(super) const fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The same text for everyone who asks for it.
    pub(super) fn shared(&self, text: &str) -> Arc<str> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        texts.insert(Arc::clone(&new));
        new
    }

    /// Forgets texts that nobody keeps any more.
    pub(super) fn tidy(&self) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.retain(|text| Arc::strong_count(text) > 1);
    }

    pub(super) fn meta(&self, wire: WireMeta, is_broken: bool) -> Meta {
        let labels = wire.labels.unwrap_or_default();
        let owner = wire
            .owner_references
            .unwrap_or_default()
            .into_iter()
            .find(|owner| owner.controller == Some(true));
        let grace = TimeDelta::try_seconds(wire.deletion_grace_period_seconds.unwrap_or(0));
        let slot = labels
            .get(KIND)
            .and_then(|kind| slot_kind(kind))
            .zip(labels.get(WORKLOAD).map(|name| self.shared(name)));
        Meta {
            namespace: self.shared(wire.namespace.as_deref().unwrap_or_default()),
            name: Arc::from(wire.name.unwrap_or_default()),
            uid: Arc::from(wire.uid.unwrap_or_default()),
            version: wire.resource_version.and_then(|text| text.parse().ok()),
            generation: wire
                .generation
                .and_then(|number| u64::try_from(number).ok())
                .unwrap_or(0),
            created_at: time(wire.creation_timestamp.as_deref()),
            deleted_at: time(wire.deletion_timestamp.as_deref()).map(|over| {
                grace
                    .and_then(|grace| over.checked_sub_signed(grace))
                    .unwrap_or(over)
            }),
            is_ours: self.marks.are_on(&labels),
            is_broken,
            task: marks::task(&labels),
            slot,
            owner_is_cron_job: owner
                .as_ref()
                .is_some_and(|owner| owner.kind.as_deref() == Some("CronJob")),
            // Pods of one job share its text.
            owner: owner.and_then(|owner| owner.uid).map(|uid| self.shared(&uid)),
            claim: labels.get(REPOSITORY).map(|claim| self.shared(claim)),
            enforces_restricted: labels.get(ENFORCES).is_some_and(|level| level == "restricted"),
        }
    }
}

/// A time as the API writes it (RFC 3339); nonsense is no time.
pub(super) fn time(text: Option<&str>) -> Option<Timestamp> {
    let parsed = DateTime::parse_from_rfc3339(text?).ok()?;
    Some(parsed.to_utc())
}

fn slot_kind(label: &str) -> Option<SlotKind> {
    [SlotKind::Job, SlotKind::CronJob, SlotKind::Deployment]
        .into_iter()
        .find(|kind| kind.as_str() == label)
}

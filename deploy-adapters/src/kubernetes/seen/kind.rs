//! What a watched kind is: where it lives, how it is pruned, and what its objects are looked up by.

use std::sync::Arc;

use deploy_core::names::TaskId;
use deploy_core::workload::{Slot, SlotKind};
use serde::de::DeserializeOwned;

use super::meta::{Meta, Pruner, WireMeta};
use super::shared::Shared;

/// A kind of which a cache is kept.
pub(in crate::kubernetes) trait Watched:
    Sized + PartialEq + Send + Sync + 'static
{
    /// The fields that are decoded; all others are skipped by the decoder and never allocated.
    type Wire: Wire;
    /// The collection, over all namespaces.
    const PATH: &'static str;
    /// What selects them instead of our labels, for objects that we do not make.
    const FIELDS: Option<&'static str>;

    /// Keeps what is read of an object. A broken one comes with a default `wire`.
    fn prune(meta: Meta, wire: Self::Wire, pruner: &Pruner) -> Self;

    fn meta(&self) -> &Meta;

    /// What it is found by besides its name and uid.
    fn groups(&self) -> Vec<Group>;

    /// Whose state it bears on.
    fn place(&self, all: &Shared) -> Option<Slot>;
}

/// An object as it is decoded.
pub(in crate::kubernetes) trait Wire: Default + DeserializeOwned + Send {
    fn take_meta(&mut self) -> WireMeta;
}

/// Objects that are looked up together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::kubernetes) enum Group {
    /// What an owner controls, by its uid.
    Owner(Arc<str>),
    /// The pods of one name: its kind, namespace and name.
    Slot(SlotKind, Arc<str>, Arc<str>),
    /// What a task's id is written on.
    Task(TaskId),
}

//! One kind's cache: objects by name, by uid and by what groups them, each look-up without a walk over the others.
//! Time never goes back in it: an event that comes late, twice or out of order is told from a newer one by its
//! resourceVersion (Kubernetes: "Resource versions", comparable as numbers).

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::kind::{Group, Watched};
use super::meta::Meta;

/// How many incarnations that are gone are remembered, so that a late event does not bring one back.
const GONE: usize = 4096;

/// The objects of one kind. The outer key is the namespace.
#[derive(Debug)]
pub(in crate::kubernetes) struct Cache<T> {
    named: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<T>>>,
    by_uid: HashMap<Arc<str>, Arc<T>>,
    groups: HashMap<Group, Vec<Arc<T>>>,
    gone: Gone,
}

/// What a change did.
#[derive(Debug)]
pub(in crate::kubernetes) struct Change<T> {
    pub before: Option<Arc<T>>,
    pub after: Option<Arc<T>>,
}

impl<T> Change<T> {
    pub(super) fn objects(&self) -> impl Iterator<Item = &Arc<T>> {
        self.before.iter().chain(&self.after)
    }
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self {
            named: BTreeMap::new(),
            by_uid: HashMap::new(),
            groups: HashMap::new(),
            gone: Gone::default(),
        }
    }
}

impl<T: Watched> Cache<T> {
    pub(in crate::kubernetes) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.named.get(namespace)?.get(name)
    }

    pub(in crate::kubernetes) fn by_uid(&self, uid: &str) -> Option<&Arc<T>> {
        self.by_uid.get(uid)
    }

    /// What one group holds, in no order.
    pub(in crate::kubernetes) fn group(&self, group: &Group) -> &[Arc<T>] {
        self.groups.get(group).map_or(&[], Vec::as_slice)
    }

    /// From `after` = (namespace, name) on, by namespace and name; the place itself is not included.
    pub(in crate::kubernetes) fn after<'a>(
        &'a self,
        namespace: Option<&'a str>,
        after: Option<(&'a str, &'a str)>,
    ) -> impl Iterator<Item = &'a Arc<T>> + 'a {
        let begin = match (namespace, after) {
            (Some(namespace), Some((place, _))) if place > namespace => place,
            (Some(namespace), _) => namespace,
            (None, Some((place, _))) => place,
            (None, None) => "",
        };
        let namespaces = self
            .named
            .range::<str, _>((Bound::Included(begin), Bound::Unbounded));
        namespaces
            .take_while(move |(found, _)| namespace.is_none_or(|namespace| namespace == &***found))
            .flat_map(move |(found, objects)| {
                let from = match after {
                    Some((place, name)) if place == &**found => Bound::Excluded(name),
                    _ => Bound::Unbounded,
                };
                objects.range::<str, _>((from, Bound::Unbounded))
            })
            .map(|(_, object)| object)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_uid.len()
    }

    /// Takes an object in, unless something newer is known; `None` = nothing changed.
    pub(super) fn put(&mut self, object: T) -> Option<Change<T>> {
        let meta = object.meta();
        if self.gone.is_older(meta) {
            return None;
        }
        let before = self.get(&meta.namespace, &meta.name).cloned();
        if let Some(before) = &before
            && (is_older(meta, before.meta()) || **before == object)
        {
            return None;
        }
        Some(self.set(before, object))
    }

    /// Takes an object out that is said to be gone, or no longer ours.
    pub(super) fn remove(&mut self, gone: &Meta) -> Option<Change<T>> {
        self.gone.remember(Arc::clone(&gone.uid), gone.version);
        let before = self.by_uid.get(&gone.uid).cloned()?;
        self.unset(&before);
        Some(Change {
            before: Some(before),
            after: None,
        })
    }

    /// Takes a full list. What is newer than the list stays as it is: it was seen, or written, while the list was on
    /// its way. With `force` the list counts whatever was known: a server that was set back to a backup numbers anew.
    pub(super) fn replace(&mut self, objects: Vec<T>, version: Option<u64>, force: bool) -> Vec<Change<T>> {
        let mut changes = Vec::new();
        let listed: HashSet<Arc<str>> = objects
            .iter()
            .map(|object| Arc::clone(&object.meta().uid))
            .collect();
        let vanished: Vec<Arc<T>> = self
            .by_uid
            .values()
            .filter(|known| {
                let since = known
                    .meta()
                    .version
                    .zip(version)
                    .is_some_and(|(known, list)| known > list);
                !listed.contains(&known.meta().uid) && (force || !since)
            })
            .cloned()
            .collect();
        for before in vanished {
            let meta = before.meta();
            self.gone
                .remember(Arc::clone(&meta.uid), version.or(meta.version));
            self.unset(&before);
            changes.push(Change {
                before: Some(before),
                after: None,
            });
        }
        if force {
            self.gone = Gone::default();
        }
        for object in objects {
            if force {
                let meta = object.meta();
                let before = self.get(&meta.namespace, &meta.name).cloned();
                changes.push(self.set(before, object));
            } else {
                changes.extend(self.put(object));
            }
        }
        changes
    }

    fn set(&mut self, before: Option<Arc<T>>, object: T) -> Change<T> {
        let (uid, version) = (Arc::clone(&object.meta().uid), object.meta().version);
        if let Some(before) = &before {
            if before.meta().uid != uid {
                self.gone.remember(Arc::clone(&before.meta().uid), version);
            }
            self.unset(before);
        }
        // The same uid under another name is nothing that an API server tells; the indexes stay whole even so.
        if let Some(stray) = self.by_uid.get(&uid).cloned() {
            self.unset(&stray);
        }
        let object = Arc::new(object);
        let meta = object.meta();
        self.named
            .entry(Arc::clone(&meta.namespace))
            .or_default()
            .insert(Arc::clone(&meta.name), Arc::clone(&object));
        self.by_uid.insert(uid, Arc::clone(&object));
        for group in object.groups() {
            self.groups.entry(group).or_default().push(Arc::clone(&object));
        }
        Change {
            before,
            after: Some(object),
        }
    }

    fn unset(&mut self, object: &Arc<T>) {
        let meta = object.meta();
        if let Some(names) = self.named.get_mut(&meta.namespace) {
            names.remove(&meta.name);
            if names.is_empty() {
                self.named.remove(&meta.namespace);
            }
        }
        self.by_uid.remove(&meta.uid);
        for group in object.groups() {
            if let Some(members) = self.groups.get_mut(&group) {
                members.retain(|member| !Arc::ptr_eq(member, object));
                if members.is_empty() {
                    self.groups.remove(&group);
                }
            }
        }
    }
}

/// Whether an object was seen at an earlier version than the other. What is no number cannot be told, and is taken as
/// it comes.
fn is_older(meta: &Meta, than: &Meta) -> bool {
    meta.version
        .zip(than.version)
        .is_some_and(|(version, than)| version < than)
}

/// Incarnations that are gone, up to a version.
#[derive(Debug, Default)]
struct Gone {
    versions: HashMap<Arc<str>, Option<u64>>,
    order: VecDeque<Arc<str>>,
}

impl Gone {
    fn remember(&mut self, uid: Arc<str>, version: Option<u64>) {
        if self.versions.insert(Arc::clone(&uid), version).is_none() {
            self.order.push_back(uid);
        }
        while self.order.len() > GONE {
            if let Some(oldest) = self.order.pop_front() {
                self.versions.remove(&oldest);
            }
        }
    }

    /// Whether an object is of before it went. One that carries our labels again comes at a later version.
    fn is_older(&self, meta: &Meta) -> bool {
        let Some(gone) = self.versions.get(&meta.uid) else {
            return false;
        };
        meta.version
            .zip(*gone)
            .is_some_and(|(version, gone)| version <= gone)
    }
}

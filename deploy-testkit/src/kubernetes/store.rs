//! What etcd and the watch cache are to a real server: objects, one counter of revisions, a bounded history of changes
//! for watches, and the indices that owners need. Whatever is written is put on the controllers' queue.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use chrono::SecondsFormat;
use deploy_core::ports::Clock;
use deploy_core::workload::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use super::controllers::Due;
use super::kinds::{EVENTS, KINDS, Kind, NAMESPACES, PODS, by_plural};
use super::object::{Key, Object, is_set, list, number, set, text};
use super::settings::Settings;

/// Where real clusters are long past; a client that takes revisions for small numbers is found out.
const FIRST_REVISION: u64 = 1000;

/// How many lists can be paged through at once.
const MAX_PAGED_LISTS: usize = 64;

/// Everything the server knows.
pub(super) struct State {
    revision: u64,
    made: u64,
    collections: HashMap<&'static str, Collection>,
    by_uid: HashMap<String, Key>,
    /// By the uid of an owner.
    dependents: HashMap<String, BTreeSet<Key>>,
    queue: VecDeque<Key>,
    queued: HashSet<Key>,
    timers: BTreeMap<(Timestamp, u64), Due>,
    /// What is in `timers`: nothing is in it twice.
    waiting: HashSet<Due>,
    paged: VecDeque<(u64, Paged)>,
    clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
    pub(super) memory: super::controllers::Memory,
}

/// The objects of one kind.
struct Collection {
    objects: BTreeMap<(String, String), Arc<Object>>,
    history: VecDeque<Change>,
    /// A watch can begin at this revision, and not before.
    horizon: u64,
    changed: watch::Sender<u64>,
}

/// One step of an object's life.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) before: Option<Arc<Object>>,
    /// With the revision of this change; the last state where it was removed.
    pub(super) after: Arc<Object>,
    pub(super) removed: bool,
}

/// A list that is read page by page.
#[derive(Debug, Clone)]
pub(super) struct Paged {
    pub(super) revision: u64,
    pub(super) objects: Arc<[Arc<Object>]>,
}

/// What became of a write.
pub(super) struct Written {
    pub(super) object: Arc<Object>,
    /// It was being deleted, and this write took away what held it.
    pub(super) removed: bool,
}

impl State {
    pub(super) fn new(clock: Arc<dyn Clock>, settings: Settings) -> Self {
        let collection = |kind: &Kind| {
            let empty = Collection {
                objects: BTreeMap::new(),
                history: VecDeque::new(),
                horizon: FIRST_REVISION,
                changed: watch::Sender::new(FIRST_REVISION),
            };
            (kind.plural, empty)
        };
        let mut state = Self {
            revision: FIRST_REVISION,
            made: 0,
            collections: KINDS.iter().map(collection).collect(),
            by_uid: HashMap::new(),
            dependents: HashMap::new(),
            queue: VecDeque::new(),
            queued: HashSet::new(),
            timers: BTreeMap::new(),
            waiting: HashSet::new(),
            paged: VecDeque::new(),
            clock,
            settings,
            memory: super::controllers::Memory::default(),
        };
        for name in ["default", "kube-system"] {
            if let Some(kind) = by_plural(NAMESPACES) {
                let mut namespace = json!({"metadata": {"name": name}});
                super::defaults::fill(kind, &mut namespace, &mut state);
                state.insert(kind, namespace);
            }
        }
        state
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time as objects write it: to the second.
    pub(super) fn stamp(&self) -> String {
        stamp(self.now())
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// A number never given before.
    pub(super) fn count(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// A uid never given before: that of a UUID of version 4, the same in every run.
    pub(super) fn uid(&mut self) -> String {
        Uuid::from_u64_pair(0x0de9_1070_a91e_4000, 0x8000_0000_0000_0000 | self.count()).to_string()
    }

    /// The five characters that end generated names.
    pub(super) fn suffix(&mut self) -> String {
        // Without vowels and what looks like them, as Kubernetes has it.
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut seed = self.count().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        seed ^= seed >> 29;
        (0..5)
            .map(|_| {
                let letter = LETTERS[usize::try_from(seed % LETTERS.len() as u64).unwrap_or_default()];
                seed /= LETTERS.len() as u64;
                char::from(letter)
            })
            .collect()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        let objects = &self.collections.get(key.plural)?.objects;
        objects.get(&(key.namespace.clone(), key.name.clone()))
    }

    pub(super) fn find(&self, uid: &str) -> Option<&Arc<Object>> {
        self.get(self.by_uid.get(uid)?)
    }

    /// The objects of one kind, in one namespace or all, by namespace and name.
    pub(super) fn all<'a>(
        &'a self,
        plural: &str,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let from = (namespace.to_owned(), String::new());
        let collection = self.collections.get(plural);
        collection
            .into_iter()
            .flat_map(move |found| {
                found
                    .objects
                    .range((Bound::Included(from.clone()), Bound::Unbounded))
            })
            .take_while(move |((of, _), _)| namespace.is_empty() || of == namespace)
            .map(|(_, object)| object)
    }

    /// What names this owner, of one kind.
    pub(super) fn owned<'a>(&'a self, uid: &str, plural: &'a str) -> impl Iterator<Item = &'a Arc<Object>> {
        let keys = self.dependents.get(uid).into_iter().flatten();
        keys.filter(move |key| key.plural == plural)
            .filter_map(|key| self.get(key))
    }

    /// What names this owner.
    pub(super) fn dependents(&self, uid: &str) -> Vec<Arc<Object>> {
        let keys = self.dependents.get(uid).into_iter().flatten();
        keys.filter_map(|key| self.get(key)).cloned().collect()
    }

    /// A new object: given a uid, a time and a revision.
    pub(super) fn insert(&mut self, kind: &'static Kind, mut value: Value) -> Arc<Object> {
        if text(&value, "/metadata/uid").is_empty() {
            let uid = self.uid();
            set(&mut value, "/metadata/uid", json!(uid));
        }
        set(&mut value, "/metadata/creationTimestamp", json!(self.stamp()));
        if kind.generation {
            set(&mut value, "/metadata/generation", json!(1));
        }
        self.keep(kind, None, value, false)
    }

    /// A new version of an object; nothing happens where it is the same. One that was being deleted and is no longer held
    /// is removed.
    pub(super) fn update(&mut self, before: &Arc<Object>, mut value: Value) -> Written {
        let kind = before.kind;
        // Of a pod the spec changes by its binding alone, which is not counted.
        if kind.generation && kind.plural != PODS && value.get("spec") != before.value.get("spec") {
            let generation = number(&before.value, "/metadata/generation", 1) + 1;
            set(&mut value, "/metadata/generation", json!(generation));
        }
        set(
            &mut value,
            "/metadata/resourceVersion",
            json!(before.revision.to_string()),
        );
        let removed = is_released(kind, &value);
        let object = if value == before.value && !removed {
            Arc::clone(before)
        } else {
            self.keep(kind, Some(before), value, removed)
        };
        Written { object, removed }
    }

    /// Changes an object as a controller does; nothing happens where it is gone or stays the same.
    pub(super) fn modify(&mut self, key: &Key, change: impl FnOnce(&mut Value)) {
        if let Some(before) = self.get(key).cloned() {
            let mut value = before.value.clone();
            change(&mut value);
            self.update(&before, value);
        }
    }

    /// Takes an object away at once.
    pub(super) fn remove(&mut self, before: &Arc<Object>) -> Arc<Object> {
        self.keep(before.kind, Some(before), before.value.clone(), true)
    }

    fn keep(
        &mut self,
        kind: &'static Kind,
        before: Option<&Arc<Object>>,
        mut value: Value,
        removed: bool,
    ) -> Arc<Object> {
        self.revision += 1;
        set(
            &mut value,
            "/metadata/resourceVersion",
            json!(self.revision.to_string()),
        );
        let object = Arc::new(Object::new(kind, self.revision, value));
        let key = object.key();
        if let Some(before) = before {
            self.by_uid.remove(before.uid());
            for owner in owners(before) {
                if let Some(of_owner) = self.dependents.get_mut(owner) {
                    of_owner.remove(&key);
                }
            }
        }
        if !removed {
            self.by_uid.insert(object.uid().to_owned(), key.clone());
            for owner in owners(&object) {
                self.dependents
                    .entry(owner.to_owned())
                    .or_default()
                    .insert(key.clone());
            }
        }
        let place = (key.namespace.clone(), key.name.clone());
        if let Some(collection) = self.collections.get_mut(kind.plural) {
            if removed {
                collection.objects.remove(&place);
            } else {
                collection.objects.insert(place, Arc::clone(&object));
            }
            collection.history.push_back(Change {
                before: before.cloned(),
                after: Arc::clone(&object),
                removed,
            });
            if collection.history.len() > self.settings.history
                && let Some(forgotten) = collection.history.pop_front()
            {
                collection.horizon = forgotten.after.revision;
            }
            collection.changed.send_replace(self.revision);
        }
        self.tell_controllers(&object, before, removed);
        object
    }

    fn tell_controllers(&mut self, object: &Object, before: Option<&Arc<Object>>, removed: bool) {
        if object.kind.plural == EVENTS {
            return;
        }
        self.enqueue(object.key());
        let told: Vec<Key> = owners(object)
            .chain(before.into_iter().flat_map(|before| owners(before)))
            .filter_map(|uid| self.by_uid.get(uid).cloned())
            .collect();
        for key in told {
            self.enqueue(key);
        }
        if removed {
            for dependent in self.dependents.get(object.uid()).cloned().unwrap_or_default() {
                self.enqueue(dependent);
            }
            if !object.namespace().is_empty() {
                self.enqueue(Key::new(NAMESPACES, "", object.namespace()));
            }
        }
    }

    pub(super) fn enqueue(&mut self, key: Key) {
        if self.queued.insert(key.clone()) {
            self.queue.push_back(key);
        }
    }

    /// Lets the controllers look at everything again.
    pub(super) fn enqueue_all(&mut self) {
        let keys: Vec<Key> = KINDS
            .iter()
            .filter(|kind| kind.plural != EVENTS)
            .flat_map(|kind| self.all(kind.plural, "").map(|object| object.key()))
            .collect();
        for key in keys {
            self.enqueue(key);
        }
    }

    /// What a controller is to look at next.
    pub(super) fn dequeue(&mut self) -> Option<Key> {
        let key = self.queue.pop_front()?;
        self.queued.remove(&key);
        Some(key)
    }

    /// Sees to it that something happens then.
    pub(super) fn at(&mut self, when: Timestamp, due: Due) {
        if self.waiting.insert(due.clone()) {
            let number = self.count();
            self.timers.insert((when, number), due);
        }
    }

    /// What is due by now.
    pub(super) fn due(&mut self) -> Option<Due> {
        let (when, _) = *self.timers.first_key_value()?.0;
        if when > self.now() {
            return None;
        }
        let (_, due) = self.timers.pop_first()?;
        self.waiting.remove(&due);
        Some(due)
    }

    /// When the next thing is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.timers.first_key_value().map(|((when, _), _)| *when)
    }

    /// Everything of a kind that changed after `revision`; `None` where that is too long ago.
    pub(super) fn since(&self, plural: &str, revision: u64) -> Option<impl Iterator<Item = &Change>> {
        let collection = self.collections.get(plural)?;
        if revision < collection.horizon {
            return None;
        }
        let from = collection
            .history
            .partition_point(|change| change.after.revision <= revision);
        Some(collection.history.range(from..))
    }

    /// Wakes up when something of a kind changes.
    pub(super) fn changes(&self, plural: &str) -> Option<watch::Receiver<u64>> {
        Some(self.collections.get(plural)?.changed.subscribe())
    }

    /// Forgets the history of a kind: a watch has to begin now or later.
    pub(super) fn compact(&mut self, plural: &str) {
        self.revision += 1;
        if let Some(collection) = self.collections.get_mut(plural) {
            collection.history.clear();
            collection.horizon = self.revision;
            collection.changed.send_replace(self.revision);
        }
    }

    /// Keeps a list for those who read it in pages; the number finds it again.
    pub(super) fn page(&mut self, paged: Paged) -> u64 {
        let number = self.count();
        self.paged.push_back((number, paged));
        if self.paged.len() > MAX_PAGED_LISTS {
            self.paged.pop_front();
        }
        number
    }

    pub(super) fn paged(&self, number: u64) -> Option<Paged> {
        let (_, paged) = self.paged.iter().find(|(found, _)| *found == number)?;
        Some(paged.clone())
    }

    /// Makes every `continue` expire.
    pub(super) fn forget_pages(&mut self) {
        self.paged.clear();
    }
}

/// A time as objects write it.
pub(super) fn stamp(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The uids of its owners.
pub(super) fn owners(object: &Object) -> impl Iterator<Item = &str> {
    list(&object.value, "/metadata/ownerReferences")
        .iter()
        .map(|owner| text(owner, "/uid"))
}

/// Whether nothing holds an object that is being deleted any more.
fn is_released(kind: &Kind, value: &Value) -> bool {
    let going = value.pointer("/metadata/deletionTimestamp").is_some();
    let held = !list(value, "/metadata/finalizers").is_empty()
        || (kind.plural == NAMESPACES && !list(value, "/spec/finalizers").is_empty())
        || (kind.plural == PODS && number(value, "/metadata/deletionGracePeriodSeconds", 0) > 0);
    going && !held
}

/// Whether a pod has come to its end.
pub(super) fn is_over(pod: &Object) -> bool {
    matches!(text(&pod.value, "/status/phase"), "Succeeded" | "Failed")
}

/// Whether a pod is ready.
pub(super) fn is_ready(pod: &Object) -> bool {
    super::object::holds(&pod.value, "Ready") && !pod.is_going()
}

/// Whether an object controls its dependent.
pub(super) fn blocks(dependent: &Object, owner: &str) -> bool {
    list(&dependent.value, "/metadata/ownerReferences")
        .iter()
        .any(|reference| text(reference, "/uid") == owner && is_set(reference, "/blockOwnerDeletion"))
}

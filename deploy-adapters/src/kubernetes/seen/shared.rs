//! What the loops write and everyone reads: a cache per kind, when each was heard of, and the states that were told.
//! Locks are held for a look-up or a change, never while anything is waited for.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use deploy_core::ports::Clock;
use deploy_core::workload::{Kind, ObjectRef, Observed, Slot, SlotKind, Uid};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::cache::{Cache, Change};
use super::kind::{Group, Watched};
use super::meta::{Meta, Pruner};
use super::pods::SeenPod;
use super::tops::{SeenCronJob, SeenDeployment, SeenEvent, SeenJob, SeenNamespace, SeenService};
use crate::kubernetes::state;

/// How many observations a slow listener may lag behind before it misses some, as it may.
const BACKLOG: usize = 4096;

/// All that was seen.
pub(in crate::kubernetes) struct Shared {
    pub(super) pruner: Pruner,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) closed: CancellationToken,
    pub(super) jobs: Kept<SeenJob>,
    pub(super) cron_jobs: Kept<SeenCronJob>,
    pub(super) deployments: Kept<SeenDeployment>,
    pub(super) services: Kept<SeenService>,
    pub(super) pods: Kept<SeenPod>,
    pub(super) namespaces: Kept<SeenNamespace>,
    pub(super) events: Kept<SeenEvent>,
    /// Rings at every change.
    pub(super) changes: watch::Sender<u64>,
    /// What was told last of each place. Held while a state is made and told, so that the last one told is the last one.
    told: Mutex<HashMap<Slot, Observed>>,
    pub(super) observations: broadcast::Sender<Observed>,
}

/// One kind's cache.
pub(in crate::kubernetes) struct Kept<T> {
    cache: RwLock<Cache<T>>,
    contact: Mutex<Contact>,
}

#[derive(Debug, Default)]
struct Contact {
    heard: Option<Instant>,
    is_listed: bool,
    /// The highest version that a list, an event or a bookmark told.
    high_water: Option<u64>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            cache: RwLock::default(),
            contact: Mutex::default(),
        }
    }
}

impl<T> Kept<T> {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Cache<T>> {
        self.cache.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Cache<T>> {
        self.cache.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn contact(&self) -> MutexGuard<'_, Contact> {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server answered.
    pub(super) fn heard(&self) {
        self.contact().heard = Some(Instant::now());
    }

    pub(super) fn reached(&self, version: Option<u64>) {
        let mut contact = self.contact();
        contact.high_water = contact.high_water.max(version);
    }

    pub(super) fn high_water(&self) -> Option<u64> {
        self.contact().high_water
    }

    fn is_listed(&self) -> bool {
        self.contact().is_listed
    }

    /// How long ago the server was heard of; `None` before the first full list.
    fn age(&self) -> Option<Duration> {
        let contact = self.contact();
        contact
            .heard
            .filter(|_| contact.is_listed)
            .map(|heard| heard.elapsed())
    }
}

impl Shared {
    pub(super) fn new(pruner: Pruner, clock: Arc<dyn Clock>) -> Self {
        Self {
            pruner,
            clock,
            closed: CancellationToken::new(),
            jobs: Kept::default(),
            cron_jobs: Kept::default(),
            deployments: Kept::default(),
            services: Kept::default(),
            pods: Kept::default(),
            namespaces: Kept::default(),
            events: Kept::default(),
            changes: watch::Sender::new(0),
            told: Mutex::default(),
            observations: broadcast::Sender::new(BACKLOG),
        }
    }

    /// Whether all kinds were listed. Events are a help for people: without the right to see them all else works.
    pub(super) fn is_synced(&self) -> bool {
        self.jobs.is_listed()
            && self.cron_jobs.is_listed()
            && self.deployments.is_listed()
            && self.services.is_listed()
            && self.pods.is_listed()
            && self.namespaces.is_listed()
    }

    /// The greatest of the kinds' ages.
    pub(super) fn age(&self) -> Option<Duration> {
        let ages = [
            self.jobs.age(),
            self.cron_jobs.age(),
            self.deployments.age(),
            self.services.age(),
            self.pods.age(),
            self.namespaces.age(),
        ];
        ages.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Takes an object in, whoever tells of it.
    pub(super) fn take<T: Watched>(&self, kept: &Kept<T>, object: T) {
        let change = kept.write().put(object);
        self.tell(change.as_slice());
    }

    pub(super) fn take_gone<T: Watched>(&self, kept: &Kept<T>, gone: &Meta) {
        let change = kept.write().remove(gone);
        self.tell(change.as_slice());
    }

    pub(super) fn take_list<T: Watched>(
        &self,
        kept: &Kept<T>,
        objects: Vec<T>,
        version: Option<u64>,
        known: Option<u64>,
    ) {
        let goes_back = known.zip(version).is_some_and(|(known, version)| version < known);
        if goes_back {
            tracing::warn!(
                kind = T::PATH,
                "the cluster went back to an earlier state; it is believed"
            );
        }
        let changes = kept.write().replace(objects, version, goes_back);
        let was_synced = self.is_synced();
        {
            let mut contact = kept.contact();
            contact.is_listed = true;
            contact.high_water = if goes_back {
                version
            } else {
                contact.high_water.max(version)
            };
        }
        self.pruner.tidy();
        self.tell(&changes);
        if self.is_synced() && !was_synced {
            self.tell_all();
        }
    }

    /// What changed, for those who wait and those who listen.
    fn tell<T: Watched>(&self, changes: &[Change<T>]) {
        if changes.is_empty() {
            // A first list without objects is news even so.
            self.changes.send_modify(|count| *count += 1);
            return;
        }
        let mut places = HashSet::new();
        for change in changes {
            let was_broken = change
                .before
                .as_ref()
                .is_some_and(|object| object.meta().is_broken);
            if let Some(object) = &change.after
                && object.meta().is_broken
                && !was_broken
            {
                let meta = object.meta();
                tracing::warn!(kind = T::PATH, namespace = %meta.namespace, name = %meta.name,
                    "an object cannot be decoded; it is kept by its name alone");
            }
            places.extend(change.objects().filter_map(|object| self.place_of(&**object)));
        }
        self.changes.send_modify(|count| *count += 1);
        if self.is_synced() {
            for place in places {
                self.tell_of(place);
            }
        }
    }

    fn tell_all(&self) {
        let jobs = self.places(&self.jobs);
        let cron_jobs = self.places(&self.cron_jobs);
        let deployments = self.places(&self.deployments);
        for place in jobs.into_iter().chain(cron_jobs).chain(deployments) {
            self.tell_of(place);
        }
        self.changes.send_modify(|count| *count += 1);
    }

    fn places<T: Watched>(&self, kept: &Kept<T>) -> Vec<Slot> {
        let objects: Vec<Arc<T>> = kept.read().after(None, None).cloned().collect();
        let places = objects.iter().filter_map(|object| self.place_of(&**object));
        places.collect()
    }

    /// Tells how the object of a place is doing, where that has changed.
    fn tell_of(&self, place: Slot) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(observed) = self.look(&place) else {
            told.remove(&place);
            return;
        };
        if told.get(&place) == Some(&observed) {
            return;
        }
        told.insert(place, observed.clone());
        if self.observations.send(observed).is_err() {
            // Nobody listens; who begins to looks for itself first.
        }
    }

    /// Whose state an object bears on.
    fn place_of<T: Watched>(&self, object: &T) -> Option<Slot> {
        object.place(self)
    }

    /// How the object of a place is doing, by what was seen.
    pub(super) fn look(&self, place: &Slot) -> Option<Observed> {
        let (namespace, name) = (place.namespace.as_str(), place.name.as_str());
        let (kind, meta, condition) = match place.kind {
            SlotKind::Job => {
                let job = self.jobs.read().get(namespace, name).cloned()?;
                if job.meta.owner_is_cron_job {
                    return None;
                }
                let owned = Group::Owner(Arc::clone(&job.meta.uid));
                let (pods, events) = (members(&self.pods, &owned), members(&self.events, &owned));
                let condition = state::job(&job, &pods, &events);
                (Kind::Job, job.meta.clone(), condition)
            }
            SlotKind::CronJob => {
                let cron_job = self.cron_jobs.read().get(namespace, name).cloned()?;
                let condition = state::cron_job(&cron_job, &self.pods_of(place));
                (Kind::CronJob, cron_job.meta.clone(), condition)
            }
            SlotKind::Deployment => {
                let deployment = self.deployments.read().get(namespace, name).cloned()?;
                let condition = state::deployment(&deployment, &self.pods_of(place));
                let has_service = self.services.read().get(namespace, name).is_some();
                let kind = if has_service {
                    Kind::Service
                } else {
                    Kind::Deployment
                };
                (kind, deployment.meta.clone(), condition)
            }
        };
        Some(Observed {
            object: ObjectRef {
                kind,
                namespace: place.namespace.clone(),
                name: place.name.clone(),
            },
            uid: Uid((*meta.uid).to_owned()),
            task: meta.task,
            revision: meta.generation,
            condition,
        })
    }

    /// The pods of one name; of a job, those of its present incarnation alone.
    pub(super) fn pods_of(&self, place: &Slot) -> Vec<Arc<SeenPod>> {
        let group = if place.kind == SlotKind::Job {
            let jobs = self.jobs.read();
            let job = jobs.get(place.namespace.as_str(), place.name.as_str());
            job.map(|job| Group::Owner(Arc::clone(&job.meta.uid)))
        } else {
            Some(Group::Slot(
                place.kind,
                Arc::from(place.namespace.as_str()),
                Arc::from(place.name.as_str()),
            ))
        };
        group.map(|group| members(&self.pods, &group)).unwrap_or_default()
    }
}

/// A group as it is now.
pub(super) fn members<T: Watched>(kept: &Kept<T>, group: &Group) -> Vec<Arc<T>> {
    kept.read().group(group).to_vec()
}

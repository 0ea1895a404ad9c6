//! A cluster in memory. Nothing happens in it by itself: tests say when a job starts, ends or fails, when a rollout is
//! ready, which call fails and which event is lost ([script](MemoryCluster#script)). Every call and every creation is on
//! record, so that a test can prove that nothing was started twice. In the automatic mode jobs succeed and rollouts are
//! ready at once, each call in constant time.

mod inventory;
mod script;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use deploy_core::names::{Namespace, RepositoryName, TaskId};
use deploy_core::ports::{Clock, Cluster, ClusterError, Freshness};
use deploy_core::workload::{
    Applied, Condition, Deleted, Ended, Kind, ObjectRef, Observed, Review, Shape, Slot, Timestamp, Uid,
    Workload,
};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

pub use script::{Call, Creation, Fault, Verb};

/// Events that a watcher may be behind before it loses some.
const EVENTS: usize = 16_384;

/// A cluster in memory. Cheap to clone; all clones are one cluster.
#[derive(Clone)]
pub struct MemoryCluster {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    automatic: bool,
    events: broadcast::Sender<Observed>,
    /// How many calls of each verb have arrived.
    arrived: watch::Sender<[usize; Verb::COUNT]>,
    /// Which verbs wait at the door.
    held: watch::Sender<[bool; Verb::COUNT]>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Slot, Object>,
    /// Where a task's object is.
    places: HashMap<TaskId, Slot>,
    /// Names that something holds which is not ours.
    foreign: Vec<Slot>,
    namespaces: BTreeMap<Namespace, NamespaceEntry>,
    logs: HashMap<Slot, String>,
    calls: Vec<Call>,
    creations: Vec<Creation>,
    creations_of: HashMap<TaskId, usize>,
    faults: HashMap<Verb, VecDeque<Fault>>,
    lasting_faults: HashMap<Verb, Fault>,
    events: script::EventFaults,
    stops_are_slow: bool,
    incarnations: u64,
}

struct Object {
    workload: Workload,
    uid: Uid,
    revision: u64,
    /// Gone where the mark was damaged.
    task: Option<TaskId>,
    suspended: bool,
    condition: Condition,
}

struct NamespaceEntry {
    repository: Option<RepositoryName>,
    created_at: Timestamp,
    is_foreign: bool,
}

impl Object {
    fn observed(&self) -> Observed {
        Observed {
            object: self.workload.object(),
            uid: self.uid.clone(),
            task: self.task,
            revision: self.revision,
            condition: self.condition.clone(),
        }
    }

    fn applied(&self, created: bool) -> Applied {
        Applied {
            uid: self.uid.clone(),
            created,
            revision: self.revision,
        }
    }
}

impl MemoryCluster {
    /// A cluster in which nothing happens by itself.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with(clock, false)
    }

    /// A cluster in which every job succeeds, and every rollout is ready, in the moment it is applied.
    #[must_use]
    pub fn automatic(clock: Arc<dyn Clock>) -> Self {
        Self::with(clock, true)
    }

    fn with(clock: Arc<dyn Clock>, automatic: bool) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                automatic,
                events: broadcast::Sender::new(EVENTS),
                arrived: watch::Sender::new([0; Verb::COUNT]),
                held: watch::Sender::new([false; Verb::COUNT]),
                state: Mutex::default(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a call on record, lets it wait where it is held, and takes the fault that is meant for it.
    async fn arrive(&self, verb: Verb, object: &ObjectRef, task: Option<TaskId>) -> Option<Fault> {
        self.state().calls.push(Call {
            verb,
            object: object.clone(),
            task,
        });
        self.inner
            .arrived
            .send_modify(|arrived| arrived[verb.index()] += 1);
        let mut held = self.inner.held.subscribe();
        // The sender lives as long as this cluster, so waiting cannot fail.
        let _open = held.wait_for(|held| !held[verb.index()]).await;
        self.state().next_fault(verb)
    }

    /// Carries a call out around its fault.
    fn carry_out<T>(
        &self,
        fault: Option<Fault>,
        effect: impl FnOnce(&mut State) -> Result<T, ClusterError>,
    ) -> Result<T, ClusterError> {
        match fault {
            Some(Fault::AmbiguousAfter) => {
                let mut state = self.state();
                effect(&mut state)?;
                Err(ClusterError::Ambiguous("the answer was lost".into()))
            }
            Some(fault) => Err(fault.into_error()),
            None => effect(&mut self.state()),
        }
    }

    fn apply_to(&self, state: &mut State, workload: &Workload) -> Result<Applied, ClusterError> {
        let slot = workload.slot();
        if state.foreign.contains(&slot) {
            return Err(ClusterError::NotOurs);
        }
        let now = self.inner.clock.now();
        let Some(object) = state.objects.get_mut(&slot) else {
            return Ok(self.create(state, workload, false));
        };
        if workload.kind() == Kind::Job {
            return adopt(object, workload);
        }
        if object.workload == *workload {
            return Ok(object.applied(false));
        }
        let runs_the_same = {
            let mut as_before = workload.clone();
            as_before.task = object.workload.task;
            as_before.identity = object.workload.identity.clone();
            as_before.run = object.workload.run;
            as_before.code.clone_from(&object.workload.code);
            as_before == object.workload
        };
        if object.workload.task != workload.task {
            object.suspended = false;
            state.places.remove(&object.workload.task);
        }
        object.workload = workload.clone();
        object.task = Some(workload.task);
        object.revision += 1;
        if !runs_the_same {
            object.condition = first_condition(workload, self.inner.automatic, now);
        }
        let (applied, observed) = (object.applied(false), object.observed());
        state.places.insert(workload.task, slot);
        self.emit(state, observed);
        Ok(applied)
    }

    fn stop_in(&self, state: &mut State, workload: &Workload) -> Result<Applied, ClusterError> {
        let slot = workload.slot();
        if state.foreign.contains(&slot) {
            return Err(ClusterError::NotOurs);
        }
        let is_slow = state.stops_are_slow;
        let Some(object) = state.objects.get_mut(&slot) else {
            return Ok(self.create(state, workload, true));
        };
        adopt(object, workload)?;
        let is_over = matches!(object.condition, Condition::Ended(_) | Condition::Stopped);
        if !is_over && !object.suspended {
            object.suspended = true;
            object.revision += 1;
            let runs = matches!(object.condition, Condition::Running { .. });
            if !(runs && is_slow) {
                object.condition = Condition::Stopped;
            }
            let observed = object.observed();
            let applied = object.applied(false);
            self.emit(state, observed);
            return Ok(applied);
        }
        Ok(object.applied(false))
    }

    fn delete_from(
        &self,
        state: &mut State,
        object: &ObjectRef,
        uid: Option<&Uid>,
    ) -> Result<Vec<Deleted>, ClusterError> {
        let slot = slot_of(object);
        if state.foreign.contains(&slot) {
            return Err(ClusterError::NotOurs);
        }
        let is_meant =
            |found: &Object| found.workload.kind() == object.kind && uid.is_none_or(|uid| *uid == found.uid);
        if !state.objects.get(&slot).is_some_and(is_meant) {
            return Ok(Vec::new());
        }
        let Some(removed) = state.take(&slot) else {
            return Ok(Vec::new());
        };
        let kinds: &[Kind] = match object.kind {
            Kind::Service => &[Kind::Service, Kind::Deployment],
            Kind::Deployment => &[Kind::Deployment],
            Kind::CronJob => &[Kind::CronJob],
            Kind::Job => &[Kind::Job],
        };
        let deleted = kinds.iter().map(|kind| Deleted {
            kind: *kind,
            namespace: slot.namespace.clone(),
            name: slot.name.clone(),
            uid: Some(removed.uid.clone()),
        });
        Ok(deleted.collect())
    }

    fn create(&self, state: &mut State, workload: &Workload, suspended: bool) -> Applied {
        let slot = workload.slot();
        state.incarnations += 1;
        let uid = Uid(format!("uid-{}", state.incarnations));
        if !suspended {
            state.creations.push(Creation {
                object: workload.object(),
                uid: uid.clone(),
                task: workload.task,
            });
            *state.creations_of.entry(workload.task).or_default() += 1;
        }
        let condition = if suspended {
            Condition::Stopped
        } else {
            first_condition(workload, self.inner.automatic, self.inner.clock.now())
        };
        let object = Object {
            workload: workload.clone(),
            uid,
            revision: 1,
            task: Some(workload.task),
            suspended,
            condition,
        };
        let (applied, observed) = (object.applied(true), object.observed());
        state.places.insert(workload.task, slot.clone());
        state.objects.insert(slot, object);
        self.emit(state, observed);
        applied
    }

    fn emit(&self, state: &mut State, observed: Observed) {
        for event in state.events.pass(observed) {
            // An error says that nobody watches, which is fine.
            let _nobody = self.inner.events.send(event);
        }
    }
}

impl State {
    fn next_fault(&mut self, verb: Verb) -> Option<Fault> {
        let next = self.faults.get_mut(&verb).and_then(VecDeque::pop_front);
        next.or_else(|| self.lasting_faults.get(&verb).cloned())
    }

    fn take(&mut self, slot: &Slot) -> Option<Object> {
        let object = self.objects.remove(slot)?;
        self.places.remove(&object.workload.task);
        self.logs.remove(slot);
        Some(object)
    }
}

#[async_trait]
impl Cluster for MemoryCluster {
    /// Accepts everything without a remark, and runs images.
    fn review(&self, _workload: &Workload) -> Review {
        Review {
            runs_images: true,
            ..Review::default()
        }
    }

    async fn apply(&self, workload: &Workload) -> Result<Applied, ClusterError> {
        let fault = self
            .arrive(Verb::Apply, &workload.object(), Some(workload.task))
            .await;
        self.carry_out(fault, |state| self.apply_to(state, workload))
    }

    async fn stop(&self, workload: &Workload) -> Result<Applied, ClusterError> {
        let fault = self
            .arrive(Verb::Stop, &workload.object(), Some(workload.task))
            .await;
        self.carry_out(fault, |state| self.stop_in(state, workload))
    }

    async fn delete<'a>(
        &self,
        object: &'a ObjectRef,
        uid: Option<&'a Uid>,
    ) -> Result<Vec<Deleted>, ClusterError> {
        let fault = self.arrive(Verb::Delete, object, None).await;
        self.carry_out(fault, |state| self.delete_from(state, object, uid))
    }

    async fn observe(
        &self,
        object: &ObjectRef,
        _freshness: Freshness,
    ) -> Result<Option<Observed>, ClusterError> {
        let fault = self.arrive(Verb::Observe, object, None).await;
        self.carry_out(fault, |state| {
            let found = state.objects.get(&slot_of(object));
            Ok(found
                .map(Object::observed)
                .filter(|found| found.object == *object))
        })
    }

    fn watch(&self) -> BoxStream<'static, Observed> {
        stream::unfold(self.inner.events.subscribe(), |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(observed) => return Some((observed, events)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        })
        .boxed()
    }
}

fn adopt(object: &Object, workload: &Workload) -> Result<Applied, ClusterError> {
    if object.task == Some(workload.task) {
        Ok(object.applied(false))
    } else {
        Err(ClusterError::Exists {
            task: object.task,
            uid: object.uid.clone(),
        })
    }
}

fn first_condition(workload: &Workload, automatic: bool, now: Timestamp) -> Condition {
    match workload.shape {
        Shape::Job { .. } if automatic => Condition::Ended(Ended {
            failure: None,
            exit_code: Some(0),
            started_at: Some(now),
            finished_at: now,
        }),
        Shape::Job { .. } => Condition::Pending(None),
        Shape::CronJob { .. } => Condition::Scheduled,
        Shape::Deployment { .. } | Shape::Service { .. } if automatic => Condition::Ready { since: now },
        Shape::Deployment { .. } | Shape::Service { .. } => Condition::Updating(None),
    }
}

fn slot_of(object: &ObjectRef) -> Slot {
    object.slot()
}

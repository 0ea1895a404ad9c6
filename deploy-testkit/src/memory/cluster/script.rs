//! How a test drives the cluster in memory: what happens in it, what fails, what is lost, and what was asked of it.

use std::time::Duration;

use deploy_core::names::{Namespace, TaskId};
use deploy_core::ports::ClusterError;
use deploy_core::workload::{Condition, Ended, ObjectRef, Observed, Reason, ReasonCode, Uid};

use super::{MemoryCluster, NamespaceEntry, Object, slot_of};

/// The calls of the port that can be scripted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// [`deploy_core::ports::Cluster::apply`]
    Apply,
    /// [`deploy_core::ports::Cluster::stop`]
    Stop,
    /// [`deploy_core::ports::Cluster::delete`]
    Delete,
    /// [`deploy_core::ports::Cluster::observe`]
    Observe,
}

impl Verb {
    pub(super) const COUNT: usize = 4;

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Apply => 0,
            Self::Stop => 1,
            Self::Delete => 2,
            Self::Observe => 3,
        }
    }
}

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not done, and says so.
    Unavailable {
        /// When to try again.
        retry_after: Option<Duration>,
    },
    /// It is not done, and does not say.
    AmbiguousBefore,
    /// It is done, and does not say.
    AmbiguousAfter,
    /// The cluster looks at it and says no, in these words.
    Refused(String),
    /// Something that is not ours has the name.
    NotOurs,
}

impl Fault {
    pub(super) fn into_error(self) -> ClusterError {
        match self {
            Self::Unavailable { retry_after } => ClusterError::Unavailable {
                retry_after,
                source: "scripted to be away".into(),
            },
            Self::AmbiguousBefore | Self::AmbiguousAfter => {
                ClusterError::Ambiguous("the answer was lost".into())
            }
            Self::Refused(message) => ClusterError::Refused { message },
            Self::NotOurs => ClusterError::NotOurs,
        }
    }
}

/// One call, as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub verb: Verb,
    /// Of which object.
    pub object: ObjectRef,
    /// For which task, where the call carries one.
    pub task: Option<TaskId>,
}

/// One object that came into being to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Which.
    pub object: ObjectRef,
    /// Which incarnation.
    pub uid: Uid,
    /// For which task.
    pub task: TaskId,
}

/// What happens to events on their way.
#[derive(Debug, Default)]
pub(super) struct EventFaults {
    lose: usize,
    copies: usize,
    frozen: Option<Vec<Observed>>,
}

impl EventFaults {
    pub(super) fn pass(&mut self, event: Observed) -> Vec<Observed> {
        if self.lose > 0 {
            self.lose -= 1;
            return Vec::new();
        }
        if let Some(frozen) = &mut self.frozen {
            frozen.push(event);
            return Vec::new();
        }
        vec![event; self.copies + 1]
    }
}

/// # Script
impl MemoryCluster {
    /// A job's container starts.
    pub fn start(&self, object: &ObjectRef) {
        let since = self.inner.clock.now();
        self.set(object, Condition::Running { since });
    }

    /// A job's container ends with that code; without a start, it started now.
    pub fn end(&self, object: &ObjectRef, exit_code: i32) {
        let failure = (exit_code != 0)
            .then(|| Reason::new(ReasonCode::ExitCode, format!("ended with exit code {exit_code}")));
        self.finish(object, failure, Some(exit_code));
    }

    /// A job fails for that reason, without an exit code.
    pub fn fail(&self, object: &ObjectRef, reason: Reason) {
        self.finish(object, Some(reason), None);
    }

    /// Every replica is up.
    pub fn ready(&self, object: &ObjectRef) {
        let since = self.inner.clock.now();
        self.set(object, Condition::Ready { since });
    }

    /// Replicas are missing.
    pub fn degrade(&self, object: &ObjectRef, reason: Reason) {
        self.set(object, Condition::Degraded(reason));
    }

    /// Puts an object into any condition, and tells it. No object of that name: nothing happens.
    pub fn set(&self, object: &ObjectRef, condition: Condition) {
        self.edit(object, |found| found.condition = condition);
    }

    /// From now on a running job that is stopped goes on until [`MemoryCluster::finish_stop`], as one that ignores SIGTERM.
    pub fn stop_slowly(&self) {
        self.state().stops_are_slow = true;
    }

    /// What was stopped slowly is gone.
    pub fn finish_stop(&self, object: &ObjectRef) {
        self.edit(object, |found| {
            if found.suspended {
                found.condition = Condition::Stopped;
            }
        });
    }

    /// The object is gone, and nobody is told.
    pub fn vanish(&self, object: &ObjectRef) {
        self.state().take(&slot_of(object));
    }

    /// Somebody edits our mark on an object into garbage.
    pub fn damage(&self, object: &ObjectRef) {
        self.edit(object, |found| found.task = None);
    }

    /// Something that is not ours takes the name.
    pub fn put_foreign(&self, object: &ObjectRef) {
        self.state().foreign.push(slot_of(object));
    }

    /// A namespace that was not created here.
    pub fn put_foreign_namespace(&self, namespace: &Namespace) {
        let entry = NamespaceEntry {
            repository: None,
            created_at: self.inner.clock.now(),
            is_foreign: true,
        };
        self.state().namespaces.insert(namespace.clone(), entry);
    }

    /// What an object's containers have written.
    pub fn set_log(&self, object: &ObjectRef, text: impl Into<String>) {
        self.state().logs.insert(slot_of(object), text.into());
    }

    /// The next call of that verb fails so; several are taken in their order.
    pub fn fail_next(&self, verb: Verb, fault: Fault) {
        self.state().faults.entry(verb).or_default().push_back(fault);
    }

    /// Every call of that verb fails so, until [`MemoryCluster::heal`].
    pub fn fail_always(&self, verb: Verb, fault: Fault) {
        self.state().lasting_faults.insert(verb, fault);
    }

    /// No call fails any more.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.lasting_faults.clear();
    }

    /// Calls of that verb wait at the door: they have arrived, and nothing is done.
    pub fn hold(&self, verb: Verb) {
        self.inner.held.send_modify(|held| held[verb.index()] = true);
    }

    /// Lets the calls in that wait.
    pub fn release(&self, verb: Verb) {
        self.inner.held.send_modify(|held| held[verb.index()] = false);
    }

    /// Waits until that many calls of the verb have arrived, held ones included.
    pub async fn until_called(&self, verb: Verb, times: usize) {
        let mut arrived = self.inner.arrived.subscribe();
        // The sender lives as long as this cluster, so waiting cannot fail.
        let _seen = arrived.wait_for(|arrived| arrived[verb.index()] >= times).await;
    }

    /// The next events are lost.
    pub fn lose_events(&self, count: usize) {
        self.state().events.lose = count;
    }

    /// Every event comes that many times more.
    pub fn repeat_events(&self, copies: usize) {
        self.state().events.copies = copies;
    }

    /// Events are kept back, as by a watch that silently stops.
    pub fn freeze_events(&self) {
        self.state().events.frozen.get_or_insert_default();
    }

    /// Events flow again; those kept back come now, the last one first where `backwards`.
    pub fn thaw_events(&self, backwards: bool) {
        let mut state = self.state();
        let mut kept = state.events.frozen.take().unwrap_or_default();
        if backwards {
            kept.reverse();
        }
        for event in kept {
            self.emit(&mut state, event);
        }
    }

    /// Every call so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Everything that came into being to run, in its order. What was created suspended never ran and is not here.
    #[must_use]
    pub fn creations(&self) -> Vec<Creation> {
        self.state().creations.clone()
    }

    /// How often something came into being for that task.
    #[must_use]
    pub fn creations_of(&self, task: TaskId) -> usize {
        self.state().creations_of.get(&task).copied().unwrap_or_default()
    }

    /// The tasks that something came into being for more than once: what must never be.
    #[must_use]
    pub fn started_twice(&self) -> Vec<TaskId> {
        let state = self.state();
        let twice = state.creations_of.iter().filter(|(_, times)| **times > 1);
        twice.map(|(task, _)| *task).collect()
    }

    /// The objects of which something runs, or will.
    #[must_use]
    pub fn alive(&self) -> Vec<ObjectRef> {
        let is_over = |object: &&Object| matches!(object.condition, Condition::Ended(_) | Condition::Stopped);
        let state = self.state();
        let alive = state.objects.values().filter(|object| !is_over(object));
        alive.map(|object| object.workload.object()).collect()
    }

    /// What is to be seen of an object, without a call on record.
    #[must_use]
    pub fn peek(&self, object: &ObjectRef) -> Option<Observed> {
        self.state().objects.get(&slot_of(object)).map(Object::observed)
    }

    fn finish(&self, object: &ObjectRef, failure: Option<Reason>, exit_code: Option<i32>) {
        let now = self.inner.clock.now();
        self.edit(object, |found| {
            let started_at = match found.condition {
                Condition::Running { since } => Some(since),
                _ => exit_code.map(|_| now),
            };
            found.condition = Condition::Ended(Ended {
                failure,
                exit_code,
                started_at,
                finished_at: now,
            });
        });
    }

    fn edit(&self, object: &ObjectRef, edit: impl FnOnce(&mut Object)) {
        let mut state = self.state();
        if let Some(found) = state.objects.get_mut(&slot_of(object)) {
            edit(found);
            let observed = found.observed();
            self.emit(&mut state, observed);
        }
    }
}

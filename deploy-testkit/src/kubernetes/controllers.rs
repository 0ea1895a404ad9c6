//! What acts on the objects: a scheduler, a kubelet and the controllers that a client depends on. Each looks at one object
//! at a time, when it or what it owns has changed, and writes what the real one would write; nothing polls.

mod cron_job;
mod deployment;
mod events;
mod garbage;
mod job;
mod kubelet;
mod namespace;
mod pods;
mod replica_set;
mod rollout;
mod scheduler;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use deploy_core::workload::Timestamp;

use super::kinds::{CRON_JOBS, DEPLOYMENTS, JOBS, NAMESPACES, PODS, REPLICA_SETS};
use super::object::Key;
use super::server::Shared;
use super::store::State;

pub(super) use cron_job::fire;
pub(super) use kubelet::{end, evict, set_ready};
pub(super) use pods::quota;

/// After so many steps the runtime's other tasks have their turn.
const STEPS_IN_A_ROW: usize = 64;

/// One of those that act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Controller {
    /// Finds nodes for pods.
    Scheduler,
    /// Runs and ends pods.
    Kubelet,
    /// Makes pods of Jobs.
    Jobs,
    /// Makes Jobs of CronJobs.
    CronJobs,
    /// Makes ReplicaSets of Deployments and pods of those.
    Deployments,
    /// Removes what has lost its owner, and empties namespaces.
    GarbageCollector,
}

/// What controllers remember beside the objects.
#[derive(Debug, Default)]
pub(super) struct Memory {
    held: BTreeSet<Controller>,
    /// What a kubelet that is held would have done since.
    missed: Vec<Due>,
    pub(super) logs: HashMap<Key, String>,
    jobs: HashMap<String, JobMemory>,
}

/// Which pods of a Job were seen.
#[derive(Debug, Default)]
struct JobMemory {
    /// Those in its counters.
    counted: HashSet<String>,
    /// Those that were active.
    active: HashSet<String>,
    succeeded: i64,
    failed: i64,
}

/// Something that happens at its time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Due {
    /// An object is looked at again.
    Look(Key),
    /// A pod's containers start.
    Start(String),
    /// A container ends by itself: of this pod, after so many restarts, with that code.
    Ends(String, i64, i64),
    /// The phase of a pod follows its container's end.
    Phase(String),
    /// A container is started again.
    Restart(String),
    /// The image is tried again.
    PullBackOff(String),
    /// A CronJob's time has come.
    Fire(String, Timestamp),
}

/// Acts until it is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let pause = {
            let mut state = shared.lock();
            let mut steps = 0;
            while steps < STEPS_IN_A_ROW && step(&mut state) {
                steps += 1;
            }
            if steps == STEPS_IN_A_ROW {
                Some(Duration::ZERO)
            } else {
                let now = state.now();
                state
                    .next_due()
                    .map(|due| (due - now).to_std().unwrap_or_default())
            }
        };
        match pause {
            Some(Duration::ZERO) => tokio::task::yield_now().await,
            Some(pause) => tokio::select! {
                () = shared.clock.sleep(pause) => {}
                () = shared.wake.notified() => {}
            },
            None => shared.wake.notified().await,
        }
    }
}

/// One look at one object; `false` = there is nothing to do now.
fn step(state: &mut State) -> bool {
    if let Some(key) = state.dequeue() {
        look(state, &key);
        return true;
    }
    let Some(due) = state.due() else { return false };
    let of_kubelet = !matches!(due, Due::Look(_) | Due::Fire(..));
    if of_kubelet && !acts(state, Controller::Kubelet) {
        state.memory.missed.push(due);
        return true;
    }
    match due {
        Due::Start(pod) => kubelet::begin(state, &pod),
        Due::Look(key) => state.enqueue(key),
        Due::Ends(pod, restarts, code) => kubelet::end_by_itself(state, &pod, restarts, code),
        Due::Phase(pod) => kubelet::phase(state, &pod),
        Due::Restart(pod) => kubelet::restart(state, &pod),
        Due::PullBackOff(pod) => kubelet::back_off(state, &pod),
        Due::Fire(cron_job, when) => cron_job::on_time(state, &cron_job, when),
    }
    true
}

fn look(state: &mut State, key: &Key) {
    if acts(state, Controller::GarbageCollector) {
        garbage::sync(state, key);
    }
    match key.plural {
        PODS => {
            if acts(state, Controller::Scheduler) {
                scheduler::sync(state, key);
            }
            if acts(state, Controller::Kubelet) {
                kubelet::sync(state, key);
            }
        }
        JOBS if acts(state, Controller::Jobs) => job::sync(state, key),
        CRON_JOBS if acts(state, Controller::CronJobs) => cron_job::sync(state, key),
        DEPLOYMENTS if acts(state, Controller::Deployments) => deployment::sync(state, key),
        REPLICA_SETS if acts(state, Controller::Deployments) => replica_set::sync(state, key),
        NAMESPACES if acts(state, Controller::GarbageCollector) => namespace::sync(state, key),
        _ => {}
    }
}

fn acts(state: &State, controller: Controller) -> bool {
    !state.memory.held.contains(&controller)
}

/// Keeps a controller from acting.
pub(super) fn hold(state: &mut State, controller: Controller) {
    state.memory.held.insert(controller);
}

/// Lets a controller act again, on everything.
pub(super) fn release(state: &mut State, controller: Controller) {
    state.memory.held.remove(&controller);
    if controller == Controller::Kubelet {
        let now = state.now();
        for due in std::mem::take(&mut state.memory.missed) {
            state.at(now, due);
        }
    }
    state.enqueue_all();
}

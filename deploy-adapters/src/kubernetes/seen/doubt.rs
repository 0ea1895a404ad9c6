//! Verdicts that wait. A job that failed and has no pod in the cache may have lost it, or the pods' watch may be behind
//! the jobs': what then looks lost is about to tell its exit code. Which one it is shows once the pods were seen up to
//! the job's version, or, where versions do not compare, once they were listed anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deploy_core::workload::Slot;

/// The jobs that failed without a pod.
#[derive(Debug, Default)]
pub(super) struct Doubts(Mutex<HashMap<Slot, Doubt>>);

#[derive(Debug)]
struct Doubt {
    uid: Arc<str>,
    /// How often the pods had been listed when it was first doubted.
    lists: u64,
    /// Once settled, it stays so: a later change of the job says nothing new about its pods.
    is_settled: bool,
}

impl Doubts {
    /// Whether it is certain that this incarnation has no pod. `is_reached`: the pods were seen up to its version;
    /// `lists`: how often they were listed.
    pub(super) fn is_settled(&self, place: &Slot, uid: &Arc<str>, is_reached: bool, lists: u64) -> bool {
        let new = || Doubt {
            uid: Arc::clone(uid),
            lists,
            is_settled: is_reached,
        };
        let mut doubts = self.lock();
        let doubt = doubts.entry(place.clone()).or_insert_with(new);
        if doubt.uid != *uid {
            *doubt = new();
        }
        // The next list may have been under way already; the one after it was not.
        doubt.is_settled |= is_reached || lists >= doubt.lists + 2;
        doubt.is_settled
    }

    /// The places that wait.
    pub(super) fn waiting(&self) -> Vec<Slot> {
        let doubts = self.lock();
        let waiting = doubts.iter().filter(|(_, doubt)| !doubt.is_settled);
        waiting.map(|(place, _)| place.clone()).collect()
    }

    /// Forgets incarnations that are gone.
    pub(super) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        self.lock().retain(|_, doubt| is_there(&doubt.uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Slot, Doubt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

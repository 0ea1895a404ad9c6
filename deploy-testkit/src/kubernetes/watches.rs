//! What can be done to the watches of a kind: frozen, closed, made to begin anew, and single events of theirs spoilt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// What happens to one event of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFault {
    /// It is never delivered.
    Drop,
    /// It is delivered twice.
    Repeat,
    /// It is delivered after the one that follows it; a watch that ends first delivers it then.
    Reorder,
    /// It, and what follows it, is delivered so much later.
    Delay(Duration),
}

/// What open watches listen to.
#[derive(Debug, Clone, Default)]
pub(super) struct Control {
    frozen: BTreeSet<String>,
    closed: BTreeMap<String, u64>,
}

impl Control {
    pub(super) fn is_frozen(&self, plural: &str) -> bool {
        self.frozen.contains(plural)
    }

    /// How often the watches of that kind were closed.
    pub(super) fn closed(&self, plural: &str) -> u64 {
        self.closed.get(plural).copied().unwrap_or_default()
    }
}

/// The watches of a server.
#[derive(Debug, Default)]
pub(super) struct Watches {
    control: watch::Sender<Control>,
    faults: Mutex<Vec<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    plural: String,
    /// How many events pass before.
    passing: u64,
    fault: EventFault,
}

impl Watches {
    pub(super) fn control(&self) -> watch::Receiver<Control> {
        self.control.subscribe()
    }

    pub(super) fn freeze(&self, plural: &str) {
        self.control.send_modify(|control| {
            control.frozen.insert(plural.to_owned());
        });
    }

    pub(super) fn thaw(&self, plural: &str) {
        self.control.send_modify(|control| {
            control.frozen.remove(plural);
        });
    }

    pub(super) fn close(&self, plural: &str) {
        self.control.send_modify(|control| {
            *control.closed.entry(plural.to_owned()).or_default() += 1;
        });
    }

    pub(super) fn spoil(&self, plural: &str, nth: u64, fault: EventFault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push(Waiting {
            plural: plural.to_owned(),
            passing: nth.saturating_sub(1),
            fault,
        });
    }

    /// Counts one event of a kind; tells what is to happen to it.
    pub(super) fn fault(&self, plural: &str) -> Option<EventFault> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hit = None;
        faults.retain_mut(|waiting| {
            if waiting.plural != plural {
                return true;
            }
            if waiting.passing == 0 && hit.is_none() {
                hit = Some(waiting.fault);
                return false;
            }
            waiting.passing = waiting.passing.saturating_sub(1);
            true
        });
        hit
    }

    pub(super) fn heal(&self) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.control.send_modify(|control| control.frozen.clear());
    }
}

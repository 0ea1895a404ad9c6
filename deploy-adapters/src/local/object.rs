//! One object in memory: its record, which is changed and stored in one step, and what is told of it. It decides
//! nothing; its supervisor and the port do, each through [`Object::change`].

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deploy_core::workload::{Condition, Observed, Slot};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::code::{Held, blocking};
use super::node::Node;
use super::record::Record;

/// How long to wait before a record that could not be stored is stored again.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// An object and the signals between those who look after it.
pub(super) struct Object {
    /// Its place.
    pub slot: Slot,
    /// Rung when its record or one of its replicas has changed.
    pub wake: Notify,
    /// Ends its supervisor, and with it everything that runs.
    pub halt: CancellationToken,
    /// Cancelled when its supervisor has ended.
    pub done: CancellationToken,
    /// Held while a record is changed and stored: records are stored in the order of their changes.
    writing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    record: Record,
    condition: Condition,
    /// Keeps the export that the record names.
    code: Option<Held>,
}

impl Object {
    /// An object of that record, stored already.
    pub(super) fn new(record: Record, condition: Condition, code: Option<Held>) -> Self {
        Self {
            slot: record.workload.slot(),
            wake: Notify::new(),
            halt: CancellationToken::new(),
            done: CancellationToken::new(),
            writing: tokio::sync::Mutex::new(()),
            state: Mutex::new(State {
                record,
                condition,
                code,
            }),
        }
    }

    /// A copy of its record.
    pub(super) fn record(&self) -> Record {
        self.state().record.clone()
    }

    /// Looks at its record without copying it.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.state().record)
    }

    /// What is to be seen of it.
    pub(super) fn observed(&self) -> Observed {
        let state = self.state();
        Observed {
            object: state.record.workload.object(),
            uid: state.record.uid.clone(),
            task: Some(state.record.workload.task),
            revision: state.record.revision,
            condition: state.condition.clone(),
        }
    }

    /// Changes its record, stores it, and tells its condition where the change gives a new one. Nothing has changed
    /// when it could not be stored.
    pub(super) async fn change(
        &self,
        node: &Node,
        change: impl FnOnce(&mut Record) -> Option<Condition>,
    ) -> io::Result<()> {
        let _alone = self.writing.lock().await;
        let before = self.record();
        let mut next = before.clone();
        let condition = change(&mut next);
        if next != before {
            let (store, stored) = (node.store.clone(), next.clone());
            blocking(move || store.write(&stored)).await?;
        }
        let seen = self.observed();
        {
            let mut state = self.state();
            state.record = next;
            if let Some(condition) = condition {
                state.condition = condition;
            }
        }
        self.publish(node, &seen);
        Ok(())
    }

    /// Like [`Object::change`], for what has happened and must not be forgotten: tries until it is stored, or the
    /// server stops.
    pub(super) async fn record_fact(
        &self,
        node: &Node,
        change: impl Fn(&mut Record) -> Option<Condition> + Send + Sync,
    ) {
        while let Err(error) = self.change(node, &change).await {
            tracing::error!(object = ?self.slot, %error, "a record could not be stored; trying again");
            tokio::select! {
                () = node.clock.sleep(STORE_AGAIN) => {}
                () = node.closing.cancelled() => return,
            }
        }
    }

    /// Tells a condition that is not worth a record, and that was seen of that revision: of a newer one it says nothing.
    pub(super) fn tell(&self, node: &Node, revision: u64, condition: Condition) {
        let seen = self.observed();
        {
            let mut state = self.state();
            if state.record.revision != revision {
                return;
            }
            state.condition = condition;
        }
        self.publish(node, &seen);
    }

    /// The condition told last.
    pub(super) fn condition(&self) -> Condition {
        self.state().condition.clone()
    }

    /// Takes another export for its code, or none.
    pub(super) fn set_code(&self, code: Option<Held>) {
        self.state().code = code;
    }

    /// The folder of one pod, below the object's.
    pub(super) fn pod_folder(&self, node: &Node, pod: &str) -> PathBuf {
        node.store.folder(&self.slot).join("pods").join(pod)
    }

    /// The log of one pod.
    pub(super) fn log(&self, node: &Node, pod: &str) -> PathBuf {
        node.store
            .folder(&self.slot)
            .join("logs")
            .join(format!("{pod}.log"))
    }

    fn publish(&self, node: &Node, before: &Observed) {
        let now = self.observed();
        if now != *before {
            node.publish(now);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Tells whoever waits for a task, run or work that its record has changed. Keyed: a change costs one look-up, however
//! many wait for others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

/// Who waits for what.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    waiting: Arc<Mutex<HashMap<Uuid, watch::Sender<u64>>>>,
}

impl Changes {
    /// Begins to listen for changes of `id`. Listen first, then read the record: no change falls between the two.
    #[must_use]
    pub fn subscribe(&self, id: Uuid) -> Subscription {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = waiting
            .entry(id)
            .or_insert_with(|| watch::channel(0).0)
            .subscribe();
        Subscription {
            id,
            changes: self.clone(),
            receiver: Some(receiver),
        }
    }

    /// Says that the record of `id` has changed.
    pub fn publish(&self, id: Uuid) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = waiting.get(&id) {
            sender.send_modify(|version| *version += 1);
        }
    }
}

/// One listener.
#[derive(Debug)]
pub struct Subscription {
    id: Uuid,
    changes: Changes,
    receiver: Option<watch::Receiver<u64>>,
}

impl Subscription {
    /// Waits for the next change since the last call, or since the subscription began.
    pub async fn changed(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            // The sender stays in the map for as long as this receiver lives, so this is never an error.
            if receiver.changed().await.is_err() {
                tracing::error!(id = %self.id, "a change channel closed under its listener");
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.receiver = None;
        let mut waiting = self
            .changes
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if waiting
            .get(&self.id)
            .is_some_and(|sender| sender.receiver_count() == 0)
        {
            waiting.remove(&self.id);
        }
    }
}

//! Delays that are exact: tokio's timer counts whole milliseconds and rounds up, which a benchmark with two of them a call
//! would measure. One thread waits for them all.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// A thread that ends delays; it stops when this value is dropped.
#[derive(Debug, Default)]
pub(super) struct Delays {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    by_end: BTreeMap<(Instant, u64), oneshot::Sender<()>>,
    made: u64,
    is_running: bool,
    is_over: bool,
}

impl Delays {
    /// Waits that long.
    pub(super) async fn wait(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        let (ended, end) = oneshot::channel();
        let is_running = {
            let mut waiting = self.shared.lock();
            waiting.made += 1;
            let number = waiting.made;
            waiting.by_end.insert((Instant::now() + duration, number), ended);
            std::mem::replace(&mut waiting.is_running, true)
        };
        if !is_running {
            let shared = Arc::clone(&self.shared);
            std::thread::spawn(move || shared.run());
        }
        self.shared.changed.notify_one();
        // An error is the end of the server: there is nothing left to wait for.
        let _ended = end.await.is_ok();
    }
}

impl Drop for Delays {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        let mut waiting = self.lock();
        while !waiting.is_over {
            let now = Instant::now();
            let next = waiting.by_end.first_key_value().map(|((end, _), _)| *end);
            waiting = match next {
                Some(end) if end <= now => {
                    if let Some((_, ended)) = waiting.by_end.pop_first() {
                        // A receiver that is gone has stopped waiting.
                        let _waited = ended.send(()).is_ok();
                    }
                    waiting
                }
                Some(end) => {
                    let waited = self.changed.wait_timeout(waiting, end - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
        }
        waiting.by_end.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

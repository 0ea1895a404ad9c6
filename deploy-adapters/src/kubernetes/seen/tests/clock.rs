//! A clock for loops: their short waits pass at once and are written down, their long ones end when the test says so.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::ports::Clock;
use deploy_core::workload::Timestamp;
use tokio::sync::{oneshot, watch};

/// What is shorter passes at once.
const SHORT: Duration = Duration::from_secs(10);

/// For how long somebody sleeps, and what wakes them.
type Sleeper = (Duration, oneshot::Sender<()>);

#[derive(Clone, Default)]
pub(super) struct HastyClock {
    asleep: Arc<Mutex<Vec<Sleeper>>>,
    slept: Arc<watch::Sender<Vec<Duration>>>,
}

impl HastyClock {
    /// Wakes all who sleep for so long now.
    pub(super) fn wake(&self, wanted: impl Fn(Duration) -> bool) {
        let mut asleep = self.asleep.lock().unwrap();
        for (duration, awake) in std::mem::take(&mut *asleep) {
            if !wanted(duration) {
                asleep.push((duration, awake));
            } else if awake.send(()).is_err() {
                // Whoever slept has given up.
            }
        }
    }

    /// Waits until somebody sleeps for so long.
    pub(super) async fn until_sleeping(&self, wanted: impl Fn(Duration) -> bool) {
        let mut slept = self.slept.subscribe();
        let found = slept.wait_for(|all| all.iter().any(|duration| wanted(*duration)));
        found.await.unwrap();
    }

    /// All waits until now.
    pub(super) fn slept(&self) -> Vec<Duration> {
        self.slept.borrow().clone()
    }

    /// Forgets the waits until now.
    pub(super) fn forget(&self) {
        self.slept.send_modify(Vec::clear);
    }
}

#[async_trait]
impl Clock for HastyClock {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    async fn sleep(&self, duration: Duration) {
        let (sender, awake) = oneshot::channel();
        // Asleep before it is told, so that whoever hears of it can wake it.
        if duration >= SHORT {
            self.asleep.lock().unwrap().push((duration, sender));
        }
        self.slept.send_modify(|all| all.push(duration));
        if duration < SHORT {
            tokio::task::yield_now().await;
        } else if awake.await.is_err() {
            // The test is over.
            std::future::pending::<()>().await;
        }
    }
}

//! A clock for loops: their short waits pass at once and are written down, their long ones pass when the test says so.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::ports::Clock;
use deploy_core::workload::Timestamp;
use deploy_testkit::memory::ManualClock;
use tokio::sync::watch;

/// What is shorter passes at once.
const SHORT: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(super) struct HastyClock {
    long: ManualClock,
    slept: Arc<watch::Sender<Vec<Duration>>>,
}

impl HastyClock {
    pub(super) fn new() -> Self {
        Self {
            long: ManualClock::default(),
            slept: Arc::new(watch::Sender::default()),
        }
    }

    /// Lets the long waits pass.
    pub(super) fn advance(&self, by: Duration) {
        self.long.advance(by);
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
        self.long.now()
    }

    async fn sleep(&self, duration: Duration) {
        if duration < SHORT {
            self.slept.send_modify(|all| all.push(duration));
            tokio::task::yield_now().await;
            return;
        }
        let mut sleep = self.long.sleep(duration);
        // Asleep before it is told, so that whoever hears of it can wake it.
        let passed = futures::poll!(&mut sleep);
        self.slept.send_modify(|all| all.push(duration));
        if passed.is_pending() {
            sleep.await;
        }
    }
}

//! Time that stands still until a test moves it, and ids that count.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::names::{PipelineId, TaskId, WorkId};
use deploy_core::ports::{Clock, Ids};
use deploy_core::workload::Timestamp;
use tokio::sync::Notify;

use crate::builders;

/// A clock that a test moves. Clones show the same time.
#[derive(Debug, Clone)]
pub struct ManualClock {
    shared: Arc<SharedClock>,
}

#[derive(Debug)]
struct SharedClock {
    state: Mutex<ClockState>,
    /// Rings whenever someone begins to sleep.
    asleep: Notify,
}

#[derive(Debug)]
struct ClockState {
    now: Timestamp,
    elapsed: Duration,
    /// By the time to wake up at, and a number that tells sleepers of one time apart.
    sleepers: BTreeMap<(Duration, u64), Arc<Notify>>,
    next: u64,
}

impl Default for ManualClock {
    /// At [`builders::time`]`(0)`.
    fn default() -> Self {
        Self::at(builders::time(0))
    }
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            shared: Arc::new(SharedClock {
                state: Mutex::new(ClockState {
                    now,
                    elapsed: Duration::ZERO,
                    sleepers: BTreeMap::new(),
                    next: 0,
                }),
                asleep: Notify::new(),
            }),
        }
    }

    /// Lets time pass, and wakes those who have slept enough. Whoever goes to sleep again does so from the new time on:
    /// a loop that ticks sees one tick, however long the step.
    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        state.elapsed += by;
        state.now += by;
        let still_asleep = (state.elapsed, u64::MAX);
        let rest = state.sleepers.split_off(&still_asleep);
        for sleeper in std::mem::replace(&mut state.sleepers, rest).into_values() {
            sleeper.notify_one();
        }
    }

    /// Lets time pass until the next sleeper wakes, and tells how much that was; `None` where no one sleeps.
    pub fn advance_to_next(&self) -> Option<Duration> {
        let by = {
            let state = self.lock();
            let ((due, _), _) = state.sleepers.first_key_value()?;
            due.saturating_sub(state.elapsed)
        };
        self.advance(by);
        Some(by)
    }

    /// Sets the wall clock, forwards or backwards, as an operator or NTP does: no time passes and no one wakes.
    pub fn jump_to(&self, now: Timestamp) {
        self.lock().now = now;
    }

    /// How many sleep now.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.len()
    }

    /// Waits until at least that many sleep, so that an [`ManualClock::advance`] meets them.
    pub async fn until_asleep(&self, count: usize) {
        loop {
            let mut asleep = pin!(self.shared.asleep.notified());
            asleep.as_mut().enable();
            if self.sleepers() >= count {
                return;
            }
            asleep.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, ClockState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    async fn sleep(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        let awake = Arc::new(Notify::new());
        let key = {
            let mut state = self.lock();
            let key = (state.elapsed + duration, state.next);
            state.next += 1;
            state.sleepers.insert(key, Arc::clone(&awake));
            key
        };
        // A sleep that is dropped leaves no sleeper behind.
        let _asleep = Asleep { clock: self, key };
        self.shared.asleep.notify_waiters();
        awake.notified().await;
    }
}

struct Asleep<'a> {
    clock: &'a ManualClock,
    key: (Duration, u64),
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.clock.lock().sleepers.remove(&self.key);
    }
}

/// UUIDs of version 7 that count from 1, one millisecond apart: the same in every run, and in the order of their making.
#[derive(Debug, Default)]
pub struct SequentialIds {
    made: AtomicU64,
}

impl SequentialIds {
    fn next(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Ids for SequentialIds {
    fn task(&self) -> TaskId {
        builders::task_id(self.next())
    }

    fn pipeline(&self) -> PipelineId {
        builders::pipeline_id(self.next())
    }

    fn work(&self) -> WorkId {
        builders::work_id(self.next())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_sleeper_wakes_when_enough_time_has_passed_and_not_before() {
        let clock = ManualClock::default();
        let mut sleep = clock.sleep(3 * SECOND);
        assert_eq!(sleep.as_mut().now_or_never(), None);
        clock.advance(2 * SECOND);
        assert_eq!(sleep.as_mut().now_or_never(), None);
        clock.advance(SECOND);
        assert_eq!(sleep.as_mut().now_or_never(), Some(()));
        assert_eq!(clock.sleepers(), 0);
        assert_eq!(clock.now(), builders::time(3));
    }

    #[test]
    fn a_jump_of_the_wall_clock_wakes_no_one() {
        let clock = ManualClock::default();
        let mut sleep = clock.sleep(SECOND);
        assert_eq!(sleep.as_mut().now_or_never(), None);
        clock.jump_to(builders::time(86_400));
        assert_eq!(sleep.as_mut().now_or_never(), None);
        assert_eq!(clock.now(), builders::time(86_400));
        clock.jump_to(builders::time(-86_400));
        assert_eq!(clock.advance_to_next(), Some(SECOND));
        assert_eq!(sleep.as_mut().now_or_never(), Some(()));
    }

    #[test]
    fn a_sleep_that_is_dropped_leaves_no_sleeper() {
        let clock = ManualClock::default();
        {
            let mut sleep = clock.sleep(SECOND);
            assert_eq!(sleep.as_mut().now_or_never(), None);
            assert_eq!(clock.sleepers(), 1);
        }
        assert_eq!(clock.sleepers(), 0);
        assert_eq!(clock.advance_to_next(), None);
    }

    #[tokio::test]
    async fn a_test_can_wait_for_sleepers() {
        let clock = ManualClock::default();
        let slept = async {
            clock.sleep(SECOND).await;
            clock.sleep(SECOND).await;
        };
        let driven = async {
            for _ in 0..2 {
                clock.until_asleep(1).await;
                clock.advance(SECOND);
                clock.until_asleep(0).await;
            }
        };
        futures::join!(slept, driven);
        assert_eq!(clock.now(), builders::time(2));
    }

    #[test]
    fn ids_count_and_look_like_uuids_of_version_7() {
        let ids = SequentialIds::default();
        let (first, second) = (ids.task(), ids.task());
        assert_eq!(first, builders::task_id(1));
        assert!(first < second && first.to_string() < second.to_string());
        assert_eq!(first.uuid().get_version_num(), 7);
        assert_eq!(ids.pipeline(), builders::pipeline_id(3));
        assert_eq!(ids.work(), builders::work_id(4));
    }
}

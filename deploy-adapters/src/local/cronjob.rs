//! Cron jobs: runs at the times of a schedule. A time is recorded as done before its run starts, so that no clock and no
//! crash makes it fire twice; of the times missed while the machine slept or the server was away the last alone is made
//! up for, as Kubernetes does.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::manifest::ConcurrencyPolicy;
use deploy_core::workload::{Condition, Shape, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::code::blocking;
use super::job::Attempts;
use super::logs;
use super::node::Node;
use super::object::Object;
use super::record::Record;

/// The wall clock is looked at this often at least: it may jump, and machines sleep.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The wait after a time that could not be recorded.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// Runs that have ended and are kept with their logs, as Kubernetes keeps of those that succeeded.
const KEPT_RUNS: usize = 3;

/// Looks after a cron job until its object is halted.
pub(super) async fn supervise(node: &Arc<Node>, object: &Arc<Object>) {
    let mut timetable = Timetable {
        node,
        object,
        runs: Vec::new(),
    };
    while !object.halt.is_cancelled() {
        timetable.clear_away().await;
        let record = object.read(Clone::clone);
        let wait = if record.suspended {
            timetable.stop_all().await;
            timetable.clear_away().await;
            object.tell(node, record.revision, Condition::Stopped);
            None
        } else {
            object.tell(node, record.revision, Condition::Scheduled);
            timetable.fire(&record).await
        };
        let pause = async {
            match wait {
                Some(wait) => node.clock.sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = object.halt.cancelled() => {}
            () = object.wake.notified() => {}
            () = pause => {}
        }
    }
    timetable.stop_all().await;
}

struct Timetable<'a> {
    node: &'a Arc<Node>,
    object: &'a Arc<Object>,
    runs: Vec<Run>,
}

struct Run {
    time: Timestamp,
    halt: CancellationToken,
    /// Cancelled when nothing of it is left.
    over: CancellationToken,
    task: JoinHandle<()>,
}

impl Timetable<'_> {
    /// Starts what is due; answers how long there is nothing to do, `None` for ever.
    async fn fire(&mut self, record: &Record) -> Option<Duration> {
        let Shape::CronJob {
            schedule,
            timezone,
            concurrency,
            ..
        } = &record.workload.shape
        else {
            return None;
        };
        let next = |after| schedule.next_after(after, *timezone);
        let now = self.node.clock.now();
        let wait_after = |time: Timestamp| -> Option<Duration> {
            let wait = (next(time.max(now))? - now).to_std().unwrap_or_default();
            Some(wait.min(LOOK_AGAIN))
        };
        let Some(due) = latest_due(next, record.anchor, now) else {
            return wait_after(record.anchor);
        };
        let revision = record.revision;
        let mut is_current = false;
        let recorded = self.object.change(self.node, |record| {
            is_current = record.revision == revision;
            if is_current {
                record.anchor = due;
            }
            None
        });
        if let Err(error) = recorded.await {
            tracing::error!(%error, "a scheduled time could not be recorded, so it was not started");
            return Some(STORE_AGAIN);
        }
        // Else another version came in between, which wakes us.
        if is_current {
            self.start(record, due, *concurrency).await;
        }
        wait_after(due)
    }

    async fn start(&mut self, record: &Record, time: Timestamp, concurrency: ConcurrencyPolicy) {
        self.runs.retain(|run| !run.over.is_cancelled());
        match concurrency {
            ConcurrencyPolicy::Forbid if !self.runs.is_empty() => {
                tracing::info!(object = ?self.object.slot, %time, "the last run goes on; this one is left out");
                return;
            }
            ConcurrencyPolicy::Replace => self.stop_all().await,
            ConcurrencyPolicy::Forbid | ConcurrencyPolicy::Allow => {}
        }
        let halt = self.object.halt.child_token();
        let (node, object, token) = (self.node.clone(), self.object.clone(), halt.clone());
        let (workload, code) = (record.workload.clone(), record.code.clone());
        let over = CancellationToken::new();
        // Also where the run panics.
        let guard = over.clone().drop_guard();
        let task = tokio::spawn(async move {
            // A new version that is deployed meanwhile does not take the code from under this run.
            let _kept = code.as_deref().and_then(|folder| node.code.hold(folder));
            let attempts = Attempts {
                node: &node,
                object: &object,
                workload: &workload,
                code: code.as_deref(),
                run: Some(time),
                halt: &token,
            };
            // How it ended is on its pods; a cron job has no end of its own.
            let _outcome = attempts.run_to_end().await;
            drop(guard);
            object.wake.notify_one();
        });
        self.runs.push(Run {
            time,
            halt,
            over,
            task,
        });
    }

    async fn stop_all(&mut self) {
        for run in &self.runs {
            run.halt.cancel();
        }
        for run in self.runs.drain(..) {
            if let Err(error) = run.task.await {
                tracing::error!(%error, "a run was not looked after to its end");
            }
        }
    }

    /// Forgets all but the last few runs that have ended, with their logs.
    async fn clear_away(&mut self) {
        self.runs.retain(|run| !run.over.is_cancelled());
        let goes_on = |time: &Timestamp| self.runs.iter().any(|run| run.time == *time);
        let mut ended: Vec<Timestamp> = self.object.read(|record| {
            let times = record.pods.iter().filter_map(|pod| pod.run);
            times.filter(|time| !goes_on(time)).collect()
        });
        ended.sort_unstable();
        ended.dedup();
        let Some(first_kept) = ended.len().checked_sub(KEPT_RUNS).map(|index| ended[index]) else {
            return;
        };
        let is_old = |time: Option<Timestamp>| time.is_some_and(|time| time < first_kept && !goes_on(&time));
        let old: Vec<String> = self.object.read(|record| {
            let pods = record.pods.iter().filter(|pod| is_old(pod.run));
            pods.map(|pod| pod.name.clone()).collect()
        });
        if old.is_empty() {
            return;
        }
        let forget = |record: &mut Record| {
            record.pods.retain(|pod| !is_old(pod.run));
            None
        };
        if let Err(error) = self.object.change(self.node, forget).await {
            tracing::warn!(%error, "old runs could not be forgotten; trying again with the next one");
            return;
        }
        for pod in old {
            let log = self.object.log(self.node, &pod);
            if let Err(error) = blocking(move || logs::remove(&log)).await {
                tracing::warn!(pod, %error, "an old run's log could not be removed");
            }
        }
    }
}

/// The last time up to `now` that is after `anchor`. It looks back from `now` by growing spans, so that a year of missed
/// minutes costs no year of minutes.
fn latest_due(
    next: impl Fn(Timestamp) -> Option<Timestamp>,
    anchor: Timestamp,
    now: Timestamp,
) -> Option<Timestamp> {
    let mut span = chrono::Duration::minutes(1);
    loop {
        let from = now
            .checked_sub_signed(span)
            .map_or(anchor, |from| from.max(anchor));
        if let Some(mut due) = next(from).filter(|due| *due <= now) {
            while let Some(later) = next(due).filter(|later| *later <= now && *later > due) {
                due = later;
            }
            return Some(due);
        }
        if from == anchor {
            return None;
        }
        span = span.checked_mul(2).unwrap_or(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};

    fn at(minute: i64) -> Timestamp {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    #[test]
    fn of_the_times_that_are_due_the_last_alone_counts() {
        // Every ten minutes, on the minute.
        let next = |after: Timestamp| Some(at(after.timestamp().div_euclid(600) * 10 + 10));
        for (anchor, now, expected) in [
            (0, 9, None),
            (0, 10, Some(10)),
            (0, 11, Some(10)),
            (0, 35, Some(30)),
            (10, 10, None),
            (10, 19, None),
            // A year later.
            (10, 525_605, Some(525_600)),
            // The clock went back.
            (100, 50, None),
        ] {
            let due = latest_due(next, at(anchor), at(now));
            assert_eq!(due, expected.map(at), "after {anchor} at {now}");
        }
        assert_eq!(latest_due(|_| None, at(0), at(1_000_000)), None);
    }
}

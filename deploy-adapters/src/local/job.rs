//! Jobs: run to the end, tried again as often as asked, stopped when their time is up. The same attempts serve the runs
//! of a cron job.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use deploy_core::workload::{Condition, Reason, ReasonCode, Shape, Timestamp, Workload};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::node::{Node, pod_name};
use super::object::Object;
use super::pod::{self, Interrupt, Plan, PodEnd};
use super::record::{End, PodRecord, Record};

/// The wait before the second attempt; doubles with each. Kubernetes waits 10 s at first (Job, "Pod backoff failure
/// policy"); nobody waits for a node here.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
/// The longest wait, as in Kubernetes.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(360);

/// The wait after that many failures, doubling from a second up to `longest`.
pub(super) fn back_off(failures: u32, longest: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST_BACK_OFF * 2_u32.pow(doublings)).min(longest)
}

/// The end of a job whose processes vanished with a server.
pub(super) fn lost(now: Timestamp, started_at: Option<Timestamp>, message: &str) -> End {
    End {
        failure: Some(Reason::new(ReasonCode::Lost, message)),
        exit_code: None,
        started_at,
        finished_at: now,
    }
}

/// Looks after a job until it has ended, is suspended, or its object is halted.
pub(super) async fn supervise(node: &Node, object: &Object) {
    let (workload, code) = object.read(|record| (record.workload.clone(), record.code.clone()));
    let attempts = Attempts {
        node,
        object,
        workload: &workload,
        code: code.as_deref(),
        run: None,
        halt: &object.halt,
    };
    let outcome = attempts.run_to_end().await;
    object.set_code(None);
    let now = node.clock.now();
    match outcome {
        // Recorded with the last attempt.
        Outcome::Ended => {}
        Outcome::Halted { started_at } => {
            let closing = node.closing.is_cancelled();
            let change = |record: &mut Record| {
                if record.suspended {
                    return Some(Condition::Stopped);
                }
                // A job that never ran starts at the next start; one that did is not run twice. A delete forgets both.
                if closing && started_at.is_some() && record.ended.is_none() {
                    record.ended = Some(lost(now, started_at, "the server was stopped while it ran"));
                    return Some(record.condition_at_rest());
                }
                None
            };
            if let Err(error) = object.change(node, change).await {
                // The next start finds it as it is, and comes to the same end.
                tracing::error!(%error, "the end of a job could not be stored");
            }
        }
    }
}

/// All attempts of a job, or of one run of a cron job.
pub(super) struct Attempts<'a> {
    pub node: &'a Node,
    pub object: &'a Object,
    pub workload: &'a Workload,
    /// The export of its code, which whoever made this keeps.
    pub code: Option<&'a str>,
    /// The scheduled time, for a cron job; its object's condition is not told.
    pub run: Option<Timestamp>,
    pub halt: &'a CancellationToken,
}

/// How the attempts were over.
pub(super) enum Outcome {
    /// By themselves, or because their time was up; recorded.
    Ended,
    /// By a halt. `started_at` is when the process that was ended had begun, where one ran.
    Halted {
        /// Since when it ran.
        started_at: Option<Timestamp>,
    },
}

impl Attempts<'_> {
    /// Tries until one succeeds, none is left, or something interrupts.
    pub(super) async fn run_to_end(&self) -> Outcome {
        let (retries, timeout) = limits(&self.workload.shape);
        let mut interrupt = pin!(self.interrupt(timeout));
        // A cron job's runs begin anew; a job goes on where an earlier server left it.
        let mut failures = if self.run.is_none() {
            self.object.read(|record| record.failures)
        } else {
            0
        };
        let mut hindrances = 0;
        let mut first_start = None;
        loop {
            if self.halt.is_cancelled() {
                return Outcome::Halted { started_at: None };
            }
            match self.attempt(interrupt.as_mut()).await {
                Ok((pod, end)) if end.interrupt == Some(Interrupt::Halted) => {
                    self.record_end(&pod, &end, failures, None).await;
                    return Outcome::Halted {
                        started_at: Some(end.started_at),
                    };
                }
                Ok((pod, end)) => {
                    let first = *first_start.get_or_insert(end.started_at);
                    if !end.is_success() {
                        failures += 1;
                    }
                    let is_last =
                        end.is_success() || end.interrupt.is_some() || failures > u32::from(retries);
                    self.record_end(&pod, &end, failures, is_last.then_some(first))
                        .await;
                    if is_last {
                        return Outcome::Ended;
                    }
                }
                Err(error) => {
                    hindrances += 1;
                    tracing::warn!(object = ?self.object.slot, %error, "a process could not be started; trying again");
                    if self.run.is_none() {
                        let reason =
                            Reason::new(ReasonCode::Queued, format!("it cannot be started now: {error}"));
                        let revision = self.object.read(|record| record.revision);
                        self.object
                            .tell(self.node, revision, Condition::Pending(Some(reason)));
                    }
                }
            }
            let wait = back_off(failures.max(hindrances), LONGEST_BACK_OFF);
            tokio::select! {
                interrupt = interrupt.as_mut() => return self.interrupted_at_rest(interrupt, first_start).await,
                () = self.node.clock.sleep(wait) => {}
            }
        }
    }

    async fn attempt(&self, interrupt: impl Future<Output = Interrupt>) -> io::Result<(PodRecord, PodEnd)> {
        let pod = PodRecord::pending(
            pod_name(self.workload.name.as_str()),
            self.object.read(|record| record.template),
            self.run,
        );
        let (tells, started) = (self.run.is_none(), Notify::new());
        let plan = Plan {
            node: self.node,
            object: self.object,
            workload: self.workload,
            code: self.code,
            pod: &pod,
        };
        let on_start = |since| tells.then_some(Condition::Running { since });
        let end = pod::run(plan, on_start, &started, interrupt).await?;
        Ok((pod, end))
    }

    /// Records how an attempt was over; with `over_since`, the first start, it was the last one.
    async fn record_end(&self, pod: &PodRecord, end: &PodEnd, failures: u32, over_since: Option<Timestamp>) {
        let code = match end.interrupt {
            Some(Interrupt::Deadline) => ReasonCode::DeadlineExceeded,
            _ => ReasonCode::ExitCode,
        };
        let change = |record: &mut Record| {
            // A command that could not even be tried is not on record yet.
            if record.pod_mut(&pod.name).is_none() {
                record.pods.push(pod.clone());
            }
            if let Some(pod) = record.pod_mut(&pod.name) {
                end.settle(pod, code);
            }
            if self.run.is_some() {
                return None;
            }
            record.failures = failures;
            if let Some(started_at) = over_since {
                record.ended = Some(End {
                    failure: (!end.is_success()).then(|| end.reason(code)),
                    exit_code: Some(end.exit.code),
                    started_at: Some(started_at),
                    finished_at: end.finished_at,
                });
                return Some(record.condition_at_rest());
            }
            // Told by the supervisor once it is settled what a halt meant.
            (end.interrupt.is_none()).then(|| Condition::Pending(Some(end.reason(code))))
        };
        self.object.record_fact(self.node, change).await;
    }

    /// A halt or a deadline that came between two attempts.
    async fn interrupted_at_rest(&self, interrupt: Interrupt, first_start: Option<Timestamp>) -> Outcome {
        if interrupt == Interrupt::Halted {
            return Outcome::Halted { started_at: None };
        }
        if self.run.is_none() {
            let end = End {
                failure: Some(Reason::new(
                    ReasonCode::DeadlineExceeded,
                    "it took longer than timeout-seconds; no attempt had succeeded",
                )),
                exit_code: None,
                started_at: first_start,
                finished_at: self.node.clock.now(),
            };
            let change = |record: &mut Record| {
                record.ended = Some(end.clone());
                Some(record.condition_at_rest())
            };
            self.object.record_fact(self.node, change).await;
        }
        Outcome::Ended
    }

    async fn interrupt(&self, timeout: Option<Duration>) -> Interrupt {
        let deadline = async {
            match timeout {
                Some(timeout) => self.node.clock.sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.halt.cancelled() => Interrupt::Halted,
            () = deadline => Interrupt::Deadline,
        }
    }
}

fn limits(shape: &Shape) -> (u8, Option<Duration>) {
    match shape {
        Shape::Job {
            retries,
            timeout_seconds,
        }
        | Shape::CronJob {
            retries,
            timeout_seconds,
            ..
        } => (
            *retries,
            timeout_seconds.map(|seconds| Duration::from_secs(seconds.into())),
        ),
        Shape::Deployment { .. } | Shape::Service { .. } => (0, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_back_off_doubles_up_to_its_limit() {
        let seconds: Vec<u64> = [0, 1, 2, 3, 9, 10, 100, u32::MAX]
            .map(|failures| back_off(failures, Duration::from_secs(300)).as_secs())
            .to_vec();
        assert_eq!(seconds, [1, 1, 2, 4, 256, 300, 300, 300]);
    }
}

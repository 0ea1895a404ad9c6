//! Jobs and cron jobs. A job's end is its container's: the kubelet tells it at once, the pod's phase follows a second
//! later, and the job's own status later still. Only where the container does not tell (another attempt may follow, its
//! pod was taken away, its time was up) the job's verdict is waited for.

use std::sync::Arc;

use deploy_core::workload::{Condition, Ended, Reason, ReasonCode, Timestamp};

use super::{first_known, pod, refusal, unreadable};
use crate::kubernetes::seen::{
    Container, ContainerEnd, JobCondition, JobConditionKind, SeenCronJob, SeenEvent, SeenJob, SeenPod,
};

/// How a job is doing, by its pods and by what its controller says.
pub(in crate::kubernetes) fn job(
    job: &SeenJob,
    pods: &[Arc<SeenPod>],
    events: &[Arc<SeenEvent>],
) -> Condition {
    if job.meta.is_broken {
        return Condition::Pending(Some(unreadable()));
    }
    let look = Look { job, pods };
    if let Some(ended) = look.ended_by_its_container() {
        return Condition::Ended(ended);
    }
    if let Some(ended) = look.ended_by_its_controller() {
        return Condition::Ended(ended);
    }
    let left: Vec<&SeenPod> = look.pods_that_go_on().collect();
    if job.is_suspended && left.is_empty() && job.pods_left == 0 && look.suspension_is_seen() {
        return Condition::Stopped;
    }
    let runs = left
        .iter()
        .any(|pod| matches!(pod.container, Container::Running { .. }));
    if runs {
        return Condition::Running {
            since: first_known([look.started_at(), job.started_at, job.meta.created_at]),
        };
    }
    let reason = left.iter().find_map(|pod| pod::reason(pod));
    Condition::Pending(reason.or_else(|| {
        if left.is_empty() {
            look.hindrance(events)
        } else {
            None
        }
    }))
}

/// How a cron job is doing. How its jobs end is theirs, not its own.
pub(in crate::kubernetes) fn cron_job(cron_job: &SeenCronJob, pods: &[Arc<SeenPod>]) -> Condition {
    if cron_job.meta.is_broken {
        return Condition::Degraded(unreadable());
    }
    let runs = cron_job.active > 0 || pods.iter().any(|pod| !pod::is_over(pod));
    if cron_job.is_suspended && !runs {
        Condition::Stopped
    } else {
        Condition::Scheduled
    }
}

struct Look<'a> {
    job: &'a SeenJob,
    pods: &'a [Arc<SeenPod>],
}

impl<'a> Look<'a> {
    fn ended_by_its_container(&self) -> Option<Ended> {
        let ends = || {
            self.pods
                .iter()
                .filter_map(|pod| Some((&**pod, pod::own_end(pod)?)))
        };
        let by_time = |(_, end): &(&SeenPod, &ContainerEnd)| end.finished_at;
        if let Some((pod, end)) = ends().filter(|(_, end)| end.code == 0).min_by_key(by_time) {
            return Some(self.ended(None, Some(0), end.finished_at, Some(pod)));
        }
        // With attempts left, a failure is not yet the job's.
        if self.job.retries > 0 {
            return None;
        }
        let (pod, end) = ends().min_by_key(by_time)?;
        Some(self.ended(
            Some(pod::failure(end)),
            Some(end.code),
            end.finished_at,
            Some(pod),
        ))
    }

    fn ended_by_its_controller(&self) -> Option<Ended> {
        // What came of its pods after the stop is the stop's doing.
        if self.job.is_suspended && self.condition(JobConditionKind::Suspended).is_some() {
            return None;
        }
        let done = self
            .condition(JobConditionKind::Complete)
            .or_else(|| self.condition(JobConditionKind::SuccessCriteriaMet));
        if let Some(done) = done {
            if self.pods_lag_behind() {
                return None;
            }
            return Some(self.ended(None, Some(0), self.job.completed_at.or(done.since), None));
        }
        let failed = self.condition(JobConditionKind::Failed);
        let failing = failed.or_else(|| self.condition(JobConditionKind::FailureTarget))?;
        let is_late = &*failing.reason == "DeadlineExceeded";
        // Failed for its time alone, it may leave a pod on a node that no longer answers; any other verdict is made of
        // ends that its pods show.
        if self.pods_lag_behind() && !(is_late && failed.is_some()) {
            return None;
        }
        let last = self.last_pod();
        let reason = if is_late {
            Reason::new(
                ReasonCode::DeadlineExceeded,
                "it took longer than timeout-seconds and was stopped",
            )
        } else {
            last.and_then(pod::reason)
                .unwrap_or_else(|| Reason::new(ReasonCode::Lost, lost(failing)))
        };
        let end = last.and_then(container_end);
        let at = end
            .and_then(|end| end.finished_at)
            .filter(|_| !is_late)
            .or(failing.since);
        Some(self.ended(Some(reason), end.map(|end| end.code), at, last))
    }

    /// Whether a pod still seems to run of which the job's controller says that it has ended: its own event is late.
    fn pods_lag_behind(&self) -> bool {
        self.pods_that_go_on().next().is_some()
    }

    fn pods_that_go_on(&self) -> impl Iterator<Item = &'a SeenPod> {
        self.pods.iter().map(Arc::as_ref).filter(|pod| !pod::is_over(pod))
    }

    /// The pod that ended last.
    fn last_pod(&self) -> Option<&'a SeenPod> {
        self.pods.iter().map(Arc::as_ref).max_by_key(|pod| {
            let finished = container_end(pod).and_then(|end| end.finished_at);
            (finished, pod.meta.created_at)
        })
    }

    /// Whether the controller has seen the suspension, so that no pod comes of what it decided before. A job that was
    /// created suspended never gave it anything to decide.
    fn suspension_is_seen(&self) -> bool {
        self.job.meta.generation <= 1 || self.condition(JobConditionKind::Suspended).is_some()
    }

    /// What keeps a job with no pod from having one.
    fn hindrance(&self, events: &[Arc<SeenEvent>]) -> Option<Reason> {
        let last = self.last_pod();
        let since = last.and_then(|pod| pod.meta.created_at);
        let event = events.iter().max_by_key(|event| event.at);
        event
            .filter(|event| event.at >= since)
            .map(|event| refusal(&event.message))
            .or_else(|| last.and_then(pod::reason))
    }

    fn condition(&self, kind: JobConditionKind) -> Option<&'a JobCondition> {
        self.job
            .conditions
            .iter()
            .find(|condition| condition.kind == kind)
    }

    /// The first start of a container of it.
    fn started_at(&self) -> Option<Timestamp> {
        self.pods.iter().filter_map(|pod| pod::started_at(pod)).min()
    }

    fn ended(
        &self,
        failure: Option<Reason>,
        exit_code: Option<i32>,
        finished_at: Option<Timestamp>,
        pod: Option<&SeenPod>,
    ) -> Ended {
        Ended {
            failure,
            exit_code,
            started_at: self.started_at().or(self.job.started_at),
            finished_at: first_known([
                finished_at,
                self.job.completed_at,
                pod.and_then(|pod| pod.started_at),
                self.job.started_at,
                self.job.meta.created_at,
            ]),
        }
    }
}

fn container_end(pod: &SeenPod) -> Option<&ContainerEnd> {
    match &pod.container {
        Container::Terminated(end) => Some(end),
        _ => None,
    }
}

/// The controller's words for a job whose pods are gone.
fn lost(failing: &JobCondition) -> String {
    format!(
        "its pod is gone, and how it ended is not known ({}: {})",
        failing.reason, failing.message
    )
}

//! The state machine of one task: what an event makes of its [`Status`]. Pure: no clock, no io.
//!
//! What has to be done about it is [`Status::intent`]: recorded with the status, then carried out, and carried out
//! again after a crash. There is never more than one intent: a newer one takes the older one's place.

use crate::names::TaskId;
use crate::pipeline::StepState;
use crate::workload::{
    Applied, Condition, Ended, Kind, Observed, Reason, ReasonCode, Timestamp, Uid, Warning, WarningCode,
    Workload,
};

use super::{Intent, State, Status, Task};

/// Something that happened to a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A step's turn has come.
    Start,
    /// A step's turn will never come, because another failed.
    Skip,
    /// A step's turn will never come, because the run is killed.
    Cancel,
    /// The image is there, under this reference.
    Built(String),
    /// The object is there.
    Applied(Applied),
    /// The object of an older, finished task is under its name, and has to go first.
    Occupied {
        /// Whose it is.
        old: TaskId,
        /// Its incarnation.
        uid: Uid,
    },
    /// The object whose name this task takes is gone.
    Cleared,
    /// What was intended is refused for good.
    Refused(Reason),
    /// The object was looked at.
    Observed(Observed),
    /// The object is gone, as a fresh look confirmed.
    Vanished,
    /// The run is killed.
    Stop,
    /// The stop was accepted; that nothing runs any more is observed.
    StopAccepted(Applied),
    /// A user deletes it.
    Delete,
    /// A user's delete cannot be carried out, and will not be.
    DeleteAbandoned,
    /// `--job-retention` has passed since the end.
    Expire,
    /// The object was removed, as was intended.
    Removed,
    /// Another task holds the name now.
    Superseded(TaskId),
    /// A step's rollout took too long.
    RolloutOverdue,
}

/// Takes an event in. What is to be carried out once the new status is recorded is its intent.
pub fn step(task: &mut Task, event: Event, now: Timestamp) {
    let kind = task.kind();
    let status = &mut task.status;
    match event {
        Event::Start => start(status, task.build),
        Event::Skip => end_unstarted(status, State::Skipped, StepState::Skipped, now),
        Event::Cancel => end_unstarted(status, State::Killed, StepState::Killed, now),
        Event::Built(reference) => {
            if status.intent == Some(Intent::Build) {
                status.image = Some(reference);
                status.state = State::Pending;
                status.intent = Some(Intent::Apply);
            }
        }
        Event::Applied(applied) => applied_to(status, kind, applied, now),
        Event::Occupied { old, uid } => {
            if status.intent == Some(Intent::Apply) {
                status.reason = Some(replacing());
                status.intent = Some(Intent::Replace { old, uid });
            }
        }
        Event::Cleared => {
            if matches!(status.intent, Some(Intent::Replace { .. })) {
                status.intent = Some(Intent::Apply);
                status.reason = None;
            }
        }
        Event::Refused(reason) => refuse(status, reason, now),
        Event::Observed(observed) => {
            if concerns(status, kind, &task.workload, &observed) {
                observe(status, kind, observed, now);
            }
        }
        Event::Vanished => vanish(status, now),
        Event::Stop => stop(status, kind, now),
        Event::StopAccepted(applied) => {
            if status.intent == Some(Intent::Stop) {
                hold(status, &applied.uid, applied.revision);
            }
        }
        Event::Delete => {
            if status.holds {
                status.intent = Some(Intent::Delete);
            }
        }
        Event::DeleteAbandoned => {
            if status.intent == Some(Intent::Delete) {
                status.intent = None;
            }
        }
        Event::Expire => {
            if status.holds && status.state.is_final() && status.intent.is_none() {
                status.intent = Some(Intent::Expire);
            }
        }
        Event::Removed => remove(status, now),
        Event::Superseded(by) => supersede(status, by, now),
        Event::RolloutOverdue => {
            if status.step == Some(StepState::Running) && status.intent != Some(Intent::Stop) {
                let held_up_by = status
                    .reason
                    .as_ref()
                    .map_or_else(String::new, |r| format!(": {}", r.message));
                let message = format!("the rollout was not ready in time{held_up_by}");
                status.reason = Some(Reason::new(ReasonCode::RolloutFailed, message));
                status.step = Some(StepState::Failed);
                if status.uid.is_none() {
                    end(status, State::Failed, now);
                }
            }
        }
    }
}

impl Status {
    /// A task that was accepted: what is to be done first is `intent`.
    #[must_use]
    pub fn accepted(intent: Intent) -> Self {
        let state = if intent == Intent::Build {
            State::Building
        } else {
            State::Pending
        };
        let reason = matches!(intent, Intent::Replace { .. }).then(replacing);
        Self {
            reason,
            intent: Some(intent),
            ..Self::new(state, None)
        }
    }

    /// A step that waits for its turn.
    #[must_use]
    pub const fn waiting() -> Self {
        Self::new(State::Waiting, Some(StepState::Waiting))
    }

    const fn new(state: State, step: Option<StepState>) -> Self {
        Self {
            state,
            reason: None,
            started_at: None,
            finished_at: None,
            exit_code: None,
            intent: None,
            image: None,
            holds: false,
            uid: None,
            revision: 0,
            created_object: false,
            superseded_by: None,
            step,
            warnings: Vec::new(),
        }
    }
}

fn replacing() -> Reason {
    Reason::new(
        ReasonCode::Replacing,
        "the object of the same name is being removed first",
    )
}

fn start(status: &mut Status, build: bool) {
    if status.state == State::Waiting {
        let first = if build { Intent::Build } else { Intent::Apply };
        *status = Status {
            step: Some(StepState::Running),
            ..Status::accepted(first)
        };
    }
}

fn end_unstarted(status: &mut Status, state: State, step: StepState, now: Timestamp) {
    if status.state == State::Waiting {
        status.state = state;
        status.step = Some(step);
        status.finished_at = Some(now);
    }
}

fn hold(status: &mut Status, uid: &Uid, revision: u64) {
    status.holds = true;
    status.uid = Some(uid.clone());
    status.revision = status.revision.max(revision);
}

fn applied_to(status: &mut Status, kind: Kind, applied: Applied, now: Timestamp) {
    match status.intent {
        Some(Intent::Apply | Intent::Replace { .. }) => {
            hold(status, &applied.uid, applied.revision);
            status.created_object = applied.created;
            status.intent = None;
            status.reason = None;
            status.state = match kind {
                Kind::Job => State::Pending,
                Kind::CronJob => State::Scheduled,
                Kind::Deployment | Kind::Service => State::Updating,
            };
        }
        // The run was killed while the object was on its way: what came into being goes, what was there stays.
        Some(Intent::Stop) if status.uid.is_none() => {
            hold(status, &applied.uid, applied.revision);
            status.created_object = applied.created;
            if matches!(kind, Kind::Deployment | Kind::Service) && !applied.created {
                leave_rollout(status, now);
            }
        }
        // Too late to matter, but there: it can be found and deleted by its record.
        _ if status.uid.is_none() => hold(status, &applied.uid, applied.revision),
        _ => {}
    }
}

fn refuse(status: &mut Status, reason: Reason, now: Timestamp) {
    match status.intent {
        Some(Intent::Build | Intent::Apply | Intent::Replace { .. }) => {
            status.reason = Some(reason);
            end(status, State::Failed, now);
        }
        // A stop that is refused for good has nothing left to stop.
        Some(Intent::Stop) => end(status, State::Killed, now),
        Some(Intent::Delete | Intent::Expire) => status.intent = None,
        None => {}
    }
}

/// Whether a look speaks of this task's own object, and of no version older than our last write to it.
fn concerns(status: &Status, kind: Kind, workload: &Workload, observed: &Observed) -> bool {
    match &status.uid {
        Some(uid) => status.holds && *uid == observed.uid && observed.revision >= status.revision,
        // The watch may tell of a job before the call that made it returns, or instead of it. Of a deployment it cannot
        // tell whether it was made or updated, so there the call's answer is waited for, or the call repeated.
        None => {
            kind == Kind::Job
                && observed.task == Some(workload.task)
                && observed.object == workload.object()
                && matches!(status.intent, Some(Intent::Apply | Intent::Stop))
        }
    }
}

fn observe(status: &mut Status, kind: Kind, observed: Observed, now: Timestamp) {
    if status.uid.is_none() {
        let created = true;
        applied_to(
            status,
            kind,
            Applied {
                uid: observed.uid,
                created,
                revision: observed.revision,
            },
            now,
        );
    }
    if status.state.is_final() {
        return;
    }
    match observed.condition {
        Condition::Pending(reason) => set(status, State::Pending, reason),
        Condition::Running { since } => {
            status.started_at.get_or_insert(since);
            set(status, State::Running, None);
        }
        Condition::Ended(ended) => end_job(status, ended),
        Condition::Stopped => {
            if status.intent == Some(Intent::Stop) {
                end(status, State::Killed, now);
            }
        }
        Condition::Scheduled => set(status, State::Scheduled, None),
        Condition::Ready { since } => {
            status.started_at = Some(since);
            set(status, State::Ready, None);
            if status.step == Some(StepState::Running) && status.intent != Some(Intent::Stop) {
                status.step = Some(StepState::Succeeded);
            }
        }
        Condition::Updating(reason) => set(status, State::Updating, reason),
        Condition::Degraded(reason) => {
            let rollout_failed = reason.code == ReasonCode::RolloutFailed;
            set(status, State::Degraded, Some(reason));
            if rollout_failed
                && status.step == Some(StepState::Running)
                && status.intent != Some(Intent::Stop)
            {
                status.step = Some(StepState::Failed);
            }
        }
    }
}

fn set(status: &mut Status, state: State, reason: Option<Reason>) {
    status.state = state;
    status.reason = reason;
}

fn end_job(status: &mut Status, ended: Ended) {
    status.started_at = ended.started_at.or(status.started_at);
    status.exit_code = ended.exit_code;
    let state = if ended.failure.is_some() {
        State::Failed
    } else {
        State::Succeeded
    };
    status.reason = ended.failure;
    end(status, state, ended.finished_at);
}

/// Ends the task, and its step with it.
fn end(status: &mut Status, state: State, at: Timestamp) {
    status.state = state;
    status.finished_at = Some(at);
    status.intent = None;
    if status.step.is_some_and(|step| !step.is_finished()) {
        status.step = Some(match state {
            State::Succeeded => StepState::Succeeded,
            State::Killed => StepState::Killed,
            _ => StepState::Failed,
        });
    }
}

fn vanish(status: &mut Status, now: Timestamp) {
    if status.intent == Some(Intent::Delete) || !status.holds {
        return; // its own answer tells
    }
    let stopping = status.intent == Some(Intent::Stop);
    status.holds = false;
    status.intent = None;
    if !status.state.is_final() {
        if !stopping {
            status.reason = Some(Reason::new(
                ReasonCode::Lost,
                "its object vanished from the cluster",
            ));
        }
        end(status, if stopping { State::Killed } else { State::Failed }, now);
    }
}

fn stop(status: &mut Status, kind: Kind, now: Timestamp) {
    if status.step != Some(StepState::Running) || status.intent == Some(Intent::Stop) {
        return;
    }
    match (kind, &status.intent) {
        // Nothing is in the cluster yet.
        (_, Some(Intent::Build)) => end(status, State::Killed, now),
        (Kind::Deployment | Kind::Service, None) if !status.created_object => leave_rollout(status, now),
        _ => status.intent = Some(Intent::Stop),
    }
}

/// Rule 6: a rollout that this run had only updated is left.
fn leave_rollout(status: &mut Status, now: Timestamp) {
    status.intent = None;
    status.step = Some(StepState::Killed);
    status.finished_at = Some(now);
    status.warnings.push(Warning::new(
        WarningCode::RolloutLeft,
        "the run was killed during a rollout of something that was there before; it goes on",
    ));
}

fn remove(status: &mut Status, now: Timestamp) {
    let intent = status.intent.take();
    status.holds = false;
    match intent {
        Some(Intent::Stop) => end(status, State::Killed, now),
        Some(Intent::Delete) if !status.state.is_final() => {
            status.reason = Some(Reason::new(ReasonCode::Deleted, "it was deleted by a user"));
            let fails_its_step = status.step == Some(StepState::Running);
            end(
                status,
                if fails_its_step {
                    State::Failed
                } else {
                    State::Deleted
                },
                now,
            );
        }
        _ => {}
    }
}

fn supersede(status: &mut Status, by: TaskId, now: Timestamp) {
    let finished_at = status.finished_at.unwrap_or(now);
    if status.step == Some(StepState::Running) {
        status.reason = Some(Reason::new(ReasonCode::Deleted, "a newer deploy took its name"));
    }
    end(status, State::Superseded, finished_at);
    status.holds = false;
    status.superseded_by = Some(by);
}

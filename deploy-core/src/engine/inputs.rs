//! Everything the loop takes in beside commands, and what each leads to.

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::{Error, ErrorCode};
use crate::names::{PipelineId, TaskId};
use crate::pipeline::run::Decision;
use crate::pipeline::{RunEvent, StepEnd, StepState};
use crate::ports::RecordsError;
use crate::task::lifecycle::{self, Event};
use crate::task::{Intent, Task};
use crate::work::Work;
use crate::workload::{Applied, Deleted, Kind, Observed, Reason, ReasonCode, SlotKind, Uid};

use super::Desk;
use super::commands::Waiter;

/// Something that happened.
#[derive(Clone)]
pub(super) enum Input {
    /// A cluster's event.
    Observed(Observed),
    /// An effect came to its end.
    Done(TaskId, Intent, Outcome),
    /// The wait before an effect is tried again is over.
    Retry(TaskId, IntentKind),
    /// Whoever waits for a task has waited long.
    PatienceOver(TaskId),
    /// A step's rollout should be ready by now.
    RolloutDue(TaskId),
    /// It is time to compare store and cluster.
    ResyncDue,
    /// What a comparison saw, object by object; `None` = confirmed to be gone.
    Looked(Vec<(TaskId, Uid, Option<Observed>)>),
    /// It is time to look for what has outlived its keep.
    JanitorDue,
    /// A document was loaded, or not.
    Loaded(Box<Work>),
    /// The store may be back.
    Backlog,
}

/// How an effect ended.
#[derive(Clone)]
pub(super) enum Outcome {
    Built(String),
    Applied(Applied),
    Occupied {
        task: Option<TaskId>,
        uid: Uid,
    },
    Cleared,
    StopAccepted(Applied),
    Removed(Vec<Deleted>),
    Refused {
        code: ErrorCode,
        reason: ReasonCode,
        message: String,
    },
    Unreachable {
        retry_after: Option<Duration>,
        may_be_done: bool,
    },
}

/// Which intent, without what it carries: an effect is under way at most once per task and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum IntentKind {
    Build,
    Replace,
    Apply,
    Stop,
    Delete,
    Expire,
}

impl IntentKind {
    pub(super) const ALL: [Self; 6] = [
        Self::Build,
        Self::Replace,
        Self::Apply,
        Self::Stop,
        Self::Delete,
        Self::Expire,
    ];
}

impl From<&Intent> for IntentKind {
    fn from(intent: &Intent) -> Self {
        match intent {
            Intent::Build => Self::Build,
            Intent::Replace { .. } => Self::Replace,
            Intent::Apply => Self::Apply,
            Intent::Stop => Self::Stop,
            Intent::Delete => Self::Delete,
            Intent::Expire => Self::Expire,
        }
    }
}

impl Desk {
    /// Takes one input in.
    pub(super) async fn take(&mut self, input: Input) {
        if self.unclear.is_some() && !matches!(input, Input::Backlog) {
            self.take_later(input);
            return;
        }
        if let Input::Done(_, intent, outcome) = &input
            && let Some(older) = older_task(intent, outcome)
            && let Err(error) = self.recall(older).await
        {
            // Without it what came of the effect would be taken for something else, and for good.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(task = %older, error, "a record cannot be read; its turn comes later");
            self.take_later(input);
            return;
        }
        // What comes back by itself need not be taken in again when it cannot be recorded.
        if !matches!(input, Input::Backlog | Input::ResyncDue | Input::JanitorDue) {
            self.batch.took_in(input.clone());
        }
        match input {
            Input::Observed(observed) => {
                if let Some(task) = self.board.observed_task(&observed) {
                    self.feed(task, Event::Observed(observed));
                }
            }
            Input::Done(task, intent, outcome) => self.done(task, intent, outcome),
            Input::Retry(task, kind) => self.try_again(task, kind),
            Input::PatienceOver(task) => self.patience_over(task),
            Input::RolloutDue(task) => self.feed(task, Event::RolloutOverdue),
            Input::ResyncDue => self.look_at_everything(),
            Input::Looked(seen) => {
                for (task, uid, observed) in seen {
                    match observed {
                        Some(observed) => self.feed(task, Event::Observed(observed)),
                        None if self.board.task(task).is_some_and(|t| t.status.uid == Some(uid)) => {
                            self.feed(task, Event::Vanished);
                        }
                        None => {}
                    }
                }
            }
            Input::JanitorDue => self.clear_out().await,
            Input::Loaded(work) => self.batch.put_work(*work),
            Input::Backlog => {
                self.backlog_is_timed = false;
                if !self.clear_up().await {
                    self.time_backlog();
                    return;
                }
                for input in std::mem::take(&mut self.backlog) {
                    Box::pin(self.take(input)).await;
                }
            }
        }
    }

    /// An effect came to its end.
    fn done(&mut self, id: TaskId, intent: Intent, outcome: Outcome) {
        let kind = IntentKind::from(&intent);
        if let Outcome::Unreachable {
            retry_after,
            may_be_done,
        } = outcome
        {
            self.unreachable(id, kind, retry_after, may_be_done);
            return;
        }
        self.in_flight.remove(&(id, kind));
        self.troubles.remove(&id);
        self.refusals.remove(&id);
        // What came of an intent that another has replaced since may matter still: a stop finds its object by it.
        self.batch.wake(id);
        match outcome {
            Outcome::Built(reference) => self.feed(id, Event::Built(reference)),
            Outcome::Applied(applied) => {
                self.feed(id, Event::Applied(applied));
                self.look_again(id);
            }
            Outcome::Occupied { task, uid } => self.occupied(id, task, uid),
            Outcome::Cleared => {
                if let Intent::Replace { old, .. } = intent {
                    self.has_begun(id);
                    self.feed(id, Event::Cleared);
                    self.feed(old, Event::Superseded(id));
                }
            }
            Outcome::StopAccepted(applied) => {
                self.feed(id, Event::StopAccepted(applied));
                self.look_again(id);
            }
            Outcome::Removed(deleted) => self.removed(id, &intent, deleted),
            Outcome::Refused {
                code,
                reason,
                message,
            } => {
                self.refusals.insert(id, Error::new(code, message.clone()));
                self.feed(id, Event::Refused(Reason::new(reason, message)));
            }
            Outcome::Unreachable { .. } => {}
        }
    }

    /// A job of another task is under the name: a finished one gives way, any other keeps it.
    fn occupied(&mut self, id: TaskId, by: Option<TaskId>, uid: Uid) {
        let old = by
            .and_then(|old| self.board.task(old))
            .filter(|task| task.status.state.is_final())
            .map(Task::id);
        match old {
            Some(old) => self.feed(id, Event::Occupied { old, uid }),
            None => {
                let message =
                    "a job that is not known to have finished exists under this name; delete it first";
                self.refusals
                    .insert(id, Error::new(ErrorCode::NameTaken, message));
                let reason = Reason::new(ReasonCode::ClusterRefused, message);
                self.feed(id, Event::Refused(reason));
            }
        }
    }

    fn removed(&mut self, id: TaskId, intent: &Intent, deleted: Vec<Deleted>) {
        let by_user = *intent == Intent::Delete;
        self.feed(id, Event::Removed);
        if !by_user {
            return;
        }
        if let Some(task) = self
            .board
            .task(id)
            .filter(|task| task.slot().kind == SlotKind::Deployment)
        {
            self.batch.remove_tasks(task.slot());
        }
        for waiter in self.waiting.get_mut(&id).into_iter().flatten() {
            if let Waiter::Delete { deleted: so_far, .. } = waiter {
                so_far.clone_from(&deleted);
            }
        }
    }

    /// Lets a task take an event in, and everything take in what follows from it.
    pub(super) fn feed(&mut self, id: TaskId, event: Event) {
        let now = self.ports.clock.now();
        let mut queue = VecDeque::from([(id, event)]);
        while let Some((id, event)) = queue.pop_front() {
            let Some(task) = self.board.task_mut(id) else {
                continue;
            };
            self.batch.touch_task(task);
            let step_before = task.status.step;
            lifecycle::step(task, event, now);
            let (step_after, step) = (task.status.step, task.step.as_ref().map(|step| step.index));
            let run = task.run();
            let reindexed = self.board.index(id);
            if let Some(displaced) = reindexed.displaced {
                queue.push_back((displaced, Event::Superseded(id)));
            }
            if let Some(next) = reindexed.next {
                self.batch.wake(next);
            }
            let ended = step_before == Some(StepState::Running) && step_after != Some(StepState::Running);
            let end = match step_after {
                Some(StepState::Succeeded) => StepEnd::Succeeded,
                Some(StepState::Killed) => StepEnd::Killed,
                _ => StepEnd::Failed,
            };
            if let (true, Some(run), Some(step)) = (ended, run, step) {
                queue.extend(self.happened(run, RunEvent::StepEnded { step, end }));
            }
        }
    }

    /// Lets a run take an event in. Answers what its steps are to take in.
    pub(super) fn happened(&mut self, id: PipelineId, event: RunEvent) -> Vec<(TaskId, Event)> {
        let now = self.ports.clock.now();
        let Some(live) = self.board.run_mut(id) else {
            return Vec::new();
        };
        if !live.progress.accepts(event) {
            return Vec::new();
        }
        self.batch.touch_run(id, &live.run.status);
        live.events.push(event);
        let decisions = live.progress.apply(event);
        live.refresh_status(now);
        let steps = &live.steps;
        let of = |step: u32| steps.get(step as usize).copied();
        let events = decisions.into_iter().filter_map(|decision| match decision {
            Decision::Start(step) => Some((of(step)?, Event::Start)),
            Decision::Stop(step) => Some((of(step)?, Event::Stop)),
            Decision::Skip(step) => Some((of(step)?, Event::Skip)),
            Decision::Cancel(step) => Some((of(step)?, Event::Cancel)),
            Decision::End(_) => None,
        });
        events.collect()
    }

    /// Brings a task that is not live any more back into memory.
    async fn recall(&mut self, id: TaskId) -> Result<(), RecordsError> {
        if self.board.task(id).is_none()
            && let Some(task) = self.ports.tasks.get(id).await?
        {
            self.board.put_task(task);
        }
        Ok(())
    }

    /// Takes their places from records that are not live any more and hold what a task has taken in this batch: nobody
    /// in memory could have given way, and no place is held twice.
    pub(super) async fn displace_recorded(&mut self) -> Result<(), RecordsError> {
        for (id, slot) in self.batch.taken(&self.board) {
            let recorded = self.ports.tasks.holder(&slot).await?;
            if let Some(old) = recorded.filter(|old| self.board.task(old.id()).is_none()) {
                let displaced = old.id();
                self.board.put_displaced(old);
                self.feed(displaced, Event::Superseded(id));
            }
        }
        Ok(())
    }

    /// Watches over the time a step's rollout may take.
    pub(super) fn time_rollout(&mut self, id: TaskId) {
        let Some(task) = self.board.task(id) else { return };
        let Some(step) = &task.step else { return };
        if !matches!(task.kind(), Kind::Deployment | Kind::Service)
            || task.status.step != Some(StepState::Running)
        {
            return;
        }
        let (clock, seconds) = (self.ports.clock.clone(), step.rollout_seconds);
        self.work.push(Box::pin(async move {
            clock.sleep(Duration::from_secs(seconds.into())).await;
            Input::RolloutDue(id)
        }));
    }
}

/// The older task that an effect's outcome is also about.
const fn older_task(intent: &Intent, outcome: &Outcome) -> Option<TaskId> {
    match (intent, outcome) {
        (Intent::Replace { old, .. }, Outcome::Cleared) => Some(*old),
        (_, Outcome::Occupied { task, .. }) => *task,
        _ => None,
    }
}

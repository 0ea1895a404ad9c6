//! Effects that do not reach the cluster. What nobody waits for is tried until it is done. What somebody waits for is
//! given up when they have waited long, and then it is not done and will not be; or it is answered as pending, where the
//! cluster may have done it without saying so.

use std::time::Duration;

use crate::error::{Error, ErrorCode};
use crate::names::TaskId;
use crate::task::lifecycle::Event;
use crate::workload::{Reason, ReasonCode};

use super::Desk;
use super::commands::Waiter;
use super::inputs::{Input, IntentKind};

/// What is known of a task whose effect did not reach the cluster.
#[derive(Default)]
pub(super) struct Trouble {
    /// How often it was tried.
    attempts: u32,
    /// Whether somebody has waited long already: the next failure is the last.
    impatient: bool,
    /// When the cluster wants to be asked again, as it said last.
    retry_after: Duration,
    /// Whether a try may have been done without an answer.
    may_be_done: bool,
    /// Whether what had the name was removed for it already: it cannot be told any more that nothing was done.
    has_begun: bool,
}

impl Desk {
    /// What had a task's name is removed for it.
    pub(super) fn has_begun(&mut self, id: TaskId) {
        self.troubles.entry(id).or_default().has_begun = true;
    }

    /// Watches over the time that somebody waits for a task.
    pub(super) fn time_patience(&mut self, id: TaskId) {
        let (clock, patience) = (self.ports.clock.clone(), self.settings.patience);
        self.work.push(Box::pin(async move {
            clock.sleep(patience).await;
            Input::PatienceOver(id)
        }));
    }

    /// The cluster was not reached.
    pub(super) fn unreachable(
        &mut self,
        id: TaskId,
        kind: IntentKind,
        retry_after: Option<Duration>,
        may_be_done: bool,
    ) {
        let trouble = self.troubles.entry(id).or_default();
        trouble.attempts += 1;
        let doublings = (trouble.attempts - 1).min(16);
        let (retry, longest) = (self.settings.retry, self.settings.retry_max);
        let delay = retry.saturating_mul(1 << doublings).min(longest);
        let delay = retry_after.map_or(delay, |asked| asked.max(delay).min(longest));
        trouble.retry_after = delay;
        trouble.may_be_done |= may_be_done;
        let impatient = trouble.impatient;
        if may_be_done && kind != IntentKind::Delete && self.is_waited_for(id, kind) {
            self.answer_pending(id);
        } else if impatient && self.is_waited_for(id, kind) {
            self.give_up(id, kind);
            if !self.in_flight.contains(&(id, kind)) {
                return;
            }
        }
        self.resting.insert((id, kind));
        let clock = self.ports.clock.clone();
        self.work.push(Box::pin(async move {
            clock.sleep(delay).await;
            Input::Retry(id, kind)
        }));
    }

    /// The wait before an effect is tried again is over, unless it was given up meanwhile.
    pub(super) fn try_again(&mut self, id: TaskId, kind: IntentKind) {
        if self.resting.remove(&(id, kind)) {
            self.in_flight.remove(&(id, kind));
            self.batch.wake(id);
        }
    }

    /// Whoever waits for a task has waited long.
    pub(super) fn patience_over(&mut self, id: TaskId) {
        let intent = self.board.task(id).and_then(|task| task.status.intent.as_ref());
        let Some(kind) = intent.map(IntentKind::from) else {
            return;
        };
        if !self.is_waited_for(id, kind) {
            return;
        }
        let trouble = self.troubles.entry(id).or_default();
        trouble.impatient = true;
        let is_first = trouble.attempts == 0;
        if self.resting.contains(&(id, kind)) {
            self.give_up(id, kind);
        } else if is_first && kind != IntentKind::Delete {
            // It is under way for that long, so nobody can say that it will not be done.
            self.answer_pending(id);
        }
    }

    /// Whether somebody waits for that effect. A stop may be under way for a task that somebody wants deleted: what it
    /// meets is not theirs to hear.
    fn is_waited_for(&self, id: TaskId, kind: IntentKind) -> bool {
        let waits = |waiter: &Waiter| waiter.waits_for(kind);
        let waiters = self.waiting.get(&id);
        waiters.is_some_and(|waiters| waiters.iter().any(waits))
    }

    /// Whoever waits is told. What may be done, or has begun, goes on; anything else is not done and will not be.
    fn give_up(&mut self, id: TaskId, kind: IntentKind) {
        let trouble = self.troubles.get(&id);
        let goes_on = trouble.is_some_and(|trouble| match kind {
            IntentKind::Delete => trouble.may_be_done,
            _ => trouble.has_begun,
        });
        if goes_on {
            self.tell_that_it_goes_on(id, kind);
            return;
        }
        self.in_flight.remove(&(id, kind));
        self.resting.remove(&(id, kind));
        let trouble = self.troubles.remove(&id).unwrap_or_default();
        let message = "the cluster cannot be reached; nothing was done and nothing will be";
        let refusal = Error::new(ErrorCode::ClusterUnavailable, message);
        self.refusals.insert(id, refusal.retry_after(trouble.retry_after));
        if kind == IntentKind::Delete {
            self.feed(id, Event::DeleteAbandoned);
        } else {
            self.feed(id, Event::Refused(Reason::new(ReasonCode::Interrupted, message)));
        }
    }

    fn tell_that_it_goes_on(&mut self, id: TaskId, kind: IntentKind) {
        if kind != IntentKind::Delete {
            self.answer_pending(id);
            return;
        }
        let after = self.troubles.get(&id).map(|trouble| trouble.retry_after);
        let message = "the cluster has not said yet that it is gone; the delete goes on, so ask again";
        let (gone_on, others) = self
            .waiting
            .remove(&id)
            .unwrap_or_default()
            .into_iter()
            .partition::<Vec<_>, _>(|waiter| waiter.waits_for(kind));
        if !others.is_empty() {
            self.waiting.insert(id, others);
        }
        for waiter in gone_on {
            let error = Error::new(ErrorCode::ClusterUnavailable, message);
            waiter.refuse(error.retry_after(after.unwrap_or_default()));
        }
    }
}

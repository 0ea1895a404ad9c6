//! Whether a step may take the place of what holds its name. A run is accepted long before its last step starts, and the
//! name may be another repository's by then, so it is decided when the step's object is about to be applied, as of a
//! plain deploy: by whom the run is, and by the policy in force.

use std::sync::Arc;

use crate::authz::{Action, Caller, Decision, Policy};
use crate::deployer::Ports;
use crate::error::ErrorCode;
use crate::ports::RecordsError;
use crate::task::Task;
use crate::usecase::deploy_task::{NOT_TO_REPLACE, may_replace};
use crate::workload::{ReasonCode, Slot, SlotKind};

use super::Desk;
use super::inputs::Outcome;

/// A step that is about to take its place.
pub(super) struct Taking {
    policy: Arc<Policy>,
    caller: Caller,
    slot: Slot,
    /// What holds the place, where it is live; else only the record knows.
    holder: Option<Task>,
}

impl Desk {
    /// What there is to decide, if there is: a step's job has a name of its own.
    pub(super) fn taking(&self, task: &Task) -> Option<Taking> {
        let slot = task.slot();
        if slot.kind != SlotKind::Deployment {
            return None;
        }
        // What is not told of a run is not held in anyone's favour.
        let groups = self.board.run(task.run()?).map(|live| live.run.groups.clone());
        let caller = Caller {
            identity: task.identity().clone(),
            groups: groups.unwrap_or_default(),
        };
        let standing = self.policy.standing(&caller, Action::Deploy);
        if standing.whatever_repository(&slot.namespace) == Some(Decision::Allowed) {
            return None;
        }
        let holder = self.board.slot(&slot).and_then(|usage| usage.holder);
        Some(Taking {
            policy: Arc::clone(&self.policy),
            caller,
            holder: holder.and_then(|id| self.board.task(id)).cloned(),
            slot,
        })
    }
}

impl Taking {
    /// What comes of it instead of an apply, if anything speaks against that.
    pub(super) async fn objection(self, ports: &Ports) -> Option<Outcome> {
        let holder = match self.holder {
            Some(holder) => Some(holder),
            None => match ports.tasks.holder(&self.slot).await {
                Ok(holder) => holder,
                Err(error) => return Some(undecided(&error)),
            },
        };
        let may_replace = |holder: &Task| may_replace(&self.policy, &self.caller, holder);
        holder
            .filter(|holder| !may_replace(holder))
            .map(|_| Outcome::Refused {
                code: ErrorCode::Denied,
                reason: ReasonCode::ClusterRefused,
                message: NOT_TO_REPLACE.to_owned(),
            })
    }
}

/// It is asked again.
fn undecided(error: &RecordsError) -> Outcome {
    let error = error as &dyn std::error::Error;
    tracing::warn!(error, "who holds a step's name cannot be read; the step waits");
    Outcome::Unreachable {
        retry_after: None,
        may_be_done: false,
    }
}

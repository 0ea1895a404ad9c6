//! Carries out what is recorded: one call of a port for each intent, its answer in the loop's words. Everything here is
//! safe to repeat.

use crate::deployer::Ports;
use crate::error::ErrorCode;
use crate::names::TaskId;
use crate::ports::{BuildError, ClusterError, Freshness};
use crate::task::{Intent, Task};
use crate::workload::{Applied, Kind, ObjectRef, ReasonCode};

use super::Desk;
use super::inputs::{Input, IntentKind, Outcome};

impl Desk {
    /// Carries a task's intent out, if it has one that is not under way and its turn has come.
    pub(super) fn launch(&mut self, id: TaskId) {
        let Some(task) = self.board.task(id) else { return };
        let Some(intent) = task.status.intent.clone() else {
            return;
        };
        let kind = IntentKind::from(&intent);
        let must_wait = match kind {
            IntentKind::Apply | IntentKind::Replace => !self.board.is_first_claim(task),
            // Until the answer is there, nobody knows whether the rollout is this run's to remove.
            IntentKind::Stop => task.kind() != Kind::Job && self.in_flight.contains(&(id, IntentKind::Apply)),
            _ => false,
        };
        if must_wait || !self.in_flight.insert((id, kind)) {
            return;
        }
        let taking = (kind == IntentKind::Apply).then(|| self.taking(task)).flatten();
        let (ports, task) = (self.ports.clone(), task.clone());
        self.work.push(Box::pin(async move {
            let objection = match taking {
                Some(taking) => taking.objection(&ports).await,
                None => None,
            };
            let outcome = match objection {
                Some(objection) => objection,
                None => carry_out(&ports, task, &intent).await,
            };
            Input::Done(id, intent, outcome)
        }));
        if kind == IntentKind::Apply {
            self.time_rollout(id);
        }
    }
}

async fn carry_out(ports: &Ports, mut task: Task, intent: &Intent) -> Outcome {
    let cluster = &ports.cluster;
    if let Some(built) = &task.status.image {
        task.workload.container.image = crate::manifest::Image::Pulled(built.clone());
    }
    let (object, uid) = (task.object(), task.status.uid.as_ref());
    match intent {
        Intent::Build => build(ports, &task).await,
        Intent::Apply => cluster
            .apply(&task.workload)
            .await
            .map_or_else(failed, Outcome::Applied),
        Intent::Replace { uid, .. } => cluster
            .delete(&object, Some(uid))
            .await
            .map_or_else(failed, |_| Outcome::Cleared),
        Intent::Stop if task.kind() == Kind::Job => match cluster.stop(&task.workload).await {
            Ok(applied) => Outcome::StopAccepted(applied),
            Err(error) => not_stopped(ports, &task, error).await,
        },
        Intent::Stop if uid.is_none() => look_for_rollout(ports, &object, task.id()).await,
        Intent::Stop | Intent::Delete | Intent::Expire => match cluster.delete(&object, uid).await {
            Ok(removed) => Outcome::Removed(removed),
            Err(ClusterError::Refused { message }) if *intent == Intent::Stop => {
                refused_stop(&object, &message)
            }
            Err(error) => failed(error),
        },
    }
}

/// A job that the cluster would not stop. It is over only where nothing of it is there: a refusal may be taken back (rights
/// that are being renewed, a webhook), and until then it is asked again.
async fn not_stopped(ports: &Ports, task: &Task, error: ClusterError) -> Outcome {
    let (cluster, object) = (&ports.cluster, task.object());
    match error {
        // Its mark was damaged by hand, and it is the incarnation that was made for it.
        ClusterError::Exists { uid, .. } if task.status.uid.as_ref() == Some(&uid) => cluster
            .delete(&object, Some(&uid))
            .await
            .map_or_else(failed, Outcome::Removed),
        // The name is another's: nothing of this task is under it.
        ClusterError::Exists { .. } | ClusterError::NotOurs => Outcome::Removed(Vec::new()),
        ClusterError::Refused { message } => match cluster.observe(&object, Freshness::Confirmed).await {
            Ok(Some(observed)) if observed.task == Some(task.id()) => refused_stop(&object, &message),
            Ok(_) => Outcome::Removed(Vec::new()),
            Err(error) => failed(error),
        },
        error => failed(error),
    }
}

fn refused_stop(object: &ObjectRef, message: &str) -> Outcome {
    tracing::error!(%object, message, "the cluster refuses to stop it; it is asked again");
    Outcome::Unreachable {
        retry_after: None,
        may_be_done: false,
    }
}

async fn build(ports: &Ports, task: &Task) -> Outcome {
    let (Some(builder), Some(code)) = (&ports.image_builder, &task.workload.code) else {
        return Outcome::Refused {
            code: ErrorCode::NoImageBuilder,
            reason: ReasonCode::ImageBuildFailed,
            message: "no image builder is configured any more".to_owned(),
        };
    };
    match builder
        .build(task.id(), code, task.workload.container.image.reference())
        .await
    {
        Ok(reference) => Outcome::Built(reference),
        Err(BuildError::Failed { message }) => Outcome::Refused {
            code: ErrorCode::ClusterRefused,
            reason: ReasonCode::ImageBuildFailed,
            message,
        },
        Err(BuildError::Unavailable(source)) => {
            tracing::warn!(task = %task.id(), error = &*source, "the image builder cannot be reached");
            Outcome::Unreachable {
                retry_after: None,
                may_be_done: false,
            }
        }
    }
}

/// A killed rollout whose apply was lost with the last engine: if its object is there, whether this run made it cannot
/// be told any more, so it is left as one that was there before.
async fn look_for_rollout(ports: &Ports, object: &ObjectRef, id: TaskId) -> Outcome {
    match ports.cluster.observe(object, Freshness::Confirmed).await {
        Ok(Some(observed)) if observed.task == Some(id) => Outcome::Applied(Applied {
            uid: observed.uid,
            created: false,
            revision: observed.revision,
        }),
        Ok(_) => Outcome::Removed(Vec::new()),
        Err(error) => failed(error),
    }
}

fn failed(error: ClusterError) -> Outcome {
    let refused = |code, message| Outcome::Refused {
        code,
        reason: ReasonCode::ClusterRefused,
        message,
    };
    match error {
        ClusterError::NotOurs => refused(
            ErrorCode::NameTaken,
            "an object of this name exists that was not created here; use another name".to_owned(),
        ),
        ClusterError::Exists { task, uid } => Outcome::Occupied { task, uid },
        ClusterError::Refused { message } => refused(ErrorCode::ClusterRefused, message),
        ClusterError::Unavailable { retry_after, source } => {
            tracing::warn!(error = &*source, "the cluster cannot be reached");
            Outcome::Unreachable {
                retry_after,
                may_be_done: false,
            }
        }
        ClusterError::Ambiguous(source) => {
            tracing::warn!(error = &*source, "the cluster did not say whether it was done");
            Outcome::Unreachable {
                retry_after: None,
                may_be_done: true,
            }
        }
    }
}

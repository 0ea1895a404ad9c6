//! Deployments, and the services that own one: whether every replica of the wanted version is up.

use std::sync::Arc;

use deploy_core::workload::{Condition, Reason, ReasonCode};

use super::{first_known, pod, refusal, unreadable};
use crate::kubernetes::seen::{SeenDeployment, SeenPod};

/// What the deployment controller calls a rollout that is over (`Progressing`).
const DONE: &str = "NewReplicaSetAvailable";

/// How a deployment is doing, by its status and by those of its pods that are not well.
pub(in crate::kubernetes) fn deployment(deployment: &SeenDeployment, pods: &[Arc<SeenPod>]) -> Condition {
    if deployment.meta.is_broken {
        return Condition::Degraded(unreadable());
    }
    // The status is of before the last change.
    if deployment.observed_generation < deployment.meta.generation {
        return Condition::Updating(None);
    }
    let SeenDeployment {
        wanted,
        replicas,
        updated,
        available,
        progress,
        ..
    } = deployment;
    if updated == wanted && replicas == wanted && available >= wanted {
        return ready(deployment);
    }
    let reason = hindrance(deployment, pods);
    if let Some(progress) = progress.as_ref().filter(|progress| !progress.is_true) {
        let message = match reason {
            Some(reason) => format!("{}\n{}", progress.message, reason.message),
            None => progress.message.to_string(),
        };
        return Condition::Degraded(Reason::new(ReasonCode::RolloutFailed, message));
    }
    let was_up = progress
        .as_ref()
        .is_some_and(|progress| &*progress.reason == DONE);
    match reason {
        // Of a version that was up, or with nothing else that is.
        Some(reason) if was_up || (*available == 0 && reason.code == ReasonCode::CrashLooping) => {
            Condition::Degraded(reason)
        }
        // Being scaled, or coming back: nothing says that it will not.
        reason => Condition::Updating(reason),
    }
}

fn ready(deployment: &SeenDeployment) -> Condition {
    let rolled_out = deployment
        .progress
        .as_ref()
        .filter(|progress| &*progress.reason == DONE)
        .and_then(|progress| progress.updated_at);
    Condition::Ready {
        since: first_known([
            rolled_out.max(deployment.available_since),
            deployment.meta.created_at,
        ]),
    }
}

/// What holds it up: the newest of its pods that says so, or that there are none.
fn hindrance(deployment: &SeenDeployment, pods: &[Arc<SeenPod>]) -> Option<Reason> {
    let mut unwell: Vec<&SeenPod> = pods
        .iter()
        .map(Arc::as_ref)
        .filter(|pod| !pod.is_ready && pod.meta.deleted_at.is_none())
        .collect();
    unwell.sort_by_key(|pod| std::cmp::Reverse(pod.meta.created_at));
    let told = unwell.into_iter().find_map(pod::reason);
    told.or_else(|| {
        let (reason, message) = deployment.refusal.as_ref()?;
        Some(refusal(if message.is_empty() { reason } else { message }))
    })
}

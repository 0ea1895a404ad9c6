//! One pod: how it is, and why.

use deploy_core::workload::{Reason, ReasonCode, SlotKind, Timestamp};

use super::unreadable;
use crate::kubernetes::seen::{Container, ContainerEnd, SeenPod};

/// What the kubelet and the controllers call a pod that was taken off its node (`status.reason`).
const DISRUPTIONS: &[&str] = &[
    "Evicted",
    "Preempting",
    "Preempted",
    "NodeLost",
    "Shutdown",
    "NodeShutdown",
    "Terminated",
];

/// Why a pod is not well; `None` where it is, or where nothing tells.
pub(in crate::kubernetes) fn reason(pod: &SeenPod) -> Option<Reason> {
    if pod.meta.is_broken {
        return Some(unreadable());
    }
    if is_disrupted(pod) {
        return Some(disruption(pod));
    }
    match (&pod.container, pod.reason.as_deref()) {
        (_, Some("DeadlineExceeded")) => Some(Reason::new(
            ReasonCode::DeadlineExceeded,
            "it took longer than timeout-seconds and was stopped",
        )),
        (Container::Terminated(end), _) => (end.code != 0).then(|| failure(end)),
        (Container::Running { .. }, _) => None,
        (Container::Waiting { reason, message }, _) => {
            waiting(pod, reason, message).or_else(|| unscheduled(pod))
        }
        // The kubelet took a look at it and would not have it: OutOfcpu, NodeAffinity, UnexpectedAdmissionError, …
        (Container::Unknown, Some(word)) if &*pod.phase == "Failed" => Some(Reason::new(
            ReasonCode::Unschedulable,
            words(word, pod.message.as_deref().unwrap_or_default()),
        )),
        (Container::Unknown, _) => unscheduled(pod),
    }
}

/// The phase as the lists show it. What a job's container ended with is known about a second before the kubelet says
/// so of the pod, and tasks act on it; the lists agree with them.
pub(in crate::kubernetes) fn phase(pod: &SeenPod) -> &str {
    let runs_once = !matches!(pod.meta.slot, Some((SlotKind::Deployment, _)));
    match &pod.container {
        Container::Terminated(end) if runs_once => {
            if end.code == 0 {
                "Succeeded"
            } else {
                "Failed"
            }
        }
        _ => &pod.phase,
    }
}

/// Whether nothing of it runs, or will again.
pub(super) fn is_over(pod: &SeenPod) -> bool {
    matches!(pod.container, Container::Terminated(_)) || matches!(&*pod.phase, "Succeeded" | "Failed")
}

/// Whether something else than its own container ended it.
pub(super) fn is_disrupted(pod: &SeenPod) -> bool {
    let lost =
        matches!(&pod.container, Container::Terminated(end) if &*end.reason == "ContainerStatusUnknown");
    let word = pod.reason.as_deref();
    lost || pod.disruption.is_some() || word.is_some_and(|word| DISRUPTIONS.contains(&word))
}

/// How its container ended by itself: not by the deletion of its pod, and by nothing that happened to its node. Times
/// have whole seconds: an end in the second of the deletion may be either, and is left to the job's own verdict.
pub(super) fn own_end(pod: &SeenPod) -> Option<&ContainerEnd> {
    let Container::Terminated(end) = &pod.container else {
        return None;
    };
    let came_first = match (pod.meta.deleted_at, end.finished_at) {
        (None, _) => true,
        (Some(deleted), Some(finished)) => finished < deleted,
        (Some(_), None) => false,
    };
    (came_first && !is_disrupted(pod)).then_some(&**end)
}

/// When its container started, the last time.
pub(super) fn started_at(pod: &SeenPod) -> Option<Timestamp> {
    match &pod.container {
        Container::Running { since } => *since,
        Container::Terminated(end) => end.started_at,
        Container::Unknown | Container::Waiting { .. } => None,
    }
}

/// Why a container failed, with the last lines it wrote.
pub(super) fn failure(end: &ContainerEnd) -> Reason {
    let exit = end.code;
    let (code, what) = match &*end.reason {
        "OOMKilled" => (
            ReasonCode::OutOfMemory,
            format!("the container used more memory than its limit (exit code {exit})"),
        ),
        "StartError" | "ContainerCannotRun" => (
            ReasonCode::ExitCode,
            format!("the command cannot be run (exit code {exit})"),
        ),
        _ if (129..=192).contains(&exit) => (
            ReasonCode::ExitCode,
            format!("ended by signal {} (exit code {exit})", exit - 128),
        ),
        _ => (ReasonCode::ExitCode, format!("ended with exit code {exit}")),
    };
    let message = if end.message.is_empty() {
        what
    } else {
        format!("{what}\n{}", end.message)
    };
    Reason::new(code, message)
}

fn disruption(pod: &SeenPod) -> Reason {
    let word = pod.reason.as_deref().unwrap_or("Evicted");
    let message = pod.message.as_deref().or(pod.disruption.as_deref());
    Reason::new(ReasonCode::Evicted, words(word, message.unwrap_or_default()))
}

fn unscheduled(pod: &SeenPod) -> Option<Reason> {
    let message = pod.unschedulable.as_deref()?;
    Some(Reason::new(ReasonCode::Unschedulable, message))
}

fn waiting(pod: &SeenPod, reason: &str, message: &str) -> Option<Reason> {
    let code = match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => ReasonCode::ImagePullFailed,
        "CrashLoopBackOff" => return Some(crash_loop(pod, message)),
        "CreateContainerConfigError"
        | "CreateContainerError"
        | "RunContainerError"
        | "PreCreateHookError"
        | "PreStartHookError"
        | "PostStartHookError" => ReasonCode::ClusterRefused,
        // ContainerCreating, PodInitializing: on its way.
        _ => return None,
    };
    Some(Reason::new(code, words(reason, message)))
}

fn crash_loop(pod: &SeenPod, message: &str) -> Reason {
    let Some(end) = &pod.last_end else {
        return Reason::new(ReasonCode::CrashLooping, words("CrashLoopBackOff", message));
    };
    let last = failure(end);
    let code = match last.code {
        ReasonCode::OutOfMemory => ReasonCode::OutOfMemory,
        _ => ReasonCode::CrashLooping,
    };
    let message = format!("started again {} times: {}", pod.restarts, last.message);
    Reason::new(code, message)
}

fn words(reason: &str, message: &str) -> String {
    if message.is_empty() {
        reason.to_owned()
    } else {
        format!("{reason}: {message}")
    }
}

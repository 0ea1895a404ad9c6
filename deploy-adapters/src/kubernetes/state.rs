//! What was seen of the cluster, read as the state of a task: pure functions from pruned objects to conditions and
//! reasons, after what Kubernetes 1.34 writes into them. It asks nothing and remembers nothing.

mod job;
mod pod;
mod rollout;
#[cfg(test)]
mod tests;

use deploy_core::workload::{Reason, ReasonCode, Timestamp};

pub(super) use job::{cron_job, job};
pub(super) use pod::{phase as pod_phase, reason as pod_reason};
pub(super) use rollout::deployment;

/// Of an object of which nothing but its name could be read.
fn unreadable() -> Reason {
    Reason::new(
        ReasonCode::ClusterRefused,
        "its state cannot be read: the object is not one of its kind any more",
    )
}

/// Why pods are not even created, in the API server's words.
fn refusal(message: &str) -> Reason {
    // Kubernetes has no code for it: the quota's admission says so in words alone.
    let code = if message.contains("exceeded quota") {
        ReasonCode::QuotaExceeded
    } else {
        ReasonCode::ClusterRefused
    };
    Reason::new(code, message)
}

/// The first time that is known. Objects always have the last one; of one that was damaged nothing is known.
fn first_known(times: impl IntoIterator<Item = Option<Timestamp>>) -> Timestamp {
    times.into_iter().flatten().next().unwrap_or_default()
}

//! Tables of cases, in the words that Kubernetes 1.34 writes into statuses.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod jobs;
mod pods;
mod rollouts;

use std::sync::Arc;

use deploy_core::workload::{Condition, Reason, ReasonCode, Timestamp};
use serde_json::{Value, json};

use crate::kubernetes::seen::{SeenPod, pruned};

/// 10:00 and that many seconds.
fn at(seconds: i64) -> Timestamp {
    "2026-11-24T10:00:00Z".parse::<Timestamp>().unwrap() + chrono::TimeDelta::seconds(seconds)
}

fn time(seconds: i64) -> String {
    at(seconds).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// A pod of a job, created at 1, with that status.
fn pod(status: Value) -> Value {
    json!({
        "metadata": {"name": "p", "namespace": "demo", "uid": "p1", "resourceVersion": "7", "creationTimestamp": time(1)},
        "status": status,
    })
}

fn pending(conditions: Value) -> Value {
    pod(json!({"phase": "Pending", "conditions": conditions}))
}

fn waiting(reason: &str, message: &str) -> Value {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    pod(json!({"phase": "Pending", "containerStatuses": [{"name": "task", "state": state}]}))
}

fn running() -> Value {
    let state = json!({"running": {"startedAt": time(2)}});
    pod(json!({"phase": "Running", "containerStatuses": [{"name": "task", "state": state}]}))
}

/// Ended at 9; the kubelet has not changed the phase yet.
fn terminated(code: i32, reason: &str, message: &str) -> Value {
    let state = json!({"terminated": {"exitCode": code, "reason": reason, "message": message,
        "startedAt": time(2), "finishedAt": time(9)}});
    pod(json!({"phase": "Running", "containerStatuses": [{"name": "task", "state": state}]}))
}

/// The same pod with something else in it.
fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
    object
}

/// The same pod, its deletion asked for at that second, with a grace of 10.
fn deleted(object: Value, seconds: i64) -> Value {
    let object = with(object, "/metadata/deletionTimestamp", json!(time(seconds + 10)));
    with(object, "/metadata/deletionGracePeriodSeconds", json!(10))
}

fn pods(objects: &[Value]) -> Vec<Arc<SeenPod>> {
    objects.iter().map(|object| Arc::new(pruned(object))).collect()
}

/// A condition in one line.
fn shown(condition: &Condition) -> String {
    let reason = |reason: &Option<Reason>| {
        reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(" {}", said(reason)))
    };
    let second = |time: Timestamp| (time - at(0)).num_seconds();
    match condition {
        Condition::Pending(why) => format!("pending{}", reason(why)),
        Condition::Running { since } => format!("running since {}", second(*since)),
        Condition::Ended(ended) => {
            let end = match &ended.failure {
                None => "succeeded".to_owned(),
                Some(why) => format!("failed {}", said(why)),
            };
            let started = ended.started_at.map(second);
            let code = ended.exit_code;
            format!(
                "{end} code {code:?} from {started:?} to {}",
                second(ended.finished_at)
            )
        }
        Condition::Stopped => "stopped".to_owned(),
        Condition::Scheduled => "scheduled".to_owned(),
        Condition::Ready { since } => format!("ready since {}", second(*since)),
        Condition::Updating(why) => format!("updating{}", reason(why)),
        Condition::Degraded(why) => format!("degraded {}", said(why)),
    }
}

fn said(reason: &Reason) -> String {
    format!("{}: {}", code(reason.code), reason.message)
}

fn code(code: ReasonCode) -> String {
    serde_json::to_value(code).unwrap().as_str().unwrap().to_owned()
}

//! The caches by themselves, and the loops that fill them against a server whose every answer the test gives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cache;
mod clock;
mod damage;
mod follow;
mod look;
mod server;

use deploy_core::names::ResourceName;
use serde_json::{Value, json};

use super::meta::Pruner;
use crate::kubernetes::marks::Marks;

fn marks() -> Marks {
    Marks::new("test".parse::<ResourceName>().unwrap())
}

fn pruner() -> Pruner {
    Pruner::new(marks())
}

/// A job of ours, of task 1.
fn job(name: &str, uid: &str, version: u64) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "demo", "uid": uid, "resourceVersion": version.to_string(),
            "generation": 1, "creationTimestamp": "2026-11-24T10:00:00Z",
            "labels": {
                "app.kubernetes.io/managed-by": "deploy-api", "deploy-api/instance": "test",
                "deploy-api/workload": name, "deploy-api/kind": "job",
                "deploy-api/task": "01890000-0000-7000-8000-000000000001",
            },
        },
        "spec": {"backoffLimit": 0},
        "status": {},
    })
}

/// A pod of that job, its container in that state.
fn pod(name: &str, job_uid: &str, version: u64, state: &Value) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "demo", "uid": format!("uid-{name}"), "resourceVersion": version.to_string(),
            "labels": {
                "app.kubernetes.io/managed-by": "deploy-api", "deploy-api/instance": "test",
                "deploy-api/workload": "a", "deploy-api/kind": "job",
            },
            "ownerReferences": [{"kind": "Job", "name": "a", "uid": job_uid, "controller": true}],
        },
        "status": {"phase": "Running", "containerStatuses": [{"name": "task", "state": state}]},
    })
}

fn running() -> Value {
    json!({"running": {"startedAt": "2026-11-24T10:00:02Z"}})
}

fn exited(code: i32) -> Value {
    json!({"terminated": {"exitCode": code, "reason": "Error", "startedAt": "2026-11-24T10:00:02Z",
        "finishedAt": "2026-11-24T10:00:09Z"}})
}

fn event(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

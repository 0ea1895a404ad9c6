//! How deployments are doing.

use serde_json::{Value, json};

use super::{pods, running, shown, terminated, time, waiting, with};
use crate::kubernetes::seen::pruned;
use crate::kubernetes::state;

/// A deployment of two replicas, of its second version: how many there are, updated and available.
fn deployment(counts: [u32; 3], progress: (&str, &str)) -> Value {
    let [replicas, updated, available] = counts;
    json!({
        "metadata": {"name": "web", "namespace": "demo", "uid": "d1", "resourceVersion": "5", "generation": 2,
            "creationTimestamp": time(0)},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 2, "replicas": replicas, "updatedReplicas": updated,
            "availableReplicas": available, "conditions": [
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "lastTransitionTime": time(5)},
            {"type": "Progressing", "status": progress.0, "reason": progress.1, "message": "m",
                "lastUpdateTime": time(8), "lastTransitionTime": time(1)},
        ]},
    })
}

const UNDER_WAY: (&str, &str) = ("True", "ReplicaSetUpdated");
const DONE: (&str, &str) = ("True", "NewReplicaSetAvailable");
const OVERDUE: (&str, &str) = ("False", "ProgressDeadlineExceeded");

#[track_caller]
fn check(deployment: &Value, of_it: &[Value], expected: &str) {
    assert_eq!(
        shown(&state::deployment(&pruned(deployment), &pods(of_it))),
        expected
    );
}

fn crash_looping() -> Value {
    with(
        waiting("CrashLoopBackOff", "back-off 10s"),
        "/status/containerStatuses/0/lastState",
        json!({"terminated": {"exitCode": 1, "reason": "Error"}}),
    )
}

#[test]
fn a_rollout_is_ready_when_every_replica_is_of_the_wanted_version_and_up() {
    check(&deployment([2, 2, 2], DONE), &[], "ready since 8");
    check(&deployment([3, 2, 3], UNDER_WAY), &[], "updating");
    check(&deployment([2, 1, 2], UNDER_WAY), &[], "updating");
    check(&deployment([2, 2, 1], UNDER_WAY), &[], "updating");
    let none = with(deployment([0, 0, 0], DONE), "/spec/replicas", json!(0));
    check(&none, &[], "ready since 8");
}

#[test]
fn it_is_ready_again_since_it_was_available_again() {
    let back = with(
        deployment([2, 2, 2], DONE),
        "/status/conditions/0/lastTransitionTime",
        json!(time(30)),
    );
    check(&back, &[], "ready since 30");
    check(
        &with(deployment([2, 2, 2], DONE), "/status/conditions", json!([])),
        &[],
        "ready since 0",
    );
}

#[test]
fn a_status_of_before_the_last_change_says_nothing() {
    let changed = with(deployment([2, 2, 2], DONE), "/metadata/generation", json!(3));
    check(&changed, &[], "updating");
    let new = json!({"metadata": {"name": "web", "uid": "d1", "generation": 1}, "spec": {"replicas": 1}});
    check(&new, &[], "updating");
}

#[test]
fn what_holds_a_rollout_up_is_told_by_its_newest_unready_pod() {
    let image = waiting("ErrImagePull", "no such image");
    let ready = with(
        running(),
        "/status/conditions",
        json!([{"type": "Ready", "status": "True"}]),
    );
    let older = with(
        terminated(1, "Error", ""),
        "/metadata/creationTimestamp",
        json!(time(0)),
    );
    check(
        &deployment([3, 1, 2], UNDER_WAY),
        &[older, ready, image],
        "updating image-pull-failed: ErrImagePull: no such image",
    );
}

#[test]
fn a_crash_loop_is_a_broken_state_only_where_nothing_else_serves() {
    let looping = "crash-looping: started again 0 times: ended with exit code 1";
    check(
        &deployment([3, 1, 2], UNDER_WAY),
        &[crash_looping()],
        &format!("updating {looping}"),
    );
    check(
        &deployment([2, 2, 0], UNDER_WAY),
        &[crash_looping()],
        &format!("degraded {looping}"),
    );
}

#[test]
fn a_rollout_that_is_overdue_has_failed_for_what_its_pods_say() {
    check(&deployment([3, 1, 2], OVERDUE), &[], "degraded rollout-failed: m");
    check(
        &deployment([3, 1, 2], OVERDUE),
        &[waiting("ErrImagePull", "no such image")],
        "degraded rollout-failed: m\nErrImagePull: no such image",
    );
    // It came up in the end.
    check(&deployment([2, 2, 2], OVERDUE), &[], "ready since 5");
}

#[test]
fn what_was_up_is_degraded_when_a_pod_says_why() {
    check(
        &deployment([2, 2, 1], DONE),
        &[terminated(1, "Error", "")],
        "degraded exit-code: ended with exit code 1",
    );
    // A new replica on its way.
    check(
        &deployment([2, 2, 1], DONE),
        &[waiting("ContainerCreating", "")],
        "updating",
    );
}

#[test]
fn pods_that_are_refused_are_told_by_the_deployment() {
    let refused = |message: &str| {
        let refusal =
            json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message});
        with(deployment([0, 0, 0], UNDER_WAY), "/status/conditions/1", refusal)
    };
    let quota = "pods \"web-x\" is forbidden: exceeded quota: small";
    check(&refused(quota), &[], &format!("updating quota-exceeded: {quota}"));
    check(
        &refused("violates PodSecurity"),
        &[],
        "updating cluster-refused: violates PodSecurity",
    );
    check(&refused(""), &[], "updating cluster-refused: FailedCreate");
}

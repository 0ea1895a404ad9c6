//! Why a pod is not well.

use serde_json::{Value, json};

use super::{deleted, pending, pod, running, said, terminated, waiting, with};
use crate::kubernetes::seen::{SeenPod, pruned};
use crate::kubernetes::state::{pod_phase, pod_reason};

#[track_caller]
fn check(object: &Value, expected: Option<&str>) {
    let seen: SeenPod = pruned(object);
    assert_eq!(pod_reason(&seen).as_ref().map(said).as_deref(), expected);
}

fn crash_looping(last: Value) -> Value {
    let state = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s restarting failed container"}});
    pod(json!({"phase": "Running", "containerStatuses": [
        {"name": "task", "restartCount": 3, "state": state, "lastState": last},
    ]}))
}

#[test]
fn a_pod_on_its_way_or_at_work_has_no_reason() {
    check(
        &pending(json!([{"type": "PodScheduled", "status": "True"}])),
        None,
    );
    check(&waiting("ContainerCreating", ""), None);
    check(&waiting("PodInitializing", ""), None);
    check(&running(), None);
    check(&terminated(0, "Completed", ""), None);
}

#[test]
fn an_image_that_is_not_there_is_told_in_the_kubelets_words() {
    let message = "Back-off pulling image \"nonexistent.invalid/x:1\"";
    for reason in [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
    ] {
        let expected = format!("image-pull-failed: {reason}: {message}");
        check(&waiting(reason, message), Some(&expected));
    }
}

#[test]
fn a_pod_that_no_node_takes_has_the_schedulers_words() {
    let message = "0/3 nodes are available: 3 Insufficient cpu.";
    let unschedulable =
        json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]);
    check(
        &pending(unschedulable),
        Some(&format!("unschedulable: {message}")),
    );
    // Held back on purpose, not for want of room.
    check(
        &pending(json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}])),
        None,
    );
}

#[test]
fn a_container_that_cannot_be_made_is_refused() {
    let message = "secret \"absent\" not found";
    check(
        &waiting("CreateContainerConfigError", message),
        Some("cluster-refused: CreateContainerConfigError: secret \"absent\" not found"),
    );
}

#[test]
fn an_exit_code_comes_with_the_last_lines() {
    check(
        &terminated(3, "Error", ""),
        Some("exit-code: ended with exit code 3"),
    );
    check(
        &terminated(3, "Error", "a\nb\n"),
        Some("exit-code: ended with exit code 3\na\nb"),
    );
    check(
        &terminated(139, "Error", ""),
        Some("exit-code: ended by signal 11 (exit code 139)"),
    );
    check(
        &terminated(
            128,
            "StartError",
            "exec: \"nope\": executable file not found in $PATH",
        ),
        Some(
            "exit-code: the command cannot be run (exit code 128)\nexec: \"nope\": executable file not found in $PATH",
        ),
    );
    check(
        &terminated(137, "OOMKilled", ""),
        Some("out-of-memory: the container used more memory than its limit (exit code 137)"),
    );
}

#[test]
fn of_a_long_message_the_last_twenty_lines_are_kept() {
    let lines: Vec<String> = (1..=25).map(|line| line.to_string()).collect();
    let expected = format!("exit-code: ended with exit code 1\n{}", lines[5..].join("\n"));
    check(&terminated(1, "Error", &lines.join("\n")), Some(&expected));
}

#[test]
fn a_crash_loop_says_how_the_last_run_ended() {
    let error = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "no such host"}});
    check(
        &crash_looping(error),
        Some("crash-looping: started again 3 times: ended with exit code 1\nno such host"),
    );
    let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    check(
        &crash_looping(killed),
        Some(
            "out-of-memory: started again 3 times: the container used more memory than its limit (exit code 137)",
        ),
    );
    check(
        &crash_looping(json!({})),
        Some("crash-looping: CrashLoopBackOff: back-off 20s restarting failed container"),
    );
}

#[test]
fn what_the_node_did_is_no_exit_code() {
    let evicted = with(terminated(137, "Error", ""), "/status/reason", json!("Evicted"));
    let evicted = with(
        evicted,
        "/status/message",
        json!("The node was low on resource: memory."),
    );
    check(
        &evicted,
        Some("evicted: Evicted: The node was low on resource: memory."),
    );
    let drained = with(
        deleted(terminated(143, "Error", ""), 3),
        "/status/conditions",
        json!([{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}]),
    );
    check(&drained, Some("evicted: Evicted: Eviction API: evicting"));
    let unwanted = pod(
        json!({"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"}),
    );
    check(
        &unwanted,
        Some("unschedulable: OutOfcpu: Node didn't have enough resource: cpu"),
    );
}

#[test]
fn an_injected_sidecar_is_passed_over() {
    let sidecar = json!({"name": "proxy", "state": {"running": {}}});
    let own = json!({"name": "task", "state": {"terminated": {"exitCode": 4, "reason": "Error"}}});
    let both = pod(json!({"phase": "Running", "containerStatuses": [sidecar, own]}));
    check(&both, Some("exit-code: ended with exit code 4"));
}

#[test]
fn the_phase_of_what_runs_once_is_its_containers_end() {
    let phase = |object: &Value| pod_phase(&pruned::<SeenPod>(object)).to_owned();
    assert_eq!(phase(&running()), "Running");
    assert_eq!(phase(&terminated(0, "Completed", "")), "Succeeded");
    assert_eq!(phase(&terminated(1, "Error", "")), "Failed");
    let labels = json!({"deploy-api/kind": "deployment", "deploy-api/workload": "web"});
    let replica = with(terminated(1, "Error", ""), "/metadata/labels", labels);
    assert_eq!(phase(&replica), "Running");
    assert_eq!(phase(&json!({"metadata": {"name": "p", "uid": "1"}})), "Unknown");
}

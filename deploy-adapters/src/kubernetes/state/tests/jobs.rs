//! How jobs and cron jobs are doing.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{at, deleted, pending, pod, pods, running, shown, terminated, time, waiting, with};
use crate::kubernetes::seen::{SeenCronJob, SeenEvent, pruned};
use crate::kubernetes::state;

/// A job created at 0 and started at 1.
fn job(retries: u32, conditions: &[(&str, &str)]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, reason)| {
            json!({"type": kind, "status": "True", "reason": reason, "message": "m", "lastTransitionTime": time(20)})
        })
        .collect();
    json!({
        "metadata": {"name": "j", "namespace": "demo", "uid": "j1", "resourceVersion": "5", "generation": 1,
            "creationTimestamp": time(0)},
        "spec": {"backoffLimit": retries},
        "status": {"startTime": time(1), "conditions": conditions},
    })
}

fn suspended(job: Value, generation: u64) -> Value {
    with(
        with(job, "/spec/suspend", json!(true)),
        "/metadata/generation",
        json!(generation),
    )
}

#[track_caller]
fn check(job: &Value, of_it: &[Value], expected: &str) {
    check_with(job, of_it, &[], expected);
}

#[track_caller]
fn check_with(job: &Value, of_it: &[Value], events: &[Value], expected: &str) {
    let events: Vec<Arc<SeenEvent>> = events.iter().map(|event| Arc::new(pruned(event))).collect();
    assert_eq!(shown(&state::job(&pruned(job), &pods(of_it), &events)), expected);
}

fn refused(message: &str, seconds: i64) -> Value {
    json!({
        "metadata": {"name": "j.1", "namespace": "demo", "uid": "e1", "resourceVersion": "6"},
        "involvedObject": {"uid": "j1"}, "message": message, "lastTimestamp": time(seconds),
    })
}

const SUCCEEDED: &str = "succeeded code Some(0) from Some(2) to 9";
const FAILED: &str = "failed exit-code: ended with exit code 3 code Some(3) from Some(2) to 9";

#[test]
fn a_job_waits_runs_and_ends_with_its_container() {
    check(&job(0, &[]), &[], "pending");
    check(&job(0, &[]), &[pending(json!([]))], "pending");
    check(&job(0, &[]), &[waiting("ContainerCreating", "")], "pending");
    check(&job(0, &[]), &[running()], "running since 2");
    check(&job(0, &[]), &[terminated(0, "Completed", "")], SUCCEEDED);
    check(&job(0, &[]), &[terminated(3, "Error", "")], FAILED);
}

#[test]
fn an_end_stays_the_same_when_the_controller_has_seen_it_too() {
    let complete = [
        ("SuccessCriteriaMet", "CompletionsReached"),
        ("Complete", "CompletionsReached"),
    ];
    check(&job(0, &complete), &[terminated(0, "Completed", "")], SUCCEEDED);
    let failed = [
        ("FailureTarget", "BackoffLimitExceeded"),
        ("Failed", "BackoffLimitExceeded"),
    ];
    check(&job(0, &failed), &[terminated(3, "Error", "")], FAILED);
    check(&job(1, &failed), &[terminated(3, "Error", "")], FAILED);
}

#[test]
fn a_job_that_cannot_start_says_what_it_waits_for() {
    let image = waiting("ImagePullBackOff", "no such image");
    check(
        &job(0, &[]),
        &[image],
        "pending image-pull-failed: ImagePullBackOff: no such image",
    );
    let quota = "Error creating: pods \"j-x\" is forbidden: exceeded quota: small, requested: pods=1";
    check_with(
        &job(0, &[]),
        &[],
        &[refused(quota, 3)],
        &format!("pending quota-exceeded: {quota}"),
    );
    let security = "Error creating: pods \"j-x\" is forbidden: violates PodSecurity \"restricted:latest\"";
    check_with(
        &job(0, &[]),
        &[],
        &[refused(security, 3)],
        &format!("pending cluster-refused: {security}"),
    );
    // A refusal that was overcome is not news.
    check_with(
        &job(0, &[]),
        &[running()],
        &[refused(quota, 3)],
        "running since 2",
    );
}

#[test]
fn with_attempts_left_a_failure_is_not_the_jobs() {
    check(
        &job(2, &[]),
        &[terminated(3, "Error", "")],
        "pending exit-code: ended with exit code 3",
    );
    check(
        &job(2, &[]),
        &[terminated(3, "Error", ""), running()],
        "running since 2",
    );
    let second = with(terminated(0, "Completed", ""), "/metadata/name", json!("p2"));
    check(&job(2, &[]), &[terminated(3, "Error", ""), second], SUCCEEDED);
}

#[test]
fn a_disrupted_pod_is_judged_by_the_job() {
    let evicted = with(terminated(137, "Error", ""), "/status/reason", json!("Evicted"));
    check(
        &job(0, &[]),
        std::slice::from_ref(&evicted),
        "pending evicted: Evicted",
    );
    let failed = [("Failed", "BackoffLimitExceeded")];
    check(
        &job(0, &failed),
        &[evicted],
        "failed evicted: Evicted code Some(137) from Some(2) to 9",
    );
    check(
        &job(0, &failed),
        &[],
        "failed lost: its pod is gone, and how it ended is not known (BackoffLimitExceeded: m) code None from Some(1) to 20",
    );
}

#[test]
fn an_end_after_the_pods_deletion_is_judged_by_the_job() {
    check(
        &job(0, &[]),
        &[deleted(terminated(143, "Error", ""), 8)],
        "pending exit-code: ended by signal 15 (exit code 143)",
    );
    // In the same second it may be either.
    check(
        &job(0, &[]),
        &[deleted(terminated(3, "Error", ""), 9)],
        "pending exit-code: ended with exit code 3",
    );
    check(&job(0, &[]), &[deleted(terminated(3, "Error", ""), 10)], FAILED);
    check(&job(0, &[]), &[deleted(running(), 8)], "running since 2");
}

#[test]
fn a_deadline_is_told_as_such_once_nothing_runs() {
    let late = "failed deadline-exceeded: it took longer than timeout-seconds and was stopped";
    let target = [("FailureTarget", "DeadlineExceeded")];
    check(&job(0, &target), &[deleted(running(), 8)], "running since 2");
    let killed = deleted(terminated(143, "Error", ""), 8);
    check(
        &job(0, &target),
        std::slice::from_ref(&killed),
        &format!("{late} code Some(143) from Some(2) to 20"),
    );
    let failed = [
        ("FailureTarget", "DeadlineExceeded"),
        ("Failed", "DeadlineExceeded"),
    ];
    check(
        &job(0, &failed),
        &[killed],
        &format!("{late} code Some(143) from Some(2) to 20"),
    );
    check(
        &job(0, &failed),
        &[],
        &format!("{late} code None from Some(1) to 20"),
    );
    // On a node that no longer answers.
    check(
        &job(0, &failed),
        &[deleted(running(), 8)],
        &format!("{late} code None from Some(2) to 20"),
    );
}

#[test]
fn a_verdict_waits_for_the_pods_own_event() {
    check(
        &job(0, &[("Complete", "CompletionsReached")]),
        &[running()],
        "running since 2",
    );
    check(
        &job(0, &[("Failed", "BackoffLimitExceeded")]),
        &[running()],
        "running since 2",
    );
    check(
        &job(0, &[("Complete", "CompletionsReached")]),
        &[],
        "succeeded code Some(0) from Some(1) to 20",
    );
}

#[test]
fn a_suspended_job_is_stopped_when_nothing_of_it_runs() {
    // Created so: there never was anything to stop.
    let created = with(suspended(job(0, &[]), 1), "/status", json!({}));
    check(&created, &[], "stopped");
    // Suspended later: a pod may still come of what its controller decided before it saw that.
    check(&suspended(job(0, &[]), 2), &[], "pending");
    let seen = suspended(job(0, &[("Suspended", "JobSuspended")]), 2);
    check(&seen, &[], "stopped");
    check(&seen, &[deleted(running(), 5)], "running since 2");
    check(&seen, &[deleted(terminated(143, "Error", ""), 5)], "stopped");
    // It took the signal for a reason to end well.
    check(&seen, &[deleted(terminated(0, "Completed", ""), 5)], "stopped");
    check(&with(seen, "/status/terminating", json!(1)), &[], "pending");
}

#[test]
fn an_end_before_the_stop_is_kept_and_one_after_it_is_the_stops() {
    let complete = [("Complete", "CompletionsReached")];
    check(
        &suspended(job(0, &complete), 2),
        &[terminated(0, "Completed", "")],
        SUCCEEDED,
    );
    check(
        &suspended(job(0, &complete), 2),
        &[],
        "succeeded code Some(0) from Some(1) to 20",
    );
    let both = [("Suspended", "JobSuspended"), ("Complete", "CompletionsReached")];
    check(&suspended(job(0, &both), 2), &[], "stopped");
}

#[test]
fn times_that_are_nonsense_are_replaced_by_what_is_known() {
    let nonsense = with(
        terminated(0, "Completed", ""),
        "/status/containerStatuses/0/state/terminated",
        json!({"exitCode": 0, "startedAt": "yesterday", "finishedAt": ""}),
    );
    check(
        &job(0, &[]),
        &[nonsense],
        "succeeded code Some(0) from Some(1) to 1",
    );
    let running =
        pod(json!({"phase": "Running", "containerStatuses": [{"name": "task", "state": {"running": {}}}]}));
    check(&job(0, &[]), &[running], "running since 1");
    assert_eq!(at(0).timestamp_subsec_nanos(), 0);
}

#[test]
fn a_cron_job_is_scheduled_until_it_is_suspended_and_nothing_runs() {
    let cron_job = |spec: Value, status: Value| -> Value {
        json!({"metadata": {"name": "c", "uid": "c1"}, "spec": spec, "status": status})
    };
    #[track_caller]
    fn check(object: &Value, of_it: &[Value], expected: &str) {
        let seen: SeenCronJob = pruned(object);
        assert_eq!(shown(&state::cron_job(&seen, &pods(of_it))), expected);
    }
    check(&cron_job(json!({}), json!({})), &[], "scheduled");
    check(
        &cron_job(json!({}), json!({})),
        &[terminated(3, "Error", "")],
        "scheduled",
    );
    let suspended = json!({"suspend": true});
    check(&cron_job(suspended.clone(), json!({})), &[], "stopped");
    check(
        &cron_job(suspended.clone(), json!({"active": [{"name": "c-1"}]})),
        &[],
        "scheduled",
    );
    check(&cron_job(suspended.clone(), json!({})), &[running()], "scheduled");
    check(
        &cron_job(suspended, json!({})),
        &[terminated(143, "Error", "")],
        "stopped",
    );
}

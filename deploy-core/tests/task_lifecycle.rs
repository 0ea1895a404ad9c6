//! The task's state machine as data: what is asked of it, what happens, how it stands then.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use deploy_core::pipeline::StepState;
use deploy_core::task::lifecycle::{Event, step};
use deploy_core::task::{Intent, State, Status, Task};
use deploy_core::workload::{Applied, Condition, Ended, Observed, Reason, ReasonCode, Uid};
use deploy_testkit::builders::{self, pipeline_id, task_id, time};

/// A task as `"job"`, `"deployment step"`, `"job build"`: its kind, whether it is a run's step, whether it is built.
fn task(text: &str) -> Task {
    let mut builder = builders::task().number(7);
    for word in text.split_whitespace() {
        builder = match word {
            "job" => builder.job(),
            "cronjob" => builder.cronjob(),
            "deployment" => builder.deployment(),
            "service" => builder.service(),
            "step" => builder.step(pipeline_id(1), 0),
            "build" => builder.builds(),
            "replacing" => builder.intent(Intent::Replace {
                old: task_id(3),
                uid: uid("old"),
            }),
            other => panic!("no such task: {other}"),
        };
    }
    let mut task = builder.build();
    let first = if task.build { Intent::Build } else { Intent::Apply };
    task.status = match (&task.step, task.status.intent.take()) {
        (Some(_), _) => Status::waiting(),
        (None, Some(replace)) => Status::accepted(replace),
        (None, None) => Status::accepted(first),
    };
    task
}

fn uid(text: &str) -> Uid {
    Uid(text.to_owned())
}

/// An event as a word: `applied`, `updated`, `running`, `ended=3`, `ready`, …; `old:` before one that is seen speaks of
/// an older revision, `other:` of another incarnation.
fn event(word: &str) -> Event {
    let (whose, what) = word.split_once(':').unwrap_or(("", word));
    let seen = |condition| {
        let object = task("job").object();
        let uid = uid(if whose == "other" { "uid-2" } else { "uid-1" });
        let revision = if whose == "old" { 1 } else { 2 };
        let written = if whose == "other" { task_id(8) } else { task_id(7) };
        Event::Observed(Observed {
            object,
            uid,
            task: Some(written),
            revision,
            condition,
        })
    };
    let applied = |created| Applied {
        uid: uid("uid-1"),
        created,
        revision: 2,
    };
    let ended = |failure, exit_code| {
        let (started_at, finished_at) = (Some(time(1)), time(5));
        seen(Condition::Ended(Ended {
            failure,
            exit_code,
            started_at,
            finished_at,
        }))
    };
    match what {
        "start" => Event::Start,
        "skip" => Event::Skip,
        "cancel" => Event::Cancel,
        "built" => Event::Built("registry.example/demo/task@sha256:1".to_owned()),
        "applied" => Event::Applied(applied(true)),
        "updated" => Event::Applied(applied(false)),
        "occupied" => Event::Occupied {
            old: task_id(3),
            uid: uid("old"),
        },
        "cleared" => Event::Cleared,
        "refused" => Event::Refused(Reason::new(ReasonCode::ClusterRefused, "no")),
        "pending" => seen(Condition::Pending(Some(Reason::new(
            ReasonCode::Unschedulable,
            "no node",
        )))),
        "running" => seen(Condition::Running { since: time(1) }),
        "ended=0" => ended(None, Some(0)),
        "ended=3" => ended(Some(Reason::new(ReasonCode::ExitCode, "exit code 3")), Some(3)),
        "stopped" => seen(Condition::Stopped),
        "scheduled" => seen(Condition::Scheduled),
        "ready" => seen(Condition::Ready { since: time(2) }),
        "updating" => seen(Condition::Updating(None)),
        "degraded" => seen(Condition::Degraded(Reason::new(
            ReasonCode::CrashLooping,
            "again",
        ))),
        "rollout-failed" => seen(Condition::Degraded(Reason::new(
            ReasonCode::RolloutFailed,
            "never",
        ))),
        "vanished" => Event::Vanished,
        "stop" => Event::Stop,
        "stop-accepted" => Event::StopAccepted(applied(true)),
        "delete" => Event::Delete,
        "delete-abandoned" => Event::DeleteAbandoned,
        "expire" => Event::Expire,
        "removed" => Event::Removed,
        "superseded" => Event::Superseded(task_id(9)),
        "overdue" => Event::RolloutOverdue,
        other => panic!("no such event: {other}"),
    }
}

/// How a task stands: `state (reason), step: …, holds, to do: …`, what is not so left out.
fn shown(status: &Status) -> String {
    let mut shown = status.state.as_str().to_owned();
    if let Some(reason) = &status.reason {
        let code = serde_json::to_value(reason.code).unwrap();
        shown += &format!(" ({})", code.as_str().unwrap());
    }
    if let Some(step) = status.step {
        shown += &format!(", step {}", step.as_str());
    }
    if status.holds {
        shown += ", holds";
    }
    if let Some(intent) = &status.intent {
        let intent = serde_json::to_value(intent).unwrap();
        shown += &format!(", to {}", intent["do"].as_str().unwrap());
    }
    shown
}

#[track_caller]
fn check(kind: &str, happened: &str, expected: &str) {
    let mut task = task(kind);
    for word in happened.split_whitespace() {
        step(&mut task, event(word), time(10));
    }
    assert_eq!(shown(&task.status), expected, "{kind} after {happened}");
}

#[test]
fn a_job_runs_to_its_end() {
    check("job", "", "pending, to apply");
    check("job", "applied", "pending, holds");
    check("job", "applied pending", "pending (unschedulable), holds");
    check("job", "applied pending running", "running, holds");
    check("job", "applied running ended=0", "succeeded, holds");
    check("job", "applied running ended=3", "failed (exit-code), holds");
    check("job", "refused", "failed (cluster-refused)");
    // An end is an end.
    check("job", "applied ended=0 running", "succeeded, holds");
    check("job", "applied ended=0 ended=3", "succeeded, holds");
    check("job", "applied ended=3 vanished", "failed (exit-code)");
}

#[test]
fn what_is_seen_of_something_else_changes_nothing() {
    check("job", "applied other:ended=3", "pending, holds");
    check("job", "applied old:ended=3", "pending, holds");
    check("job", "other:running", "pending, to apply");
    // A job may be seen before the call that made it answers, or instead of it.
    check("job", "running", "running, holds");
    check("job", "ended=0 applied", "succeeded, holds");
    // Of a deployment that is not enough: whether it was made or updated only the call tells.
    check("deployment", "ready", "pending, to apply");
}

#[test]
fn a_job_that_takes_a_finished_ones_name_waits_until_that_is_gone() {
    check("job replacing", "", "pending (replacing), to replace");
    check("job replacing", "cleared", "pending, to apply");
    check("job replacing", "cleared applied running", "running, holds");
    check("job", "occupied", "pending (replacing), to replace");
    check("job", "occupied cleared applied", "pending, holds");
    check("job", "applied running ended=0 superseded", "superseded");
}

#[test]
fn an_image_is_built_before_it_runs() {
    check("job build", "", "building, to build");
    check("job build", "built", "pending, to apply");
    check("job build", "refused", "failed (cluster-refused)");
    check("job build step", "start", "building, step running, to build");
    check("job build step", "start stop", "killed, step killed");
    check("job build step", "start stop built", "killed, step killed");
    let mut built = task("job build");
    step(&mut built, event("built"), time(1));
    assert_eq!(
        built.status.image.as_deref(),
        Some("registry.example/demo/task@sha256:1")
    );
}

#[test]
fn a_cron_job_is_scheduled_and_a_deployment_becomes_ready() {
    check("cronjob", "applied", "scheduled, holds");
    check("cronjob", "applied scheduled superseded", "superseded");
    check("deployment", "applied", "updating, holds");
    check("deployment", "applied updating ready", "ready, holds");
    check(
        "service",
        "updated ready degraded",
        "degraded (crash-looping), holds",
    );
    check("service", "updated ready degraded ready", "ready, holds");
    check("deployment", "applied ready vanished", "failed (lost)");
}

#[test]
fn a_step_ends_with_its_job_or_with_its_rollout() {
    check("job step", "", "waiting, step waiting");
    check("job step", "start", "pending, step running, to apply");
    check(
        "job step",
        "start applied running ended=0",
        "succeeded, step succeeded, holds",
    );
    check(
        "job step",
        "start applied running ended=3",
        "failed (exit-code), step failed, holds",
    );
    check("job step", "start applied vanished", "failed (lost), step failed");
    check("job step", "skip", "skipped, step skipped");
    check("job step", "cancel", "killed, step killed");
    check(
        "deployment step",
        "start applied",
        "updating, step running, holds",
    );
    check(
        "deployment step",
        "start applied ready",
        "ready, step succeeded, holds",
    );
    // The step is over; the deployment goes on.
    check(
        "deployment step",
        "start applied ready degraded",
        "degraded (crash-looping), step succeeded, holds",
    );
    check(
        "deployment step",
        "start applied rollout-failed",
        "degraded (rollout-failed), step failed, holds",
    );
    check(
        "deployment step",
        "start applied degraded",
        "degraded (crash-looping), step running, holds",
    );
    check(
        "service step",
        "start applied updating overdue",
        "updating (rollout-failed), step failed, holds",
    );
    check(
        "service step",
        "start overdue",
        "failed (rollout-failed), step failed",
    );
    check(
        "service step",
        "start overdue applied",
        "failed (rollout-failed), step failed, holds",
    );
    check(
        "service step",
        "start applied ready overdue",
        "ready, step succeeded, holds",
    );
}

#[test]
fn a_kill_stops_what_runs_and_keeps_an_end_that_came_first() {
    check(
        "job step",
        "start applied running stop",
        "running, step running, holds, to stop",
    );
    check(
        "job step",
        "start applied running stop stop-accepted stopped",
        "killed, step killed, holds",
    );
    check(
        "job step",
        "start applied running stop ended=0",
        "succeeded, step succeeded, holds",
    );
    check(
        "job step",
        "start applied ended=3 stop",
        "failed (exit-code), step failed, holds",
    );
    check(
        "job step",
        "start applied running stop vanished",
        "killed, step killed",
    );
    // Nobody knows yet whether the create arrived: the name is burnt, and what comes late meets it.
    check("job step", "start stop", "pending, step running, to stop");
    check(
        "job step",
        "start stop applied",
        "pending, step running, holds, to stop",
    );
    check(
        "job step",
        "start stop stop-accepted stopped",
        "killed, step killed, holds",
    );
    check("job step", "start stop refused", "killed, step killed");
    // A suspension nobody asked for is no end.
    check(
        "job step",
        "start applied stopped",
        "pending, step running, holds",
    );
}

#[test]
fn a_kill_removes_a_rollout_that_the_run_made_and_leaves_one_it_updated() {
    check(
        "deployment step",
        "start applied stop",
        "updating, step running, holds, to stop",
    );
    check(
        "deployment step",
        "start applied stop removed",
        "killed, step killed",
    );
    check(
        "deployment step",
        "start updated stop",
        "updating, step killed, holds",
    );
    check("deployment step", "start stop", "pending, step running, to stop");
    check(
        "deployment step",
        "start stop applied",
        "pending, step running, holds, to stop",
    );
    check(
        "deployment step",
        "start stop updated",
        "pending, step killed, holds",
    );
    check(
        "deployment step",
        "start applied stop ready",
        "ready, step running, holds, to stop",
    );
    check(
        "deployment step",
        "start applied ready stop",
        "ready, step succeeded, holds",
    );
    let mut left = task("deployment step");
    for word in ["start", "updated", "stop"] {
        step(&mut left, event(word), time(1));
    }
    assert_eq!(
        left.status.warnings.len(),
        1,
        "the user is told that a rollout goes on"
    );
}

#[test]
fn a_delete_by_a_user_is_recorded_before_it_is_sent() {
    check("job", "applied running delete", "running, holds, to delete");
    check("job", "applied running delete removed", "deleted (deleted)");
    check(
        "job",
        "applied running delete vanished removed",
        "deleted (deleted)",
    );
    check("job", "applied running ended=0 delete removed", "succeeded");
    check("job", "applied running delete delete-abandoned", "running, holds");
    check(
        "job step",
        "start applied running delete removed",
        "failed (deleted), step failed",
    );
    check("deployment", "applied ready delete removed", "deleted (deleted)");
    check("cronjob", "applied delete removed", "deleted (deleted)");
}

#[test]
fn a_finished_jobs_object_expires_and_its_outcome_stays() {
    check("job", "applied ended=0 expire", "succeeded, holds, to expire");
    check("job", "applied ended=0 expire removed", "succeeded");
    check("job", "applied running expire", "running, holds");
    check("job", "refused expire", "failed (cluster-refused)");
}

#[test]
fn times_and_exit_codes_are_the_containers_own() {
    let mut job = task("job");
    for word in ["applied", "running", "ended=3"] {
        step(&mut job, event(word), time(10));
    }
    let Status {
        started_at,
        finished_at,
        exit_code,
        ..
    } = job.status;
    assert_eq!(
        (started_at, finished_at, exit_code),
        (Some(time(1)), Some(time(5)), Some(3))
    );
}

/// Every event in every state that any two events lead to: a final state is never left but for being superseded, a
/// step that is finished stays so, and a task that holds nothing is asked for nothing it would have to hold.
#[test]
fn no_order_of_events_leaves_an_end() {
    let words = [
        "start",
        "built",
        "applied",
        "updated",
        "occupied",
        "cleared",
        "refused",
        "pending",
        "running",
        "ended=0",
        "ended=3",
        "stopped",
        "ready",
        "updating",
        "degraded",
        "rollout-failed",
        "vanished",
        "stop",
        "stop-accepted",
        "delete",
        "delete-abandoned",
        "expire",
        "removed",
        "superseded",
        "overdue",
        "skip",
        "cancel",
    ];
    for kind in [
        "job",
        "job step",
        "deployment step",
        "service",
        "cronjob",
        "job build step",
    ] {
        let mut seen = vec![task(kind)];
        for _ in 0..4 {
            let mut next: Vec<Task> = Vec::new();
            for before in &seen {
                for word in words {
                    let mut after = before.clone();
                    step(&mut after, event(word), time(10));
                    let context = format!(
                        "{kind}: {} + {word} = {}",
                        shown(&before.status),
                        shown(&after.status)
                    );
                    if before.status.state.is_final() {
                        let superseded = after.status.state == State::Superseded;
                        assert!(
                            superseded || after.status.state == before.status.state,
                            "{context}"
                        );
                    }
                    if before.status.step.is_some_and(StepState::is_finished) {
                        assert_eq!(after.status.step, before.status.step, "{context}");
                    }
                    if after.status.step.is_some_and(StepState::is_finished) && after.status.state.is_final()
                    {
                        let undone = matches!(
                            after.status.intent,
                            Some(Intent::Apply | Intent::Build | Intent::Stop)
                        );
                        assert!(!undone, "{context}");
                    }
                    if after != *before && !next.contains(&after) && !seen.contains(&after) {
                        next.push(after);
                    }
                }
            }
            seen.extend(next);
        }
        assert!(seen.len() > 20, "{kind} reached {} states", seen.len());
    }
}

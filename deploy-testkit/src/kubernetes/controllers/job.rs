//! The Job controller: pods until enough have succeeded, too many have failed or the time is up. A verdict is written as
//! SuccessCriteriaMet or FailureTarget first, and as Complete or Failed when no pod is left to end.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::TimeDelta;
use deploy_core::workload::Timestamp;
use serde_json::{Value, json};

use super::super::object::{
    Key, Object, Said, condition, default, holds, is_set, number, say, set, text, unset,
};
use super::super::store::{State, is_over, is_ready};
use super::{Due, events, pods};

const FROM: &str = "job-controller";

/// Of the longest pause between two pods.
const MAX_BACK_OFF_SECONDS: i64 = 600;

/// How a Job ends: the condition that announces it, the one that says so, and why.
type Verdict = (&'static str, &'static str, &'static str, String);

/// The pods of a Job by how they are.
struct Pods {
    active: Vec<Arc<Object>>,
    terminating: usize,
    ready: usize,
    succeeded: i64,
    failed: i64,
    /// When the last one that failed had ended.
    last_failure: Option<Timestamp>,
}

/// Looks at one Job. What it finds it writes at once: each step of a Job is one version of it.
pub(super) fn sync(state: &mut State, key: &Key) {
    let Some(job) = state.get(key).cloned() else {
        return;
    };
    if job.is_going() || holds(&job.value, "Complete") || holds(&job.value, "Failed") {
        return;
    }
    let pods = count(state, &job);
    if let Some(verdict) = verdict(state, &job, &pods) {
        finish(state, &job, &pods, &verdict);
    } else if is_set(&job.value, "/spec/suspend") {
        suspend(state, &job, &pods);
    } else {
        go_on(state, &job, &pods);
    }
}

fn suspend(state: &mut State, job: &Object, pods: &Pods) {
    // Those that a suspension ends are not failures.
    let memory = state.memory.jobs.entry(job.uid().to_owned()).or_default();
    memory
        .counted
        .extend(pods.active.iter().map(|pod| pod.uid().to_owned()));
    let terminating = pods.terminating + remove(state, &pods.active);
    let now = state.stamp();
    let said = Said {
        holds: true,
        reason: "JobSuspended",
        message: "Job suspended",
    };
    state.modify(&job.key(), |job| {
        say(job, "Suspended", said, &now, &["lastProbeTime"]);
        write_counts(job, pods, 0, terminating, 0);
    });
}

fn go_on(state: &mut State, job: &Object, pods: &Pods) {
    let made = make_pods(state, job, pods);
    let now = state.stamp();
    let resumed = Said {
        holds: false,
        reason: "JobResumed",
        message: "Job resumed",
    };
    state.modify(&job.key(), |job| {
        default(job, "/status/startTime", json!(now));
        if holds(job, "Suspended") {
            set(job, "/status/startTime", json!(now));
            say(job, "Suspended", resumed, &now, &["lastProbeTime"]);
        }
        write_counts(job, pods, pods.active.len() + made, pods.terminating, pods.ready);
    });
    watch_deadline(state, &job.key());
}

/// Deletes pods; tells how many of them take their time.
fn remove(state: &mut State, pods: &[Arc<Object>]) -> usize {
    for pod in pods {
        pods::remove(state, pod);
    }
    pods.iter().filter(|pod| state.find(pod.uid()).is_some()).count()
}

/// Sorts the pods, and counts those that have ended, each once.
fn count(state: &mut State, job: &Object) -> Pods {
    let all = pods::of(state, job);
    let replaces_failed_alone = text(&job.value, "/spec/podReplacementPolicy") == "Failed";
    let mut memory = state.memory.jobs.remove(job.uid()).unwrap_or_default();
    let mut last_failure = None;
    for pod in &all {
        let phase = text(&pod.value, "/status/phase");
        let has_failed =
            phase == "Failed" || (pod.is_going() && phase != "Succeeded" && !replaces_failed_alone);
        if has_failed {
            let ended = text(
                &pod.value,
                "/status/containerStatuses/0/state/terminated/finishedAt",
            )
            .parse()
            .ok();
            last_failure = last_failure.max(Some(ended.unwrap_or_else(|| state.now())));
        }
        if (has_failed || phase == "Succeeded") && memory.counted.insert(pod.uid().to_owned()) {
            if has_failed {
                memory.failed += 1;
            } else {
                memory.succeeded += 1;
            }
        }
    }
    // One that was active and is gone, without its end having been seen, has failed.
    let there: HashSet<&str> = all.iter().map(|pod| pod.uid()).collect();
    for gone in memory.active.iter().filter(|uid| !there.contains(uid.as_str())) {
        if memory.counted.insert(gone.clone()) {
            memory.failed += 1;
        }
    }
    let active: Vec<Arc<Object>> = all
        .iter()
        .filter(|pod| !is_over(pod) && !pod.is_going())
        .cloned()
        .collect();
    memory.active = all
        .iter()
        .filter(|pod| !is_over(pod))
        .map(|pod| pod.uid().to_owned())
        .collect();
    let pods = Pods {
        terminating: all.iter().filter(|pod| !is_over(pod) && pod.is_going()).count(),
        ready: active.iter().filter(|pod| is_ready(pod)).count(),
        active,
        succeeded: memory.succeeded,
        failed: memory.failed,
        last_failure,
    };
    state.memory.jobs.insert(job.uid().to_owned(), memory);
    pods
}

fn verdict(state: &State, job: &Object, pods: &Pods) -> Option<Verdict> {
    if holds(&job.value, "SuccessCriteriaMet") {
        return Some(said(job, "SuccessCriteriaMet", "Complete"));
    }
    if holds(&job.value, "FailureTarget") {
        return Some(said(job, "FailureTarget", "Failed"));
    }
    if pods.failed > number(&job.value, "/spec/backoffLimit", 6) {
        let message = "Job has reached the specified backoff limit".to_owned();
        return Some(("FailureTarget", "Failed", "BackoffLimitExceeded", message));
    }
    if deadline(job).is_some_and(|deadline| deadline <= state.now()) && !is_set(&job.value, "/spec/suspend") {
        let message = "Job was active longer than specified deadline".to_owned();
        return Some(("FailureTarget", "Failed", "DeadlineExceeded", message));
    }
    let completions = number(&job.value, "/spec/completions", 1);
    if pods.succeeded >= completions {
        let message = "Reached expected number of succeeded pods".to_owned();
        return Some(("SuccessCriteriaMet", "Complete", "CompletionsReached", message));
    }
    None
}

fn said(job: &Object, announced: &'static str, last: &'static str) -> Verdict {
    let condition = condition(&job.value, announced).cloned().unwrap_or_default();
    let reason = match text(&condition, "/reason") {
        "BackoffLimitExceeded" => "BackoffLimitExceeded",
        "DeadlineExceeded" => "DeadlineExceeded",
        _ => "CompletionsReached",
    };
    (announced, last, reason, text(&condition, "/message").to_owned())
}

fn finish(state: &mut State, job: &Object, pods: &Pods, verdict: &Verdict) {
    let (announced, last, reason, message) = verdict;
    let now = state.stamp();
    let key = job.key();
    let said = Said {
        holds: true,
        reason,
        message,
    };
    let terminating = pods.terminating + remove(state, &pods.active);
    let is_new = !holds(&job.value, announced);
    if is_new && *last == "Failed" {
        events::warn(state, job, FROM, reason, message);
    }
    state.modify(&key, |job| {
        say(job, announced, said, &now, &["lastProbeTime"]);
        if is_new {
            // The counters follow with the next version.
            write_active(job, 0, terminating, 0);
        } else {
            write_counts(job, pods, 0, terminating, 0);
        }
        if !is_new && terminating == 0 {
            if *last == "Complete" {
                set(job, "/status/completionTime", json!(now));
            }
            say(job, last, said, &now, &["lastProbeTime"]);
        }
    });
    if !is_new && terminating == 0 {
        state.memory.jobs.remove(job.uid());
    }
}

fn deadline(job: &Object) -> Option<Timestamp> {
    let seconds = job.value.pointer("/spec/activeDeadlineSeconds")?.as_i64()?;
    let started: Timestamp = text(&job.value, "/status/startTime").parse().ok()?;
    Some(started + TimeDelta::seconds(seconds))
}

fn watch_deadline(state: &mut State, key: &Key) {
    if let Some(deadline) = state.get(key).and_then(|job| deadline(job)) {
        state.at(deadline, Due::Look(key.clone()));
    }
}

/// Makes the pods that are missing; tells how many it made.
fn make_pods(state: &mut State, job: &Object, pods: &Pods) -> usize {
    let open = number(&job.value, "/spec/completions", 1) - pods.succeeded;
    let wanted = number(&job.value, "/spec/parallelism", 1).min(open);
    let held_back = if text(&job.value, "/spec/podReplacementPolicy") == "Failed" {
        pods.terminating
    } else {
        0
    };
    let there = i64::try_from(pods.active.len() + held_back).unwrap_or(i64::MAX);
    if let Some(last) = pods.last_failure
        && pods.failed > 0
    {
        let seconds = (10_i64 << (pods.failed - 1).clamp(0, 10)).min(MAX_BACK_OFF_SECONDS);
        let next = last + TimeDelta::seconds(seconds);
        if state.now() < next {
            state.at(next, Due::Look(job.key()));
            return 0;
        }
    }
    let template = job
        .value
        .pointer("/spec/template")
        .cloned()
        .unwrap_or(Value::Null);
    let mut made = 0;
    for _ in there..wanted {
        if !pods::make(state, job, &template, FROM) {
            break;
        }
        made += 1;
    }
    made
}

fn write_counts(job: &mut Value, pods: &Pods, active: usize, terminating: usize, ready: usize) {
    for (pointer, count) in [
        ("/status/succeeded", pods.succeeded),
        ("/status/failed", pods.failed),
    ] {
        if count > 0 {
            set(job, pointer, json!(count));
        }
    }
    write_active(job, active, terminating, ready);
}

fn write_active(job: &mut Value, active: usize, terminating: usize, ready: usize) {
    if active > 0 {
        set(job, "/status/active", json!(active));
    } else {
        unset(job, "/status/active");
    }
    set(job, "/status/terminating", json!(terminating));
    set(job, "/status/ready", json!(ready));
    default(job, "/status/uncountedTerminatedPods", json!({}));
}

//! The CronJob controller: a Job at each time of the schedule, or when a test says so, as the concurrency policy has it.

use std::sync::Arc;

use deploy_core::manifest::Schedule;
use deploy_core::workload::Timestamp;
use serde_json::{Value, json};

use super::super::defaults;
use super::super::kinds::{JOBS, by_plural};
use super::super::object::{Key, Object, holds, is_set, number, set, text};
use super::super::store::{State, stamp};
use super::{Due, events, garbage, pods};

const FROM: &str = "cronjob-controller";

/// Looks at one CronJob.
pub(super) fn sync(state: &mut State, key: &Key) {
    let Some(cron_job) = state.get(key).cloned() else {
        return;
    };
    if cron_job.is_going() {
        return;
    }
    let jobs = jobs(state, &cron_job);
    let active: Vec<Value> = jobs
        .iter()
        .filter(|job| !is_finished(job))
        .map(|job| reference(job))
        .collect();
    let last_success = jobs
        .iter()
        .filter_map(|job| job.value.pointer("/status/completionTime")?.as_str())
        .max()
        .map(str::to_owned);
    state.modify(key, |value| {
        if active.is_empty() {
            super::super::object::unset(value, "/status/active");
        } else {
            set(value, "/status/active", json!(active));
        }
        if let Some(last) = last_success {
            set(value, "/status/lastSuccessfulTime", json!(last));
        }
        super::super::object::default(value, "/status", json!({}));
    });
    forget_old(state, &cron_job, &jobs);
    plan(state, &cron_job);
}

/// Sees to it that it fires at its next time. The time is planned anew at each look; a plan that no longer holds does
/// nothing when it comes.
fn plan(state: &mut State, cron_job: &Object) {
    if let Some(next) = next(state, cron_job) {
        state.at(next, Due::Fire(cron_job.uid().to_owned(), next));
    }
}

fn next(state: &State, cron_job: &Object) -> Option<Timestamp> {
    if is_set(&cron_job.value, "/spec/suspend") {
        return None;
    }
    after(cron_job, state.now())
}

fn after(cron_job: &Object, time: Timestamp) -> Option<Timestamp> {
    let schedule: Schedule = text(&cron_job.value, "/spec/schedule").parse().ok()?;
    let zone = match text(&cron_job.value, "/spec/timeZone") {
        "" => "UTC",
        zone => zone,
    };
    schedule.next_after(time, zone.parse().ok()?)
}

/// A planned time has come.
pub(super) fn on_time(state: &mut State, uid: &str, when: Timestamp) {
    let Some(cron_job) = state.find(uid).cloned() else {
        return;
    };
    let still_fires = after(&cron_job, when - chrono::TimeDelta::seconds(1)) == Some(when);
    if still_fires && !cron_job.is_going() && !is_set(&cron_job.value, "/spec/suspend") {
        make(state, &cron_job, when);
    }
    plan(state, &cron_job);
}

/// Fires now, whatever the schedule says; `None` = there is no such CronJob, or its policy forbids it.
pub(in super::super) fn fire(state: &mut State, key: &Key) -> Option<String> {
    let cron_job = state.get(key).cloned()?;
    let now = state.now();
    make(state, &cron_job, now)
}

fn make(state: &mut State, cron_job: &Arc<Object>, when: Timestamp) -> Option<String> {
    let running: Vec<Arc<Object>> = jobs(state, cron_job)
        .into_iter()
        .filter(|job| !is_finished(job))
        .collect();
    let kind = by_plural(JOBS)?;
    // As the real controller names them: by the minute. Two of one minute are told apart by one more number.
    let minute = when.timestamp() / 60;
    let mut name = format!("{}-{minute}", cron_job.name());
    while state.get(&Key::new(JOBS, cron_job.namespace(), &name)).is_some() {
        name = format!("{}-{minute}-{}", cron_job.name(), state.count());
    }
    match text(&cron_job.value, "/spec/concurrencyPolicy") {
        "Forbid" if !running.is_empty() => {
            let message =
                "Not starting job because prior execution is running and concurrency policy is Forbid";
            events::tell(state, cron_job, FROM, "JobAlreadyActive", message);
            return None;
        }
        "Replace" => {
            for job in &running {
                garbage::remove(state, job, "Background");
            }
        }
        _ => {}
    }
    let template = cron_job
        .value
        .pointer("/spec/jobTemplate")
        .cloned()
        .unwrap_or_default();
    let mut job = json!({"metadata": template.get("metadata").cloned().unwrap_or_else(|| json!({}))});
    set(
        &mut job,
        "/spec",
        template.get("spec").cloned().unwrap_or_else(|| json!({})),
    );
    set(&mut job, "/metadata/name", json!(name));
    set(&mut job, "/metadata/namespace", json!(cron_job.namespace()));
    set(
        &mut job,
        "/metadata/ownerReferences",
        json!([pods::reference(cron_job)]),
    );
    let scheduled = json!(stamp(when));
    super::super::object::map(&mut job, "/metadata/annotations").insert(
        "batch.kubernetes.io/cronjob-scheduled-timestamp".to_owned(),
        scheduled,
    );
    let uid = state.uid();
    set(&mut job, "/metadata/uid", json!(uid));
    defaults::fill(kind, &mut job, state);
    defaults::fill_job_selector(&mut job);
    state.insert(kind, job);
    events::tell(
        state,
        cron_job,
        FROM,
        "SuccessfulCreate",
        &format!("Created job {name}"),
    );
    state.modify(&cron_job.key(), |cron_job| {
        set(cron_job, "/status/lastScheduleTime", json!(stamp(when)))
    });
    Some(name)
}

/// Takes away the finished Jobs that are more than its history holds, the oldest first.
fn forget_old(state: &mut State, cron_job: &Object, jobs: &[Arc<Object>]) {
    for (condition, pointer, otherwise) in [
        ("Complete", "/spec/successfulJobsHistoryLimit", 3),
        ("Failed", "/spec/failedJobsHistoryLimit", 1),
    ] {
        let limit = usize::try_from(number(&cron_job.value, pointer, otherwise)).unwrap_or_default();
        let mut finished: Vec<&Arc<Object>> = jobs
            .iter()
            .filter(|job| holds(&job.value, condition) && !job.is_going())
            .collect();
        finished.sort_by_key(|job| job.uid().to_owned());
        let too_many = finished.len().saturating_sub(limit);
        for job in &finished[..too_many] {
            garbage::remove(state, job, "Background");
        }
    }
}

fn jobs(state: &State, cron_job: &Object) -> Vec<Arc<Object>> {
    state.owned(cron_job.uid(), JOBS).cloned().collect()
}

fn is_finished(job: &Object) -> bool {
    holds(&job.value, "Complete") || holds(&job.value, "Failed")
}

fn reference(job: &Object) -> Value {
    json!({
        "apiVersion": job.kind.api_version(),
        "kind": job.kind.kind,
        "namespace": job.namespace(),
        "name": job.name(),
        "uid": job.uid(),
        "resourceVersion": job.revision.to_string(),
    })
}

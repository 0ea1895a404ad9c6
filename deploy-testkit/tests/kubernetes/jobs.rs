//! Jobs and CronJobs, as their controllers carry them out.

use std::sync::Arc;
use std::time::Duration;

use deploy_testkit::kubernetes::{ApiServer, Controller, Settings};
use deploy_testkit::memory::ManualClock;
use serde_json::{Value, json};

use crate::client::{CRON_JOBS, JOBS, cron_job, get, holds, job, merge, post, server, watch, within};

async fn ended(server: &ApiServer, name: &str, condition: &str) -> Value {
    let is_so = |job: Option<&Value>| job.is_some_and(|job| holds(job, condition));
    within(server.until("jobs", "demo", name, is_so)).await.unwrap()
}

async fn driven(settings: Settings) -> (ApiServer, ManualClock) {
    let clock = ManualClock::default();
    let server = ApiServer::start_with(settings, Arc::new(clock.clone()))
        .await
        .unwrap();
    server.put_namespace("demo");
    (server, clock)
}

#[tokio::test]
async fn a_container_that_ends_well_completes_its_job() {
    let server = server().await;
    post(&server, JOBS, job("load", &["exit", "0"])).await.ok();
    let job = ended(&server, "load", "Complete").await;
    assert!(holds(&job, "SuccessCriteriaMet"));
    assert_eq!(job["status"]["succeeded"], 1);
    assert!(job["status"]["completionTime"].is_string());
    let pods = server.list("pods", "demo");
    assert_eq!(
        (pods.len(), &pods[0]["status"]["phase"]),
        (1, &json!("Succeeded"))
    );
}

#[tokio::test]
async fn the_end_of_a_container_is_told_before_the_phase_of_its_pod() {
    let settings = Settings::default();
    let (server, clock) = driven(Settings {
        phase_lag: Duration::from_secs(1),
        ..settings
    })
    .await;
    post(&server, JOBS, job("load", &["exit", "3"])).await.ok();
    let has_ended = |pods: &[Value]| {
        pods.iter()
            .any(|pod| pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3)
    };
    let pods = within(server.until_listed("pods", "demo", has_ended)).await;
    assert_eq!(pods[0]["status"]["phase"], "Running");
    within(clock.until_asleep(1)).await;
    clock.advance(Duration::from_secs(1));
    let job = ended(&server, "load", "Failed").await;
    assert_eq!(job["status"]["failed"], 1);
    let failed = job["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["type"] == "Failed")
        .unwrap();
    assert_eq!(failed["reason"], "BackoffLimitExceeded");
    assert!(holds(&job, "FailureTarget"));
}

#[tokio::test]
async fn a_failed_pod_is_replaced_after_a_pause_as_often_as_the_limit_allows() {
    let (server, clock) = driven(Settings::default()).await;
    let mut twice = job("load", &["exit", "1"]);
    twice["spec"]["backoffLimit"] = json!(1);
    post(&server, JOBS, twice).await.ok();
    within(server.until("jobs", "demo", "load", |job| {
        job.unwrap()["status"]["failed"] == 1
    }))
    .await;
    within(clock.until_asleep(1)).await;
    assert_eq!(server.count("pods"), 1);
    clock.advance(Duration::from_secs(10));
    let job = ended(&server, "load", "Failed").await;
    assert_eq!((&job["status"]["failed"], server.count("pods")), (&json!(2), 2));
}

#[tokio::test]
async fn a_job_that_takes_too_long_fails() {
    let (server, clock) = driven(Settings::default()).await;
    let mut slow = job("load", &["forever"]);
    slow["spec"]["activeDeadlineSeconds"] = json!(60);
    post(&server, JOBS, slow).await.ok();
    within(server.running_pod("demo", "load")).await;
    within(clock.until_asleep(1)).await;
    clock.advance(Duration::from_secs(60));
    let job = ended(&server, "load", "Failed").await;
    let failed = job["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["type"] == "Failed")
        .unwrap();
    assert_eq!(failed["reason"], "DeadlineExceeded");
    assert_eq!(server.count("pods"), 0);
}

#[tokio::test]
async fn a_suspended_job_loses_its_pod_and_goes_on_when_it_is_resumed() {
    let server = server().await;
    post(&server, JOBS, job("load", &["forever"])).await.ok();
    within(server.running_pod("demo", "load")).await;
    let path = format!("{JOBS}/load");
    merge(&server, &path, json!({"spec": {"suspend": true}}))
        .await
        .ok();
    let is_stopped =
        |job: Option<&Value>| holds(job.unwrap(), "Suspended") && job.unwrap()["status"]["terminating"] == 0;
    within(server.until("jobs", "demo", "load", is_stopped)).await;
    within(server.until_listed("pods", "demo", |pods| pods.is_empty())).await;
    merge(&server, &path, json!({"spec": {"suspend": false}}))
        .await
        .ok();
    within(server.running_pod("demo", "load")).await;
    let mut born = job("born", &["forever"]);
    born["spec"]["suspend"] = json!(true);
    post(&server, JOBS, born).await.ok();
    ended(&server, "born", "Suspended").await;
    assert_eq!(server.pods_of("demo", "born"), Vec::<String>::new());
}

#[tokio::test]
async fn a_pod_ends_as_a_test_says() {
    let server = server().await;
    for (name, reason) in [("oom", "OOMKilled"), ("code", "Error"), ("evicted", "Error")] {
        post(&server, JOBS, job(name, &["forever"])).await.ok();
        let pod = within(server.running_pod("demo", name)).await;
        let done = match name {
            "oom" => server.oom("demo", &pod),
            "code" => server.terminate("demo", &pod, 3),
            _ => server.evict("demo", &pod),
        };
        assert!(done);
        ended(&server, name, "Failed").await;
        let pod = server.get("pods", "demo", &pod).unwrap();
        assert_eq!(
            pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"],
            reason
        );
        assert_eq!(holds(&pod, "DisruptionTarget"), name == "evicted");
    }
    assert!(!server.terminate("demo", "nothing", 0));
    // An end that has come is the end.
    let pod = &server.pods_of("demo", "code")[0];
    let before = server.get("pods", "demo", pod);
    assert!(server.terminate("demo", pod, 4));
    assert_eq!(server.get("pods", "demo", pod), before);
}

#[tokio::test]
async fn what_cannot_run_says_why() {
    let server = server().await;
    let mut pulled = job("pulled", &["forever"]);
    pulled["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nonexistent.invalid/app:1");
    post(&server, JOBS, pulled).await.ok();
    let waits = |pods: &[Value]| {
        pods.iter().any(|pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
        })
    };
    within(server.until_listed("pods", "demo", waits)).await;
    let mut large = job("large", &["forever"]);
    large["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1000"}});
    post(&server, JOBS, large).await.ok();
    let is_unschedulable = |pods: &[Value]| {
        let mut conditions = pods
            .iter()
            .flat_map(|pod| pod["status"]["conditions"].as_array().into_iter().flatten());
        conditions.any(|one| {
            one["reason"] == "Unschedulable" && one["message"].as_str().unwrap().contains("Insufficient cpu")
        })
    };
    within(server.until_listed("pods", "demo", is_unschedulable)).await;
    server.configure(|settings| {
        settings.pods.insert("demo".to_owned(), 2);
    });
    post(&server, JOBS, job("third", &["forever"])).await.ok();
    let is_refused = |events: &[Value]| {
        events.iter().any(|event| {
            event["reason"] == "FailedCreate" && event["message"].as_str().unwrap().contains("exceeded quota")
        })
    };
    within(server.until_listed("events", "demo", is_refused)).await;
    let path = "/api/v1/namespaces/demo/events?fieldSelector=involvedObject.kind%3DJob,reason%3DFailedCreate";
    let events = get(&server, path).await.ok();
    assert_eq!(events["items"][0]["involvedObject"]["name"], "third");
    server.configure(|settings| {
        settings.pods.clear();
    });
    within(server.running_pod("demo", "third")).await;
}

#[tokio::test]
async fn a_cron_job_fires_at_its_times_and_by_hand() {
    let (server, clock) = driven(Settings::default()).await;
    post(&server, CRON_JOBS, cron_job("tick", &["exit", "0"]))
        .await
        .ok();
    within(clock.until_asleep(1)).await;
    clock.advance(Duration::from_secs(300));
    let jobs = within(server.until_listed("jobs", "demo", |jobs| {
        jobs.iter().any(|job| holds(job, "Complete"))
    }))
    .await;
    assert_eq!(jobs[0]["metadata"]["ownerReferences"][0]["kind"], "CronJob");
    let fired = |found: Option<&Value>| found.unwrap()["status"].get("lastSuccessfulTime").is_some();
    let tick = within(server.until("cronjobs", "demo", "tick", fired))
        .await
        .unwrap();
    assert_eq!(tick["status"]["lastScheduleTime"], "2026-01-01T00:05:00Z");
    assert_eq!(tick["status"].get("active"), None);
    let by_hand = server.fire("demo", "tick").unwrap();
    ended(&server, &by_hand, "Complete").await;
    assert_eq!(server.fire("demo", "other"), None);
}

#[tokio::test]
async fn a_cron_job_that_forbids_it_has_one_job_at_a_time() {
    let server = server().await;
    let mut alone = cron_job("alone", &["forever"]);
    alone["spec"]["concurrencyPolicy"] = json!("Forbid");
    post(&server, CRON_JOBS, alone).await.ok();
    let first = server.fire("demo", "alone").unwrap();
    within(server.running_pod("demo", "alone")).await;
    assert_eq!(server.fire("demo", "alone"), None);
    let replace = json!({"spec": {"concurrencyPolicy": "Replace"}});
    merge(&server, &format!("{CRON_JOBS}/alone"), replace).await.ok();
    let second = server.fire("demo", "alone").unwrap();
    within(server.until("jobs", "demo", &first, |job| job.is_none())).await;
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_controller_that_is_held_does_nothing() {
    let server = server().await;
    server.hold(Controller::Kubelet);
    post(&server, JOBS, job("load", &["exit", "0"])).await.ok();
    let mut pods = watch(&server, "/api/v1/pods?watch=true").await;
    while !pods.next().await.unwrap()["object"]["spec"]["nodeName"].is_string() {}
    assert!(pods.is_silent().await);
    assert_eq!(server.list("pods", "demo")[0]["status"]["phase"], "Pending");
    server.release(Controller::Kubelet);
    ended(&server, "load", "Complete").await;
}

/// What a Job's status says, as one line.
fn step(job: &Value) -> String {
    let status = &job["status"];
    let counts =
        ["active", "succeeded", "failed", "terminating"].map(|field| status[field].as_i64().unwrap_or(0));
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let conditions: Vec<&str> = conditions.map(|one| one["type"].as_str().unwrap()).collect();
    format!("{counts:?} {}", conditions.join(","))
}

#[tokio::test]
async fn a_job_takes_the_steps_that_a_real_one_was_seen_to_take() {
    for (code, last) in [
        (
            "0",
            [
                "[0, 0, 0, 0] SuccessCriteriaMet",
                "[0, 1, 0, 0] SuccessCriteriaMet,Complete",
            ],
        ),
        (
            "3",
            ["[0, 0, 0, 0] FailureTarget", "[0, 0, 1, 0] FailureTarget,Failed"],
        ),
    ] {
        let server = server().await;
        let mut events = watch(&server, &format!("{JOBS}?watch=true")).await;
        post(&server, JOBS, job("load", &["exit", code])).await.ok();
        let mut steps = Vec::new();
        while steps.last().is_none_or(|step| step != last[1]) {
            steps.push(step(&events.next().await.unwrap()["object"]));
        }
        // Readiness, which this line does not show, may make a step of its own.
        steps.dedup();
        assert_eq!(steps, ["[0, 0, 0, 0] ", "[1, 0, 0, 0] ", last[0], last[1]]);
    }
}

#[tokio::test]
async fn a_suspension_is_told_while_the_pod_ends_and_again_when_it_has() {
    let server = server().await;
    post(&server, JOBS, job("load", &["forever"])).await.ok();
    within(server.running_pod("demo", "load")).await;
    let list = get(&server, JOBS).await.ok();
    let from = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let stopped = merge(
        &server,
        &format!("{JOBS}/load"),
        json!({"spec": {"suspend": true}}),
    )
    .await
    .ok();
    let mut events = watch(&server, &format!("{JOBS}?watch=true&resourceVersion={from}")).await;
    let mut steps = Vec::new();
    while steps.last().is_none_or(|step| step != "[0, 0, 0, 0] Suspended") {
        let event = events.next().await.unwrap();
        steps.push(step(&event["object"]));
        if event["object"]["metadata"]["generation"] == stopped["metadata"]["generation"] {
            // It keeps the time at which it was started.
            assert!(event["object"]["status"]["startTime"].is_string());
        }
    }
    assert_eq!(
        steps[steps.len() - 2..],
        ["[0, 0, 0, 1] Suspended", "[0, 0, 0, 0] Suspended"]
    );
}

#[tokio::test]
async fn the_scheduler_speaks_in_events_of_the_newer_form() {
    let server = server().await;
    let mut large = job("large", &["forever"]);
    large["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"memory": "1Ti"}});
    post(&server, JOBS, large).await.ok();
    let is_told = |events: &[Value]| events.iter().any(|event| event["reason"] == "FailedScheduling");
    let events = within(server.until_listed("events", "demo", is_told)).await;
    let event = events
        .iter()
        .find(|event| event["reason"] == "FailedScheduling")
        .unwrap();
    assert!(event["message"].as_str().unwrap().contains("Insufficient memory"));
    assert!(event["eventTime"].as_str().unwrap().ends_with('Z'));
    for absent in ["count", "firstTimestamp", "lastTimestamp"] {
        assert_eq!(event.get(absent), None);
    }
}

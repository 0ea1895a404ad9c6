//! Faults: what is answered, and what was done all the same.

use std::time::{Duration, Instant};

use deploy_testkit::kubernetes::{Fault, Matcher, Times, Verb};
use serde_json::{Value, json};

use crate::client::{JOBS, get, job, merge, post, send, server, watch, within};

#[tokio::test]
async fn a_refusal_is_answered_and_nothing_is_done() {
    let server = server().await;
    for (fault, status, reason, retry_after) in [
        (Fault::TooManyRequests(Some(3)), 429, "TooManyRequests", Some("3")),
        (Fault::Unavailable(Some(1)), 503, "ServiceUnavailable", Some("1")),
        (Fault::Unavailable(None), 503, "ServiceUnavailable", None),
        (Fault::InternalError, 500, "InternalError", None),
        (Fault::Forbidden, 403, "Forbidden", None),
        (Fault::Conflict, 409, "Conflict", None),
    ] {
        let injected = server.inject(Matcher::on(Verb::Create).resource("jobs"), Times::First(1), fault);
        let refused = post(&server, JOBS, job("load", &["forever"])).await;
        refused.is_refused(status, reason);
        assert_eq!(refused.retry_after.as_deref(), retry_after);
        assert_eq!(server.struck(injected), 1);
        assert_eq!(server.count("jobs"), 0);
        server.end(injected);
    }
    post(&server, JOBS, job("load", &["forever"])).await.ok();
}

#[tokio::test]
async fn a_connection_can_be_cut_before_and_after_a_write() {
    let server = server().await;
    let create =
        |name: &'static str| send(&server, "POST", JOBS, "application/json", job(name, &["forever"]));
    server.inject(Matcher::writes(), Times::Nth(1), Fault::Reset);
    server.inject(Matcher::writes(), Times::Nth(1), Fault::CommitThenReset);
    assert!(create("before").await.is_none());
    assert!(create("after").await.is_none());
    let names: Vec<String> = server
        .list("jobs", "demo")
        .iter()
        .map(|job| job["metadata"]["name"].to_string())
        .collect();
    assert_eq!(names, ["\"after\""]);
    let codes: Vec<Option<u16>> = server.calls().iter().map(|call| call.status).collect();
    assert_eq!(codes, [None, None]);
}

#[tokio::test]
async fn a_write_can_be_done_and_answered_with_a_timeout() {
    let server = server().await;
    server.inject(
        Matcher::on(Verb::Create),
        Times::First(1),
        Fault::CommitThenTimeout,
    );
    post(&server, JOBS, job("load", &["forever"]))
        .await
        .is_refused(504, "Timeout");
    post(&server, JOBS, job("load", &["forever"]))
        .await
        .is_refused(409, "AlreadyExists");
}

#[tokio::test]
async fn a_request_that_is_never_answered_is_seen_in_the_log() {
    let server = server().await;
    let mark = server.mark();
    server.inject(Matcher::on(Verb::Get).name("load"), Times::Always, Fault::Hang);
    let url = format!("{JOBS}/load");
    let hanging = get(&server, &url);
    let seen = server.until_called(mark, |calls| calls.reads() == 1);
    tokio::select! {
        answer = hanging => panic!("it was answered: {answer:?}"),
        calls = within(seen) => assert_eq!(calls.iter().next().unwrap().status, None),
    }
    get(&server, &format!("{JOBS}/other"))
        .await
        .is_refused(404, "NotFound");
}

#[tokio::test]
async fn a_delay_is_exact_enough_to_measure_by() {
    let server = server().await;
    server.inject(
        Matcher::all(),
        Times::Always,
        Fault::Delay(Duration::from_millis(2)),
    );
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..21 {
        let begun = Instant::now();
        get(&server, "/readyz").await.ok();
        took.push(begun.elapsed());
    }
    took.sort();
    // A lower bound alone: how much more it is depends on the machine.
    assert!(took[0] >= Duration::from_millis(2), "{took:?}");
}

#[tokio::test]
async fn every_watch_can_be_told_that_it_is_too_old() {
    let server = server().await;
    server.inject(
        Matcher::on(Verb::Watch).resource("jobs"),
        Times::Always,
        Fault::Gone,
    );
    for _ in 0..2 {
        let mut events = watch(&server, &format!("{JOBS}?watch=true")).await;
        let event = events.next().await.unwrap();
        assert_eq!(
            (&event["type"], &event["object"]["reason"]),
            (&json!("ERROR"), &json!("Expired"))
        );
        assert_eq!(events.next().await, None);
    }
    server.heal();
    post(&server, JOBS, job("load", &["forever"])).await.ok();
    assert_eq!(
        watch(&server, &format!("{JOBS}?watch=true")).await.line().await,
        "ADDED load"
    );
}

#[tokio::test]
async fn the_whole_api_goes_away_and_comes_back() {
    let server = server().await;
    let mut events = watch(&server, &format!("{JOBS}?watch=true")).await;
    server.away().await;
    assert_eq!(events.next().await, None);
    let gone = send(&server, "GET", "/readyz", "", Value::Null).await;
    assert!(gone.is_none());
    server.put(job_in_cluster("load"));
    server.back().await;
    assert_eq!(
        watch(&server, &format!("{JOBS}?watch=true")).await.line().await,
        "ADDED load"
    );
}

fn job_in_cluster(name: &str) -> Value {
    let mut job = job(name, &["forever"]);
    job["metadata"]["namespace"] = json!("demo");
    job
}

#[tokio::test]
async fn a_hand_edits_and_removes_what_it_likes() {
    let server = server().await;
    let uid = server.put(job_in_cluster("load")).unwrap();
    assert_eq!(server.put(job_in_cluster("load")), None);
    let before = get(&server, &format!("{JOBS}/load")).await.ok();
    assert_eq!(before["metadata"]["uid"], json!(uid));
    assert!(
        server.edit("jobs", "demo", "load", |job| job["metadata"]["labels"] =
            json!({"app": "edited"}))
    );
    let stale = json!({"metadata": {"resourceVersion": before["metadata"]["resourceVersion"]}});
    merge(&server, &format!("{JOBS}/load"), stale)
        .await
        .is_refused(409, "Conflict");
    assert!(server.remove("jobs", "demo", "load"));
    assert!(!server.edit("jobs", "demo", "load", |_| {}));
    // None of it is a call.
    assert_eq!(server.calls().writes(), 1);
}

#[tokio::test]
async fn ten_thousand_pods_are_listed_and_watched() {
    let server = server().await;
    server.hold(deploy_testkit::kubernetes::Controller::Scheduler);
    for number in 0..10_000 {
        server.put(json!({
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": format!("pod-{number}"), "namespace": "demo", "labels": {"app": "many"}},
            "spec": {"containers": [{"name": "main", "image": "registry.example/app:1"}]},
        }));
    }
    let list = get(&server, "/api/v1/pods?labelSelector=app%3Dmany").await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 10_000);
    let mut events = watch(&server, "/api/v1/pods?watch=true&labelSelector=app%3Dmany").await;
    for _ in 0..10_000 {
        assert!(events.line().await.starts_with("ADDED pod-"));
    }
}

//! Watches: what is told, from where on, how they end and how they fail.

use deploy_testkit::kubernetes::EventFault;
use serde_json::{Value, json};

use crate::client::{JOBS, get, job, merge, post, server, watch};

fn revision(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}

#[tokio::test]
async fn a_watch_tells_what_came_after_a_list() {
    let server = server().await;
    server.hold(deploy_testkit::kubernetes::Controller::Jobs);
    post(&server, JOBS, job("a", &["forever"])).await.ok();
    let list = get(&server, JOBS).await.ok();
    let from = revision(&list).to_owned();
    post(&server, JOBS, job("b", &["forever"])).await.ok();
    let mut events = watch(&server, &format!("{JOBS}?watch=true&resourceVersion={from}")).await;
    assert_eq!(events.line().await, "ADDED b");
    let stopped = merge(&server, &format!("{JOBS}/a"), json!({"spec": {"suspend": true}}))
        .await
        .ok();
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]), (&json!("MODIFIED"), &stopped));
    let gone = json!({"propagationPolicy": "Background"});
    crate::client::delete(&server, &format!("{JOBS}/b"), gone)
        .await
        .ok();
    let event = events.next().await.unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["metadata"]["name"]),
        (&json!("DELETED"), &json!("b"))
    );
    assert!(revision(&event["object"]).parse::<u64>().unwrap() > revision(&stopped).parse::<u64>().unwrap());
}

#[tokio::test]
async fn a_watch_from_nowhere_begins_with_what_there_is() {
    let server = server().await;
    for name in ["a", "b"] {
        post(&server, JOBS, job(name, &["forever"])).await.ok();
    }
    let mut events = watch(&server, &format!("{JOBS}?watch=true")).await;
    assert_eq!(events.line().await, "ADDED a");
    assert_eq!(events.line().await, "ADDED b");
    let list = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = watch(&server, &format!("{JOBS}?watch=true&{list}")).await;
    assert_eq!(events.line().await, "ADDED a");
    assert_eq!(events.line().await, "ADDED b");
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(
        bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
}

#[tokio::test]
async fn a_selector_makes_a_change_an_arrival_or_a_departure() {
    let server = server().await;
    server.hold(deploy_testkit::kubernetes::Controller::Jobs);
    let mut events = watch(&server, &format!("{JOBS}?watch=true&labelSelector=app%3Da,!off")).await;
    for name in ["a", "b"] {
        post(&server, JOBS, job(name, &["forever"])).await.ok();
    }
    assert_eq!(events.line().await, "ADDED a");
    let label = |value: Value| json!({"metadata": {"labels": {"off": value}}});
    merge(&server, &format!("{JOBS}/a"), label(json!("1"))).await.ok();
    assert_eq!(events.line().await, "DELETED a");
    merge(&server, &format!("{JOBS}/a"), label(Value::Null))
        .await
        .ok();
    assert_eq!(events.line().await, "ADDED a");
}

#[tokio::test]
async fn a_watch_ends_at_its_timeout_with_a_bookmark() {
    let server = server().await;
    let mut events = watch(
        &server,
        &format!("{JOBS}?watch=true&timeoutSeconds=1&allowWatchBookmarks=true"),
    )
    .await;
    let bookmark = events.next().await.unwrap();
    assert_eq!(
        (&bookmark["type"], &bookmark["object"]["kind"]),
        (&json!("BOOKMARK"), &json!("Job"))
    );
    assert_eq!(events.next().await, None);
    let from = revision(&bookmark["object"]);
    let mut events = watch(&server, &format!("{JOBS}?watch=true&resourceVersion={from}")).await;
    post(&server, JOBS, job("a", &["forever"])).await.ok();
    assert_eq!(events.line().await, "ADDED a");
}

#[tokio::test]
async fn a_watch_from_too_long_ago_is_told_so_by_an_event() {
    let server = server().await;
    let list = get(&server, JOBS).await.ok();
    let mut open = watch(
        &server,
        &format!("{JOBS}?watch=true&resourceVersion={}", revision(&list)),
    )
    .await;
    server.expire_watches("jobs");
    let mut late = watch(
        &server,
        &format!("{JOBS}?watch=true&resourceVersion={}", revision(&list)),
    )
    .await;
    for events in [&mut open, &mut late] {
        let event = events.next().await.unwrap();
        assert_eq!(
            (&event["type"], &event["object"]["code"]),
            (&json!("ERROR"), &json!(410))
        );
        assert_eq!(event["object"]["reason"], "Expired");
        assert_eq!(events.next().await, None);
    }
    let list = get(&server, JOBS).await.ok();
    let mut again = watch(
        &server,
        &format!("{JOBS}?watch=true&resourceVersion={}", revision(&list)),
    )
    .await;
    post(&server, JOBS, job("a", &["forever"])).await.ok();
    assert_eq!(again.line().await, "ADDED a");
}

#[tokio::test]
async fn a_bounded_history_forgets() {
    let server = server().await;
    server.configure(|settings| settings.history = 3);
    let list = get(&server, "/api/v1/namespaces").await.ok();
    for number in 0..5 {
        server.put_namespace(&format!("n{number}"));
    }
    let path = format!(
        "/api/v1/namespaces?watch=true&resourceVersion={}",
        revision(&list)
    );
    let event = watch(&server, &path).await.next().await.unwrap();
    assert_eq!(event["object"]["code"], 410);
}

#[tokio::test]
async fn a_frozen_watch_says_nothing_until_it_is_thawed() {
    let server = server().await;
    let mut events = watch(&server, &format!("{JOBS}?watch=true")).await;
    server.freeze_watches("jobs");
    post(&server, JOBS, job("a", &["forever"])).await.ok();
    assert!(events.is_silent().await);
    server.thaw_watches("jobs");
    assert_eq!(events.line().await, "ADDED a");
    server.close_watches("jobs");
    while events.next().await.is_some() {}
}

#[tokio::test]
async fn single_events_can_be_lost_doubled_and_swapped() {
    let server = server().await;
    let mut events = watch(
        &server,
        "/api/v1/namespaces?watch=true&fieldSelector=metadata.name!=default",
    )
    .await;
    while events.line().await != "ADDED kube-system" {}
    server.spoil_event("namespaces", 1, EventFault::Drop);
    server.spoil_event("namespaces", 2, EventFault::Repeat);
    server.spoil_event("namespaces", 3, EventFault::Reorder);
    for name in ["n1", "n2", "n3", "n4"] {
        server.put_namespace(name);
    }
    for wanted in ["n2", "n2", "n4", "n3"] {
        assert_eq!(events.line().await, format!("ADDED {wanted}"));
    }
}

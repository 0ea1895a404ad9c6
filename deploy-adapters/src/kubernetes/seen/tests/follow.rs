//! The list and watch loop: what it asks, how it goes on, and what it survives.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::clock::HastyClock;
use super::server::{Server, within};
use super::{event, job, marks};
use crate::kubernetes::seen::{Seen, SeenJob};

const JOBS: &[&str] = &["/apis/batch/v1/jobs"];

async fn begin() -> (Server, HastyClock, Seen) {
    let server = Server::start(JOBS).await;
    let clock = HastyClock::default();
    let seen = Seen::start(server.client(), marks(), Arc::new(clock.clone()));
    (server, clock, seen)
}

fn look(seen: &Seen, name: &str) -> Option<Arc<SeenJob>> {
    seen.job(&"demo".parse().unwrap(), &name.parse().unwrap())
}

/// Waits until a job is seen at that version.
async fn until_at(seen: &Seen, name: &str, version: u64) {
    let is_there = || look(seen, name).filter(|job| job.meta.version == Some(version));
    within(seen.until(is_there)).await;
}

async fn until_absent(seen: &Seen, name: &str) {
    within(seen.until(|| look(seen, name).is_none().then_some(()))).await;
}

fn expired() -> Value {
    json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})
}

#[tokio::test]
async fn it_lists_page_by_page_and_watches_from_where_the_list_stood() {
    let (mut server, _, seen) = begin().await;
    assert!(!seen.is_synced());
    assert_eq!(seen.age(), None);
    let first = server.list().await;
    assert_eq!(first.query["limit"], "500");
    assert_eq!(
        first.query["labelSelector"],
        "app.kubernetes.io/managed-by=deploy-api,deploy-api/instance=test"
    );
    first.answer_page("10", &[job("a", "1", 3)], "more").await;
    let second = server.list().await;
    assert_eq!(second.query["continue"], "more");
    assert!(!seen.is_synced());
    second.answer_list("10", &[job("b", "2", 4)]).await;
    within(seen.synced()).await;
    assert!(look(&seen, "a").is_some() && look(&seen, "b").is_some());
    let watch = server.asked().await;
    let asked = |key: &str| watch.query.get(key).map(String::as_str);
    assert_eq!(asked("watch"), Some("true"));
    assert_eq!(asked("resourceVersion"), Some("10"));
    assert_eq!(asked("timeoutSeconds"), Some("45"));
    assert_eq!(asked("allowWatchBookmarks"), Some("true"));
    assert!(seen.age().is_some_and(|age| age < Duration::from_secs(20)));
}

#[tokio::test]
async fn a_watch_that_ends_is_gone_on_with_from_its_last_version() {
    let (mut server, clock, seen) = begin().await;
    server.list().await.answer_list("10", &[]).await;
    let mut watch = server.watch("10").await;
    watch.send(&event("ADDED", &job("a", "1", 11))).await;
    until_at(&seen, "a", 11).await;
    drop(watch);
    let mut watch = server.watch("11").await;
    let bookmark = json!({"kind": "Job", "metadata": {"resourceVersion": "20"}});
    watch.send(&event("BOOKMARK", &bookmark)).await;
    drop(watch);
    // Cut off in the middle of a line: what was said before it holds.
    let mut watch = server.watch("20").await;
    let whole = event("MODIFIED", &job("a", "1", 21));
    watch.send(&(whole.clone() + &whole[..whole.len() / 2])).await;
    drop(watch);
    let _watch = server.watch("21").await;
    until_at(&seen, "a", 21).await;
    // One list in all, and no wait beyond the pace.
    assert!(clock.slept().iter().all(|slept| slept.as_secs() >= 1));
}

#[tokio::test]
async fn history_that_is_gone_is_listed_anew_while_what_was_known_serves() {
    let (mut server, _, seen) = begin().await;
    server.list().await.answer_list("10", &[job("a", "1", 3)]).await;
    let refused = server.asked().await;
    let status = expired();
    refused.answer("410 Gone", "", &status.to_string()).await;
    let list = server.list().await;
    assert!(seen.is_synced() && look(&seen, "a").is_some());
    list.answer_list("30", &[job("a", "1", 3), job("b", "2", 25)])
        .await;
    let mut watch = server.watch("30").await;
    watch.send(&event("ERROR", &status)).await;
    let list = server.list().await;
    assert!(look(&seen, "b").is_some());
    list.answer_list("40", &[job("b", "2", 25)]).await;
    until_absent(&seen, "a").await;
    let _watch = server.watch("40").await;
}

#[tokio::test]
async fn it_comes_back_when_the_server_asks_it_to() {
    let (mut server, clock, seen) = begin().await;
    let refused = server.list().await;
    refused
        .answer(
            "429 Too Many Requests",
            "retry-after: 30\r\n",
            "too many requests",
        )
        .await;
    let wanted = Duration::from_secs(29);
    within(clock.until_sleeping(|slept| slept == wanted)).await;
    clock.wake(|slept| slept == wanted);
    server.list().await.answer_list("10", &[]).await;
    within(seen.synced()).await;
}

#[tokio::test]
async fn failing_it_tries_at_most_once_a_second_and_less_and_less_often() {
    let (mut server, clock, _seen) = begin().await;
    let _first = server
        .list()
        .await
        .answer("500 Internal Server Error", "", "{}")
        .await;
    clock.forget();
    for _ in 0..6 {
        server
            .list()
            .await
            .answer("500 Internal Server Error", "", "{}")
            .await;
    }
    let _held = server.list().await;
    let second = Duration::from_secs(1);
    // Of each try but the first the pace, and the wait beyond it; that of the held one is under way.
    let paces = clock.slept().iter().filter(|slept| **slept == second).count();
    assert!(paces >= 6, "{:?}", clock.slept());
    let longest = clock
        .slept()
        .into_iter()
        .filter(|slept| slept.as_secs() < 10)
        .max();
    assert!(longest.is_some_and(|longest| longest >= 4 * second && longest <= 6 * second));
}

#[tokio::test]
async fn a_watch_that_is_silent_is_cut_and_what_it_missed_comes_with_the_next() {
    let (mut server, clock, seen) = begin().await;
    server.list().await.answer_list("10", &[job("a", "1", 3)]).await;
    within(seen.synced()).await;
    let frozen = server.watch("10").await;
    clock.wake(|slept| slept.as_secs() == 50);
    within(frozen.hung_up()).await;
    let mut watch = server.watch("10").await;
    watch.send(&event("MODIFIED", &job("a", "1", 12))).await;
    until_at(&seen, "a", 12).await;
}

#[tokio::test]
async fn a_list_that_never_comes_is_asked_for_again() {
    let (mut server, clock, seen) = begin().await;
    let _silent = server.list().await;
    clock.wake(|slept| slept.as_secs() == 20);
    server.list().await.answer_list("10", &[]).await;
    within(seen.synced()).await;
}

#[tokio::test]
async fn a_lost_event_is_healed_by_the_next_full_list() {
    let (mut server, clock, seen) = begin().await;
    server.list().await.answer_list("10", &[job("a", "1", 3)]).await;
    within(seen.synced()).await;
    let watch = server.watch("10").await;
    drop(watch);
    // The watch that comes after another one knows as well when the list is due.
    let mut watch = server.watch("10").await;
    watch.send(&event("MODIFIED", &job("a", "1", 11))).await;
    until_at(&seen, "a", 11).await;
    clock.wake(|slept| slept >= Duration::from_secs(300));
    let list = server.list().await;
    within(watch.hung_up()).await;
    list.answer_list("50", &[job("b", "2", 30)]).await;
    until_at(&seen, "b", 30).await;
    until_absent(&seen, "a").await;
}

#[tokio::test]
async fn garbage_stops_neither_a_list_nor_a_watch() {
    let (mut server, _, seen) = begin().await;
    let mut damaged = job("bad", "9", 4);
    damaged["status"] = json!("on fire");
    let nameless = json!({"metadata": {"labels": 7}});
    server
        .list()
        .await
        .answer_list("10", &[damaged.clone(), nameless, job("a", "1", 3)])
        .await;
    within(seen.synced()).await;
    assert!(look(&seen, "a").is_some_and(|job| !job.meta.is_broken));
    let bad = look(&seen, "bad").unwrap();
    assert!(bad.meta.is_broken && bad.meta.task.is_some() && &*bad.meta.uid == "9");
    let mut watch = server.watch("10").await;
    watch.send("what is this\n{\"type\":\"ADDED\"}\n{}\n[]\n").await;
    watch.send(&event("RENAMED", &job("a", "1", 11))).await;
    damaged["metadata"]["resourceVersion"] = json!("12");
    damaged["spec"] = json!([1, 2]);
    watch.send(&event("MODIFIED", &damaged)).await;
    watch.send(&event("MODIFIED", &job("a", "1", 13))).await;
    until_at(&seen, "a", 13).await;
    assert!(look(&seen, "bad").is_some_and(|job| job.meta.is_broken && job.meta.version == Some(12)));
    // It can be read again.
    watch.send(&event("MODIFIED", &job("bad", "9", 14))).await;
    until_at(&seen, "bad", 14).await;
    assert!(look(&seen, "bad").is_some_and(|job| !job.meta.is_broken));
}

#[tokio::test]
async fn events_out_of_order_or_twice_never_take_it_back() {
    let (mut server, _, seen) = begin().await;
    server.list().await.answer_list("10", &[]).await;
    let mut watch = server.watch("10").await;
    watch.send(&event("MODIFIED", &job("a", "1", 14))).await;
    watch.send(&event("ADDED", &job("a", "1", 12))).await;
    watch.send(&event("DELETED", &job("b", "2", 16))).await;
    watch.send(&event("MODIFIED", &job("b", "2", 15))).await;
    watch.send(&event("MODIFIED", &job("a", "1", 14))).await;
    watch.send(&event("ADDED", &job("c", "3", 13))).await;
    until_at(&seen, "c", 13).await;
    assert_eq!(look(&seen, "a").and_then(|job| job.meta.version), Some(14));
    assert_eq!(look(&seen, "b"), None);
    drop(watch);
    // It goes on from the highest version it was told of.
    let _watch = server.watch("16").await;
}

#[tokio::test]
async fn an_object_that_lost_our_labels_is_gone_and_comes_back_with_them() {
    let (mut server, _, seen) = begin().await;
    server.list().await.answer_list("10", &[job("a", "1", 3)]).await;
    let mut watch = server.watch("10").await;
    // As a selector watch tells it.
    watch.send(&event("DELETED", &job("a", "1", 11))).await;
    until_absent(&seen, "a").await;
    watch.send(&event("ADDED", &job("a", "1", 12))).await;
    until_at(&seen, "a", 12).await;
    // As a server tells it that takes no notice of selectors.
    let mut foreign = job("a", "1", 13);
    foreign["metadata"]["labels"]["deploy-api/instance"] = json!("other");
    watch.send(&event("MODIFIED", &foreign)).await;
    until_absent(&seen, "a").await;
}

#[tokio::test]
async fn with_the_last_clone_the_watches_end() {
    let (mut server, _, seen) = begin().await;
    server.list().await.answer_list("10", &[]).await;
    let watch = server.watch("10").await;
    let clone = seen.clone();
    drop(seen);
    within(clone.synced()).await;
    drop(clone);
    within(watch.hung_up()).await;
}

#[tokio::test]
async fn closed_it_keeps_what_it_saw() {
    let (mut server, _, seen) = begin().await;
    server.list().await.answer_list("10", &[job("a", "1", 3)]).await;
    let watch = server.watch("10").await;
    seen.close();
    within(watch.hung_up()).await;
    assert!(look(&seen, "a").is_some());
}

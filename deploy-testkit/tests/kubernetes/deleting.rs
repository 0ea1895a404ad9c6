//! Deletion: preconditions, propagation, grace, namespaces.

use std::sync::Arc;
use std::time::Duration;

use deploy_testkit::kubernetes::{ApiServer, Settings};
use deploy_testkit::memory::ManualClock;
use serde_json::json;

use crate::client::{DEPLOYMENTS, JOBS, SERVICES, delete, deployment, get, job, post, server, within};

#[tokio::test]
async fn a_delete_is_for_one_incarnation() {
    let server = server().await;
    let created = post(&server, JOBS, job("load", &["forever"])).await.ok();
    let path = format!("{JOBS}/load");
    let of =
        |uid: &serde_json::Value| json!({"propagationPolicy": "Background", "preconditions": {"uid": uid}});
    let other = delete(&server, &path, of(&json!("another"))).await;
    other.is_refused(409, "Conflict");
    assert_eq!(other.body["details"]["kind"], "Job");
    let message = other.body["message"].as_str().unwrap();
    assert!(
        message.contains("the UID in the precondition (another) does not match"),
        "{message}"
    );
    let stale = json!({"preconditions": {"resourceVersion": "1"}});
    delete(&server, &path, stale).await.is_refused(409, "Conflict");
    let deleted = delete(&server, &path, of(&created["metadata"]["uid"])).await.ok();
    assert_eq!(
        (&deleted["kind"], &deleted["status"]),
        (&json!("Status"), &json!("Success"))
    );
    get(&server, &path).await.is_refused(404, "NotFound");
    delete(&server, &path, of(&created["metadata"]["uid"]))
        .await
        .is_refused(404, "NotFound");
    within(server.until_listed("pods", "demo", |pods| pods.is_empty())).await;
}

#[tokio::test]
async fn a_foreground_deletion_waits_for_the_pods() {
    let clock = ManualClock::default();
    let server = ApiServer::start_with(Settings::default(), Arc::new(clock.clone()))
        .await
        .unwrap();
    server.put_namespace("demo");
    post(&server, JOBS, job("load", &["forever", "stubborn"]))
        .await
        .ok();
    let pod = within(server.running_pod("demo", "load")).await;
    let path = format!("{JOBS}/load");
    let going = delete(&server, &path, json!({"propagationPolicy": "Foreground"}))
        .await
        .ok();
    assert_eq!(going["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert_eq!(going["metadata"]["generation"], 2);
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    let is_going =
        |pod: Option<&serde_json::Value>| pod.unwrap()["metadata"].get("deletionTimestamp").is_some();
    let going = within(server.until("pods", "demo", &pod, is_going))
        .await
        .unwrap();
    assert_eq!(going["metadata"]["deletionGracePeriodSeconds"], 30);
    get(&server, &path).await.ok();
    within(clock.until_asleep(1)).await;
    clock.advance(Duration::from_secs(31));
    within(server.until("jobs", "demo", "load", |job| job.is_none())).await;
    assert_eq!(server.count("pods"), 0);
}

#[tokio::test]
async fn a_job_deleted_without_a_word_leaves_its_pods() {
    let server = server().await;
    post(&server, JOBS, job("load", &["forever"])).await.ok();
    let pod = within(server.running_pod("demo", "load")).await;
    delete(&server, &format!("{JOBS}/load"), json!({})).await.ok();
    within(server.until("jobs", "demo", "load", |job| job.is_none())).await;
    let orphan = server.get("pods", "demo", &pod).unwrap();
    assert_eq!(orphan["metadata"].get("ownerReferences"), None);
}

#[tokio::test]
async fn what_a_deployment_owns_goes_with_it() {
    let server = server().await;
    let created = post(&server, DEPLOYMENTS, deployment("web", 2, &["forever"]))
        .await
        .ok();
    let service = json!({
        "metadata": {"name": "web", "ownerReferences": [{
            "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": created["metadata"]["uid"],
        }]},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    });
    post(&server, SERVICES, service).await.ok();
    within(server.running_pod("demo", "web")).await;
    delete(
        &server,
        &format!("{DEPLOYMENTS}/web"),
        json!({"propagationPolicy": "Foreground"}),
    )
    .await
    .ok();
    within(server.until("deployments", "demo", "web", |found| found.is_none())).await;
    within(server.until_listed("services", "demo", |found| found.is_empty())).await;
    assert_eq!((server.count("replicasets"), server.count("pods")), (0, 0));
}

#[tokio::test]
async fn an_object_of_an_owner_that_is_gone_goes() {
    let server = server().await;
    let mut late = job("late", &["forever"]);
    late["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "gone"}]);
    post(&server, JOBS, late).await.ok();
    within(server.until("jobs", "demo", "late", |job| job.is_none())).await;
}

#[tokio::test]
async fn a_namespace_is_terminating_until_it_is_empty() {
    let clock = ManualClock::default();
    let server = ApiServer::start_with(Settings::default(), Arc::new(clock.clone()))
        .await
        .unwrap();
    server.put_namespace("demo");
    post(&server, JOBS, job("load", &["forever", "stubborn"]))
        .await
        .ok();
    within(server.running_pod("demo", "load")).await;
    let going = delete(&server, "/api/v1/namespaces/demo", json!({})).await.ok();
    assert_eq!(going["status"]["phase"], "Terminating");
    let refused = post(&server, JOBS, job("late", &["forever"])).await;
    refused.is_refused(403, "Forbidden");
    assert_eq!(
        refused.body["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    within(clock.until_asleep(1)).await;
    clock.advance(Duration::from_secs(31));
    within(server.until("namespaces", "", "demo", |found| found.is_none())).await;
    assert_eq!((server.count("jobs"), server.count("pods")), (0, 0));
}

#[tokio::test]
async fn a_service_that_is_deleted_is_answered_as_it_was() {
    let server = server().await;
    let service = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
    let created = post(&server, SERVICES, service).await.ok();
    let deleted = delete(&server, &format!("{SERVICES}/web"), json!({})).await.ok();
    assert_eq!(
        (&deleted["kind"], &deleted["spec"]),
        (&json!("Service"), &created["spec"])
    );
    get(&server, &format!("{SERVICES}/web"))
        .await
        .is_refused(404, "NotFound");
}

//! Deployments, as their controller rolls them out.

use std::sync::Arc;
use std::time::Duration;

use deploy_testkit::kubernetes::{ApiServer, Settings};
use deploy_testkit::memory::ManualClock;
use serde_json::{Value, json};

use crate::client::{DEPLOYMENTS, deployment, holds, merge, post, server, within};

fn is_up(found: Option<&Value>, generation: i64, replicas: i64) -> bool {
    let Some(found) = found else { return false };
    let status = &found["status"];
    status["observedGeneration"] == generation
        && [
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
        ]
        .iter()
        .all(|field| status[field] == replicas)
        && reason(found, "Progressing") == "NewReplicaSetAvailable"
}

fn reason<'a>(object: &'a Value, condition: &str) -> &'a str {
    let conditions = object["status"]["conditions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let found = conditions.iter().find(|one| one["type"] == condition);
    found.map_or("", |one| one["reason"].as_str().unwrap())
}

#[tokio::test]
async fn a_deployment_comes_up_and_is_rolled_to_a_new_version() {
    let server = server().await;
    post(&server, DEPLOYMENTS, deployment("web", 2, &["forever"]))
        .await
        .ok();
    let first = within(server.until("deployments", "demo", "web", |found| is_up(found, 1, 2)))
        .await
        .unwrap();
    assert!(holds(&first, "Available"));
    let image = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "main", "image": "registry.example/app:2", "command": ["forever"]},
    ]}}}});
    merge(&server, &format!("{DEPLOYMENTS}/web"), image).await.ok();
    within(server.until("deployments", "demo", "web", |found| is_up(found, 2, 2))).await;
    let is_new = |pod: &Value| pod["spec"]["containers"][0]["image"] == "registry.example/app:2";
    within(server.until_listed("pods", "demo", |pods| pods.len() == 2 && pods.iter().all(is_new))).await;
    assert_eq!(server.count("replicasets"), 2);
    merge(
        &server,
        &format!("{DEPLOYMENTS}/web"),
        json!({"spec": {"replicas": 0}}),
    )
    .await
    .ok();
    within(server.until_listed("pods", "demo", |pods| pods.is_empty())).await;
}

#[tokio::test]
async fn a_rollout_that_does_not_come_up_leaves_the_old_version_and_is_late() {
    let clock = ManualClock::default();
    let server = ApiServer::start_with(Settings::default(), Arc::new(clock.clone()))
        .await
        .unwrap();
    server.put_namespace("demo");
    post(&server, DEPLOYMENTS, deployment("web", 2, &["forever"]))
        .await
        .ok();
    within(server.until("deployments", "demo", "web", |found| is_up(found, 1, 2))).await;
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "nonexistent.invalid/app"}]}}}});
    merge(&server, &format!("{DEPLOYMENTS}/web"), image).await.ok();
    let waits = |pods: &[Value]| {
        pods.iter().any(|pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
        })
    };
    within(server.until_listed("pods", "demo", waits)).await;
    let is_updating =
        |found: Option<&Value>| found.is_some_and(|found| found["status"]["updatedReplicas"] == 1);
    let found = within(server.until("deployments", "demo", "web", is_updating))
        .await
        .unwrap();
    assert_eq!(found["status"]["availableReplicas"], 2);
    within(clock.until_asleep(1)).await;
    clock.advance(Duration::from_secs(601));
    let is_late = |found: Option<&Value>| reason(found.unwrap(), "Progressing") == "ProgressDeadlineExceeded";
    let late = within(server.until("deployments", "demo", "web", is_late))
        .await
        .unwrap();
    assert!(holds(&late, "Available"));
    assert_eq!(late["status"]["availableReplicas"], 2);
}

#[tokio::test]
async fn a_container_that_keeps_ending_is_waited_for_longer_each_time() {
    let clock = ManualClock::default();
    let server = ApiServer::start_with(Settings::default(), Arc::new(clock.clone()))
        .await
        .unwrap();
    server.put_namespace("demo");
    post(&server, DEPLOYMENTS, deployment("web", 1, &["exit", "1"]))
        .await
        .ok();
    let loops = |pods: &[Value]| {
        pods.iter().any(|pod| {
            let status = &pod["status"]["containerStatuses"][0];
            status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
                && status["restartCount"] == 1
                && status["lastState"]["terminated"]["exitCode"] == 1
        })
    };
    within(server.until_listed("pods", "demo", loops)).await;
    within(clock.until_asleep(1)).await;
    clock.advance(Duration::from_secs(10));
    let again = |pods: &[Value]| pods[0]["status"]["containerStatuses"][0]["restartCount"] == 2;
    within(server.until_listed("pods", "demo", again)).await;
    let found = server.get("deployments", "demo", "web").unwrap();
    assert_eq!(reason(&found, "Available"), "MinimumReplicasUnavailable");
}

#[tokio::test]
async fn a_pod_that_is_lost_is_replaced() {
    let server = server().await;
    post(&server, DEPLOYMENTS, deployment("web", 1, &["forever"]))
        .await
        .ok();
    let pod = within(server.running_pod("demo", "web")).await;
    assert!(server.remove("pods", "demo", &pod));
    let is_new = |pods: &[Value]| pods.len() == 1 && pods[0]["metadata"]["name"] != *pod;
    within(server.until_listed("pods", "demo", is_new)).await;
    assert!(server.set_ready("demo", &within(server.running_pod("demo", "web")).await, false));
    let is_down = |found: Option<&Value>| found.unwrap()["status"]["unavailableReplicas"] == 1;
    within(server.until("deployments", "demo", "web", is_down)).await;
}

#[tokio::test]
async fn a_new_version_is_announced_before_it_is_observed() {
    let server = server().await;
    post(&server, DEPLOYMENTS, deployment("web", 1, &["forever"]))
        .await
        .ok();
    within(server.until("deployments", "demo", "web", |found| is_up(found, 1, 1))).await;
    let from = server.get("deployments", "demo", "web").unwrap()["metadata"]["resourceVersion"].clone();
    let path = format!(
        "{DEPLOYMENTS}?watch=true&resourceVersion={}",
        from.as_str().unwrap()
    );
    let mut events = crate::client::watch(&server, &path).await;
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "registry.example/app:2"}]}}}});
    merge(&server, &format!("{DEPLOYMENTS}/web"), image).await.ok();
    let mut steps = Vec::new();
    loop {
        let found = events.next().await.unwrap()["object"].clone();
        let status = &found["status"];
        let count = |field: &str| status[field].as_i64().unwrap_or(0);
        let counts = [
            "observedGeneration",
            "updatedReplicas",
            "availableReplicas",
            "unavailableReplicas",
        ]
        .map(count);
        steps.push((counts, reason(&found, "Progressing").to_owned()));
        if is_up(Some(&found), 2, 1) {
            break;
        }
    }
    let said = |counts: [i64; 4], reason: &str| (counts, reason.to_owned());
    // The order that a real controller was seen to take.
    assert_eq!(
        steps,
        [
            said([1, 1, 1, 0], "NewReplicaSetAvailable"),
            said([1, 1, 1, 0], "NewReplicaSetCreated"),
            said([2, 0, 1, 1], "NewReplicaSetCreated"),
            said([2, 1, 1, 1], "ReplicaSetUpdated"),
            said([2, 1, 2, 0], "ReplicaSetUpdated"),
            said([2, 1, 1, 0], "NewReplicaSetAvailable"),
        ]
    );
}

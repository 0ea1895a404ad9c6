//! What is made of the caches: states, as they are asked for and as they are told.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::workload::{Condition, Kind, ObjectRef, Observed, Uid};
use futures::stream::StreamExt;
use serde_json::{Value, json};

use super::clock::HastyClock;
use super::server::{Server, Watch, within};
use super::{event, exited, job, marks, pod, running};
use crate::kubernetes::inventory;
use crate::kubernetes::seen::{Seen, SeenDeployment, SeenJob, SeenNamespace};

const PATHS: &[&str] = &[
    "/apis/batch/v1/jobs",
    "/api/v1/pods",
    "/api/v1/events",
    "/apis/apps/v1/deployments",
    "/api/v1/services",
    "/api/v1/namespaces",
];

/// A cluster with these objects, and its open watches.
struct Scene {
    seen: Seen,
    clock: HastyClock,
    watches: Vec<(String, Watch)>,
    _server: Server,
}

impl Scene {
    async fn with(objects: &[(&str, Value)]) -> Self {
        let mut server = Server::start(PATHS).await;
        let clock = HastyClock::default();
        let seen = Seen::start(server.client(), marks(), Arc::new(clock.clone()));
        let mut watches = Vec::new();
        while watches.len() < PATHS.len() {
            let asked = server.asked().await;
            let path = asked.path.clone();
            if asked.query.contains_key("watch") {
                watches.push((path, asked.open().await));
            } else {
                let listed: Vec<Value> = objects
                    .iter()
                    .filter(|(of, _)| path.ends_with(of))
                    .map(|(_, object)| object.clone())
                    .collect();
                asked.answer_list("100", &listed).await;
            }
        }
        within(seen.synced()).await;
        Self {
            seen,
            clock,
            watches,
            _server: server,
        }
    }

    async fn tell(&mut self, of: &str, kind: &str, object: &Value) {
        let watch = self.watches.iter_mut().find(|(path, _)| path.ends_with(of));
        watch.unwrap().1.send(&event(kind, object)).await;
    }

    fn observed(&self, kind: Kind, name: &str) -> Option<Observed> {
        self.seen.observed(&object(kind, name))
    }
}

fn object(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef {
        kind,
        namespace: "demo".parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

fn deployment(version: u64, task: u32, ready: bool) -> Value {
    let mut object = job("web", "d1", version);
    object["metadata"]["labels"]["deploy-api/kind"] = json!("deployment");
    object["metadata"]["labels"]["deploy-api/task"] = json!(format!("01890000-0000-7000-8000-{task:012}"));
    object["spec"] = json!({"replicas": 1});
    let up = u32::from(ready);
    object["status"] =
        json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": up});
    object
}

#[tokio::test]
async fn a_jobs_pod_tells_how_the_job_is_doing_and_only_changes_are_told() {
    let mut scene = Scene::with(&[("jobs", job("a", "j1", 3))]).await;
    let mut told = scene.seen.subscribe();
    assert_eq!(
        scene.observed(Kind::Job, "a").map(|seen| seen.condition),
        Some(Condition::Pending(None))
    );
    scene
        .tell("pods", "ADDED", &pod("p", "j1", 101, &running()))
        .await;
    let first = within(told.next()).await.unwrap();
    assert!(matches!(first.condition, Condition::Running { .. }));
    assert_eq!(
        (first.object, first.uid, first.revision),
        (object(Kind::Job, "a"), Uid("j1".to_owned()), 1)
    );
    assert!(first.task.is_some());
    // The same again, with a change that nobody reads.
    let mut noise = pod("p", "j1", 102, &running());
    noise["status"]["hostIP"] = json!("10.0.0.1");
    scene.tell("pods", "MODIFIED", &noise).await;
    scene
        .tell("pods", "MODIFIED", &pod("p", "j1", 103, &exited(3)))
        .await;
    let second = within(told.next()).await.unwrap();
    assert!(matches!(&second.condition, Condition::Ended(ended) if ended.exit_code == Some(3)));
    assert_eq!(scene.observed(Kind::Job, "a"), Some(second));
}

#[tokio::test]
async fn the_pods_of_a_burnt_names_last_job_are_not_the_new_jobs() {
    let objects = [
        ("pods", pod("p", "j0", 2, &exited(3))),
        ("jobs", job("a", "j1", 3)),
    ];
    let scene = Scene::with(&objects).await;
    let observed = scene.observed(Kind::Job, "a").unwrap();
    assert_eq!(observed.condition, Condition::Pending(None));
    let task = observed.task.unwrap();
    assert_eq!(inventory::pods_of(&scene.seen, task).unwrap(), []);
    let listed = inventory::pods(&scene.seen, None, None, 10).unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(
        (listed.items[0].task_id, listed.items[0].phase.as_str()),
        (None, "Failed")
    );
}

fn failed(version: u64) -> Value {
    let mut object = job("a", "j1", version);
    object["status"] =
        json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]});
    object
}

#[tokio::test]
async fn a_failed_job_whose_pod_is_not_seen_waits_for_what_the_pods_tell() {
    let mut scene = Scene::with(&[("jobs", job("a", "j1", 3))]).await;
    let mut told = scene.seen.subscribe();
    scene.tell("jobs", "MODIFIED", &failed(110)).await;
    // The pods' watch was behind.
    scene
        .tell("pods", "ADDED", &pod("p", "j1", 105, &exited(3)))
        .await;
    let observed = within(told.next()).await.unwrap();
    assert!(matches!(&observed.condition, Condition::Ended(ended) if ended.exit_code == Some(3)));
}

#[tokio::test]
async fn a_failed_job_without_a_pod_is_lost_once_the_pods_were_seen_so_far() {
    let mut scene = Scene::with(&[("jobs", job("a", "j1", 3))]).await;
    let mut told = scene.seen.subscribe();
    scene.tell("jobs", "MODIFIED", &failed(110)).await;
    let failed_is_seen = || {
        scene
            .seen
            .job(&"demo".parse().unwrap(), &"a".parse().unwrap())
            .filter(|job| job.has_failed())
    };
    within(scene.seen.until(failed_is_seen)).await;
    assert_eq!(
        scene.observed(Kind::Job, "a").unwrap().condition,
        Condition::Pending(None)
    );
    let bookmark = json!({"kind": "Pod", "metadata": {"resourceVersion": "111"}});
    scene.tell("pods", "BOOKMARK", &bookmark).await;
    let observed = within(told.next()).await.unwrap();
    assert!(matches!(&observed.condition, Condition::Ended(ended) if ended.exit_code.is_none()));
    // A later change of the job does not open it again.
    scene.tell("jobs", "MODIFIED", &failed(120)).await;
    let is_later = || {
        scene
            .seen
            .job(&"demo".parse().unwrap(), &"a".parse().unwrap())
            .filter(|job| job.meta.version == Some(120))
    };
    within(scene.seen.until(is_later)).await;
    assert_eq!(scene.observed(Kind::Job, "a"), Some(observed));
}

#[tokio::test]
async fn a_service_is_the_deployment_of_its_name() {
    let mut scene = Scene::with(&[("deployments", deployment(3, 1, true))]).await;
    assert!(scene.observed(Kind::Service, "web").is_none());
    assert!(scene.observed(Kind::Deployment, "web").is_some());
    let mut told = scene.seen.subscribe();
    scene.tell("services", "ADDED", &job("web", "s1", 101)).await;
    let observed = within(told.next()).await.unwrap();
    assert_eq!(
        (observed.object, observed.uid.0.as_str()),
        (object(Kind::Service, "web"), "d1")
    );
    assert!(scene.observed(Kind::Deployment, "web").is_none());
    scene.tell("services", "DELETED", &job("web", "s1", 102)).await;
    let observed = within(told.next()).await.unwrap();
    assert_eq!(observed.object, object(Kind::Deployment, "web"));
}

#[tokio::test]
async fn a_jobs_refused_pod_is_told_by_its_event() {
    let mut scene = Scene::with(&[("jobs", job("a", "j1", 3))]).await;
    let mut told = scene.seen.subscribe();
    let refused = json!({
        "metadata": {"name": "a.1", "namespace": "demo", "uid": "e1", "resourceVersion": "101"},
        "involvedObject": {"kind": "Job", "uid": "j1"},
        "message": "Error creating: pods \"a-x\" is forbidden: exceeded quota: small",
    });
    scene.tell("events", "ADDED", &refused).await;
    let observed = within(told.next()).await.unwrap();
    let Condition::Pending(Some(reason)) = observed.condition else {
        panic!("not pending: {observed:?}");
    };
    assert!(reason.message.contains("exceeded quota"));
}

#[tokio::test]
async fn what_was_written_is_known_before_its_event_and_an_older_event_does_not_undo_it() {
    let mut scene = Scene::with(&[("deployments", deployment(3, 1, true))]).await;
    let written = deployment(120, 2, true).to_string();
    let answer: SeenDeployment = scene.seen.read(written.as_bytes()).unwrap();
    scene.seen.note(answer);
    let task = |scene: &Scene| {
        scene
            .observed(Kind::Deployment, "web")
            .unwrap()
            .task
            .unwrap()
            .to_string()
    };
    assert!(task(&scene).ends_with('2'));
    let mut told = scene.seen.subscribe();
    scene
        .tell("deployments", "MODIFIED", &deployment(110, 1, false))
        .await;
    scene
        .tell("deployments", "MODIFIED", &deployment(121, 2, false))
        .await;
    let observed = within(told.next()).await.unwrap();
    assert_eq!(observed.condition, Condition::Updating(None));
    assert!(task(&scene).ends_with('2'));
}

#[tokio::test]
async fn what_is_not_ours_is_not_noted() {
    let scene = Scene::with(&[]).await;
    let mut foreign = job("a", "j1", 3);
    foreign["metadata"]["labels"]["deploy-api/instance"] = json!("other");
    let read: SeenJob = scene.seen.read(foreign.to_string().as_bytes()).unwrap();
    assert!(!read.meta.is_ours);
    scene.seen.note(read);
    assert!(scene.observed(Kind::Job, "a").is_none());
    assert!(scene.seen.read::<SeenJob>(b"<html>").is_err());
    assert!(scene.seen.read::<SeenJob>(b"{}").is_err());
}

#[tokio::test]
async fn an_answer_that_was_damaged_is_noted_as_broken() {
    let scene = Scene::with(&[("jobs", job("a", "j1", 3))]).await;
    let mut damaged = job("a", "j1", 120);
    damaged["status"] = json!("on fire");
    let read: SeenJob = scene.seen.read(damaged.to_string().as_bytes()).unwrap();
    scene.seen.note(read);
    let observed = scene.observed(Kind::Job, "a").unwrap();
    assert!(observed.task.is_some());
    assert!(
        matches!(observed.condition, Condition::Pending(Some(reason)) if reason.message.contains("cannot be read"))
    );
}

#[tokio::test]
async fn a_namespace_just_made_is_known_at_once() {
    let mut scene = Scene::with(&[]).await;
    let name = "demo".parse().unwrap();
    assert!(scene.seen.namespace(&name).is_none());
    let mut made = job("demo", "n1", 120);
    made["metadata"]["namespace"] = Value::Null;
    made["metadata"]["labels"]["deploy-api/repository"] = json!("etl");
    made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = json!("restricted");
    made["status"] = json!({"phase": "Active"});
    let read: SeenNamespace = scene.seen.read(made.to_string().as_bytes()).unwrap();
    scene.seen.note(read);
    let known = scene.seen.namespace(&name).unwrap();
    assert_eq!(known.meta.claim.as_deref(), Some("etl"));
    assert!(known.meta.enforces_restricted && !known.is_terminating);
    let listed = inventory::namespaces(&scene.seen, None, 10).unwrap().items;
    assert_eq!((listed.len(), listed[0].name.as_str()), (1, "demo"));
    assert_eq!(listed[0].repository, Some("etl".parse().unwrap()));
    assert_eq!(
        inventory::namespaces(&scene.seen, Some(&name), 10).unwrap().items,
        []
    );
    made["status"] = json!({"phase": "Terminating"});
    made["metadata"]["resourceVersion"] = json!("121");
    scene.tell("namespaces", "MODIFIED", &made).await;
    let ends = || scene.seen.namespace(&name).filter(|seen| seen.is_terminating);
    within(scene.seen.until(ends)).await;
}

#[tokio::test]
async fn whoever_waits_for_an_end_hears_of_it_and_not_for_ever() {
    let mut scene = Scene::with(&[("jobs", job("a", "j1", 3))]).await;
    let (seen, uid) = (scene.seen.clone(), Uid("j1".to_owned()));
    let deadline = Duration::from_secs(77);
    let late = {
        let (seen, uid) = (seen.clone(), uid.clone());
        tokio::spawn(async move { seen.until_gone(Kind::Job, &uid, deadline).await })
    };
    within(scene.clock.until_sleeping(|slept| slept == deadline)).await;
    scene.clock.wake(|slept| slept == deadline);
    assert!(!within(late).await.unwrap());
    let waits = tokio::spawn(async move { seen.until_gone(Kind::Job, &uid, deadline).await });
    scene.tell("jobs", "DELETED", &job("a", "j1", 101)).await;
    assert!(within(waits).await.unwrap());
    assert!(scene.observed(Kind::Job, "a").is_none());
}

#[tokio::test]
async fn the_age_is_none_before_the_first_lists() {
    let server = Server::start(PATHS).await;
    let seen = Seen::start(server.client(), marks(), Arc::new(HastyClock::default()));
    assert!(inventory::age(&seen).is_err());
    assert!(inventory::pods(&seen, None, None, 1).is_err());
    assert!(inventory::namespaces(&seen, None, 1).is_err());
}

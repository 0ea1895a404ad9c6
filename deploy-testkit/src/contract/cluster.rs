//! The contract of [`Cluster`], [`Inventory`], [`Namespaces`] and [`Logs`]: what a cluster does with names, incarnations,
//! stops and ends, whatever runs behind it. A [`ClusterDriver`] says how to make a container behave; [`keeps_the_contract`] runs every case.
//!
//! A case waits by events alone: run it under a timeout, so that an event that never comes fails the test.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a contract fails by panicking, as every test does"
)]

use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::manifest::{EnvValue, EnvVar, Image, Labels, Resources};
use deploy_core::names::{Identity, Namespace, RepositoryName, TaskId};
use deploy_core::ports::{
    Cluster, ClusterError, Freshness, Inventory, Logs, LogsError, NamespaceError, Namespaces,
};
use deploy_core::workload::{
    Applied, Condition, Container, Ended, Kind, ObjectRef, Observed, ReasonCode, Shape, Uid, Workload,
};
use futures::stream::{BoxStream, StreamExt};
use uuid::Uuid;

/// How a container of the contract behaves. Each writes one line, `here`, before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Ends with that code at once.
    Ends(i32),
    /// Runs until it is stopped.
    GoesOn,
}

/// One cluster under contract, empty at first.
#[async_trait]
pub trait ClusterDriver: Send + Sync {
    /// The cluster.
    fn cluster(&self) -> Arc<dyn Cluster>;
    /// Its lists.
    fn inventory(&self) -> Arc<dyn Inventory>;
    /// Its namespaces.
    fn namespaces(&self) -> Arc<dyn Namespaces>;
    /// Its logs.
    fn logs(&self) -> Arc<dyn Logs>;
    /// A command that behaves so.
    fn command(&self, behaviour: Behaviour) -> Vec<String>;
    /// Makes an object that was just applied behave so, for clusters that run nothing by themselves.
    async fn play(&self, object: &ObjectRef, behaviour: Behaviour);
}

/// Runs every case, each with names of its own.
pub async fn keeps_the_contract(driver: &dyn ClusterDriver) {
    a_job_runs_and_its_end_stays_to_be_seen(driver).await;
    a_job_that_fails_says_why(driver).await;
    a_job_is_created_once_whatever_is_sent_again(driver).await;
    a_name_belongs_to_the_task_that_took_it(driver).await;
    a_stop_ends_a_job_and_burns_its_name(driver).await;
    a_stop_that_comes_first_meets_the_late_create(driver).await;
    an_end_that_came_before_the_stop_is_kept(driver).await;
    a_delete_is_for_one_incarnation(driver).await;
    a_delete_ends_what_runs(driver).await;
    a_deployment_is_updated_in_place(driver).await;
    an_unchanged_deploy_changes_hands_and_nothing_else(driver).await;
    a_service_and_a_deployment_share_their_name(driver).await;
    a_cron_job_waits_for_nothing_to_be_asked(driver).await;
    pods_and_logs_are_the_tasks_own(driver).await;
    a_namespace_belongs_to_the_repository_that_claimed_it(driver).await;
}

/// A job's workload, for the contract and for tests that want one.
#[must_use]
pub fn job(task: u128, name: &str, command: Vec<String>) -> Workload {
    workload(
        task,
        name,
        command,
        Shape::Job {
            retries: 0,
            timeout_seconds: None,
        },
    )
}

/// A workload of any shape, in the namespace `contract`.
#[must_use]
pub fn workload(task: u128, name: &str, command: Vec<String>, shape: Shape) -> Workload {
    Workload {
        task: TaskId::from_uuid(Uuid::from_u128(task)),
        identity: "ada@example.com"
            .parse::<Identity>()
            .expect("a mailbox is an identity"),
        run: None,
        namespace: namespace("contract"),
        name: name.parse().expect("the contract's names are labels"),
        labels: Labels::default(),
        container: Container {
            image: Image::Pulled("registry.example/contract:1".to_owned()),
            pull_policy: None,
            command: Some(command),
            env: Vec::new(),
            resources: Resources::default(),
        },
        code: None,
        shape,
    }
}

/// Looks at an object, and at every event, until its condition is as wanted.
pub async fn until(
    cluster: &dyn Cluster,
    object: &ObjectRef,
    mut is_wanted: impl FnMut(&Observed) -> bool,
) -> Observed {
    // Watched before it is looked at: what comes in between is an event.
    let mut events: BoxStream<'static, Observed> = cluster.watch();
    loop {
        if let Some(observed) = look(cluster, object).await
            && is_wanted(&observed)
        {
            return observed;
        }
        events.next().await.expect("a watch never ends");
    }
}

/// Waits for a job's end.
pub async fn until_ended(cluster: &dyn Cluster, object: &ObjectRef) -> Ended {
    let is_over = |seen: &Observed| matches!(seen.condition, Condition::Ended(_));
    match until(cluster, object, is_over).await.condition {
        Condition::Ended(ended) => ended,
        other => panic!("not an end: {other:?}"),
    }
}

async fn a_job_runs_and_its_end_stays_to_be_seen(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let wanted = job(101, "runs", driver.command(Behaviour::Ends(0)));
    let object = wanted.object();
    assert_eq!(look(&*cluster, &object).await, None);

    let mut events = cluster.watch();
    let applied = apply(&*cluster, &wanted).await;
    assert!(applied.created);
    driver.play(&object, Behaviour::Ends(0)).await;
    let mut last_revision = 0;
    let ended = loop {
        let event = events.next().await.expect("a watch never ends");
        if event.object != object {
            continue;
        }
        assert_eq!((&event.uid, event.task), (&applied.uid, Some(wanted.task)));
        assert!(event.revision >= last_revision.max(applied.revision));
        last_revision = event.revision;
        if let Condition::Ended(ended) = event.condition {
            break ended;
        }
    };
    assert_eq!((ended.failure, ended.exit_code), (None, Some(0)));
    assert!(
        ended
            .started_at
            .is_some_and(|started| started <= ended.finished_at)
    );
    assert!(matches!(
        seen(&*cluster, &object).await.condition,
        Condition::Ended(_)
    ));
}

async fn a_job_that_fails_says_why(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let wanted = job(111, "fails", driver.command(Behaviour::Ends(3)));
    apply(&*cluster, &wanted).await;
    driver.play(&wanted.object(), Behaviour::Ends(3)).await;
    let ended = until_ended(&*cluster, &wanted.object()).await;
    assert_eq!(ended.exit_code, Some(3));
    let code = ended.failure.expect("another code than 0 is a failure").code;
    assert_eq!(code, ReasonCode::ExitCode);
}

async fn a_job_is_created_once_whatever_is_sent_again(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let wanted = job(121, "again", driver.command(Behaviour::Ends(0)));
    let first = apply(&*cluster, &wanted).await;
    let second = apply(&*cluster, &wanted).await;
    assert_eq!((second.uid, second.created), (first.uid.clone(), false));
    driver.play(&wanted.object(), Behaviour::Ends(0)).await;
    let ended = until_ended(&*cluster, &wanted.object()).await;
    let third = apply(&*cluster, &wanted).await;
    assert_eq!((third.uid, third.created), (first.uid, false));
    assert_eq!(until_ended(&*cluster, &wanted.object()).await, ended);
}

async fn a_name_belongs_to_the_task_that_took_it(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let owner = job(131, "taken", driver.command(Behaviour::Ends(0)));
    let other = job(132, "taken", driver.command(Behaviour::Ends(0)));
    let applied = apply(&*cluster, &owner).await;
    refuses_the_other_task(cluster.apply(&other).await, &owner, &applied.uid);
    refuses_the_other_task(cluster.stop(&other).await, &owner, &applied.uid);
    driver.play(&owner.object(), Behaviour::Ends(0)).await;
    until_ended(&*cluster, &owner.object()).await;
    refuses_the_other_task(cluster.apply(&other).await, &owner, &applied.uid);
    // The same name is free for another kind, and in another namespace.
    let mut elsewhere = other.clone();
    elsewhere.namespace = namespace("contract-two");
    assert!(apply(&*cluster, &elsewhere).await.created);
}

async fn a_stop_ends_a_job_and_burns_its_name(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let wanted = job(141, "stopped", driver.command(Behaviour::GoesOn));
    let applied = apply(&*cluster, &wanted).await;
    driver.play(&wanted.object(), Behaviour::GoesOn).await;
    until(&*cluster, &wanted.object(), |seen| {
        matches!(seen.condition, Condition::Running { .. })
    })
    .await;
    let stopped = cluster.stop(&wanted).await.expect("it is ours to stop");
    assert_eq!(
        (&stopped.uid, stopped.created, stopped.revision > applied.revision),
        (&applied.uid, false, true)
    );
    let observed = until(&*cluster, &wanted.object(), is_stopped).await;
    assert_eq!(observed.revision, stopped.revision);
    let again = cluster
        .stop(&wanted)
        .await
        .expect("stopping twice is stopping once");
    assert_eq!(again.uid, applied.uid);
    assert!(!apply(&*cluster, &wanted).await.created);
    assert!(is_stopped(&seen(&*cluster, &wanted.object()).await));
    let other = job(142, "stopped", driver.command(Behaviour::Ends(0)));
    refuses_the_other_task(cluster.apply(&other).await, &wanted, &applied.uid);
}

async fn a_stop_that_comes_first_meets_the_late_create(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let wanted = job(151, "never", driver.command(Behaviour::Ends(0)));
    let stopped = cluster.stop(&wanted).await.expect("an empty name can be burnt");
    assert!(stopped.created);
    assert!(is_stopped(&seen(&*cluster, &wanted.object()).await));
    let late = apply(&*cluster, &wanted).await;
    assert_eq!((late.uid, late.created), (stopped.uid, false));
    assert!(is_stopped(&seen(&*cluster, &wanted.object()).await));
}

async fn an_end_that_came_before_the_stop_is_kept(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let wanted = job(161, "ended", driver.command(Behaviour::Ends(0)));
    apply(&*cluster, &wanted).await;
    driver.play(&wanted.object(), Behaviour::Ends(0)).await;
    let ended = until_ended(&*cluster, &wanted.object()).await;
    cluster.stop(&wanted).await.expect("it is ours to stop");
    let observed = seen(&*cluster, &wanted.object()).await;
    assert_eq!(observed.condition, Condition::Ended(ended));
}

async fn a_delete_is_for_one_incarnation(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let wanted = job(171, "deleted", driver.command(Behaviour::Ends(0)));
    let object = wanted.object();
    assert_eq!(delete(&*cluster, &object, None).await, []);
    let first = apply(&*cluster, &wanted).await;
    let other = Uid("another incarnation".to_owned());
    assert_eq!(delete(&*cluster, &object, Some(&other)).await, []);
    assert_eq!(seen(&*cluster, &object).await.uid, first.uid);
    assert_eq!(
        delete(&*cluster, &object, Some(&first.uid)).await,
        [(Kind::Job, Some(first.uid.clone()))]
    );
    assert_eq!(look(&*cluster, &object).await, None);
    assert_eq!(delete(&*cluster, &object, Some(&first.uid)).await, []);
    let second = apply(
        &*cluster,
        &job(172, "deleted", driver.command(Behaviour::Ends(0))),
    )
    .await;
    assert!(second.created && second.uid != first.uid);
}

async fn a_delete_ends_what_runs(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let wanted = job(181, "cut-short", driver.command(Behaviour::GoesOn));
    let applied = apply(&*cluster, &wanted).await;
    driver.play(&wanted.object(), Behaviour::GoesOn).await;
    until(&*cluster, &wanted.object(), |seen| {
        matches!(seen.condition, Condition::Running { .. })
    })
    .await;
    let deleted = delete(&*cluster, &wanted.object(), None).await;
    assert_eq!(deleted, [(Kind::Job, Some(applied.uid))]);
    let pods = driver.inventory().pods_of(wanted.task).await;
    assert_eq!(pods.expect("the cluster answers"), []);
}

async fn a_deployment_is_updated_in_place(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let shape = Shape::Deployment { replicas: 2 };
    let first = workload(201, "rolls", driver.command(Behaviour::GoesOn), shape);
    let object = first.object();
    let created = apply(&*cluster, &first).await;
    assert!(created.created);
    driver.play(&object, Behaviour::GoesOn).await;
    until(&*cluster, &object, is_ready).await;

    let mut second = first.clone();
    second.task = TaskId::from_uuid(Uuid::from_u128(202));
    second.container.env = vec![EnvVar {
        name: "VERSION".to_owned(),
        value: EnvValue::Literal("2".to_owned()),
    }];
    let updated = apply(&*cluster, &second).await;
    assert_eq!((&updated.uid, updated.created), (&created.uid, false));
    assert!(updated.revision > created.revision);
    driver.play(&object, Behaviour::GoesOn).await;
    let observed = until(&*cluster, &object, |seen| {
        seen.revision >= updated.revision && is_ready(seen)
    })
    .await;
    assert_eq!(observed.task, Some(second.task));
    let pods = driver.inventory().pods_of(second.task).await;
    assert_eq!(pods.expect("the cluster answers").len(), 2);
    delete(&*cluster, &object, Some(&created.uid)).await;
}

async fn an_unchanged_deploy_changes_hands_and_nothing_else(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let shape = Shape::Deployment { replicas: 1 };
    let first = workload(211, "same", driver.command(Behaviour::GoesOn), shape);
    let object = first.object();
    let created = apply(&*cluster, &first).await;
    driver.play(&object, Behaviour::GoesOn).await;
    let ready = until(&*cluster, &object, is_ready).await;
    let pods = driver
        .inventory()
        .pods_of(first.task)
        .await
        .expect("the cluster answers");

    let mut second = first.clone();
    second.task = TaskId::from_uuid(Uuid::from_u128(212));
    let updated = apply(&*cluster, &second).await;
    assert_eq!((&updated.uid, updated.created), (&created.uid, false));
    let observed = seen(&*cluster, &object).await;
    assert_eq!(observed.task, Some(second.task));
    assert_eq!(observed.condition, ready.condition);
    let now = driver
        .inventory()
        .pods_of(second.task)
        .await
        .expect("the cluster answers");
    let names = |pods: &[deploy_core::workload::Pod]| -> Vec<String> {
        pods.iter().map(|pod| pod.name.clone()).collect()
    };
    assert_eq!(names(&now), names(&pods));
    delete(&*cluster, &object, None).await;
}

async fn a_service_and_a_deployment_share_their_name(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let service = workload(
        221,
        "shared",
        driver.command(Behaviour::GoesOn),
        Shape::Service {
            replicas: 0,
            port: 9,
            published: None,
        },
    );
    let mut deployment = service.clone();
    deployment.task = TaskId::from_uuid(Uuid::from_u128(222));
    deployment.shape = Shape::Deployment { replicas: 0 };

    let created = apply(&*cluster, &service).await;
    let updated = apply(&*cluster, &deployment).await;
    assert_eq!((&updated.uid, updated.created), (&created.uid, false));
    assert_eq!(look(&*cluster, &service.object()).await, None);
    assert_eq!(
        seen(&*cluster, &deployment.object()).await.task,
        Some(deployment.task)
    );
    let mut service_again = service.clone();
    service_again.task = TaskId::from_uuid(Uuid::from_u128(223));
    apply(&*cluster, &service_again).await;
    let uid = Some(created.uid);
    assert_eq!(
        delete(&*cluster, &service.object(), uid.as_ref()).await,
        [(Kind::Service, uid.clone()), (Kind::Deployment, uid.clone())]
    );
    assert_eq!(look(&*cluster, &service.object()).await, None);
}

async fn a_cron_job_waits_for_nothing_to_be_asked(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let shape = Shape::CronJob {
        // Suspended from the beginning, so that no clock matters here.
        schedule: "0 0 1 1 *".parse().expect("a schedule"),
        timezone: "UTC".parse().expect("a time zone"),
        concurrency: deploy_core::manifest::ConcurrencyPolicy::Forbid,
        retries: 0,
        timeout_seconds: None,
    };
    let wanted = workload(231, "nightly", driver.command(Behaviour::Ends(0)), shape);
    let stopped = cluster.stop(&wanted).await.expect("an empty name can be burnt");
    assert!(is_stopped(&seen(&*cluster, &wanted.object()).await));
    let deleted = delete(&*cluster, &wanted.object(), None).await;
    assert_eq!(deleted, [(Kind::CronJob, Some(stopped.uid))]);
}

async fn pods_and_logs_are_the_tasks_own(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let (inventory, logs) = (driver.inventory(), driver.logs());
    let mut wanted = job(241, "listed", driver.command(Behaviour::Ends(0)));
    wanted.namespace = namespace("contract-pods");
    apply(&*cluster, &wanted).await;
    driver.play(&wanted.object(), Behaviour::Ends(0)).await;
    until_ended(&*cluster, &wanted.object()).await;

    let pods = inventory.pods_of(wanted.task).await.expect("the cluster answers");
    assert_eq!(pods.len(), 1);
    assert_eq!(
        (pods[0].phase.as_str(), pods[0].task_id),
        ("Succeeded", Some(wanted.task))
    );
    let listed = inventory.pods(Some(&wanted.namespace), None, 10).await;
    assert_eq!(listed.expect("the cluster answers").items, pods);
    let place = (pods[0].namespace.to_string(), pods[0].name.clone());
    let after = inventory.pods(Some(&wanted.namespace), Some(&place), 10).await;
    assert_eq!(after.expect("the cluster answers").items, []);
    let all = inventory
        .pods(None, None, usize::MAX)
        .await
        .expect("the cluster answers");
    assert!(
        all.items
            .is_sorted_by_key(|pod| (pod.namespace.clone(), pod.name.clone()))
    );
    assert_eq!(
        inventory
            .pods(None, None, 1)
            .await
            .expect("the cluster answers")
            .items
            .len(),
        1
    );

    let text = logs.tail(&wanted.object(), wanted.task, 10).await;
    assert_eq!(text.expect("it wrote a line"), "here\n");
    let other = TaskId::from_uuid(Uuid::from_u128(242));
    let text = logs.tail(&wanted.object(), other, 10).await;
    assert!(matches!(text, Err(LogsError::NotFound)));
    assert_eq!(inventory.pods_of(other).await.expect("the cluster answers"), []);
}

async fn a_namespace_belongs_to_the_repository_that_claimed_it(driver: &dyn ClusterDriver) {
    let namespaces = driver.namespaces();
    let (a, b) = (namespace("claimed-a"), namespace("claimed-b"));
    let repository = |name: &str| -> RepositoryName { name.parse().expect("a repository's name") };
    let (one, two) = (repository("One"), repository("two"));
    let ensure = |namespace, claim| namespaces.ensure(namespace, claim);
    ensure(&a, None).await.expect("anyone may use a new namespace");
    ensure(&a, Some(&one)).await.expect("nobody claims it");
    ensure(&a, Some(&one)).await.expect("it is its own");
    ensure(&a, None).await.expect("an explicit use claims nothing");
    let refused = ensure(&a, Some(&two)).await;
    assert!(matches!(refused, Err(NamespaceError::Claimed)));
    ensure(&b, Some(&two)).await.expect("nobody claims it");

    let listed = namespaces.list(None, usize::MAX).await.expect("they are known");
    let claims: Vec<_> = listed
        .items
        .iter()
        .filter(|seen| seen.name.as_str().starts_with("claimed-"))
        .map(|seen| (seen.name.clone(), seen.repository.clone()))
        .collect();
    assert_eq!(claims, [(a.clone(), Some(one)), (b.clone(), Some(two))]);
    let page = namespaces.list(Some(&a), 1).await.expect("they are known");
    assert_eq!(page.items[0].name, b);
}

fn namespace(name: &str) -> Namespace {
    name.parse().expect("the contract's namespaces are labels")
}

async fn apply(cluster: &dyn Cluster, workload: &Workload) -> Applied {
    cluster.apply(workload).await.expect("it can be applied")
}

async fn delete(cluster: &dyn Cluster, object: &ObjectRef, uid: Option<&Uid>) -> Vec<(Kind, Option<Uid>)> {
    let deleted = cluster.delete(object, uid).await.expect("it can be deleted");
    for entry in &deleted {
        assert_eq!((&entry.namespace, &entry.name), (&object.namespace, &object.name));
    }
    deleted.into_iter().map(|entry| (entry.kind, entry.uid)).collect()
}

async fn look(cluster: &dyn Cluster, object: &ObjectRef) -> Option<Observed> {
    let observed = cluster.observe(object, Freshness::Confirmed).await;
    observed.expect("the cluster answers")
}

async fn seen(cluster: &dyn Cluster, object: &ObjectRef) -> Observed {
    look(cluster, object).await.expect("it is there")
}

fn is_stopped(seen: &Observed) -> bool {
    seen.condition == Condition::Stopped
}

fn is_ready(seen: &Observed) -> bool {
    matches!(seen.condition, Condition::Ready { .. })
}

#[track_caller]
fn refuses_the_other_task(answer: Result<Applied, ClusterError>, owner: &Workload, incarnation: &Uid) {
    match answer {
        Err(ClusterError::Exists { task, uid }) => {
            assert_eq!((task, &uid), (Some(owner.task), incarnation));
        }
        other => panic!("the name is another task's: {other:?}"),
    }
}

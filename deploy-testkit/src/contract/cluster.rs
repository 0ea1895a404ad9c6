//! The contract of [`Cluster`], [`Inventory`], [`Namespaces`] and [`Logs`]: what a cluster does with names,
//! incarnations, stops and ends, whatever runs behind it. A [`ClusterDriver`] says how to make a container behave;
//! [`keeps_the_contract`] runs every case.
//!
//! A case waits by events alone: run it under a timeout, so that an event that never comes fails the test.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a contract fails by panicking, as every test does"
)]

mod jobs;
mod lists;
mod rollouts;

use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::manifest::{Image, Labels, Resources};
use deploy_core::names::{Identity, Namespace, TaskId};
use deploy_core::ports::{Cluster, ClusterError, Freshness, Inventory, Logs, Namespaces};
use deploy_core::workload::{
    Applied, Condition, Container, Ended, Kind, ObjectRef, Observed, Pod, Shape, Uid, Workload,
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
    jobs::a_job_runs_and_its_end_stays_to_be_seen(driver).await;
    jobs::a_job_that_fails_says_why(driver).await;
    jobs::a_job_is_created_once_whatever_is_sent_again(driver).await;
    jobs::a_name_belongs_to_the_task_that_took_it(driver).await;
    jobs::a_stop_ends_a_job_and_burns_its_name(driver).await;
    jobs::a_stop_that_comes_first_meets_the_late_create(driver).await;
    jobs::an_end_that_came_before_the_stop_is_kept(driver).await;
    jobs::a_delete_is_for_one_incarnation(driver).await;
    jobs::a_delete_ends_what_runs(driver).await;
    rollouts::a_deployment_is_updated_in_place(driver).await;
    rollouts::an_unchanged_deploy_changes_hands_and_nothing_else(driver).await;
    rollouts::a_service_and_a_deployment_share_their_name(driver).await;
    rollouts::a_cron_job_waits_for_nothing_to_be_asked(driver).await;
    lists::pods_and_logs_are_the_tasks_own(driver).await;
    lists::a_namespace_belongs_to_the_repository_that_claimed_it(driver).await;
}

/// Has a shell in it, for clusters that run images.
const IMAGE: &str = "docker.io/library/busybox:1.37";

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
            image: Image::Pulled(IMAGE.to_owned()),
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

/// A task's pods once they are as wanted: a cluster may tell of an object before it tells of its pods. In between it is
/// asked, so that it has its turn.
async fn pods_when(
    driver: &dyn ClusterDriver,
    task: TaskId,
    object: &ObjectRef,
    is_wanted: impl Fn(&[Pod]) -> bool,
) -> Vec<Pod> {
    let (cluster, inventory) = (driver.cluster(), driver.inventory());
    loop {
        let pods = inventory.pods_of(task).await.expect("the cluster answers");
        if is_wanted(&pods) {
            return pods;
        }
        look(&*cluster, object).await;
    }
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

//! Deployments, services and cron jobs: updated in place, under one name.

use deploy_core::manifest::{ConcurrencyPolicy, EnvValue, EnvVar};
use deploy_core::names::TaskId;
use deploy_core::workload::{Kind, Pod, Shape};
use uuid::Uuid;

use super::{
    Behaviour, ClusterDriver, apply, delete, is_ready, is_stopped, look, pods_when, seen, until, workload,
};

pub(super) async fn a_deployment_is_updated_in_place(driver: &dyn ClusterDriver) {
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
    // Those of the version before are listed until they have ended.
    pods_when(driver, second.task, &object, |pods| pods.len() >= 2).await;
    delete(&*cluster, &object, Some(&created.uid)).await;
}

pub(super) async fn an_unchanged_deploy_changes_hands_and_nothing_else(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let shape = Shape::Deployment { replicas: 1 };
    let first = workload(211, "same", driver.command(Behaviour::GoesOn), shape);
    let object = first.object();
    let created = apply(&*cluster, &first).await;
    driver.play(&object, Behaviour::GoesOn).await;
    let ready = until(&*cluster, &object, is_ready).await;
    let pods = pods_when(driver, first.task, &object, |pods| pods.len() == 1).await;

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
    let names = |pods: &[Pod]| -> Vec<String> { pods.iter().map(|pod| pod.name.clone()).collect() };
    assert_eq!(names(&now), names(&pods));
    delete(&*cluster, &object, None).await;
}

pub(super) async fn a_service_and_a_deployment_share_their_name(driver: &dyn ClusterDriver) {
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

pub(super) async fn a_cron_job_waits_for_nothing_to_be_asked(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let shape = Shape::CronJob {
        // Suspended from the beginning, so that no clock matters here.
        schedule: "0 0 1 1 *".parse().expect("a schedule"),
        timezone: "UTC".parse().expect("a time zone"),
        concurrency: ConcurrencyPolicy::Forbid,
        retries: 0,
        timeout_seconds: None,
    };
    let wanted = workload(231, "nightly", driver.command(Behaviour::Ends(0)), shape);
    let stopped = cluster.stop(&wanted).await.expect("an empty name can be burnt");
    assert!(is_stopped(&seen(&*cluster, &wanted.object()).await));
    let deleted = delete(&*cluster, &wanted.object(), None).await;
    assert_eq!(deleted, [(Kind::CronJob, Some(stopped.uid))]);
}

//! Pods, logs and namespaces: each the task's, or the repository's, own.

use deploy_core::names::{RepositoryName, TaskId};
use deploy_core::ports::{LogsError, NamespaceError};
use uuid::Uuid;

use super::{Behaviour, ClusterDriver, apply, job, namespace, pods_when, until_ended};

pub(super) async fn pods_and_logs_are_the_tasks_own(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let (inventory, logs) = (driver.inventory(), driver.logs());
    let mut wanted = job(241, "listed", driver.command(Behaviour::Ends(0)));
    wanted.namespace = namespace("contract-pods");
    apply(&*cluster, &wanted).await;
    driver.play(&wanted.object(), Behaviour::Ends(0)).await;
    until_ended(&*cluster, &wanted.object()).await;

    let pods = pods_when(driver, wanted.task, &wanted.object(), |pods| pods.len() == 1).await;
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

pub(super) async fn a_namespace_belongs_to_the_repository_that_claimed_it(driver: &dyn ClusterDriver) {
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

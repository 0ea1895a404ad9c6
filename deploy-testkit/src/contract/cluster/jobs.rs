//! Jobs: created once, ended once, stopped for good, deleted by their incarnation.

use deploy_core::workload::{Condition, Kind, ReasonCode, Uid};
use futures::stream::StreamExt;

use super::{
    Behaviour, ClusterDriver, apply, delete, is_stopped, job, look, namespace, pods_when,
    refuses_the_other_task, seen, until, until_ended,
};

pub(super) async fn a_job_runs_and_its_end_stays_to_be_seen(driver: &dyn ClusterDriver) {
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

pub(super) async fn a_job_that_fails_says_why(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let wanted = job(111, "fails", driver.command(Behaviour::Ends(3)));
    apply(&*cluster, &wanted).await;
    driver.play(&wanted.object(), Behaviour::Ends(3)).await;
    let ended = until_ended(&*cluster, &wanted.object()).await;
    assert_eq!(ended.exit_code, Some(3));
    let code = ended.failure.expect("another code than 0 is a failure").code;
    assert_eq!(code, ReasonCode::ExitCode);
}

pub(super) async fn a_job_is_created_once_whatever_is_sent_again(driver: &dyn ClusterDriver) {
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

pub(super) async fn a_name_belongs_to_the_task_that_took_it(driver: &dyn ClusterDriver) {
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

pub(super) async fn a_stop_ends_a_job_and_burns_its_name(driver: &dyn ClusterDriver) {
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

pub(super) async fn a_stop_that_comes_first_meets_the_late_create(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let wanted = job(151, "never", driver.command(Behaviour::Ends(0)));
    let stopped = cluster.stop(&wanted).await.expect("an empty name can be burnt");
    assert!(stopped.created);
    assert!(is_stopped(&seen(&*cluster, &wanted.object()).await));
    let late = apply(&*cluster, &wanted).await;
    assert_eq!((late.uid, late.created), (stopped.uid, false));
    assert!(is_stopped(&seen(&*cluster, &wanted.object()).await));
}

pub(super) async fn an_end_that_came_before_the_stop_is_kept(driver: &dyn ClusterDriver) {
    let cluster = driver.cluster();
    let wanted = job(161, "ended", driver.command(Behaviour::Ends(0)));
    apply(&*cluster, &wanted).await;
    driver.play(&wanted.object(), Behaviour::Ends(0)).await;
    let ended = until_ended(&*cluster, &wanted.object()).await;
    cluster.stop(&wanted).await.expect("it is ours to stop");
    let observed = seen(&*cluster, &wanted.object()).await;
    assert_eq!(observed.condition, Condition::Ended(ended));
}

pub(super) async fn a_delete_is_for_one_incarnation(driver: &dyn ClusterDriver) {
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

pub(super) async fn a_delete_ends_what_runs(driver: &dyn ClusterDriver) {
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
    pods_when(driver, wanted.task, &wanted.object(), <[_]>::is_empty).await;
}

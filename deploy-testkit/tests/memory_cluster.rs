//! The cluster in memory: it keeps the contract, and does what its script says.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use deploy_core::ports::{Clock, Cluster, ClusterError, Freshness, Inventory, Logs, Namespaces};
use deploy_core::workload::{Condition, ObjectRef, Shape};
use deploy_testkit::contract::cluster::{Behaviour, ClusterDriver, job, keeps_the_contract, workload};
use deploy_testkit::memory::cluster::{Fault, MemoryCluster, Verb};
use futures::{FutureExt, StreamExt};

/// Whether an error is the one that a fault should become.
type Expected<'a> = &'a dyn Fn(&ClusterError) -> bool;

/// It is always the same time.
struct Noon;

#[async_trait]
impl Clock for Noon {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(12)
    }

    async fn sleep(&self, _duration: Duration) {}
}

struct Driver(MemoryCluster);

#[async_trait]
impl ClusterDriver for Driver {
    fn cluster(&self) -> Arc<dyn Cluster> {
        Arc::new(self.0.clone())
    }

    fn inventory(&self) -> Arc<dyn Inventory> {
        Arc::new(self.0.clone())
    }

    fn namespaces(&self) -> Arc<dyn Namespaces> {
        Arc::new(self.0.clone())
    }

    fn logs(&self) -> Arc<dyn Logs> {
        Arc::new(self.0.clone())
    }

    fn command(&self, behaviour: Behaviour) -> Vec<String> {
        vec![format!("{behaviour:?}")]
    }

    async fn play(&self, object: &ObjectRef, behaviour: Behaviour) {
        self.0.set_log(object, "here\n");
        match behaviour {
            Behaviour::Ends(code) => {
                self.0.start(object);
                self.0.end(object, code);
            }
            Behaviour::GoesOn if object.kind == deploy_core::workload::Kind::Job => self.0.start(object),
            Behaviour::GoesOn => self.0.ready(object),
        }
    }
}

fn cluster() -> MemoryCluster {
    MemoryCluster::new(Arc::new(Noon))
}

#[tokio::test]
async fn it_keeps_the_contract_of_every_cluster() {
    keeps_the_contract(&Driver(cluster())).await;
}

#[tokio::test]
async fn a_fault_says_what_was_done_and_what_was_not() {
    let is_unavailable = |error: &ClusterError| matches!(error, ClusterError::Unavailable { .. });
    let is_ambiguous = |error: &ClusterError| matches!(error, ClusterError::Ambiguous(_));
    let is_refused = |error: &ClusterError| matches!(error, ClusterError::Refused { .. });
    let is_not_ours = |error: &ClusterError| matches!(error, ClusterError::NotOurs);
    let table: [(Fault, Expected<'_>, usize); 5] = [
        (Fault::Unavailable { retry_after: None }, &is_unavailable, 0),
        (Fault::AmbiguousBefore, &is_ambiguous, 0),
        (Fault::AmbiguousAfter, &is_ambiguous, 1),
        (Fault::Refused("no".to_owned()), &is_refused, 0),
        (Fault::NotOurs, &is_not_ours, 0),
    ];
    for (fault, is_expected, created) in table {
        let cluster = cluster();
        let wanted = job(1, "a", vec![]);
        cluster.fail_next(Verb::Apply, fault.clone());
        let error = cluster.apply(&wanted).await.unwrap_err();
        assert!(is_expected(&error), "{fault:?} became {error:?}");
        assert_eq!(cluster.creations_of(wanted.task), created, "{fault:?}");
        assert_eq!(cluster.apply(&wanted).await.unwrap().created, created == 0);
        assert_eq!(cluster.started_twice(), []);
        assert_eq!(cluster.calls().len(), 2);
    }
}

#[tokio::test]
async fn a_lasting_fault_lasts_until_it_is_healed() {
    let cluster = cluster();
    cluster.fail_always(Verb::Observe, Fault::AmbiguousBefore);
    let object = job(1, "a", vec![]).object();
    for _ in 0..3 {
        assert!(cluster.observe(&object, Freshness::Cached).await.is_err());
    }
    cluster.heal();
    assert_eq!(cluster.observe(&object, Freshness::Cached).await.unwrap(), None);
}

#[tokio::test]
async fn events_are_lost_repeated_frozen_and_turned_round_as_scripted() {
    let cluster = cluster();
    let (a, b) = (job(1, "a", vec![]), job(2, "b", vec![]));
    let mut events = cluster.watch();
    let mut names = || -> Vec<String> {
        std::iter::from_fn(|| events.next().now_or_never().flatten())
            .map(|event| event.object.name.to_string())
            .collect()
    };
    cluster.lose_events(1);
    cluster.apply(&a).await.unwrap();
    assert!(names().is_empty());
    cluster.repeat_events(1);
    cluster.apply(&b).await.unwrap();
    assert_eq!(names(), ["b", "b"]);
    cluster.repeat_events(0);
    cluster.freeze_events();
    cluster.start(&a.object());
    cluster.start(&b.object());
    assert!(names().is_empty());
    cluster.thaw_events(true);
    assert_eq!(names(), ["b", "a"]);
}

#[tokio::test]
async fn a_held_call_has_arrived_and_done_nothing() {
    let cluster = cluster();
    let wanted = job(1, "a", vec![]);
    cluster.hold(Verb::Apply);
    let call = tokio::spawn({
        let (cluster, wanted) = (cluster.clone(), wanted.clone());
        async move { cluster.apply(&wanted).await }
    });
    cluster.until_called(Verb::Apply, 1).await;
    assert_eq!(cluster.peek(&wanted.object()), None);
    cluster.release(Verb::Apply);
    assert!(call.await.unwrap().unwrap().created);
}

#[tokio::test]
async fn a_slow_stop_is_over_when_the_script_says_so() {
    let cluster = cluster();
    let wanted = job(1, "a", vec![]);
    cluster.apply(&wanted).await.unwrap();
    cluster.start(&wanted.object());
    cluster.stop_slowly();
    cluster.stop(&wanted).await.unwrap();
    assert_eq!(cluster.alive(), [wanted.object()]);
    cluster.finish_stop(&wanted.object());
    assert_eq!(cluster.alive(), []);
}

#[tokio::test]
async fn what_is_not_ours_what_vanished_and_what_was_damaged_is_seen_as_such() {
    let cluster = cluster();
    let (foreign, ours) = (job(1, "foreign", vec![]), job(2, "ours", vec![]));
    cluster.put_foreign(&foreign.object());
    assert!(matches!(
        cluster.apply(&foreign).await,
        Err(ClusterError::NotOurs)
    ));
    assert_eq!(
        cluster
            .observe(&foreign.object(), Freshness::Cached)
            .await
            .unwrap(),
        None
    );
    cluster.apply(&ours).await.unwrap();
    cluster.damage(&ours.object());
    assert_eq!(cluster.peek(&ours.object()).unwrap().task, None);
    cluster.vanish(&ours.object());
    assert_eq!(
        cluster
            .observe(&ours.object(), Freshness::Confirmed)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn in_the_automatic_mode_everything_ends_well_at_once() {
    let cluster = MemoryCluster::automatic(Arc::new(Noon));
    let wanted = job(1, "a", vec![]);
    cluster.apply(&wanted).await.unwrap();
    let seen = cluster.peek(&wanted.object()).unwrap();
    assert!(matches!(seen.condition, Condition::Ended(ended) if ended.failure.is_none()));
    let rollout = workload(2, "b", vec![], Shape::Deployment { replicas: 2 });
    cluster.apply(&rollout).await.unwrap();
    let seen = cluster.peek(&rollout.object()).unwrap();
    assert!(matches!(seen.condition, Condition::Ready { .. }));
}

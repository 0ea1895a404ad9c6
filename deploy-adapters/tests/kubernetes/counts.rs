//! What a change costs in calls: as few as are needed, counted at the stand-in.

use deploy_core::names::Namespace;
use deploy_core::ports::{Cluster, Freshness, Inventory, Namespaces};
use deploy_core::workload::{Shape, Workload};
use deploy_testkit::contract::cluster::until_ended;
use deploy_testkit::kubernetes::Verb;

use crate::support::{Bench, a_deployment, a_job, a_service, within_patience};

/// Writes and reads of a change.
async fn cost<T>(bench: &Bench, change: impl Future<Output = T>) -> (T, usize, usize) {
    let mark = bench.server.mark();
    let outcome = change.await;
    let calls = bench.server.calls_since(mark);
    assert_eq!(calls.of(Verb::List).len(), 0, "nothing is listed for a change");
    (outcome, calls.writes(), calls.reads())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_deploy_of_a_job_is_one_write_and_no_read() {
    within_patience(async {
        let bench = Bench::new().await;
        let first = a_job(1, "first");
        let deploy = async {
            bench.cluster.ensure(&first.namespace, None).await.unwrap();
            bench.cluster.apply(&first).await.unwrap()
        };
        let (applied, writes, reads) = cost(&bench, deploy).await;
        assert_eq!((applied.created, writes, reads), (true, 1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_finished_job_is_two_writes() {
    within_patience(async {
        let bench = Bench::new().await;
        let old = a_job(1, "again");
        let applied = bench.cluster.apply(&old).await.unwrap();
        until_ended(&bench.cluster, &old.object()).await;
        let replace = async {
            let deleted = bench
                .cluster
                .delete(&old.object(), Some(&applied.uid))
                .await
                .unwrap();
            assert_eq!(deleted.len(), 1);
            bench.cluster.apply(&a_job(2, "again")).await.unwrap()
        };
        let (applied, writes, reads) = cost(&bench, replace).await;
        assert_eq!((applied.created, writes, reads), (true, 2, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_is_read_once_where_it_is_new_and_never_after() {
    within_patience(async {
        let bench = Bench::new().await;
        let apply = |workload: Workload| {
            let cluster = bench.cluster.clone();
            async move { cluster.apply(&workload).await.unwrap() }
        };
        let (applied, writes, reads) = cost(&bench, apply(a_service(1, "site"))).await;
        assert_eq!((applied.created, writes, reads), (true, 2, 2));
        let (applied, writes, reads) = cost(&bench, apply(a_service(2, "site"))).await;
        assert_eq!((applied.created, writes, reads), (false, 2, 0));
        let (_, writes, reads) = cost(&bench, apply(a_deployment(3, "worker"))).await;
        assert_eq!((writes, reads), (1, 1));
        let (_, writes, reads) = cost(&bench, apply(a_deployment(4, "worker"))).await;
        assert_eq!((writes, reads), (1, 0));
        // It was a service: its Service goes.
        let (_, writes, reads) = cost(&bench, apply(a_deployment(5, "site"))).await;
        assert_eq!((writes, reads), (2, 0));
        assert_eq!(bench.server.get("services", "contract", "site"), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_looks_at_what_was_seen_cost_nothing_and_a_confirmed_look_one_read() {
    within_patience(async {
        let bench = Bench::new().await;
        let wanted = a_job(1, "seen");
        bench.cluster.apply(&wanted).await.unwrap();
        until_ended(&bench.cluster, &wanted.object()).await;
        let look = async {
            bench.cluster.pods(None, None, 100).await.unwrap();
            bench.cluster.pods_of(wanted.task).await.unwrap();
            bench.cluster.list(None, 100).await.unwrap();
            bench.cluster.age().await.unwrap();
            bench
                .cluster
                .observe(&wanted.object(), Freshness::Cached)
                .await
                .unwrap()
        };
        let (seen, writes, reads) = cost(&bench, look).await;
        assert_eq!((seen.unwrap().task, writes, reads), (Some(wanted.task), 0, 0));
        let object = wanted.object();
        let look = bench.cluster.observe(&object, Freshness::Confirmed);
        let (_, writes, reads) = cost(&bench, look).await;
        assert_eq!((writes, reads), (0, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_namespace_is_one_read_and_one_write_and_a_known_one_nothing() {
    within_patience(async {
        let bench = Bench::new().await;
        let namespace: Namespace = "fresh".parse().unwrap();
        let ensure = || bench.cluster.ensure(&namespace, None);
        let (made, writes, reads) = cost(&bench, ensure()).await;
        made.unwrap();
        assert_eq!((writes, reads), (1, 1));
        let (known, writes, reads) = cost(&bench, ensure()).await;
        known.unwrap();
        assert_eq!((writes, reads), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_one_write_and_its_stop_one_more() {
    within_patience(async {
        let bench = Bench::new().await;
        let mut step = a_job(1, "step");
        step.run = Some(deploy_core::names::PipelineId::from_uuid(uuid::Uuid::from_u128(
            7,
        )));
        step.shape = Shape::Job {
            retries: 0,
            timeout_seconds: Some(60),
        };
        step.container.command = Some(crate::support::goes_on());
        let (_, writes, reads) = cost(&bench, bench.cluster.apply(&step)).await;
        assert_eq!((writes, reads), (1, 0));
        let (_, writes, reads) = cost(&bench, bench.cluster.stop(&step)).await;
        assert_eq!((writes, reads), (1, 0));
    })
    .await;
}

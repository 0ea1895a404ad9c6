//! Watches that lose, repeat, mix up or delay what they tell, that go silent, or are refused: what is seen comes to the
//! same in the end, and nothing but watches is asked while nothing happens.

use std::time::Duration;

use deploy_core::ports::{Cluster, Freshness};
use deploy_core::workload::{Condition, Ended, Observed, Workload};
use deploy_testkit::contract::cluster::job;
use deploy_testkit::kubernetes::{EventFault, Fault, Matcher, Times, Verb};
use futures::StreamExt;

use crate::support::{Bench, a_deployment, a_job, ends, goes_on, within_patience};

/// Applies, and waits for a state by events and the caches alone.
async fn seen(bench: &Bench, workload: &Workload, wanted: impl Fn(&Observed) -> bool) -> Observed {
    let mut events = bench.cluster.watch();
    bench.cluster.apply(workload).await.unwrap();
    loop {
        let observed = bench.cluster.observe(&workload.object(), Freshness::Cached).await;
        if let Some(observed) = observed.unwrap()
            && wanted(&observed)
        {
            return observed;
        }
        events.next().await.unwrap();
    }
}

fn is_over(observed: &Observed) -> bool {
    matches!(observed.condition, Condition::Ended(_))
}

fn end(observed: Observed) -> Ended {
    match observed.condition {
        Condition::Ended(ended) => ended,
        other => panic!("not an end: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_one_event_may_be_lost_repeated_mixed_up_or_late() {
    within_patience(async {
        let late = EventFault::Delay(Duration::from_millis(200));
        let bench = Bench::new().await;
        let mut number = 0;
        for plural in ["jobs", "pods"] {
            for nth in 1..=4 {
                for fault in [EventFault::Drop, EventFault::Repeat, EventFault::Reorder, late] {
                    number += 1;
                    let (code, name) = ((number % 2) as u8, format!("spoilt-{number}"));
                    bench.server.spoil_event(plural, nth, fault);
                    let ended = end(seen(&bench, &job(number, &name, ends(code)), is_over).await);
                    assert_eq!(ended.exit_code, Some(code.into()), "{plural} {nth} {fault:?}");
                    assert_eq!(ended.failure.is_some(), code != 0);
                    bench.server.heal();
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_are_refused_as_too_old_are_made_up_for_by_lists() {
    within_patience(async {
        let bench = Bench::new().await;
        let before = a_job(1, "before");
        seen(&bench, &before, is_over).await;
        let watches = Matcher::on(Verb::Watch);
        bench.server.inject(watches, Times::Always, Fault::Gone);
        for plural in [
            "jobs",
            "pods",
            "deployments",
            "services",
            "cronjobs",
            "namespaces",
        ] {
            bench.server.expire_watches(plural);
        }
        // What was known goes on serving.
        let known = bench.cluster.observe(&before.object(), Freshness::Cached).await;
        assert!(is_over(&known.unwrap().unwrap()));
        seen(&bench, &a_job(2, "meanwhile"), is_over).await;
        bench.server.heal();
        seen(&bench, &a_job(3, "after"), is_over).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_are_closed_go_on_where_they_were() {
    within_patience(async {
        let bench = Bench::new().await;
        let mark = bench.server.mark();
        for number in 1..=5 {
            for plural in ["jobs", "pods"] {
                bench.server.close_watches(plural);
            }
            seen(&bench, &a_job(number, &format!("closed-{number}")), is_over).await;
        }
        assert_eq!(bench.server.calls_since(mark).lists(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_watch_is_noticed_and_what_it_missed_is_seen() {
    within_patience(async {
        let bench = Bench::new().await;
        bench.server.freeze_watches("pods");
        let wanted = job(1, "unheard", goes_on());
        bench.cluster.apply(&wanted).await.unwrap();
        let pod = bench.server.running_pod("contract", "unheard").await;
        assert!(bench.server.terminate("contract", &pod, 0));
        let mark = bench.server.mark();
        // The frozen one is cut and asked for again.
        let is_asked = |calls: &deploy_testkit::kubernetes::Calls| calls.on("pods").watches() > 0;
        bench.server.until_called(mark, is_asked).await;
        bench.server.thaw_watches("pods");
        let ended = end(seen(&bench, &wanted, is_over).await);
        assert_eq!(ended.exit_code, Some(0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_happens_nothing_but_watches_is_asked() {
    within_patience(async {
        let bench = Bench::new().await;
        let wanted = a_deployment(1, "idle");
        let is_ready = |observed: &Observed| matches!(observed.condition, Condition::Ready { .. });
        seen(&bench, &wanted, is_ready).await;
        let mark = bench.server.mark();
        let calls = bench
            .server
            .until_called(mark, |calls| calls.watches() >= 7)
            .await;
        assert_eq!((calls.writes(), calls.reads()), (0, 0), "{calls:?}");
        let first = calls.iter().take(calls.watches().min(7));
        assert!(
            first.into_iter().all(|call| call.verb == Verb::Watch),
            "{calls:?}"
        );
    })
    .await;
}

//! The API server away, slow, refusing, crossing us, or silent about what it has done: what was not done is told so,
//! what may have been done is looked for, and nothing is there twice.

use std::time::{Duration, Instant};

use deploy_core::ports::{Cluster, ClusterError, Freshness, Inventory, NamespaceError, Namespaces};
use deploy_core::workload::{Applied, Workload};
use deploy_testkit::contract::cluster::{job, until_ended};
use deploy_testkit::kubernetes::{Fault, Matcher, Times, Verb};
use futures::future::join_all;

use crate::support::{Bench, a_cron_job, a_deployment, a_job, a_service, goes_on, within_patience};

const SHORT: Duration = Duration::from_millis(400);

async fn apply(bench: &Bench, workload: &Workload) -> Result<Applied, ClusterError> {
    bench.cluster.apply(workload).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_away_is_unavailable_lists_go_on_and_everything_resumes_by_itself() {
    within_patience(async {
        let bench = Bench::new().await;
        let before = a_job(1, "before");
        apply(&bench, &before).await.unwrap();
        until_ended(&bench.cluster, &before.object()).await;
        bench.server.away().await;
        let begun = Instant::now();
        let refused = apply(&bench, &a_job(2, "meanwhile")).await;
        assert!(
            matches!(refused, Err(ClusterError::Unavailable { .. })),
            "{refused:?}"
        );
        let namespace = "unknown".parse().unwrap();
        let refused = bench.cluster.ensure(&namespace, None).await;
        assert!(
            matches!(refused, Err(NamespaceError::Unavailable(_))),
            "{refused:?}"
        );
        let confirmed = bench
            .cluster
            .observe(&before.object(), Freshness::Confirmed)
            .await;
        assert!(
            matches!(confirmed, Err(ClusterError::Unavailable { .. })),
            "{confirmed:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(10));
        let listed = bench.cluster.pods(None, None, 10).await.unwrap();
        assert_eq!(listed.items.len(), 1);
        assert!(
            bench
                .cluster
                .observe(&before.object(), Freshness::Cached)
                .await
                .unwrap()
                .is_some()
        );
        bench.server.back().await;
        let after = a_job(3, "after");
        apply(&bench, &after).await.unwrap();
        until_ended(&bench.cluster, &after.object()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_never_answered_is_ambiguous_within_its_deadline() {
    within_patience(async {
        let bench = Bench::with(|config| config.deadline = SHORT).await;
        bench.server.inject(Matcher::writes(), Times::Always, Fault::Hang);
        let begun = Instant::now();
        let wanted = a_job(1, "silent");
        let answer = apply(&bench, &wanted).await;
        assert!(matches!(answer, Err(ClusterError::Ambiguous(_))), "{answer:?}");
        assert!(begun.elapsed() < SHORT * 4, "{:?}", begun.elapsed());
        bench.server.heal();
        assert!(apply(&bench, &wanted).await.unwrap().created);
        // A read that is not answered says for certain that nothing was done.
        bench
            .server
            .inject(Matcher::on(Verb::Get), Times::Always, Fault::Hang);
        let answer = apply(&bench, &a_deployment(2, "unread")).await;
        assert!(
            matches!(answer, Err(ClusterError::Unavailable { .. })),
            "{answer:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_now_says_when_to_come_back() {
    within_patience(async {
        let bench = Bench::new().await;
        for fault in [Fault::TooManyRequests(Some(7)), Fault::Unavailable(Some(7))] {
            let injected = bench.server.inject(Matcher::writes(), Times::Always, fault);
            match apply(&bench, &a_job(1, "later")).await {
                Err(ClusterError::Unavailable { retry_after, .. }) => {
                    assert_eq!(retry_after, Some(Duration::from_secs(7)));
                }
                other => panic!("{fault:?}: {other:?}"),
            }
            assert_eq!(bench.server.struck(injected), 1, "it is not sent again by itself");
            bench.server.heal();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_is_lost_is_found_by_its_name() {
    within_patience(async {
        let bench = Bench::new().await;
        for (number, fault) in [(1, Fault::CommitThenTimeout), (2, Fault::CommitThenReset)] {
            for workload in [
                a_job(number, &format!("job-{number}")),
                a_cron_job(number, &format!("cron-{number}")),
                a_deployment(number, &format!("deployment-{number}")),
            ] {
                let injected = bench.server.inject(Matcher::writes(), Times::First(1), fault);
                let applied = apply(&bench, &workload).await.unwrap();
                assert!(applied.created, "{workload:?}");
                assert_eq!(bench.server.struck(injected), 1);
                bench.server.end(injected);
                let again = apply(&bench, &workload).await.unwrap();
                assert_eq!((again.uid, again.created), (applied.uid.clone(), false));
                // A delete too.
                let injected = bench.server.inject(Matcher::writes(), Times::First(1), fault);
                let object = workload.object();
                let deleted = bench.cluster.delete(&object, Some(&applied.uid)).await.unwrap();
                assert_eq!(deleted.len(), 1, "{object}");
                bench.server.end(injected);
                let seen = bench
                    .cluster
                    .observe(&object, Freshness::Confirmed)
                    .await
                    .unwrap();
                assert_eq!(seen, None, "{object}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_on_some_or_all_calls_leave_nothing_twice_and_nothing_behind() {
    within_patience(async {
        let faults = [
            Fault::TooManyRequests(Some(1)),
            Fault::Unavailable(None),
            Fault::InternalError,
            Fault::Reset,
            Fault::CommitThenTimeout,
            Fault::CommitThenReset,
        ];
        for (number, fault) in faults.into_iter().enumerate() {
            for percent in [10, 100] {
                let bench = Bench::new().await;
                let times = Times::Percent { percent, seed: 11 };
                // Watches are followed up by loops of their own.
                let calls = Matcher::writes().or(Verb::Get);
                bench.server.inject(calls, times, fault);
                let jobs: Vec<Workload> = (0..20)
                    .map(|job| a_job(job + 1, &format!("job-{number}-{job}")))
                    .collect();
                let first = join_all(jobs.iter().map(|job| apply(&bench, job))).await;
                for answer in &first {
                    let is_told = matches!(
                        answer,
                        Ok(_) | Err(ClusterError::Unavailable { .. } | ClusterError::Ambiguous(_))
                    );
                    assert!(is_told, "{fault:?}: {answer:?}");
                }
                bench.server.heal();
                // What is told as not done is not there; what is asked again is there once.
                for (job, answer) in jobs.iter().zip(&first) {
                    let found = bench.server.get("jobs", "contract", job.name.as_str());
                    match answer {
                        Ok(applied) => {
                            assert_eq!(found.unwrap()["metadata"]["uid"], applied.uid.0);
                        }
                        Err(ClusterError::Unavailable { .. }) => assert_eq!(found, None, "{fault:?}"),
                        Err(_) => {}
                    }
                    let second = apply(&bench, job).await.unwrap();
                    if let Ok(first) = answer {
                        assert_eq!((&second.uid, second.created), (&first.uid, false));
                    }
                }
                for job in &jobs {
                    until_ended(&bench.cluster, &job.object()).await;
                }
                assert_eq!(bench.server.count("jobs"), 20);
                assert_eq!(bench.server.count("pods"), 20, "{fault:?} {percent} %");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_cross_four_times_is_done_at_the_fifth() {
    within_patience(async {
        let bench = Bench::new().await;
        let crossed = || {
            bench
                .server
                .inject(Matcher::writes(), Times::First(4), Fault::Conflict)
        };
        let first = [
            a_job(1, "crossed"),
            a_cron_job(2, "crossed"),
            a_deployment(3, "worker"),
            a_service(4, "site"),
        ];
        for workload in &first {
            let injected = crossed();
            let applied = apply(&bench, workload).await.unwrap();
            assert!(applied.created, "{}", workload.object());
            assert_eq!(bench.server.struck(injected), 4);
            bench.server.end(injected);
        }
        let running = job(5, "running", goes_on());
        apply(&bench, &running).await.unwrap();
        let injected = crossed();
        bench.cluster.stop(&running).await.unwrap();
        bench.server.end(injected);
        let fresh = "fresh".parse().unwrap();
        let repository = "etl".parse().unwrap();
        let injected = crossed();
        bench.cluster.ensure(&fresh, None).await.unwrap();
        bench.server.end(injected);
        let injected = crossed();
        bench.cluster.ensure(&fresh, Some(&repository)).await.unwrap();
        bench.server.end(injected);
        for workload in &first {
            let object = workload.object();
            let injected = crossed();
            let deleted = bench.cluster.delete(&object, None).await.unwrap();
            assert!(!deleted.is_empty(), "{object}");
            bench.server.end(injected);
        }
        // Crossed for ever, it is told so, and was not done.
        bench
            .server
            .inject(Matcher::writes(), Times::Always, Fault::Conflict);
        let answer = apply(&bench, &a_job(6, "never")).await;
        assert!(
            matches!(answer, Err(ClusterError::Unavailable { .. })),
            "{answer:?}"
        );
        assert_eq!(bench.server.get("jobs", "contract", "never"), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_silent_watch_does_not_tell_is_asked_for() {
    within_patience(async {
        let bench = Bench::new().await;
        let wanted = job(1, "unheard", goes_on());
        let applied = apply(&bench, &wanted).await.unwrap();
        bench.server.freeze_watches("jobs");
        let deleted = bench
            .cluster
            .delete(&wanted.object(), Some(&applied.uid))
            .await
            .unwrap();
        assert_eq!(deleted.len(), 1);
        assert_eq!(bench.server.count("jobs"), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_half_there_is_never_told_as_not_done() {
    within_patience(async {
        let bench = Bench::new().await;
        let site = a_service(1, "site");
        let services = Matcher::writes().resource("services");
        bench
            .server
            .inject(services.clone(), Times::Always, Fault::TooManyRequests(None));
        let answer = apply(&bench, &site).await;
        assert!(matches!(answer, Err(ClusterError::Ambiguous(_))), "{answer:?}");
        bench.server.heal();
        // Refused for good, it is taken back.
        bench.server.inject(services, Times::Always, Fault::Forbidden);
        let other = a_service(2, "other");
        let answer = apply(&bench, &other).await;
        assert!(matches!(answer, Err(ClusterError::Refused { .. })), "{answer:?}");
        assert_eq!(bench.server.get("deployments", "contract", "other"), None);
        bench.server.heal();
        assert!(!apply(&bench, &site).await.unwrap().created);
    })
    .await;
}

//! Cron jobs: at their times, once each, whatever the clock does.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::manifest::ConcurrencyPolicy;
use deploy_core::ports::{Cluster, Inventory};
use deploy_core::workload::{Condition, Shape, Workload};
use deploy_testkit::contract::cluster::workload;

use crate::support::{Bench, Ear, Standing, is_alive, open, sh, within_patience};

const MINUTE: Duration = Duration::from_secs(60);

fn cron(script: &str, concurrency: ConcurrencyPolicy) -> Workload {
    let shape = Shape::CronJob {
        schedule: "* * * * *".parse().unwrap(),
        timezone: "Europe/Rome".parse().unwrap(),
        concurrency,
        retries: 0,
        timeout_seconds: None,
    };
    workload(1, "ticks", sh(script), shape)
}

#[tokio::test]
async fn a_cron_job_runs_at_its_times_and_keeps_its_last_runs() {
    within_patience(async {
        let clock = Standing::new();
        let bench = Bench::new(clock.clone()).await;
        let mut ear = Ear::new();
        let wanted = cron(
            &format!("echo a line; echo ran >{}", ear.path()),
            ConcurrencyPolicy::Allow,
        );
        bench.cluster.apply(&wanted).await.unwrap();
        assert_eq!(bench.condition(&wanted.object()).await, Condition::Scheduled);
        for _ in 0..6 {
            clock.pass(MINUTE).await;
            assert_eq!(ear.hear().await, "ran");
        }
        let log = bench.log(&wanted).await;
        assert!(log.contains("a line\n"), "{log}");
        bench.cluster.stop(&wanted).await.unwrap();
        bench
            .until(&wanted.object(), |seen| seen.condition == Condition::Stopped)
            .await;
        assert_eq!(bench.cluster.pods_of(wanted.task).await.unwrap().len(), 3);
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_jump_of_the_clock_neither_repeats_a_time_nor_makes_up_for_all_of_them() {
    within_patience(async {
        let clock = Standing::at("2026-03-01T12:00:00Z");
        let bench = Bench::new(clock.clone()).await;
        let mut ear = Ear::new();
        let wanted = cron(&format!("echo ran >{}", ear.path()), ConcurrencyPolicy::Allow);
        bench.cluster.apply(&wanted).await.unwrap();
        clock.pass(MINUTE).await;
        assert_eq!(ear.hear().await, "ran");
        // The same deploy again makes it look at the clock.
        // A day forward: one run for all that was missed.
        clock.jump("2026-03-02T12:00:30Z");
        bench.cluster.apply(&wanted).await.unwrap();
        assert_eq!(ear.hear().await, "ran");
        // An hour back: the times of that hour are done with.
        clock.jump("2026-03-02T11:00:00Z");
        bench.cluster.apply(&wanted).await.unwrap();
        clock.pass(MINUTE).await;
        clock.jump("2026-03-02T12:01:30Z");
        bench.cluster.apply(&wanted).await.unwrap();
        assert_eq!(ear.hear().await, "ran");
        assert_eq!(bench.cluster.pods_of(wanted.task).await.unwrap().len(), 3);
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_run_that_goes_on_is_joined_left_or_replaced_as_the_policy_says() {
    within_patience(async {
        for policy in [
            ConcurrencyPolicy::Allow,
            ConcurrencyPolicy::Forbid,
            ConcurrencyPolicy::Replace,
        ] {
            let clock = Standing::new();
            let bench = Bench::new(clock.clone()).await;
            let mut ear = Ear::new();
            let wanted = cron(&format!("echo $$ >{}; exec sleep 1000", ear.path()), policy);
            bench.cluster.apply(&wanted).await.unwrap();
            clock.pass(MINUTE).await;
            let first = ear.hear_pid().await;
            clock.pass(MINUTE).await;
            if policy == ConcurrencyPolicy::Forbid {
                // The next look at the clock says that this time is over.
                clock.pass(MINUTE).await;
                assert!(is_alive(first));
                assert_eq!(bench.cluster.pods_of(wanted.task).await.unwrap().len(), 1);
            } else {
                let second = ear.hear_pid().await;
                assert_eq!(is_alive(first), policy == ConcurrencyPolicy::Allow);
                assert!(is_alive(second));
            }
            bench.cluster.shutdown().await;
            assert!(!is_alive(first));
        }
    })
    .await;
}

#[tokio::test]
async fn a_time_that_passed_while_no_server_ran_is_made_up_for_once() {
    within_patience(async {
        let clock = Standing::new();
        let bench = Bench::new(clock.clone()).await;
        let mut ear = Ear::new();
        let wanted = cron(&format!("echo ran >{}", ear.path()), ConcurrencyPolicy::Allow);
        bench.cluster.apply(&wanted).await.unwrap();
        bench.cluster.shutdown().await;
        let Bench { folder, cluster, .. } = bench;
        drop(cluster);
        clock.jump("2026-03-01T15:00:30Z");
        let cluster = open(folder.path(), Arc::default(), clock.clone()).await;
        assert_eq!(ear.hear().await, "ran");
        clock.pass(Duration::from_secs(30)).await;
        assert_eq!(ear.hear().await, "ran");
        assert_eq!(cluster.pods_of(wanted.task).await.unwrap().len(), 2);
        cluster.shutdown().await;
    })
    .await;
}

//! What became of a task, told in its own words: every way that a pod, a job or a rollout goes wrong, as a cluster
//! writes it.

use deploy_core::manifest::Image;
use deploy_core::ports::{Cluster, Inventory};
use deploy_core::workload::{Condition, Ended, Observed, Reason, ReasonCode, Shape, Workload};
use deploy_testkit::contract::cluster::{job, until, until_ended};

use crate::support::{Bench, a_cron_job, a_deployment, a_job, ends, goes_on, within_patience};

fn with_limits(mut workload: Workload, retries: u8, timeout_seconds: Option<u32>) -> Workload {
    workload.shape = Shape::Job {
        retries,
        timeout_seconds,
    };
    workload
}

fn unpullable(mut workload: Workload) -> Workload {
    workload.container.image = Image::Pulled("nonexistent.invalid/x:1".to_owned());
    workload
}

fn reason(observed: &Observed) -> Option<&Reason> {
    match &observed.condition {
        Condition::Pending(reason) | Condition::Updating(reason) => reason.as_ref(),
        Condition::Degraded(reason) => Some(reason),
        _ => None,
    }
}

/// Applies, and waits for a reason of that code; tells its words.
async fn said(bench: &Bench, workload: &Workload, code: ReasonCode) -> String {
    bench.cluster.apply(workload).await.unwrap();
    let is_said = |seen: &Observed| reason(seen).is_some_and(|reason| reason.code == code);
    let observed = until(&bench.cluster, &workload.object(), is_said).await;
    reason(&observed).unwrap().message.clone()
}

/// Applies, does something to its running pod, and tells the end.
async fn ended_by(bench: &Bench, workload: &Workload, act: impl FnOnce(&str)) -> Ended {
    bench.cluster.apply(workload).await.unwrap();
    let pod = bench.server.running_pod("contract", workload.name.as_str()).await;
    act(&pod);
    until_ended(&bench.cluster, &workload.object()).await
}

fn code(ended: &Ended) -> Option<ReasonCode> {
    ended.failure.as_ref().map(|reason| reason.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_cannot_start_says_why() {
    within_patience(async {
        let bench = Bench::new().await;
        let message = said(
            &bench,
            &unpullable(a_job(1, "image")),
            ReasonCode::ImagePullFailed,
        )
        .await;
        assert!(message.contains("nonexistent.invalid/x:1"), "{message}");
        let mut greedy = a_job(2, "greedy");
        greedy.container.resources.cpu_request = Some("1000".parse().unwrap());
        let message = said(&bench, &greedy, ReasonCode::Unschedulable).await;
        assert!(message.contains("Insufficient cpu"), "{message}");
        bench.namespace("full").await;
        bench.server.configure(|settings| {
            settings.pods.insert("full".to_owned(), 0);
        });
        let mut refused = a_job(3, "refused");
        refused.namespace = "full".parse().unwrap();
        let message = said(&bench, &refused, ReasonCode::QuotaExceeded).await;
        assert!(message.contains("exceeded quota"), "{message}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_was_killed_says_by_what() {
    within_patience(async {
        let bench = Bench::new().await;
        let killed = ended_by(&bench, &job(1, "oom", goes_on()), |pod| {
            assert!(bench.server.oom("contract", pod));
        })
        .await;
        assert_eq!(
            (code(&killed), killed.exit_code),
            (Some(ReasonCode::OutOfMemory), Some(137))
        );
        let evicted = ended_by(&bench, &job(2, "evicted", goes_on()), |pod| {
            assert!(bench.server.evict("contract", pod));
        })
        .await;
        assert_eq!(code(&evicted), Some(ReasonCode::Evicted));
        let late = with_limits(job(3, "late", goes_on()), 0, Some(1));
        bench.cluster.apply(&late).await.unwrap();
        let ended = until_ended(&bench.cluster, &late.object()).await;
        assert_eq!(code(&ended), Some(ReasonCode::DeadlineExceeded));
        let pod = ended_by(&bench, &job(4, "pulled", goes_on()), |pod| {
            assert!(bench.server.remove("pods", "contract", pod));
        })
        .await;
        assert_eq!(code(&pod), Some(ReasonCode::Lost));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_attempts_left_a_failure_is_told_and_the_last_one_ends_it() {
    within_patience(async {
        let bench = Bench::new().await;
        let wanted = with_limits(job(1, "again", ends(3)), 1, None);
        let message = said(&bench, &wanted, ReasonCode::ExitCode).await;
        assert!(message.contains("exit code 3"), "{message}");
        let ended = until_ended(&bench.cluster, &wanted.object()).await;
        assert_eq!(
            (code(&ended), ended.exit_code),
            (Some(ReasonCode::ExitCode), Some(3))
        );
        let pods = bench.cluster.pods_of(wanted.task).await.unwrap();
        assert_eq!(pods.len(), 2);
        assert!(
            pods.iter()
                .all(|pod| pod.phase == "Failed" && pod.reason.is_some())
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_says_what_holds_it_up() {
    within_patience(async {
        let bench = Bench::new().await;
        let mut crashing = a_deployment(1, "crashing");
        crashing.container.command = Some(ends(1));
        let message = said(&bench, &crashing, ReasonCode::CrashLooping).await;
        assert!(message.contains("exit code 1"), "{message}");

        let running = a_deployment(2, "running");
        bench.cluster.apply(&running).await.unwrap();
        let is_ready = |seen: &Observed| matches!(seen.condition, Condition::Ready { .. });
        until(&bench.cluster, &running.object(), is_ready).await;
        said(&bench, &unpullable(running.clone()), ReasonCode::ImagePullFailed).await;
        // The version before it still serves.
        let pods = bench.cluster.pods_of(running.task).await.unwrap();
        assert!(pods.iter().any(|pod| pod.phase == "Running"), "{pods:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_jobs_pods_are_its_tasks_and_its_jobs_are_no_tasks() {
    within_patience(async {
        let bench = Bench::new().await;
        let wanted = a_cron_job(1, "nightly");
        bench.cluster.apply(&wanted).await.unwrap();
        let fired = bench.server.fire("contract", "nightly").unwrap();
        let mut events = bench.cluster.watch();
        let is_over = |pod: &deploy_core::workload::Pod| pod.phase == "Succeeded";
        let pods = loop {
            let pods = bench.cluster.pods_of(wanted.task).await.unwrap();
            if pods.iter().any(is_over) {
                break pods;
            }
            tokio::select! {
                // Nothing of a cron job's state changes with its runs; its pods are looked at again and again.
                event = futures::StreamExt::next(&mut events) => drop(event),
                () = tokio::task::yield_now() => {}
            }
        };
        assert_eq!((pods.len(), pods[0].task_id), (1, Some(wanted.task)));
        let seen = bench
            .cluster
            .observe(&wanted.object(), deploy_core::ports::Freshness::Cached)
            .await
            .unwrap();
        assert_eq!(seen.unwrap().condition, Condition::Scheduled);
        let run = job(2, &fired, goes_on()).object();
        let seen = bench
            .cluster
            .observe(&run, deploy_core::ports::Freshness::Cached)
            .await
            .unwrap();
        assert_eq!(seen, None);
    })
    .await;
}

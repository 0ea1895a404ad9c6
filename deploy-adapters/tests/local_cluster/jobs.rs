//! Jobs as processes: what they are given, how they end, how they are ended.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::manifest::{EnvValue, EnvVar, Published};
use deploy_core::ports::{Cluster, ClusterError, Freshness, Inventory};
use deploy_core::workload::{Condition, ReasonCode, Shape, Warning, WarningCode, Workload};
use deploy_testkit::contract::cluster::{job, until_ended, workload};

use crate::support::{Bench, Ear, Hasty, Standing, is_alive, is_running, sh, within_patience};

fn with_limits(task: u128, script: &str, retries: u8, timeout_seconds: Option<u32>) -> Workload {
    let shape = Shape::Job {
        retries,
        timeout_seconds,
    };
    workload(task, "limited", sh(script), shape)
}

#[tokio::test]
async fn a_task_gets_its_own_environment_and_nothing_else() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let mut wanted = job(1, "env", vec!["env".to_owned()]);
        let value = EnvValue::Literal("mon day".to_owned());
        wanted.container.env = vec![
            EnvVar {
                name: "DAY".to_owned(),
                value: value.clone(),
            },
            EnvVar {
                name: "gate".to_owned(),
                value,
            },
        ];
        assert_eq!(bench.run(&wanted).await.exit_code, Some(0));
        let log = bench.log(&wanted).await;
        let mut names: Vec<&str> = log.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["DAY", "HOME", "LANG", "PATH", "gate"], "{log}");
        assert!(log.contains("DAY=mon day\n") && log.contains("gate=mon day\n"));
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn every_start_gets_a_fresh_copy_of_the_code_and_one_export_serves_all() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let files = [
            ("run.sh", "cat $1 lib/b; ls | wc -l; touch left-behind"),
            ("lib/b", "b\n"),
            ("a", "a\n"),
        ];
        for (task, name) in [(1, "one"), (2, "two")] {
            let command = ["sh", "/code/run.sh", "/code/a"].map(str::to_owned).to_vec();
            let mut wanted = job(task, name, command);
            // Another commit with the same tree is the same code.
            wanted.code = Some(bench.source.commit(u8::try_from(task).unwrap(), &files));
            let ended = bench.run(&wanted).await;
            assert_eq!(ended.failure, None);
            let lines: Vec<String> = bench
                .log(&wanted)
                .await
                .lines()
                .map(|l| l.trim().to_owned())
                .collect();
            assert_eq!(lines, ["a", "b", "3"]);
        }
        assert_eq!(bench.source.exports(), 1);

        let mut without = job(3, "three", sh("ls | wc -l"));
        without.code = Some(bench.source.commit(3, &[]));
        assert_eq!(bench.run(&without).await.failure, None);
        assert_eq!(bench.log(&without).await.trim(), "0");
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_ends_as_its_command_does() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let long = "x".repeat(3_000_000);
        for (task, command, code, words) in [
            (1, sh("exit 0"), 0, ""),
            (
                2,
                sh("for n in $(seq 1 30); do echo line $n; done; exit 3"),
                3,
                "ended with exit code 3\nline 11\n",
            ),
            (3, sh("kill -9 $$"), 137, "ended by signal 9 (exit code 137)"),
            (
                4,
                vec!["no-such-command".to_owned()],
                127,
                "the command was not found (exit code 127)",
            ),
            (
                5,
                vec!["/etc/passwd".to_owned()],
                126,
                "the command cannot be run (exit code 126)",
            ),
            (
                6,
                vec!["echo".to_owned(), long],
                126,
                "the command cannot be run (exit code 126)",
            ),
            // Nothing to read, and nobody to wait for.
            (7, sh("cat"), 0, ""),
        ] {
            let wanted = job(task, &format!("ends-{task}"), command);
            let ended = bench.run(&wanted).await;
            assert_eq!(ended.exit_code, Some(code), "{task}");
            match ended.failure {
                None => assert_eq!(code, 0, "{task}"),
                Some(reason) => {
                    assert_eq!(reason.code, ReasonCode::ExitCode, "{task}");
                    assert!(reason.message.starts_with(words), "{task}: {}", reason.message);
                }
            }
            assert_eq!(
                bench.cluster.pods_of(wanted.task).await.unwrap().len(),
                1,
                "{task}"
            );
        }
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_that_fails_is_tried_again_with_growing_waits() {
    within_patience(async {
        let clock = Standing::new();
        let bench = Bench::new(clock.clone()).await;
        let mut ear = Ear::new();
        let wanted = with_limits(1, &format!("echo tried >{}; exit 4", ear.path()), 2, None);
        bench.cluster.apply(&wanted).await.unwrap();
        for wait in [1, 2] {
            assert_eq!(ear.hear().await, "tried");
            clock.pass(Duration::from_secs(wait)).await;
        }
        assert_eq!(ear.hear().await, "tried");
        let ended = until_ended(&bench.cluster, &wanted.object()).await;
        assert_eq!(ended.exit_code, Some(4));
        assert_eq!((ended.finished_at - ended.started_at.unwrap()).num_seconds(), 3);
        let pods = bench.cluster.pods_of(wanted.task).await.unwrap();
        assert_eq!(pods.iter().filter(|pod| pod.phase == "Failed").count(), 3);
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_is_stopped_when_its_time_is_up_whether_it_runs_or_waits() {
    within_patience(async {
        // Between two attempts, the wait and the deadline are over at once.
        for (script, seconds) in [("exec sleep 1000", 30), ("exit 1", 1)] {
            let clock = Standing::new();
            let bench = Bench::new(clock.clone()).await;
            let wanted = with_limits(1, script, 10, Some(seconds));
            bench.cluster.apply(&wanted).await.unwrap();
            bench
                .until(&wanted.object(), |seen| {
                    is_running(seen) == (seconds == 30) && seen.condition != Condition::Pending(None)
                })
                .await;
            clock.pass(Duration::from_secs(seconds.into())).await;
            let ended = until_ended(&bench.cluster, &wanted.object()).await;
            assert_eq!(
                ended.failure.unwrap().code,
                ReasonCode::DeadlineExceeded,
                "{script}"
            );
            bench.cluster.shutdown().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_process_that_ignores_the_request_to_end_is_killed_after_the_grace() {
    within_patience(async {
        let clock = Standing::new();
        let bench = Bench::new(clock.clone()).await;
        let mut ear = Ear::new();
        let script = format!(
            "trap '' TERM; echo $$ >{}; while :; do sleep 1000; done",
            ear.path()
        );
        let wanted = job(1, "stubborn", sh(&script));
        bench.cluster.apply(&wanted).await.unwrap();
        let pid = ear.hear_pid().await;
        bench.cluster.stop(&wanted).await.unwrap();
        assert!(matches!(
            bench.condition(&wanted.object()).await,
            Condition::Running { .. }
        ));
        clock.pass(Duration::from_secs(10)).await;
        bench
            .until(&wanted.object(), |seen| seen.condition == Condition::Stopped)
            .await;
        assert!(!is_alive(pid));
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn what_a_process_started_ends_with_it() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let mut ear = Ear::new();
        let stopped = job(
            1,
            "parent",
            sh(&format!("sleep 1000 & echo $! >{}; wait", ear.path())),
        );
        bench.cluster.apply(&stopped).await.unwrap();
        let grandchild = ear.hear_pid().await;
        assert!(is_alive(grandchild));
        bench.cluster.stop(&stopped).await.unwrap();
        bench
            .until(&stopped.object(), |seen| seen.condition == Condition::Stopped)
            .await;
        assert!(!is_alive(grandchild));

        let script = format!("sh -c 'trap \"\" TERM; sleep 1000' & echo $! >{}", ear.path());
        let ended = job(2, "left-behind", sh(&script));
        assert_eq!(bench.run(&ended).await.exit_code, Some(0));
        assert!(!is_alive(ear.hear_pid().await));
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_that_writes_without_end_fills_no_disk() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let wanted = job(1, "chatty", sh("yes | head -c 30000000; echo; echo the end"));
        assert_eq!(bench.run(&wanted).await.failure, None);
        let logs = bench.folder.path().join("local/objects/job/contract/chatty/logs");
        let size: u64 = std::fs::read_dir(logs)
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        assert!(size < 9 * 1024 * 1024, "{size}");
        assert!(bench.log(&wanted).await.ends_with("y\n\nthe end\n"));
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_task_whose_code_cannot_be_had_is_not_created_until_it_can() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let mut wanted = job(1, "unread", sh("test -f a"));
        wanted.code = Some(bench.source.commit(1, &[("a", "")]));
        bench.source.is_away(true);
        let refused = bench.cluster.apply(&wanted).await;
        assert!(matches!(refused, Err(ClusterError::Unavailable { .. })));
        let seen = bench
            .cluster
            .observe(&wanted.object(), Freshness::Confirmed)
            .await;
        assert_eq!(seen.unwrap(), None);
        bench.source.is_away(false);
        assert_eq!(bench.run(&wanted).await.failure, None);
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_task_without_code_at_its_commit_runs_in_an_empty_folder() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let mut wanted = job(1, "bare", sh("ls | wc -l"));
        let mut code = bench.source.commit(1, &[("a", "")]);
        code.commit = format!("{:040x}", 99).parse().unwrap();
        wanted.code = Some(code);
        assert_eq!(bench.run(&wanted).await.failure, None);
        assert_eq!(bench.log(&wanted).await.trim(), "0");
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_review_says_what_has_no_effect_and_refuses_what_cannot_be() {
    let bench = Bench::new(Arc::new(Hasty)).await;
    let codes = |warnings: &[Warning]| -> Vec<WarningCode> { warnings.iter().map(|w| w.code).collect() };

    let plain = bench.cluster.review(&job(1, "plain", sh("exit 0")));
    assert_eq!(codes(&plain.warnings), [WarningCode::NoEffect]);
    assert!(plain.violations.is_empty() && !plain.runs_images);

    let command = ["/no/such/place/sh", "--file=/code/a"]
        .map(str::to_owned)
        .to_vec();
    let published = Published {
        access: None,
        prefix: "/x/".to_owned(),
        rewrite: "/".to_owned(),
        timeout_ms: 6000,
        sticky_sessions: false,
        bypass_auth: true,
    };
    let shape = Shape::Service {
        replicas: 3,
        port: 5000,
        published: Some(published),
    };
    let mut everything = workload(2, "all", command, shape);
    everything.container.resources.cpu_limit = Some("1".parse().unwrap());
    let review = bench.cluster.review(&everything);
    assert_eq!(
        codes(&review.warnings),
        [
            WarningCode::NoEffect,
            WarningCode::NoEffect,
            WarningCode::NoEffect,
            WarningCode::NoEffect,
            WarningCode::PathMapped,
            WarningCode::PathMapped,
        ]
    );

    let mut refused = job(3, "refused", vec![]);
    refused.container.command = None;
    refused.container.env = vec![EnvVar {
        name: "PASSWORD".to_owned(),
        value: EnvValue::Secret {
            name: "db".to_owned(),
            key: "password".to_owned(),
        },
    }];
    let review = bench.cluster.review(&refused);
    let pointers: Vec<&str> = review.violations.iter().map(|v| v.pointer.as_str()).collect();
    assert_eq!(pointers, ["/cmd", "/env/0/secret"]);
    assert!(bench.cluster.apply(&refused).await.is_err());
}

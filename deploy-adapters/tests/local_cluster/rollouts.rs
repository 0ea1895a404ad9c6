//! Deployments and services: ready when they are, started again when they crash, replaced without an outage where
//! they can be.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::manifest::{EnvValue, EnvVar};
use deploy_core::names::TaskId;
use deploy_core::ports::{Cluster, Inventory};
use deploy_core::workload::{Condition, ReasonCode, Shape, Workload};
use deploy_testkit::contract::cluster::workload;

use crate::support::{Bench, Ear, Hasty, Standing, is_alive, is_ready, sh, within_patience};

const SECOND: Duration = Duration::from_secs(1);

fn deployment(task: u128, script: &str, replicas: u32) -> Workload {
    workload(task, "rolls", sh(script), Shape::Deployment { replicas })
}

fn task(number: u128) -> TaskId {
    TaskId::from_uuid(uuid::Uuid::from_u128(number))
}

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: EnvValue::Literal(value.to_owned()),
    }
}

/// A service is this very test, told by its environment to answer on a port; see the last test of this file.
fn service(number: u128, port: u16, answer: &str) -> Workload {
    let this = std::env::current_exe().unwrap().display().to_string();
    let command = [
        &this,
        "--exact",
        "rollouts::answers_on_a_port_where_it_is_told_to",
        "--nocapture",
    ];
    let shape = Shape::Service {
        replicas: 1,
        port,
        published: None,
    };
    let mut service = workload(number, "answers", command.map(str::to_owned).to_vec(), shape);
    service.container.env = vec![
        variable("ANSWER_ON", &port.to_string()),
        variable("ANSWER", answer),
    ];
    service
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn ask(port: u16) -> String {
    let mut answer = String::new();
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_ready_when_its_port_answers_and_is_replaced_on_that_port() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let port = free_port();
        for (number, answer) in [(1, "one"), (2, "two")] {
            let wanted = service(number, port, answer);
            let applied = bench.cluster.apply(&wanted).await.unwrap();
            bench
                .until(&wanted.object(), |seen| {
                    seen.revision >= applied.revision && is_ready(seen)
                })
                .await;
            assert_eq!(ask(port), answer);
            assert_eq!(bench.cluster.pods_of(wanted.task).await.unwrap().len(), 1);
        }
        bench.cluster.shutdown().await;
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    })
    .await;
}

#[tokio::test]
async fn a_service_waits_for_a_port_that_another_program_holds() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = stranger.local_addr().unwrap().port();
        let wanted = service(1, port, "mine");
        bench.cluster.apply(&wanted).await.unwrap();
        bench
            .until(&wanted.object(), |seen| match &seen.condition {
                Condition::Updating(Some(reason)) => reason.message.contains("in use"),
                _ => false,
            })
            .await;
        drop(stranger);
        bench.until(&wanted.object(), is_ready).await;
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_deployment_that_crashes_says_so_and_then_that_it_loops() {
    within_patience(async {
        let clock = Standing::new();
        let bench = Bench::new(clock.clone()).await;
        let wanted = deployment(1, "echo the reason; exit 3", 1);
        bench.cluster.apply(&wanted).await.unwrap();
        let first = bench
            .until(&wanted.object(), |seen| {
                matches!(seen.condition, Condition::Updating(Some(_)))
            })
            .await;
        let Condition::Updating(Some(reason)) = first.condition else {
            panic!("{first:?}");
        };
        assert_eq!(reason.code, ReasonCode::ExitCode);
        assert_eq!(reason.message, "ended with exit code 3\nthe reason");
        clock.pass(SECOND).await;
        clock.pass(2 * SECOND).await;
        let last = bench
            .until(&wanted.object(), |seen| {
                matches!(seen.condition, Condition::Degraded(_))
            })
            .await;
        let Condition::Degraded(reason) = last.condition else {
            panic!("{last:?}");
        };
        assert_eq!(reason.code, ReasonCode::CrashLooping);
        assert!(reason.message.ends_with("the reason"));
        let pods = bench.cluster.pods_of(wanted.task).await.unwrap();
        assert_eq!((pods.len(), pods[0].restarts), (1, 2));
        // The next wait has doubled again.
        clock.pass(4 * SECOND).await;
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_is_killed_degrades_and_comes_back() {
    within_patience(async {
        let clock = Standing::new();
        let bench = Bench::new(clock.clone()).await;
        let mut ear = Ear::new();
        let wanted = deployment(1, &format!("echo $$ >{}; exec sleep 1000", ear.path()), 1);
        bench.cluster.apply(&wanted).await.unwrap();
        let pid = ear.hear_pid().await;
        clock.pass(SECOND).await;
        bench.until(&wanted.object(), is_ready).await;
        assert!(
            Command::new("kill")
                .args(["-9", &pid.to_string()])
                .status()
                .unwrap()
                .success()
        );
        bench
            .until(&wanted.object(), |seen| {
                matches!(seen.condition, Condition::Degraded(_))
            })
            .await;
        clock.pass(SECOND).await;
        assert_ne!(ear.hear_pid().await, pid);
        clock.pass(SECOND).await;
        bench.until(&wanted.object(), is_ready).await;
        assert_eq!(bench.cluster.pods_of(wanted.task).await.unwrap()[0].restarts, 1);
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_bad_version_does_not_take_the_good_one_down() {
    within_patience(async {
        let clock = Standing::new();
        let bench = Bench::new(clock.clone()).await;
        let mut ear = Ear::new();
        let good = deployment(1, &format!("echo $$ >{}; exec sleep 1000", ear.path()), 1);
        bench.cluster.apply(&good).await.unwrap();
        let pid = ear.hear_pid().await;
        clock.pass(SECOND).await;
        bench.until(&good.object(), is_ready).await;

        let bad = deployment(2, "exit 1", 1);
        bench.cluster.apply(&bad).await.unwrap();
        bench
            .until(&bad.object(), |seen| {
                matches!(seen.condition, Condition::Updating(Some(_)))
            })
            .await;
        clock.pass(SECOND).await;
        clock.pass(2 * SECOND).await;
        bench
            .until(&bad.object(), |seen| {
                matches!(&seen.condition, Condition::Degraded(reason) if reason.code == ReasonCode::CrashLooping)
            })
            .await;
        assert!(is_alive(pid));

        let better = deployment(3, &format!("echo $$ >{}; exec sleep 2000", ear.path()), 1);
        let applied = bench.cluster.apply(&better).await.unwrap();
        assert_ne!(ear.hear_pid().await, pid);
        clock.pass(SECOND).await;
        bench
            .until(&better.object(), |seen| seen.revision >= applied.revision && is_ready(seen))
            .await;
        assert!(!is_alive(pid));
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn replicas_are_added_and_taken_away_without_a_restart() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let mut names: Vec<Vec<String>> = Vec::new();
        for (number, replicas) in [(1, 2), (2, 3), (3, 1), (4, 0)] {
            let wanted = deployment(number, "exec sleep 1000", replicas);
            let applied = bench.cluster.apply(&wanted).await.unwrap();
            bench
                .until(&wanted.object(), |seen| {
                    seen.revision >= applied.revision && is_ready(seen)
                })
                .await;
            let pods = bench.cluster.pods_of(wanted.task).await.unwrap();
            assert_eq!(pods.len(), replicas as usize);
            names.push(pods.into_iter().map(|pod| pod.name).collect());
        }
        assert!(names[0].iter().all(|pod| names[1].contains(pod)));
        assert!(names[2].iter().all(|pod| names[0].contains(pod)));
        bench.cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn new_code_is_a_new_version_and_a_new_commit_of_the_same_code_is_not() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let mut ear = Ear::new();
        let mut wanted = deployment(1, &format!("cat a >{}; exec sleep 1000", ear.path()), 1);
        wanted.code = Some(bench.source.commit(1, &[("a", "first\n")]));
        bench.cluster.apply(&wanted).await.unwrap();
        assert_eq!(ear.hear().await, "first");
        let before = bench.until(&wanted.object(), is_ready).await;

        wanted.task = task(2);
        wanted.code = Some(bench.source.commit(2, &[("a", "first\n")]));
        bench.cluster.apply(&wanted).await.unwrap();
        assert_eq!(bench.condition(&wanted.object()).await, before.condition);

        wanted.task = task(3);
        wanted.code = Some(bench.source.commit(3, &[("a", "second\n")]));
        let applied = bench.cluster.apply(&wanted).await.unwrap();
        assert_eq!(ear.hear().await, "second");
        bench
            .until(&wanted.object(), |seen| {
                seen.revision >= applied.revision && is_ready(seen)
            })
            .await;
        assert_eq!(bench.source.exports(), 2);
        bench.cluster.shutdown().await;
    })
    .await;
}

/// Not a test but what [`service`] runs: where the environment says so, it answers every connection until it is ended.
#[test]
fn answers_on_a_port_where_it_is_told_to() {
    let told = |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok());
    let (Some(port), Some(answer)) = (told("ANSWER_ON"), told("ANSWER")) else {
        return;
    };
    let port: u16 = port.parse().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    for connection in listener.incoming() {
        // One that only looked whether the port answers is gone by now.
        let _gone = connection.and_then(|mut connection| connection.write_all(answer.as_bytes()));
    }
}

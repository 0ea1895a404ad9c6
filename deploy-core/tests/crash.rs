//! Dies at every boundary before and after every effect, one life each, until a life goes by without reaching the next;
//! after each death another engine takes up the same record and the same cluster. Whatever was recorded comes to the end
//! that the pure machine gives for the stored events, and nothing is started twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::large_futures,
    reason = "a whole life is one future, and a test's stack holds it"
)]

#[allow(dead_code, reason = "shared between the tests of the engine")]
#[path = "common/engine.rs"]
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Server, deployment, job, settle};
use deploy_core::deployer::Reader;
use deploy_core::names::PipelineId;
use deploy_core::pipeline::graph::{Graph, Node};
use deploy_core::pipeline::run::Progress;
use deploy_core::pipeline::{RunState, StepState};
use deploy_core::ports::{Cluster, Journal};
use deploy_core::task::State;
use deploy_core::workload::Kind;
use deploy_testkit::World;
use deploy_testkit::crash::{CrashPoint, Crashing};

const PIPELINE: &str = r#"{"name": "diamond", "tasks": [
    {"name": "a", "namespacetask": "demo/job"},
    {"name": "b", "namespacetask": "demo/job", "dependance": ["a"]},
    {"name": "c", "namespacetask": "demo/job", "dependance": ["a"]},
    {"name": "d", "namespacetask": "demo/job", "dependance": ["b", "c"]},
    {"name": "e", "namespacetask": "demo/web", "dependance": ["d"]},
    {"name": "clean", "namespacetask": "demo/job", "dependance": ["e"], "run-if-error": true}
]}"#;

/// What a user does, and what the steps do.
#[derive(Clone, Copy)]
struct Story {
    /// What ends with another code than 0.
    fails: Option<&'static str>,
    /// What goes on until it is stopped; the run is killed when it is there.
    killed_in: Option<&'static str>,
    cleanup: bool,
    ends: RunState,
}

const WELL: Story = Story {
    fails: None,
    killed_in: None,
    cleanup: false,
    ends: RunState::Succeeded,
};

#[tokio::test]
async fn a_run_survives_a_crash_at_any_boundary() {
    every_boundary(WELL).await;
}

#[tokio::test]
async fn a_run_with_a_failing_step_and_a_cleanup_survives_a_crash_at_any_boundary() {
    every_boundary(Story {
        fails: Some("b"),
        ends: RunState::Failed,
        ..WELL
    })
    .await;
}

#[tokio::test]
async fn a_killed_run_survives_a_crash_at_any_boundary() {
    every_boundary(Story {
        killed_in: Some("c"),
        ends: RunState::Killed,
        ..WELL
    })
    .await;
}

#[tokio::test]
async fn a_run_killed_with_cleanup_survives_a_crash_at_any_boundary() {
    every_boundary(Story {
        killed_in: Some("c"),
        cleanup: true,
        ends: RunState::Killed,
        ..WELL
    })
    .await;
}

#[tokio::test]
async fn a_run_killed_during_a_rollout_survives_a_crash_at_any_boundary() {
    every_boundary(Story {
        killed_in: Some("web"),
        ends: RunState::Killed,
        ..WELL
    })
    .await;
}

#[tokio::test]
async fn a_deploy_and_its_replacement_survive_a_crash_at_any_boundary() {
    let mut boundary = 0;
    loop {
        let world = World::default();
        let crash = CrashPoint::at(boundary);
        let server = dying(&world, &crash);
        let life = async {
            server.configure(&job("load"), false).await.unwrap();
            server.configure(&job("load"), true).await.unwrap();
            until_settled(&world, WELL).await;
        };
        let died = dies_in(&crash, life).await;
        server.crash().await;
        let server = Server::start(&world);
        limited(until_settled(&world, WELL)).await;
        server.crash().await;

        let records = world.store.records();
        assert_eq!(world.cluster.started_twice(), [], "boundary {boundary}");
        for made in world.cluster.creations() {
            assert!(
                records.task(made.task).is_some(),
                "boundary {boundary}: an orphan"
            );
        }
        let tasks: Vec<_> = records.tasks().collect();
        for (place, task) in tasks.iter().enumerate() {
            let is_last = place + 1 == tasks.len();
            let expected = if is_last {
                State::Succeeded
            } else {
                State::Superseded
            };
            assert_eq!(task.status.state, expected, "boundary {boundary}, deploy {place}");
            assert_eq!(task.status.holds, is_last, "boundary {boundary}, deploy {place}");
            assert!(!task.is_live());
        }
        if !died {
            assert_eq!(tasks.len(), 2);
            assert!(boundary > 10, "only {boundary} boundaries");
            return;
        }
        boundary += 1;
    }
}

#[tokio::test]
async fn runs_survive_two_hundred_crashes_at_random_boundaries() {
    let failing = Story {
        fails: Some("c"),
        ends: RunState::Failed,
        ..WELL
    };
    let killed = Story {
        killed_in: Some("b"),
        ends: RunState::Killed,
        ..WELL
    };
    let cleaned = Story {
        cleanup: true,
        ..killed
    };
    let mut random: u64 = 0x5DEE_CE66;
    for (seed, story) in [WELL, failing, killed, cleaned]
        .into_iter()
        .cycle()
        .take(20)
        .enumerate()
    {
        let world = diamond();
        // The run is recorded before the first death, so that there is something to lose.
        let server = Server::start(&world);
        let run = server.run("all").await.unwrap().run.id;
        server.crash().await;
        for _ in 0..10 {
            // Knuth's MMIX: the same deaths in every run of this test.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let boundary = usize::try_from(random >> 61).unwrap();
            let crash = CrashPoint::at(boundary);
            let server = dying(&world, &crash);
            dies_in(&crash, finish(&world, &server, run, story)).await;
            server.crash().await;
        }
        let server = Server::start(&world);
        limited(finish(&world, &server, run, story)).await;
        check(&world, run, story, seed);
        server.crash().await;
    }
}

fn diamond() -> World {
    let world = World::default();
    world.put_manifest("demo", "job", job("job"));
    world.put_manifest("demo", "web", deployment("web"));
    world.put_pipeline("demo", "all", PIPELINE);
    world
}

async fn every_boundary(story: Story) {
    let mut boundary = 0;
    loop {
        let world = diamond();
        let crash = CrashPoint::at(boundary);
        let server = dying(&world, &crash);
        let life = async {
            let run = server.run("all").await.unwrap().run.id;
            finish(&world, &server, run, story).await;
        };
        let died = dies_in(&crash, life).await;
        server.crash().await;

        let server = Server::start(&world);
        let run = world.store.records().runs().next().map(|run| run.id);
        if let Some(run) = run {
            limited(finish(&world, &server, run, story)).await;
            check(&world, run, story, boundary);
        } else {
            assert!(
                world.cluster.creations().is_empty(),
                "boundary {boundary}: started and not recorded"
            );
        }
        server.crash().await;
        if !died {
            assert!(run.is_some());
            assert!(boundary > 15, "only {boundary} boundaries");
            return;
        }
        boundary += 1;
    }
}

fn check(world: &World, id: PipelineId, story: Story, boundary: usize) {
    let records = world.store.records();
    let steps = records.steps(id);
    let nodes = steps.iter().map(|task| {
        let step = task.step.as_ref().unwrap();
        Node {
            dependances: step.dependance.clone(),
            run_if_error: step.run_if_error,
        }
    });
    let graph = Graph::new(nodes.collect()).unwrap();
    let replayed = Progress::replay(graph, records.events(id));
    let states: Vec<StepState> = steps.iter().map(|task| task.status.step.unwrap()).collect();
    assert_eq!(states, replayed.steps(), "boundary {boundary}");
    let status = &records.run(id).unwrap().status;
    assert_eq!(status.state, replayed.state(), "boundary {boundary}");
    assert_eq!(status.state, story.ends, "boundary {boundary}");
    assert_eq!(status.counts, replayed.counts(), "boundary {boundary}");

    assert_eq!(steps.len(), 6);
    assert_eq!(world.cluster.started_twice(), [], "boundary {boundary}");
    for task in &steps {
        let started = world.cluster.creations_of(task.id());
        match task.status.step {
            Some(StepState::Succeeded | StepState::Failed) => assert_eq!(started, 1, "boundary {boundary}"),
            Some(StepState::Skipped) => assert_eq!(started, 0, "boundary {boundary}"),
            _ => {}
        }
    }
    let alive = world.cluster.alive();
    assert!(
        alive.iter().all(|object| object.kind != Kind::Job),
        "boundary {boundary}: {alive:?}"
    );
}

/// Does what the user does until the run has ended.
async fn finish(world: &World, server: &Server, run: PipelineId, story: Story) {
    let has_ended = || {
        let records = world.store.records();
        records.run(run).is_some_and(|run| run.status.state.is_final())
    };
    let mut killed = false;
    while !has_ended() {
        let alive = world.cluster.alive();
        let is_there = |name| alive.iter().any(|object| step_of(object.name.as_str()) == name);
        if !killed && story.killed_in.is_some_and(is_there) {
            let caller = World::caller();
            let answer = server
                .deployer
                .kill_pipeline(&caller, Reader::Anyone, run, story.cleanup)
                .await;
            answer.unwrap();
            killed = true;
        }
        turn(world, story).await;
    }
}

/// Until nothing is left to be done and nothing runs.
async fn until_settled(world: &World, story: Story) {
    turn(world, story).await;
    while world
        .store
        .records()
        .tasks()
        .any(deploy_core::task::Task::is_live)
    {
        turn(world, story).await;
    }
}

/// Everyone acts until they wait; then what runs ends, or is ready, and a second passes.
async fn turn(world: &World, story: Story) {
    settle().await;
    for object in world.cluster.alive() {
        let name = step_of(object.name.as_str());
        if story.killed_in == Some(name) {
            continue;
        }
        match object.kind {
            Kind::Job => world.cluster.end(&object, i32::from(story.fails == Some(name))),
            _ => world.cluster.ready(&object),
        }
    }
    world.clock.advance(Duration::from_secs(1));
}

/// A step's job is called after its step and a hash.
fn step_of(object: &str) -> &str {
    object.split('-').next().unwrap_or(object)
}

fn dying(world: &World, crash: &Arc<CrashPoint>) -> Server {
    let journal: Arc<dyn Journal> = Arc::new(world.store.clone());
    let cluster: Arc<dyn Cluster> = Arc::new(world.cluster.clone());
    let builder = world
        .builder()
        .journal(Arc::new(Crashing::new(journal, crash.clone())))
        .cluster(Arc::new(Crashing::new(cluster, crash.clone())));
    Server::spawn(builder.build().unwrap())
}

/// Whether the crash came before the life was over.
async fn dies_in(crash: &CrashPoint, life: impl Future<Output = ()>) -> bool {
    limited(async {
        tokio::select! {
            biased;
            () = crash.reached() => true,
            () = life => false,
        }
    })
    .await
}

async fn limited<T>(future: impl Future<Output = T>) -> T {
    common::within(future).await
}

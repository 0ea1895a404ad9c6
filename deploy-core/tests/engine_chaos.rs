//! Everything at once: users who deploy, replace, delete, run and kill; a cluster and a record that fail; events that
//! are lost; an engine that dies. Which is decided by numbers that are the same in every run of the test. When the faults
//! are over everything comes to an end, nothing was started twice, and what runs is on record.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "shared between the tests of the engine")]
#[path = "common/engine.rs"]
mod common;

use std::time::Duration;

use common::{Server, deployment, job, service, settle, within};
use deploy_core::deployer::{DeployConfiguration, Reader};
use deploy_core::pipeline::graph::{Graph, Node};
use deploy_core::pipeline::run::Progress;
use deploy_core::task::Task;
use deploy_core::workload::{Kind, ReasonCode};
use deploy_testkit::World;
use deploy_testkit::memory::Fate;
use deploy_testkit::memory::cluster::{Fault, Verb};
use tokio::task::JoinHandle;

const PIPELINE: &str = r#"{"name": "all", "tasks": [
    {"name": "a", "namespacetask": "demo/job"},
    {"name": "b", "namespacetask": "demo/web", "dependance": ["a"]},
    {"name": "c", "namespacetask": "demo/job", "dependance": ["a"]},
    {"name": "d", "namespacetask": "demo/job", "dependance": ["b", "c"], "run-if-error": true}
]}"#;

/// Numbers that are the same in every run (Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())].clone()
    }
}

#[tokio::test]
async fn whatever_fails_everything_ends_and_nothing_is_started_twice() {
    for seed in 0..40 {
        within(live(seed)).await;
    }
}

async fn live(seed: u64) {
    let world = World::default();
    world.put_manifest("demo", "job", job("job"));
    world.put_manifest("demo", "web", deployment("web"));
    world.put_pipeline("demo", "all", PIPELINE);
    let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut server = Server::start(&world);
    let mut asked = Vec::new();
    for _ in 0..60 {
        match numbers.below(20) {
            0..=3 => asked.push(deploy(&server, &mut numbers)),
            4 => asked.push(delete(&server, &mut numbers)),
            5 => asked.push(run(&server)),
            6 => asked.extend(kill(&world, &server, &mut numbers)),
            7..=9 => happen(&world, &mut numbers),
            10 | 11 => world
                .cluster
                .fail_next(numbers.pick(&VERBS), numbers.pick(&faults())),
            12 => world
                .store
                .script([numbers.pick(&[Fate::Refused, Fate::AnswerLost])]),
            13 => world.cluster.lose_events(numbers.below(4)),
            14 if numbers.below(3) == 0 => {
                server.crash().await;
                server = Server::start(&world);
            }
            15 => world.cluster.hold(numbers.pick(&VERBS)),
            16 | 17 => world.cluster.release(numbers.pick(&VERBS)),
            // Now and then longer than a rollout may take.
            18 => world
                .clock
                .advance(Duration::from_secs(numbers.pick(&[10, 40, 700]))),
            _ => world.clock.advance(Duration::from_secs(1)),
        }
        if numbers.below(2) == 0 {
            settle().await;
        }
    }
    for verb in VERBS {
        world.cluster.release(verb);
    }
    world.cluster.heal();
    world.cluster.lose_events(0);
    world.store.script([]);
    end_everything(&world, seed).await;
    for answer in asked {
        assert!(answer.is_finished(), "seed {seed}: somebody was never answered");
    }
    check(&world, seed);
    server.crash().await;
}

const VERBS: [Verb; 4] = [Verb::Apply, Verb::Stop, Verb::Delete, Verb::Observe];

fn faults() -> [Fault; 4] {
    [
        Fault::Unavailable { retry_after: None },
        Fault::AmbiguousBefore,
        Fault::AmbiguousAfter,
        Fault::Refused("no".to_owned()),
    ]
}

fn deploy(server: &Server, numbers: &mut Numbers) -> JoinHandle<()> {
    let manifest = numbers.pick(&[
        job("one"),
        job("two"),
        deployment("web"),
        service("web"),
        deployment("other"),
    ]);
    let request = DeployConfiguration {
        namespace: "demo".parse().unwrap(),
        configuration: manifest.into_bytes(),
        origin: None,
        replace: numbers.below(2) == 0,
    };
    let deployer = server.deployer.clone();
    tokio::spawn(async move {
        drop(deployer.deploy_configuration(&World::caller(), request).await);
    })
}

fn delete(server: &Server, numbers: &mut Numbers) -> JoinHandle<()> {
    let (kind, name) = numbers.pick(&[
        (Kind::Job, "one"),
        (Kind::Job, "two"),
        (Kind::Deployment, "web"),
        (Kind::Service, "web"),
    ]);
    let deployer = server.deployer.clone();
    tokio::spawn(async move {
        let (namespace, name) = ("demo".parse().unwrap(), name.parse().unwrap());
        let caller = World::caller();
        drop(
            deployer
                .delete_task(&caller, Reader::Anyone, kind, namespace, name)
                .await,
        );
    })
}

fn run(server: &Server) -> JoinHandle<()> {
    let request = deploy_core::deployer::RunPipeline {
        repository: "demo".parse().unwrap(),
        directory: "all".parse().unwrap(),
        name: "nightly".parse().unwrap(),
        namespace: None,
        branch: None,
    };
    let deployer = server.deployer.clone();
    tokio::spawn(async move { drop(deployer.run_pipeline(&World::caller(), request).await) })
}

fn kill(world: &World, server: &Server, numbers: &mut Numbers) -> Option<JoinHandle<()>> {
    let runs: Vec<_> = world.store.records().runs().map(|run| run.id).collect();
    if runs.is_empty() {
        return None;
    }
    let (id, cleanup) = (numbers.pick(&runs), numbers.below(2) == 0);
    let deployer = server.deployer.clone();
    Some(tokio::spawn(async move {
        drop(
            deployer
                .kill_pipeline(&World::caller(), Reader::Anyone, id, cleanup)
                .await,
        );
    }))
}

/// Something that is there starts, ends or gets ready.
fn happen(world: &World, numbers: &mut Numbers) {
    let alive = world.cluster.alive();
    if alive.is_empty() {
        return;
    }
    let object = numbers.pick(&alive);
    match (object.kind, numbers.below(3)) {
        (Kind::Job, 0) => world.cluster.start(&object),
        (Kind::Job, code) => world.cluster.end(&object, i32::from(code == 2)),
        _ => world.cluster.ready(&object),
    }
}

async fn end_everything(world: &World, seed: u64) {
    for _ in 0..900 {
        settle().await;
        for object in world.cluster.alive() {
            match object.kind {
                Kind::Job => world.cluster.end(&object, 0),
                _ => world.cluster.ready(&object),
            }
        }
        world.clock.advance(Duration::from_secs(1));
        let records = world.store.records();
        let runs = records.runs().all(|run| run.status.state.is_final());
        let is_over =
            |task: &Task| task.status.intent.is_none() && (task.kind() != Kind::Job || !task.is_live());
        if runs && records.tasks().all(is_over) {
            settle().await;
            return;
        }
    }
    let records = world.store.records();
    let open: Vec<_> = records
        .tasks()
        .filter(|task| task.is_live())
        .map(|task| (task.object().to_string(), &task.status))
        .collect();
    panic!("seed {seed}: these never ended: {open:#?}");
}

fn check(world: &World, seed: u64) {
    let records = world.store.records();
    assert_eq!(world.cluster.started_twice(), [], "seed {seed}");
    for made in world.cluster.creations() {
        let Some(found) = world.cluster.peek(&made.object) else {
            continue;
        };
        if found.uid != made.uid {
            continue;
        }
        // What is there is on record, as somebody's to find and to delete.
        let holder = found.task.and_then(|task| records.task(task));
        let holder = holder.unwrap_or_else(|| panic!("seed {seed}: nobody knows of {}", found.object));
        assert!(
            holder.status.holds,
            "seed {seed}: {} is held by nobody: {:?}",
            found.object, holder.status
        );
        assert_eq!(holder.status.uid.as_ref(), Some(&found.uid), "seed {seed}");
    }
    for task in records.tasks() {
        let given_up = task
            .status
            .reason
            .as_ref()
            .is_some_and(|reason| reason.code == ReasonCode::Interrupted);
        if given_up {
            let made = world.cluster.creations_of(task.id());
            assert_eq!(made, 0, "seed {seed}: {} was given up and made", task.object());
        }
    }
    for run in records.runs() {
        let steps = records.steps(run.id);
        let nodes = steps.iter().map(|task| {
            let step = task.step.as_ref().unwrap();
            Node {
                dependances: step.dependance.clone(),
                run_if_error: step.run_if_error,
            }
        });
        let graph = Graph::new(nodes.collect()).unwrap();
        let replayed = Progress::replay(graph, records.events(run.id));
        let states: Vec<_> = steps.iter().map(|task| task.status.step.unwrap()).collect();
        assert_eq!(states, replayed.steps(), "seed {seed}");
        assert_eq!(run.status.state, replayed.state(), "seed {seed}");
    }
}

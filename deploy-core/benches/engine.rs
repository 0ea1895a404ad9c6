//! What a run costs in the engine, from the request to its end, on everything in memory: whether twice the steps cost
//! twice the time, in a chain (one step after the other) and in a fan (all at once), and how often the record is
//! written for it. It measures no cluster, database or git.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use deploy_core::Deployer;
use deploy_core::authz::Caller;
use deploy_core::deployer::RunConfiguration;
use deploy_core::pipeline::RunState;
use deploy_testkit::contract::source_repository::Publisher;
use deploy_testkit::fixture::tree::file;
use deploy_testkit::measure::{SideBySide, rounds};
use deploy_testkit::memory::cluster::MemoryCluster;
use deploy_testkit::memory::source_repository::MemorySourceRepository;
use deploy_testkit::memory::template_store::MemoryTemplateStore;
use deploy_testkit::memory::{Call, ManualClock, MemoryStore, SequentialIds};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The most that a pipeline may have, and half of it.
const STEPS: usize = 1000;
const ROUNDS: usize = 9;

/// Which steps must be finished before one of them.
type Shape = fn(usize) -> Option<usize>;

const SHAPES: [(&str, Shape); 2] = [
    ("chain", |step| step.checked_sub(1)),
    ("fan", |step| (step > 0).then_some(0)),
];

/// What one run cost.
struct Cost {
    time: Duration,
    commits: usize,
    changes: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for (name, shape) in SHAPES {
        let mut measured = SideBySide::default();
        let mut last = None;
        for _ in 0..rounds(ROUNDS) {
            let half = run(STEPS / 2, shape).await;
            let whole = run(STEPS, shape).await;
            measured.push(whole.time, half.time);
            last = Some(whole);
        }
        println!("{name}: {STEPS} steps against {}: {measured}", STEPS / 2);
        if let Some(Cost { commits, changes, .. }) = last {
            let per_step = |count: usize| count as f64 / STEPS as f64;
            println!(
                "{name}: {:.3} commits and {:.3} changes a step",
                per_step(commits),
                per_step(changes)
            );
        }
    }
}

/// One run of so many steps in a world of its own. The world is made and taken down outside of the time.
async fn run(steps: usize, shape: Shape) -> Cost {
    let (clock, store) = (Arc::new(ManualClock::default()), Arc::new(MemoryStore::new()));
    let cluster = Arc::new(MemoryCluster::automatic(clock.clone()));
    let source = MemorySourceRepository::new("master".parse().unwrap());
    let manifest = json!({"name": "step", "type": "job", "image": "registry.example/step:1"}).to_string();
    source.publish(
        &"etl".parse().unwrap(),
        &"master".parse().unwrap(),
        &[file("step/manifest.json", manifest)],
    );
    let (deployer, engine) = Deployer::builder()
        .cluster(cluster.clone())
        .namespaces(cluster.clone())
        .inventory(cluster.clone())
        .logs(cluster.clone())
        .source(Arc::new(source))
        .journal(store.clone())
        .tasks(store.clone())
        .runs(store.clone())
        .works(store.clone())
        .templates(Arc::new(MemoryTemplateStore::new()))
        .clock(clock)
        .ids(Arc::new(SequentialIds::default()))
        .build()
        .unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let driven = tokio::spawn(engine.run(async move {
        // Told to stop, or nobody is left to tell: both are an end.
        stopped.await.ok();
    }));
    let caller = Caller {
        identity: "ada@example.com".parse().unwrap(),
        groups: Vec::new(),
    };
    let request = RunConfiguration {
        namespace: "demo".parse().unwrap(),
        configuration: pipeline(steps, shape),
    };

    let begun = Instant::now();
    let id = deployer.run_configuration(&caller, request).await.unwrap().run.id;
    let ended = |state: RunState| state.is_final().then_some(state);
    let state = store.until(|records| ended(records.run(id)?.status.state)).await;
    let time = begun.elapsed();

    assert_eq!(state, RunState::Succeeded);
    assert_eq!(cluster.creations().len(), steps);
    assert_eq!(cluster.started_twice(), []);
    stop.send(()).unwrap();
    driven.await.unwrap().unwrap();
    let (mut commits, mut changes) = (0, 0);
    for call in store.calls() {
        if let Call::Commit { changes: these, .. } = call {
            commits += 1;
            changes += these.len();
        }
    }
    Cost {
        time,
        commits,
        changes,
    }
}

fn pipeline(steps: usize, shape: Shape) -> Vec<u8> {
    let name = |step: usize| format!("step-{step}");
    let task = |step: usize| {
        let before: Vec<String> = shape(step).map(name).into_iter().collect();
        json!({"name": name(step), "namespacetask": "etl/step", "dependance": before})
    };
    let tasks: Vec<Value> = (0..steps).map(task).collect();
    json!({"name": "bench", "tasks": tasks}).to_string().into_bytes()
}

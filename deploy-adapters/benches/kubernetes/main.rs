//! What the Kubernetes adapter adds to what it does in the cluster, against a bare kube client that does the same: one
//! deploy, a chain of steps, a fan of them, a list of all pods, and the memory that a cache of them takes. Both stand on
//! the stand-in of the API server, each on one of its own, where every call takes two milliseconds. It measures no real
//! cluster, whose own time would hide what is ours.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "a bench reports on standard output")]

mod bare;
mod memory;
mod ours;
mod pods;

use std::time::Duration;

use deploy_core::pipeline::RunState;
use deploy_testkit::kubernetes::{ApiServer, Fault, Matcher, Times};
use deploy_testkit::measure::{SideBySide, rounds};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use bare::Bare;
use ours::Ours;

/// What each call of either side takes at the server.
const CALL: Duration = Duration::from_millis(2);
const ROUNDS: usize = 9;
/// Deploys of one round, of which the median counts.
const DEPLOYS: usize = 40;
const CHAIN: usize = 20;
const FAN: usize = 50;

fn main() {
    if let Some(measured) = memory::Measured::asked_for() {
        measured.report();
        return;
    }
    let runtime = runtime();
    runtime.block_on(async {
        let (ours, mut bare) = (Ours::new().await, Bare::new().await);
        deploys(&ours, &mut bare).await;
        chains(&ours, &mut bare).await;
        fans(&ours, &mut bare).await;
        ours.close().await;
    });
    runtime.block_on(async {
        let server = server().await;
        pods::fill(&server);
        pods::lists(&server).await;
        memory::compare(&server).await;
    });
}

/// As the server's own.
fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

/// A stand-in on which every call takes [`CALL`].
async fn server() -> ApiServer {
    let server = ApiServer::start().await.unwrap();
    server.inject(Matcher::all(), Times::Always, Fault::Delay(CALL));
    server
}

/// A job into a known namespace, until it is answered that its object is there; between two the cluster comes to rest.
async fn deploys(ours: &Ours, bare: &mut Bare) {
    let mut measured = SideBySide::default();
    for round in 0..=rounds(ROUNDS) {
        let (mut our_times, mut bare_times) = (Vec::new(), Vec::new());
        for number in 0..DEPLOYS {
            let name = format!("deploy-{round}-{number}");
            our_times.push(ours.deploy(&name).await);
            bare_times.push(bare.deploy(&name).await);
            if round == 0 && number == 0 {
                assert_eq!(written(&ours.server, &name), written(&bare.server, &name));
            }
        }
        // The first round warms both up and is not counted.
        if round > 0 {
            measured.push(median(our_times), median(bare_times));
        }
    }
    println!("a deploy of a job against its create, medians of {DEPLOYS}: {measured}");
}

/// Steps one after the other, from the request to the end of the last.
async fn chains(ours: &Ours, bare: &mut Bare) {
    let mut measured = SideBySide::default();
    let mut commits = Vec::new();
    for round in 0..=rounds(ROUNDS) {
        drop(ours.commits());
        let (time, state) = ours.run(CHAIN, |step| step.saturating_sub(1)..step).await;
        assert_eq!(state, RunState::Succeeded);
        commits = ours.commits();
        let plain = bare.chain(CHAIN).await;
        if round > 0 {
            measured.push(time, plain);
        }
    }
    println!("a chain of {CHAIN} steps against creates at each end: {measured}");
    println!(
        "the last chain: {:.1} commits a step, {:.2} ms each",
        commits.len() as f64 / CHAIN as f64,
        median(commits).as_secs_f64() * 1000.0
    );
}

/// One step, then many at once, then one.
async fn fans(ours: &Ours, bare: &mut Bare) {
    let mut measured = SideBySide::default();
    for round in 0..=rounds(ROUNDS) {
        let before = |step: usize| match step {
            0 => 0..0,
            step if step <= FAN => 0..1,
            _ => 1..FAN + 1,
        };
        let (time, state) = ours.run(FAN + 2, before).await;
        assert_eq!(state, RunState::Succeeded);
        let plain = bare.fan(FAN).await;
        if round > 0 {
            measured.push(time, plain);
        }
    }
    println!("a fan 1, {FAN}, 1 against creates at each end: {measured}");
}

/// What a client said of a job: the part of it that must not differ between the two.
fn written(server: &ApiServer, name: &str) -> Value {
    let job = server.get("jobs", ours::NAMESPACE, name).unwrap();
    let mut spec = job["spec"].clone();
    // The server's, and unlike in any two jobs.
    spec["selector"] = json!(null);
    for label in ["controller-uid", "batch.kubernetes.io/controller-uid"] {
        spec["template"]["metadata"]["labels"][label] = json!(null);
    }
    spec
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

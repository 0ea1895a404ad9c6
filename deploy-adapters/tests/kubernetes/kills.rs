//! A run that is killed, whatever its steps are at: the engine on a cluster at the stand-in. Nothing of it starts later, no
//! pod is left once its grace is over, and a second kill changes nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deploy_core::Deployer;
use deploy_core::authz::Reader;
use deploy_core::deployer::RunPipeline;
use deploy_core::names::PipelineId;
use deploy_core::pipeline::RunState;
use deploy_testkit::World;
use deploy_testkit::kubernetes::{Controller, Fault, Matcher, Times, Verb};
use serde_json::{Value, json};

use crate::support::{Bench, Hasty, within_patience};

/// A pod's grace (`terminationGracePeriodSeconds`), and ten seconds for the cluster to see its end.
const GRACE_AND_TEN: Duration = Duration::from_secs(20);

/// A run of two steps, `first` and then `then`, on a cluster at the stand-in.
struct Stage {
    bench: Bench,
    world: World,
    deployer: Deployer,
}

impl Stage {
    async fn set(first: &[&str]) -> Self {
        let bench = Bench::new().await;
        let world = World::default();
        let job = |name: &str, cmd: &[&str]| {
            json!({"name": name, "type": "job", "image": "registry.example/x:1", "cmd": cmd}).to_string()
        };
        world.put_manifest("demo", "first", job("first", first));
        world.put_manifest("demo", "then", job("then", &["forever"]));
        let pipeline = r#"{"name": "two", "tasks": [
            {"name": "first", "namespacetask": "demo/first"},
            {"name": "then", "namespacetask": "demo/then", "dependance": ["first"], "run-if-error": true}]}"#;
        world.put_pipeline("demo", "two", pipeline);
        let cluster = Arc::new(bench.cluster.clone());
        let built = world
            .builder()
            .cluster(cluster.clone())
            .namespaces(cluster.clone())
            .inventory(cluster.clone())
            .logs(cluster)
            .clock(Arc::new(Hasty))
            .build();
        let (deployer, engine) = built.unwrap();
        tokio::spawn(engine.run(std::future::pending()));
        Self {
            bench,
            world,
            deployer,
        }
    }

    async fn run(&self) -> PipelineId {
        let request = RunPipeline {
            repository: "demo".parse().unwrap(),
            directory: "two".parse().unwrap(),
            name: "two".parse().unwrap(),
            namespace: Some("contract".parse().unwrap()),
            branch: None,
        };
        let view = self.deployer.run_pipeline(&World::caller(), request).await;
        view.unwrap().run.id
    }

    async fn kill(&self, run: PipelineId) -> RunState {
        let caller = World::caller();
        let killed = self.deployer.kill_pipeline(&caller, Reader::Anyone, run, false);
        killed.await.unwrap().0.run.status.state
    }

    /// Kills the run, and sees that it ends as promised.
    async fn dies(&self, run: PipelineId) {
        self.dies_once(run, || ()).await;
    }

    /// The same, where something has to happen after the kill.
    async fn dies_once(&self, run: PipelineId, happens: impl FnOnce()) {
        let began = Instant::now();
        assert_eq!(self.kill(run).await, RunState::Killing);
        happens();
        let ended = self.world.until_ended(run).await;
        assert_eq!(ended.status.state, RunState::Killed);
        let server = &self.bench.server;
        // It is killed only when nothing of it runs.
        assert_eq!(running(&server.list("pods", "contract")), 0);
        assert!(began.elapsed() < GRACE_AND_TEN, "{:?}", began.elapsed());
        let mark = server.mark();
        let again = self.kill(run).await;
        assert_eq!(again, RunState::Killed);
        server.heal();
        for controller in [Controller::Scheduler, Controller::Kubelet, Controller::Jobs] {
            server.release(controller);
        }
        // Whatever was held back has its chance now; when another client has listed everything, it has had it.
        self.bench.another(|_| {}).await;
        assert_eq!(
            server.calls_since(mark).of(Verb::Create).len(),
            0,
            "it starts later"
        );
        assert_eq!(running(&server.list("pods", "contract")), 0);
    }
}

fn running(pods: &[Value]) -> usize {
    let is_running = |pod: &&Value| pod.pointer("/status/containerStatuses/0/state/running").is_some();
    pods.iter().filter(is_running).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_waits_for_a_node() {
    within_patience(async {
        let stage = Stage::set(&["forever"]).await;
        stage.bench.server.hold(Controller::Scheduler);
        let run = stage.run().await;
        let pods = &stage.bench.server;
        pods.until_listed("pods", "contract", |pods| !pods.is_empty())
            .await;
        stage.dies(run).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_on_its_way_to_the_cluster() {
    within_patience(async {
        let stage = Stage::set(&["forever"]).await;
        let server = &stage.bench.server;
        let late = Fault::Delay(Duration::from_millis(500));
        server.inject(Matcher::on(Verb::Create).resource("jobs"), Times::First(1), late);
        let run = stage.run().await;
        stage
            .world
            .until_step(run, "first", |task| task.status.intent.is_some())
            .await;
        stage.dies(run).await;
    })
    .await;
}

/// A run whose first step's container runs.
async fn killed_while_it_runs(first: &[&str]) {
    within_patience(async {
        let stage = Stage::set(first).await;
        let run = stage.run().await;
        let pods = &stage.bench.server;
        pods.until_listed("pods", "contract", |pods| running(pods) == 1)
            .await;
        stage.dies(run).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_runs() {
    killed_while_it_runs(&["forever"]).await;
}

/// It is ended by force when its grace is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_ignores_its_signal() {
    killed_while_it_runs(&["forever", "stubborn"]).await;
}

/// The first step has ended, and the next one cannot be created yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_between_two_steps() {
    within_patience(async {
        let stage = Stage::set(&["forever"]).await;
        let server = &stage.bench.server;
        let run = stage.run().await;
        let first = stage
            .world
            .until_step(run, "first", |task| task.status.uid.is_some())
            .await;
        let name = first.workload.name.as_str();
        let pod = server.running_pod("contract", name).await;
        let busy = Fault::Unavailable(Some(1));
        let mark = server.mark();
        server.inject(Matcher::on(Verb::Create).resource("jobs"), Times::Always, busy);
        server.terminate("contract", &pod, 0);
        server
            .until_called(mark, |calls| !calls.of(Verb::Create).is_empty())
            .await;
        stage.dies_once(run, || server.heal()).await;
    })
    .await;
}

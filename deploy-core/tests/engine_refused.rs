//! What the cluster refuses, or does not say, while somebody waits or nobody does: a kill is over when nothing runs, and what
//! has begun is never told as not done.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "shared between the tests of the engine")]
#[path = "common/engine.rs"]
mod common;

use common::{Server, deployment, job, object, pass_until, settle, within};
use deploy_core::deployer::Reader;
use deploy_core::names::PipelineId;
use deploy_core::pipeline::RunState;
use deploy_core::task::{State, Task};
use deploy_core::workload::Kind;
use deploy_core::{Error, ErrorCode};
use deploy_testkit::World;
use deploy_testkit::memory::cluster::{Fault, Verb};

/// A run of one job, which runs.
async fn running(world: &World, server: &Server) -> (PipelineId, Task) {
    world.put_manifest("demo", "load", job("load"));
    let one = r#"{"name": "one", "tasks": [{"name": "load", "namespacetask": "demo/load"}]}"#;
    world.put_pipeline("demo", "one", one);
    let run = server.run("one").await.unwrap().run.id;
    let step = world
        .until_step(run, "load", |task| task.status.uid.is_some())
        .await;
    world.cluster.start(&step.object());
    let step = world
        .until_step(run, "load", |task| task.status.state == State::Running)
        .await;
    (run, step)
}

async fn kill(server: &Server, run: PipelineId) {
    let caller = World::caller();
    let killed = server.deployer.kill_pipeline(&caller, Reader::Anyone, run, false);
    killed.await.unwrap();
}

#[tokio::test]
async fn a_stop_that_is_refused_is_asked_again_until_nothing_runs() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let (run, step) = running(&world, &server).await;
        let no = Fault::Refused("forbidden".to_owned());
        world.cluster.fail_always(Verb::Stop, no);
        kill(&server, run).await;
        world.cluster.until_called(Verb::Stop, 1).await;
        settle().await;
        let state = |world: &World| world.store.records().run(run).unwrap().status.state;
        assert_eq!(state(&world), RunState::Killing);
        assert_eq!(world.cluster.alive(), [step.object()]);
        world.cluster.heal();
        let ended = pass_until(&world, world.until_ended(run)).await;
        assert_eq!(ended.status.state, RunState::Killed);
        assert!(world.cluster.alive().is_empty());
    })
    .await;
}

/// The old job is gone, so nobody can say that nothing was done.
#[tokio::test]
async fn a_replacement_that_has_begun_is_pending_and_goes_on() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let old = server.configure(&job("load"), false).await.unwrap();
        let away = Fault::Unavailable { retry_after: None };
        world.cluster.fail_always(Verb::Apply, away);
        let new = pass_until(&world, server.configure(&job("load"), true))
            .await
            .unwrap();
        assert_eq!(new.status.state, State::Pending);
        assert_eq!(world.cluster.peek(&old.object()), None);
        world.cluster.heal();
        pass_until(&world, world.until_task(new.id(), |task| task.status.holds)).await;
        assert_eq!(world.cluster.creations_of(new.id()), 1);
    })
    .await;
}

/// It was sent, and nobody knows what became of it: the record ends as deleted, and not as lost.
#[tokio::test]
async fn a_delete_that_may_be_done_goes_on_after_its_asker_was_told() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        let task = server.configure(&job("load"), false).await.unwrap();
        world.cluster.fail_always(Verb::Delete, Fault::AmbiguousBefore);
        let (caller, load) = (World::caller(), object(Kind::Job, "load"));
        let asked =
            server
                .deployer
                .delete_task(&caller, Reader::Anyone, load.kind, load.namespace, load.name);
        let error: Error = pass_until(&world, asked).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::ClusterUnavailable);
        assert!(error.detail.contains("the delete goes on"), "{}", error.detail);
        world.cluster.heal();
        let gone = world.until_task(task.id(), |task| !task.status.holds);
        let gone = pass_until(&world, gone).await;
        assert_eq!(gone.status.intent, None);
        assert!(world.cluster.alive().is_empty());
        let other = server.configure(&deployment("web"), false).await;
        assert!(other.is_ok());
    })
    .await;
}

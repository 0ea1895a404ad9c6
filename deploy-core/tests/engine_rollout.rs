//! Steps that are rollouts: when they succeed, when they are overdue, and what a kill leaves of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "shared between the tests of the engine")]
#[path = "common/engine.rs"]
mod common;

use common::{Server, advance, deployment, job, object, settle, within};
use deploy_core::deployer::Reader;
use deploy_core::names::PipelineId;
use deploy_core::pipeline::{RunState, StepState};
use deploy_core::task::{State, Task};
use deploy_core::workload::{Kind, Reason, ReasonCode, WarningCode};
use deploy_testkit::World;
use deploy_testkit::memory::cluster::Verb;

/// `web` is rolled out, then a job runs.
async fn begin(world: &World, server: &Server) -> PipelineId {
    let web = r#"{"name":"web","type":"deployment","image":"registry.example/web:2","timeout-seconds":90}"#;
    world.put_manifest("demo", "web", web);
    world.put_manifest("demo", "job", job("job"));
    world.put_pipeline(
        "demo",
        "all",
        r#"{"name":"all","tasks":[{"name":"web","namespacetask":"demo/web"},
            {"name":"after","namespacetask":"demo/job","dependance":["web"]}]}"#,
    );
    server.run("all").await.unwrap().run.id
}

async fn rolling_out(world: &World, run: PipelineId) -> Task {
    let task = world.until_step(run, "web", |task| task.status.holds).await;
    settle().await;
    task
}

fn reason_of(task: &Task) -> Option<ReasonCode> {
    task.status.reason.as_ref().map(|reason| reason.code)
}

#[tokio::test]
async fn a_rollout_succeeds_when_it_is_ready_and_is_followed_after_the_run() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let run = begin(&world, &server).await;
        let web = rolling_out(&world, run).await;
        assert_eq!(web.workload.name.as_str(), "web");
        world.cluster.ready(&web.object());
        let after = world.until_step(run, "after", |task| task.status.holds).await;
        world.cluster.end(&after.object(), 0);
        assert_eq!(world.until_ended(run).await.status.state, RunState::Succeeded);

        let down = Reason::new(ReasonCode::CrashLooping, "down");
        world.cluster.degrade(&web.object(), down);
        let web = world
            .until_task(web.id(), |task| task.status.state == State::Degraded)
            .await;
        assert_eq!(web.status.step, Some(StepState::Succeeded));
    })
    .await;
}

#[tokio::test]
async fn a_rollout_that_is_not_ready_in_time_fails_its_step() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let run = begin(&world, &server).await;
        let web = rolling_out(&world, run).await;
        advance(&world, 89).await;
        let step = world.store.records().task(web.id()).cloned().unwrap();
        assert_eq!(step.status.step, Some(StepState::Running));

        advance(&world, 1).await;

        assert_eq!(world.until_ended(run).await.status.state, RunState::Failed);
        let web = world.store.records().task(web.id()).cloned().unwrap();
        assert_eq!(web.status.step, Some(StepState::Failed));
        assert_eq!(reason_of(&web), Some(ReasonCode::RolloutFailed));
    })
    .await;
}

#[tokio::test]
async fn a_rollout_that_the_cluster_gives_up_fails_its_step() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let run = begin(&world, &server).await;
        let web = rolling_out(&world, run).await;
        let given_up = Reason::new(ReasonCode::RolloutFailed, "deadline exceeded");
        world.cluster.degrade(&web.object(), given_up);
        assert_eq!(world.until_ended(run).await.status.state, RunState::Failed);
        let web = world.store.records().task(web.id()).cloned().unwrap();
        assert_eq!(reason_of(&web), Some(ReasonCode::RolloutFailed));
    })
    .await;
}

#[tokio::test]
async fn a_kill_removes_a_rollout_that_the_run_made() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let run = begin(&world, &server).await;
        rolling_out(&world, run).await;
        let caller = World::caller();
        server
            .deployer
            .kill_pipeline(&caller, Reader::Anyone, run, false)
            .await
            .unwrap();
        assert_eq!(world.until_ended(run).await.status.state, RunState::Killed);
        assert!(world.cluster.peek(&object(Kind::Deployment, "web")).is_none());
        let records = world.store.records();
        assert_eq!(records.steps(run)[0].status.step, Some(StepState::Killed));
    })
    .await;
}

#[tokio::test]
async fn a_kill_leaves_a_rollout_that_the_run_only_updated_with_a_warning() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let old = server.configure(&deployment("web"), false).await.unwrap();
        let run = begin(&world, &server).await;
        let web = rolling_out(&world, run).await;
        let caller = World::caller();
        server
            .deployer
            .kill_pipeline(&caller, Reader::Anyone, run, false)
            .await
            .unwrap();

        assert_eq!(world.until_ended(run).await.status.state, RunState::Killed);
        assert!(world.cluster.peek(&web.object()).is_some());
        let calls = world.cluster.calls();
        assert!(calls.iter().all(|call| call.verb != Verb::Delete));
        let records = world.store.records();
        let left = records.task(web.id()).unwrap();
        assert_eq!(left.status.step, Some(StepState::Killed));
        assert_eq!(left.status.warnings.len(), 1);
        assert_eq!(left.status.warnings[0].code, WarningCode::RolloutLeft);
        assert_eq!(
            records.task(old.id()).unwrap().status.superseded_by,
            Some(web.id())
        );
    })
    .await;
}

#[tokio::test]
async fn a_kill_while_the_apply_is_under_way_waits_to_learn_whose_rollout_it_is() {
    for was_there in [false, true] {
        within(async {
            let world = World::default();
            let server = Server::start(&world);
            if was_there {
                server.configure(&deployment("web"), false).await.unwrap();
            }
            world.cluster.hold(Verb::Apply);
            let run = begin(&world, &server).await;
            world
                .cluster
                .until_called(Verb::Apply, 1 + usize::from(was_there))
                .await;
            let caller = World::caller();
            server
                .deployer
                .kill_pipeline(&caller, Reader::Anyone, run, false)
                .await
                .unwrap();
            settle().await;
            world.cluster.release(Verb::Apply);

            assert_eq!(world.until_ended(run).await.status.state, RunState::Killed);
            let left = world.cluster.peek(&object(Kind::Deployment, "web"));
            assert_eq!(left.is_some(), was_there);
        })
        .await;
    }
}

#[tokio::test]
async fn a_rollout_taken_over_by_a_newer_deploy_fails_its_step() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let run = begin(&world, &server).await;
        let web = rolling_out(&world, run).await;
        let newer = server.configure(&deployment("web"), false).await.unwrap();
        assert_eq!(world.until_ended(run).await.status.state, RunState::Failed);
        let web = world.store.records().task(web.id()).cloned().unwrap();
        assert_eq!(web.status.superseded_by, Some(newer.id()));
    })
    .await;
}

#[tokio::test]
async fn the_time_of_a_rollout_is_watched_after_a_restart_too() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let run = begin(&world, &server).await;
        rolling_out(&world, run).await;
        server.crash().await;
        let _server = Server::start(&world);
        settle().await;
        advance(&world, 90).await;
        assert_eq!(world.until_ended(run).await.status.state, RunState::Failed);
    })
    .await;
}

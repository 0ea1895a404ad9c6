//! A step that starts long after its run was accepted takes the place of what holds its name by then only where whoever
//! began the run may deploy that too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "shared between the tests of the engine")]
#[path = "common/engine.rs"]
mod common;
#[allow(dead_code, reason = "shared with the tests of who may do what")]
#[path = "common/stage.rs"]
mod stage;

use common::{Server, deployment, job, within};
use deploy_core::names::PipelineId;
use deploy_core::ports::{Change, Journal as _};
use deploy_core::task::{State, Status, Task};
use deploy_core::workload::ObjectRef;
use deploy_testkit::World;
use deploy_testkit::memory::cluster::Verb;
use stage::{WHO, caller, deploy, serve, start};

/// `etl/late` deploys `front` after a job; `web/front` has the same name.
fn world() -> World {
    let world = World::default();
    world.put_manifest("etl", "load", job("load"));
    world.put_manifest("etl", "front", deployment("front"));
    world.put_manifest("web", "front", deployment("front"));
    let late = r#"{"name": "late", "tasks": [
        {"name": "load", "namespacetask": "etl/load"},
        {"name": "front", "namespacetask": "etl/front", "dependance": ["load"]}]}"#;
    world.put_pipeline("etl", "late", late);
    world
}

/// Begins the run, and waits until its job runs.
async fn begin(world: &World, server: &Server, who: &str) -> (PipelineId, ObjectRef) {
    let request = start("etl", "late", "shared");
    let view = server.deployer.run_pipeline(&caller(who), request).await;
    let run = view.unwrap().run.id;
    let load = world
        .until_step(run, "load", |task| task.status.uid.is_some())
        .await;
    (run, load.object())
}

/// Deploys `front` of a repository, as the administrator.
async fn take(server: &Server, repository: &str) -> Task {
    let request = deploy(repository, "front", "shared", None);
    let view = server.deployer.deploy_task(&caller(WHO[0]), request).await;
    view.unwrap().task
}

/// Ends the job, and waits until the deployment has been applied, or has failed.
async fn front(world: &World, run: PipelineId, load: &ObjectRef) -> Task {
    world.cluster.end(load, 0);
    let decided = |task: &Task| task.status.uid.is_some() || task.status.state.is_final();
    world.until_step(run, "front", decided).await
}

#[tokio::test]
async fn what_another_repository_has_deployed_since_stays() {
    within(async {
        let world = world();
        let server = serve(&world);
        let (run, load) = begin(&world, &server, WHO[1]).await;
        let theirs = take(&server, "web").await;
        let refused = front(&world, run, &load).await;
        assert_eq!(refused.status.state, State::Failed);
        let reason = refused.status.reason.unwrap();
        assert!(reason.message.contains("does not let you replace"), "{reason:?}");
        let holder = world.until_task(theirs.id(), |task| task.status.holds).await;
        assert_eq!(holder.status.superseded_by, None);
        let applied = world.cluster.calls();
        let applied = applied.iter().filter(|call| call.verb == Verb::Apply);
        assert_eq!(applied.count(), 2, "the job and their deployment");
    })
    .await;
}

/// The deploy was accepted while the step's job ran, and is still under way when the step's turn has come.
#[tokio::test]
async fn what_another_repository_is_deploying_stays() {
    within(async {
        let world = world();
        let server = serve(&world);
        let (run, load) = begin(&world, &server, WHO[1]).await;
        world.cluster.hold(Verb::Apply);
        let (theirs, refused) = tokio::join!(take(&server, "web"), async {
            world.cluster.until_called(Verb::Apply, 2).await;
            world.cluster.end(&load, 0);
            world
                .until_step(run, "front", |task| task.status.intent.is_some())
                .await;
            world.cluster.release(Verb::Apply);
            front(&world, run, &load).await
        });
        assert_eq!(refused.status.state, State::Failed);
        world.until_task(theirs.id(), |task| task.status.holds).await;
    })
    .await;
}

#[tokio::test]
async fn what_the_own_repository_has_deployed_since_gives_way() {
    within(async {
        let world = world();
        let server = serve(&world);
        let (run, load) = begin(&world, &server, WHO[1]).await;
        let older = take(&server, "etl").await;
        let taken = front(&world, run, &load).await;
        assert!(taken.status.holds, "{:?}", taken.status);
        let gone = world.until_task(older.id(), |task| !task.status.holds).await;
        assert_eq!(gone.status.superseded_by, Some(taken.id()));
    })
    .await;
}

/// An administrator is one by their group, which the run remembers.
#[tokio::test]
async fn whoever_may_replace_it_still_may_after_the_engine_began_anew() {
    within(async {
        let world = world();
        let server = serve(&world);
        let (run, load) = begin(&world, &server, WHO[0]).await;
        let theirs = take(&server, "web").await;
        server.crash().await;
        let server = serve(&world);
        let taken = front(&world, run, &load).await;
        assert!(taken.status.holds, "{:?}", taken.status);
        world.until_task(theirs.id(), |task| !task.status.holds).await;
        drop(server);
    })
    .await;
}

/// A deployment that nothing more can become of holds its name in the record alone.
#[tokio::test]
async fn what_only_the_record_knows_stays() {
    within(async {
        let world = world();
        let server = serve(&world);
        let (run, load) = begin(&world, &server, WHO[1]).await;
        let theirs = take(&server, "web").await;
        server.crash().await;
        let status = Box::new(Status {
            state: State::Failed,
            ..theirs.status.clone()
        });
        let (task, live) = (theirs.id(), false);
        let generation = world.store.lead().await.unwrap();
        let changes = [Change::SetStatus { task, status, live }];
        world.store.commit(&changes, generation).await.unwrap();
        let server = serve(&world);
        let refused = front(&world, run, &load).await;
        assert_eq!(refused.status.state, State::Failed);
        world.until_task(theirs.id(), |task| task.status.holds).await;
        drop(server);
    })
    .await;
}

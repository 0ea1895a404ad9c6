//! The record failing under the engine: nothing is accepted or done that is not stored, and it works again without a
//! restart.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "shared between the tests of the engine")]
#[path = "common/engine.rs"]
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Server, advance, deployment, job, object, pass_until, settle, within};
use deploy_core::ErrorCode;
use deploy_core::deployer::Reader;
use deploy_core::pipeline::RunState;
use deploy_core::ports::{MockTasks, RecordsError};
use deploy_core::task::State;
use deploy_core::workload::Kind;
use deploy_testkit::World;
use deploy_testkit::memory::{Call, Fate};

#[tokio::test]
async fn a_deploy_that_cannot_be_recorded_is_refused_and_never_done() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        settle().await;
        world.store.script([Fate::Refused]);

        let error = server.configure(&job("load"), false).await.unwrap_err();

        assert_eq!(error.code, ErrorCode::StorageUnavailable);
        assert!(error.retry_after.is_some());
        assert_eq!(world.store.records().tasks().count(), 0);
        advance(&world, 120).await;
        assert!(world.cluster.calls().is_empty());

        let task = server.configure(&job("load"), false).await.unwrap();
        assert_eq!(world.cluster.creations_of(task.id()), 1);
        assert_eq!(world.cluster.creations().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn while_the_store_is_down_everything_is_refused_and_afterwards_nothing_is() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "job", job("job"));
        world.put_pipeline(
            "demo",
            "all",
            r#"{"name":"all","tasks":[{"name":"a","namespacetask":"demo/job"}]}"#,
        );
        let server = Server::start(&world);
        server.configure(&deployment("web"), false).await.unwrap();
        let calls = world.cluster.calls().len();
        world.store.break_down();

        let deploy = server.configure(&job("load"), false).await.unwrap_err();
        let run = server.run("all").await.unwrap_err();
        let (namespace, name) = ("demo".parse().unwrap(), "web".parse().unwrap());
        let caller = World::caller();
        let delete = server
            .deployer
            .delete_task(&caller, Reader::Anyone, Kind::Deployment, namespace, name);
        let delete = delete.await.unwrap_err();
        for error in [deploy, run, delete] {
            assert_eq!(error.code, ErrorCode::StorageUnavailable);
        }
        settle().await;
        assert_eq!(world.cluster.calls().len(), calls);

        world.store.mend();
        assert_eq!(world.store.records().tasks().count(), 1);
        assert_eq!(world.store.records().runs().count(), 0);
        server.configure(&job("load"), false).await.unwrap();
        server.run("all").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_happened_while_the_store_was_down_is_recorded_when_it_is_back() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let task = server.configure(&job("load"), false).await.unwrap();
        world.store.break_down();
        world.cluster.end(&object(Kind::Job, "load"), 7);
        advance(&world, 5).await;
        world.store.mend();

        let ended = world.until_task(task.id(), |task| task.status.state.is_final());
        let ended = pass_until(&world, ended).await;

        assert_eq!(ended.status.state, State::Failed);
        assert_eq!(ended.status.exit_code, Some(7));
        assert_eq!(world.cluster.creations_of(task.id()), 1);
    })
    .await;
}

#[tokio::test]
async fn an_applied_object_whose_record_failed_is_recorded_later_and_applied_once() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        settle().await;
        // The deploy is recorded, that its object is there is not.
        world.store.script([Fate::Recorded, Fate::Refused, Fate::Refused]);

        let task = pass_until(&world, server.configure(&job("load"), false))
            .await
            .unwrap();

        assert!(task.status.holds);
        assert_eq!(world.cluster.creations_of(task.id()), 1);
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_down_is_asked_by_one_timer_however_much_happens() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let names: Vec<String> = (0..40).map(|number| format!("job{number}")).collect();
        for name in &names {
            server.configure(&job(name), false).await.unwrap();
        }
        world.store.break_down();
        let moment = Duration::from_millis(5);
        for name in &names {
            world.cluster.start(&object(Kind::Job, name));
            settle().await;
            world.clock.advance(moment);
        }
        let before = commits(&world);

        // Two seconds.
        for _ in 0..400 {
            world.clock.advance(moment);
            settle().await;
        }

        let tried = commits(&world) - before;
        assert!(tried <= 5, "{tried} commits in two seconds");
        world.store.mend();
        let all_run = world.store.until(|records| {
            let running = records.tasks().filter(|task| task.status.state == State::Running);
            (running.count() == names.len()).then_some(())
        });
        pass_until(&world, all_run).await;
    })
    .await;
}

#[tokio::test]
async fn a_replacement_waits_for_the_record_it_replaces() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        let old = server.configure(&job("load"), false).await.unwrap();
        world
            .until_task(old.id(), |task| task.status.state.is_final())
            .await;
        server.crash().await;
        // Commits work, and the first read of one record does not.
        let mut tasks = MockTasks::new();
        tasks
            .expect_get()
            .times(1)
            .returning(|_| Err(RecordsError::Unavailable("scripted".into())));
        let store = world.store.clone();
        tasks
            .expect_get()
            .returning(move |id| Ok(store.records().task(id).cloned()));
        let store = world.store.clone();
        tasks
            .expect_holder()
            .returning(move |slot| Ok(store.records().holder(slot).cloned()));
        tasks.expect_finished_jobs().returning(|_, _| Ok(Vec::new()));
        let builder = world.builder().tasks(Arc::new(tasks));
        let server = Server::spawn(builder.build().unwrap());

        let new = pass_until(&world, server.configure(&job("load"), false))
            .await
            .unwrap();

        let old = world.store.records().task(old.id()).cloned().unwrap();
        assert_eq!(old.status.superseded_by, Some(new.id()));
        assert!(new.status.holds);
        assert_eq!(world.cluster.creations().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_was_refused_is_not_done_although_it_was_recorded() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "job", job("job"));
        world.put_pipeline(
            "demo",
            "all",
            r#"{"name":"all","tasks":[{"name":"a","namespacetask":"demo/job"}]}"#,
        );
        let server = Server::start(&world);
        settle().await;
        world.store.script([Fate::AnswerLost]);
        let deploy = server.configure(&job("load"), false).await.unwrap_err();
        assert_eq!(deploy.code, ErrorCode::StorageUnavailable);
        advance(&world, 1).await;
        world.store.script([Fate::AnswerLost]);
        let run = server.run("all").await.unwrap_err();
        assert_eq!(run.code, ErrorCode::StorageUnavailable);
        advance(&world, 1).await;
        server.crash().await;
        let server = Server::start(&world);
        advance(&world, 60).await;

        assert!(world.cluster.creations().is_empty());
        assert!(world.store.records().tasks().all(|task| !task.is_live()));
        let runs = world.store.records();
        assert!(runs.runs().all(|run| run.status.state == RunState::Killed));
        server.configure(&job("load"), false).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_delete_that_was_refused_is_not_done_although_it_was_recorded() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        let task = server.configure(&deployment("web"), false).await.unwrap();
        settle().await;
        world.store.script([Fate::AnswerLost]);
        let (namespace, name) = ("demo".parse().unwrap(), "web".parse().unwrap());
        let caller = World::caller();
        let delete = server
            .deployer
            .delete_task(&caller, Reader::Anyone, Kind::Deployment, namespace, name);
        assert_eq!(delete.await.unwrap_err().code, ErrorCode::StorageUnavailable);

        advance(&world, 1).await;
        server.crash().await;
        let _server = Server::start(&world);
        advance(&world, 60).await;

        assert!(world.cluster.peek(&object(Kind::Deployment, "web")).is_some());
        let record = world.store.records().task(task.id()).cloned().unwrap();
        assert_eq!(record.status.intent, None);
    })
    .await;
}

#[tokio::test]
async fn a_run_ends_though_its_kill_was_recorded_and_not_answered() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "job", job("job"));
        world.put_pipeline(
            "demo",
            "all",
            r#"{"name":"all","tasks":[{"name":"a","namespacetask":"demo/job"}]}"#,
        );
        let server = Server::start(&world);
        let run = server.run("all").await.unwrap().run.id;
        let a = world.until_step(run, "a", |task| task.status.holds).await;
        settle().await;
        // The kill has a place in the run's order that the engine does not know of.
        world.store.script([Fate::AnswerLost]);
        let caller = World::caller();
        let kill = server
            .deployer
            .kill_pipeline(&caller, Reader::Anyone, run, false)
            .await;
        assert_eq!(kill.unwrap_err().code, ErrorCode::StorageUnavailable);
        world.cluster.end(&a.object(), 0);
        settle().await;

        let ended = pass_until(&world, world.until_ended(run)).await;

        assert_eq!(ended.status.state, RunState::Killed);
    })
    .await;
}

fn commits(world: &World) -> usize {
    let is_commit = |call: &&Call| matches!(call, Call::Commit { .. });
    world.store.calls().iter().filter(is_commit).count()
}

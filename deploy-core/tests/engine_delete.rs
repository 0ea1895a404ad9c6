//! Deletes by users, and the janitor: what goes, what is answered, and which records stay.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "shared between the tests of the engine")]
#[path = "common/engine.rs"]
mod common;

use common::{Server, advance, deployment, job, object, pass_until, service, settle, within};
use deploy_core::deployer::Reader;
use deploy_core::engine::Settings;
use deploy_core::pipeline::{RunState, StepState};
use deploy_core::ports::Clock as _;
use deploy_core::task::State;
use deploy_core::workload::{Deleted, Kind, ReasonCode};
use deploy_core::{Error, ErrorCode};
use deploy_testkit::World;
use deploy_testkit::memory::cluster::{Fault, Verb};

async fn delete(server: &Server, kind: Kind, name: &str) -> Result<Vec<Deleted>, Error> {
    let (namespace, name) = ("demo".parse().unwrap(), name.parse().unwrap());
    server
        .deployer
        .delete_task(&World::caller(), Reader::Anyone, kind, namespace, name)
        .await
}

#[tokio::test]
async fn a_finished_job_that_is_deleted_keeps_its_outcome() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        let task = server.configure(&job("load"), false).await.unwrap();
        world
            .until_task(task.id(), |task| task.status.state.is_final())
            .await;

        let deleted = delete(&server, Kind::Job, "load").await.unwrap();

        assert_eq!(deleted.len(), 1);
        assert_eq!(deleted[0].kind, Kind::Job);
        assert_eq!(deleted[0].uid, task.status.uid);
        assert!(world.cluster.peek(&object(Kind::Job, "load")).is_none());
        let record = world.store.records().task(task.id()).cloned().unwrap();
        assert_eq!(record.status.state, State::Succeeded);
        assert!(!record.status.holds);
    })
    .await;
}

#[tokio::test]
async fn a_running_job_that_is_deleted_says_so() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let task = server.configure(&job("load"), false).await.unwrap();
        world.cluster.start(&object(Kind::Job, "load"));

        delete(&server, Kind::Job, "load").await.unwrap();

        let record = world.store.records().task(task.id()).cloned().unwrap();
        assert_eq!(record.status.state, State::Deleted);
        assert_eq!(
            record.status.reason.map(|reason| reason.code),
            Some(ReasonCode::Deleted)
        );
        assert!(world.cluster.alive().is_empty());
        // The name is free.
        server.configure(&job("load"), false).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn deleting_the_job_of_a_running_step_fails_the_step() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "job", job("job"));
        world.put_pipeline(
            "demo",
            "all",
            r#"{"name":"all","tasks":[{"name":"a","namespacetask":"demo/job"},
                {"name":"b","namespacetask":"demo/job","dependance":["a"]}]}"#,
        );
        let server = Server::start(&world);
        let run = server.run("all").await.unwrap().run.id;
        let step = world.until_step(run, "a", |task| task.status.holds).await;

        let name = step.workload.name.to_string();
        delete(&server, Kind::Job, &name).await.unwrap();

        let run = world.until_ended(run).await;
        assert_eq!(run.status.state, RunState::Failed);
        let records = world.store.records();
        let steps = records.steps(run.id);
        assert_eq!(steps[0].status.step, Some(StepState::Failed));
        assert_eq!(
            steps[0].status.reason.as_ref().map(|reason| reason.code),
            Some(ReasonCode::Deleted)
        );
        assert_eq!(steps[1].status.step, Some(StepState::Skipped));
    })
    .await;
}

#[tokio::test]
async fn the_deployment_of_a_service_is_deleted_by_the_service() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        server.configure(&service("web"), false).await.unwrap();

        let error = delete(&server, Kind::Deployment, "web").await.unwrap_err();
        assert_eq!(error.code, ErrorCode::BelongsToService);
        assert!(error.detail.contains("/v1/delete/service"), "{}", error.detail);
        assert_eq!(world.cluster.alive().len(), 1);

        let deleted = delete(&server, Kind::Service, "web").await.unwrap();
        let kinds: Vec<Kind> = deleted.iter().map(|deleted| deleted.kind).collect();
        assert_eq!(kinds, [Kind::Service, Kind::Deployment]);
        assert_eq!(world.store.records().tasks().count(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_deployment_is_no_service() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        server.configure(&deployment("web"), false).await.unwrap();

        let error = delete(&server, Kind::Service, "web").await.unwrap_err();

        assert_eq!(error.code, ErrorCode::ObjectNotFound);
        assert_eq!(world.cluster.alive().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn every_record_of_a_deployment_leaves_with_it() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        for _ in 0..3 {
            server.configure(&deployment("web"), false).await.unwrap();
        }
        let kept = server.configure(&deployment("other"), false).await.unwrap();

        delete(&server, Kind::Deployment, "web").await.unwrap();

        let left: Vec<_> = world.store.records().tasks().map(|task| task.id()).collect();
        assert_eq!(left, [kept.id()]);
    })
    .await;
}

#[tokio::test]
async fn where_only_the_record_was_left_it_leaves_too() {
    for noticed in [false, true] {
        within(async {
            let world = World::automatic();
            let server = Server::start(&world);
            let web = object(Kind::Deployment, "web");
            let task = server.configure(&deployment("web"), false).await.unwrap();
            world.cluster.vanish(&web);
            if noticed {
                let lost = world.until_task(task.id(), |task| !task.status.holds);
                pass_until(&world, lost).await;
            }

            let deleted = delete(&server, Kind::Deployment, "web").await.unwrap();

            assert_eq!(deleted.len(), 1);
            assert_eq!((deleted[0].kind, &deleted[0].uid), (Kind::Deployment, &None));
            assert_eq!(world.store.records().tasks().count(), 0);
            let again = delete(&server, Kind::Deployment, "web").await.unwrap_err();
            assert_eq!(again.code, ErrorCode::ObjectNotFound);
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_not_ours_is_not_found_and_not_touched() {
    within(async {
        let world = World::default();
        world.cluster.put_foreign(&object(Kind::Job, "theirs"));
        let server = Server::start(&world);
        for name in ["theirs", "nobodys"] {
            let error = delete(&server, Kind::Job, name).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::ObjectNotFound);
        }
    })
    .await;
}

#[tokio::test]
async fn a_delete_is_given_up_within_ten_seconds_and_can_be_asked_again() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        let task = server.configure(&deployment("web"), false).await.unwrap();
        world
            .cluster
            .fail_always(Verb::Delete, Fault::Unavailable { retry_after: None });

        let asked_at = world.clock.now();
        let error = pass_until(&world, delete(&server, Kind::Deployment, "web"))
            .await
            .unwrap_err();

        assert_eq!(error.code, ErrorCode::ClusterUnavailable);
        assert!((world.clock.now() - asked_at).num_seconds() <= 10);
        let asked = deletes(&world);
        assert!((2..=8).contains(&asked), "{asked} tries, one a second at most");
        world.cluster.heal();
        advance(&world, 300).await;
        assert_eq!(deletes(&world), asked, "given up, and sent all the same");
        let record = world.store.records().task(task.id()).cloned().unwrap();
        assert_eq!(record.status.state, State::Ready);
        assert_eq!(record.status.intent, None);

        delete(&server, Kind::Deployment, "web").await.unwrap();
        assert!(world.cluster.alive().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_delete_after_one_that_was_refused_has_an_answer_of_its_own() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        server.configure(&deployment("web"), false).await.unwrap();
        world
            .cluster
            .fail_next(Verb::Delete, Fault::Refused("a webhook says no".to_owned()));

        let error = delete(&server, Kind::Deployment, "web").await.unwrap_err();
        assert_eq!(error.code, ErrorCode::ClusterRefused);
        assert!(error.detail.contains("a webhook says no"), "{}", error.detail);

        let deleted = delete(&server, Kind::Deployment, "web").await.unwrap();
        assert_eq!(deleted.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn two_deletes_at_once_are_one_and_answer_the_same() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        server.configure(&deployment("web"), false).await.unwrap();
        world.cluster.hold(Verb::Delete);
        let asking = async {
            futures::join!(
                delete(&server, Kind::Deployment, "web"),
                delete(&server, Kind::Deployment, "web")
            )
        };
        let release = async {
            world.cluster.until_called(Verb::Delete, 1).await;
            settle().await;
            world.cluster.release(Verb::Delete);
        };
        let ((first, second), ()) = futures::join!(asking, release);
        assert_eq!(first.unwrap(), second.unwrap());
        assert_eq!(deletes(&world), 1);
    })
    .await;
}

#[tokio::test]
async fn a_name_that_is_being_deleted_is_busy() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        server.configure(&deployment("web"), false).await.unwrap();
        world.cluster.hold(Verb::Delete);
        let deploying = async {
            world.cluster.until_called(Verb::Delete, 1).await;
            let error = server.configure(&deployment("web"), false).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::JobUnfinished);
            world.cluster.release(Verb::Delete);
        };
        let (deleted, ()) = futures::join!(delete(&server, Kind::Deployment, "web"), deploying);
        deleted.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_stop_that_is_unclear_does_not_answer_for_the_delete_that_came_after_it() {
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
        let step = world.until_step(run, "a", |task| task.status.holds).await;
        world.cluster.hold(Verb::Stop);
        world.cluster.hold(Verb::Delete);
        world.cluster.fail_next(Verb::Stop, Fault::AmbiguousBefore);
        let caller = World::caller();
        server
            .deployer
            .kill_pipeline(&caller, Reader::Anyone, run, false)
            .await
            .unwrap();
        world.cluster.until_called(Verb::Stop, 1).await;
        let failing = async {
            world.cluster.until_called(Verb::Delete, 1).await;
            world.cluster.release(Verb::Stop);
            settle().await;
            world.cluster.release(Verb::Delete);
        };
        let (deleted, ()) = futures::join!(delete(&server, Kind::Job, step.workload.name.as_str()), failing);
        assert_eq!(deleted.unwrap().len(), 1);
        assert_eq!(world.until_ended(run).await.status.state, RunState::Killed);
    })
    .await;
}

#[tokio::test]
async fn the_records_of_a_name_do_not_leave_while_it_is_being_deployed() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        let old = server.configure(&deployment("web"), false).await.unwrap();
        world.cluster.vanish(&object(Kind::Deployment, "web"));
        let lost = world.until_task(old.id(), |task| !task.status.holds);
        pass_until(&world, lost).await;
        world.cluster.hold(Verb::Delete);
        world.cluster.hold(Verb::Apply);
        let manifest = deployment("web");
        let deploying = async {
            world.cluster.until_called(Verb::Delete, 1).await;
            let releasing = async {
                world.cluster.until_called(Verb::Apply, 2).await;
                world.cluster.release(Verb::Delete);
                settle().await;
                world.cluster.release(Verb::Apply);
            };
            futures::join!(server.configure(&manifest, false), releasing).0
        };

        let (deleted, new) = futures::join!(delete(&server, Kind::Deployment, "web"), deploying);

        assert_eq!(deleted.unwrap_err().code, ErrorCode::JobUnfinished);
        let new = new.unwrap();
        assert!(world.cluster.peek(&object(Kind::Deployment, "web")).is_some());
        assert!(world.store.records().task(new.id()).is_some());
    })
    .await;
}

#[tokio::test]
async fn a_delete_that_was_recorded_is_carried_out_after_a_crash() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        server.configure(&deployment("web"), false).await.unwrap();
        world.cluster.hold(Verb::Delete);
        {
            let asked = delete(&server, Kind::Deployment, "web");
            tokio::select! {
                _ = asked => panic!("answered before it was done"),
                () = world.cluster.until_called(Verb::Delete, 1) => {}
            }
        }
        server.crash().await;
        world.cluster.release(Verb::Delete);

        let _server = Server::start(&world);

        world
            .store
            .until(|records| (records.tasks().count() == 0).then_some(()))
            .await;
        assert!(world.cluster.alive().is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_janitor_removes_finished_jobs_after_their_retention_and_keeps_the_outcome() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let done = server.configure(&job("done"), false).await.unwrap();
        let still = server.configure(&job("still"), false).await.unwrap();
        world.cluster.end(&object(Kind::Job, "done"), 0);
        world.cluster.start(&object(Kind::Job, "still"));
        world
            .until_task(done.id(), |task| task.status.state.is_final())
            .await;
        let retention = Settings::default().job_retention.as_secs();
        let janitor = Settings::default().janitor.as_secs();

        advance(&world, retention - janitor).await;
        assert!(world.cluster.peek(&object(Kind::Job, "done")).is_some());
        advance(&world, janitor).await;
        advance(&world, janitor).await;

        let record = world.until_task(done.id(), |task| !task.status.holds).await;
        assert_eq!(record.status.state, State::Succeeded);
        assert_eq!(record.status.exit_code, Some(0));
        assert!(world.cluster.peek(&object(Kind::Job, "done")).is_none());
        assert!(world.cluster.peek(&object(Kind::Job, "still")).is_some());
        assert!(world.store.records().task(still.id()).unwrap().is_live());
    })
    .await;
}

fn deletes(world: &World) -> usize {
    let calls = world.cluster.calls();
    calls.iter().filter(|call| call.verb == Verb::Delete).count()
}

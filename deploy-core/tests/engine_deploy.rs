//! Deploys through the engine: when it answers, what it answers where the cluster is away or unclear, and that one
//! name never has two objects.

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

use chrono::TimeDelta;
use common::{Server, advance, deployment, from_git, job, object, pass_until, service, within};
use deploy_core::ErrorCode;
use deploy_core::ports::{Clock, InventoryError, MockImageBuilder, MockInventory};
use deploy_core::task::{Intent, State};
use deploy_core::workload::{Kind, ReasonCode};
use deploy_testkit::World;
use deploy_testkit::memory::cluster::{Fault, Verb};
use futures::future::join_all;

#[tokio::test]
async fn a_deploy_is_answered_when_its_object_is_there() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "etl/load", job("load"));
        let server = Server::start(&world);

        let task = server.deploy(from_git("etl/load")).await.unwrap();

        let held = object(Kind::Job, "load");
        assert!(world.cluster.peek(&held).is_some());
        assert_eq!(task.status.state, State::Pending);
        assert!(task.status.holds && task.status.intent.is_none());
        world.cluster.start(&held);
        world.cluster.end(&held, 0);
        let ended = world
            .until_task(task.id(), |task| task.status.state.is_final())
            .await;
        assert_eq!(ended.status.state, State::Succeeded);
        assert_eq!(ended.status.exit_code, Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_create_that_may_have_been_done_is_pending_and_resolved_by_its_name() {
    for (done, fault) in [(true, Fault::AmbiguousAfter), (false, Fault::AmbiguousBefore)] {
        within(async {
            let world = World::default();
            let server = Server::start(&world);
            world.cluster.freeze_events();
            world.cluster.fail_next(Verb::Apply, fault);

            let task = server.configure(&job("load"), false).await.unwrap();

            assert_eq!(task.status.state, State::Pending);
            assert_eq!(task.status.intent, Some(Intent::Apply));
            assert_eq!(world.cluster.creations_of(task.id()), usize::from(done), "{done}");
            let asked_at = world.clock.now();
            pass_until(&world, world.until_task(task.id(), |task| task.status.holds)).await;
            assert!(world.clock.now() - asked_at <= TimeDelta::seconds(5));
            assert_eq!(world.cluster.creations_of(task.id()), 1);
        })
        .await;
    }
}

#[tokio::test]
async fn a_deploy_is_given_up_within_ten_seconds_and_nothing_is_done_later() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        world
            .cluster
            .fail_always(Verb::Apply, Fault::Unavailable { retry_after: None });

        let asked_at = world.clock.now();
        let error = pass_until(&world, server.configure(&job("load"), false))
            .await
            .unwrap_err();

        assert_eq!(error.code, ErrorCode::ClusterUnavailable);
        assert!(error.retry_after.is_some());
        assert!((world.clock.now() - asked_at).num_seconds() <= 10);
        let tries = world.cluster.calls().len();
        assert!((2..=8).contains(&tries), "{tries} tries, one a second at most");
        let record = world.store.until(|records| records.tasks().next().cloned()).await;
        assert_eq!(record.status.state, State::Failed);
        assert_eq!(
            record.status.reason.as_ref().map(|r| r.code),
            Some(ReasonCode::Interrupted)
        );

        world.cluster.heal();
        advance(&world, 7200).await;
        server.crash().await;
        let server = Server::start(&world);
        let other = server.configure(&job("other"), false).await.unwrap();
        assert_eq!(world.cluster.creations_of(record.id()), 0);
        assert_eq!(world.cluster.creations_of(other.id()), 1);
    })
    .await;
}

/// The cluster takes the call and never answers: it may be done, so it is not told that it is not.
#[tokio::test]
async fn a_deploy_that_is_under_way_when_patience_is_over_is_pending_and_goes_on() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        world.cluster.hold(Verb::Apply);
        let task = pass_until(&world, server.configure(&job("load"), false))
            .await
            .unwrap();
        assert_eq!(task.status.state, State::Pending);
        assert!(!task.status.holds);
        world.cluster.release(Verb::Apply);
        world.until_task(task.id(), |task| task.status.holds).await;
        assert_eq!(world.cluster.creations_of(task.id()), 1);
    })
    .await;
}

#[tokio::test]
async fn a_name_that_something_foreign_holds_is_taken() {
    within(async {
        let world = World::default();
        world.cluster.put_foreign(&object(Kind::Job, "load"));
        let server = Server::start(&world);

        let error = server.configure(&job("load"), false).await.unwrap_err();

        assert_eq!(error.code, ErrorCode::NameTaken);
        assert!(world.cluster.creations().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_the_cluster_refuses_is_told_in_its_words_and_the_record_says_so() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        world
            .cluster
            .fail_next(Verb::Apply, Fault::Refused("exceeded quota".to_owned()));

        let error = server.configure(&job("load"), false).await.unwrap_err();

        assert_eq!(error.code, ErrorCode::ClusterRefused);
        assert!(error.detail.contains("exceeded quota"), "{}", error.detail);
        let failed = world.store.records().tasks().next().cloned().unwrap();
        assert_eq!(failed.status.state, State::Failed);
        assert!(!failed.is_live());
        // The name is free again.
        server.configure(&job("load"), false).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_job_that_has_not_finished_keeps_its_name() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let first = server.configure(&job("load"), false).await.unwrap();
        world.cluster.start(&object(Kind::Job, "load"));

        let error = server.configure(&job("load"), false).await.unwrap_err();

        assert_eq!(error.code, ErrorCode::JobUnfinished);
        assert_eq!(world.store.records().tasks().count(), 1);
        assert_eq!(world.cluster.creations_of(first.id()), 1);
    })
    .await;
}

#[tokio::test]
async fn replace_removes_a_running_job_and_then_creates() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let old = server.configure(&job("load"), false).await.unwrap();
        world.cluster.start(&object(Kind::Job, "load"));
        world
            .until_task(old.id(), |task| task.status.state == State::Running)
            .await;

        let new = server.configure(&job("load"), true).await.unwrap();

        let old = world.store.records().task(old.id()).cloned().unwrap();
        assert_eq!(old.status.state, State::Superseded);
        assert_eq!(old.status.superseded_by, Some(new.id()));
        assert!(new.status.holds && !old.status.holds);
        assert_eq!(
            verbs(&world),
            [Verb::Apply, Verb::Delete, Verb::Apply],
            "without the looks"
        );
        assert!(world.cluster.started_twice().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_finished_job_gives_way_and_names_the_newer_one() {
    for restarted in [false, true] {
        within(async {
            let world = World::automatic();
            let mut server = Server::start(&world);
            let old = server.configure(&job("load"), false).await.unwrap();
            world
                .until_task(old.id(), |task| task.status.state == State::Succeeded)
                .await;
            if restarted {
                server.crash().await;
                server = Server::start(&world);
            }

            let new = server.configure(&job("load"), false).await.unwrap();

            let old = world.store.records().task(old.id()).cloned().unwrap();
            assert_eq!(old.status.state, State::Superseded);
            assert_eq!(old.status.superseded_by, Some(new.id()));
            assert_eq!(verbs(&world), [Verb::Apply, Verb::Delete, Verb::Apply]);
            assert_eq!(world.cluster.creations().len(), 2);
        })
        .await;
    }
}

#[tokio::test]
async fn the_same_deploy_64_times_at_once_makes_one_object() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let manifest = job("load");

        let answers = join_all((0..64).map(|_| server.configure(&manifest, false))).await;

        let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1);
        assert_eq!(refused.len(), 63);
        for answer in refused {
            assert_eq!(answer.unwrap_err().code, ErrorCode::JobUnfinished);
        }
        assert_eq!(world.cluster.creations().len(), 1);
        assert_eq!(world.store.records().tasks().count(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_deployment_is_updated_in_place_and_the_older_record_superseded() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        let old = server.configure(&deployment("web"), false).await.unwrap();

        let new = server.configure(&deployment("web"), false).await.unwrap();

        let old = world.store.records().task(old.id()).cloned().unwrap();
        assert_eq!(old.status.state, State::Superseded);
        assert_eq!(old.status.superseded_by, Some(new.id()));
        assert!(!new.status.created_object);
        assert_eq!(world.cluster.creations().len(), 1);
        assert_eq!(verbs(&world), [Verb::Apply, Verb::Apply]);
    })
    .await;
}

#[tokio::test]
async fn a_service_redeployed_as_a_deployment_is_superseded_by_it() {
    within(async {
        let world = World::automatic();
        let server = Server::start(&world);
        let old = server.configure(&service("web"), false).await.unwrap();

        let new = server.configure(&deployment("web"), false).await.unwrap();

        let old = world.store.records().task(old.id()).cloned().unwrap();
        assert_eq!(old.status.superseded_by, Some(new.id()));
        assert_eq!(new.kind(), Kind::Deployment);
        let there = world.cluster.peek(&object(Kind::Deployment, "web")).unwrap();
        assert_eq!(there.object.kind, Kind::Deployment);
    })
    .await;
}

#[tokio::test]
async fn a_deployment_over_a_record_that_is_not_live_any_more_takes_its_place() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let web = object(Kind::Deployment, "web");
        // A step whose rollout was given up before its apply was answered, and whose object came to be afterwards.
        world.put_manifest(
            "demo",
            "web",
            r#"{"name":"web","type":"deployment","image":"registry.example/web:1","timeout-seconds":5}"#,
        );
        world.put_pipeline(
            "demo",
            "all",
            r#"{"name":"all","tasks":[{"name":"web","namespacetask":"demo/web"}]}"#,
        );
        world.cluster.hold(Verb::Apply);
        let run = server.run("all").await.unwrap().run.id;
        world.cluster.until_called(Verb::Apply, 1).await;
        pass_until(&world, world.until_ended(run)).await;
        world.cluster.release(Verb::Apply);
        let old = world.until_step(run, "web", |task| task.status.holds).await;
        assert!(!old.is_live());

        let new = server.configure(&deployment("web"), false).await.unwrap();

        assert!(new.status.holds);
        let old = world.store.records().task(old.id()).cloned().unwrap();
        assert_eq!(old.status.superseded_by, Some(new.id()));
        world.cluster.ready(&web);
        world
            .until_task(new.id(), |task| task.status.state == State::Ready)
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_job_that_runs_when_the_server_dies_is_followed_by_the_next() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let task = server.configure(&job("load"), false).await.unwrap();
        server.crash().await;
        world.cluster.end(&object(Kind::Job, "load"), 3);

        let _server = Server::start(&world);

        let ended = world
            .until_task(task.id(), |task| task.status.state.is_final())
            .await;
        assert_eq!(ended.status.state, State::Failed);
        assert_eq!(ended.status.exit_code, Some(3));
        assert_eq!(world.cluster.creations_of(task.id()), 1);
    })
    .await;
}

#[tokio::test]
async fn a_deploy_that_was_done_is_answered_so_though_its_pods_cannot_be_listed() {
    within(async {
        let world = World::default();
        let mut inventory = MockInventory::new();
        inventory
            .expect_pods_of()
            .returning(|_| Err(InventoryError::Unavailable("nothing was seen yet".into())));
        let builder = world.builder().inventory(Arc::new(inventory));
        let server = Server::spawn(builder.build().unwrap());

        let task = server.configure(&job("load"), false).await.unwrap();

        assert!(task.status.holds);
    })
    .await;
}

#[tokio::test]
async fn an_image_is_built_first_and_what_was_built_takes_the_place_of_a_lost_job() {
    within(async {
        let world = World::automatic();
        let manifest = r#"{"name":"load","type":"job","image-destination":"registry.example/load:1"}"#;
        world.put_manifest("demo", "load", manifest);
        world.put_file("demo", "load/code/Dockerfile", "FROM scratch");
        let mut images = MockImageBuilder::new();
        images
            .expect_build()
            .times(2)
            .returning(|_, _, _| Ok("registry.example/load@sha256:1".to_owned()));
        let builder = world.builder().image_builder(Arc::new(images));
        let server = Server::spawn(builder.build().unwrap());
        let old = server.deploy(from_git("load")).await.unwrap();
        assert_eq!(old.status.state, State::Building);
        let old = world
            .until_task(old.id(), |task| task.status.state.is_final())
            .await;
        assert_eq!(
            old.status.image.as_deref(),
            Some("registry.example/load@sha256:1")
        );
        // Somebody removed it by hand: it has finished, so nobody looks at it any more.
        world.cluster.vanish(&object(Kind::Job, "load"));

        let new = server.deploy(from_git("load")).await.unwrap();

        world
            .until_task(new.id(), |task| task.status.state == State::Succeeded)
            .await;
        let old = world.store.records().task(old.id()).cloned().unwrap();
        assert_eq!(old.status.superseded_by, Some(new.id()));
    })
    .await;
}

/// The calls that change something.
fn verbs(world: &World) -> Vec<Verb> {
    let calls = world.cluster.calls().into_iter().map(|call| call.verb);
    calls.filter(|verb| *verb != Verb::Observe).collect()
}

//! A run is refused as a whole or not at all: everything that is missing or bad is told at once, at the step that names
//! it, and nothing is started or stored.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "shared between the tests of the engine")]
#[path = "common/engine.rs"]
mod common;

use common::{Server, job, settle, within};
use deploy_core::deployer::RunConfiguration;
use deploy_core::ports::SourceError;
use deploy_core::{Error, ErrorCode};
use deploy_testkit::World;
use deploy_testkit::memory::source_repository::{SourceCall, SourceOperation};

async fn refused(world: &World, server: &Server) -> Error {
    let error = server.run("all").await.unwrap_err();
    settle().await;
    assert_eq!(world.store.records().runs().count(), 0);
    assert_eq!(world.store.records().tasks().count(), 0);
    assert!(world.cluster.calls().is_empty());
    error
}

#[tokio::test]
async fn everything_that_is_missing_or_bad_is_told_at_once_where_it_is_named() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "good", job("good"));
        world.put_manifest("demo", "bad", r#"{"name":"bad","type":"job","imago":"x"}"#);
        world.put_file("other", "README.md", "nothing here");
        world.put_pipeline(
            "demo",
            "all",
            r#"{"name":"all","tasks":[
                {"name":"a","namespacetask":"demo/good"},
                {"name":"b","namespacetask":"demo/bad"},
                {"name":"c","namespacetask":"demo/missing"},
                {"name":"d","namespacetask":"nowhere/job"},
                {"name":"e","namespacetask":"other/job"}]}"#,
        );
        let server = Server::start(&world);

        let error = refused(&world, &server).await;

        assert_eq!(error.code, ErrorCode::InvalidPipeline);
        let told = |step: usize| {
            let pointer = format!("/tasks/{step}/namespacetask");
            let found = error
                .violations
                .iter()
                .filter(|violation| violation.pointer == pointer);
            found
                .map(|violation| violation.message.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(told(0), [""; 0]);
        assert!(told(1).iter().any(|message| message.contains("imago")));
        assert!(
            told(1)
                .iter()
                .all(|message| message.starts_with("demo/bad/manifest.json"))
        );
        assert!(told(1).len() >= 2, "{:?}", told(1));
        assert!(told(2)[0].contains("no manifest.json"), "{:?}", told(2));
        assert!(told(3)[0].contains("no such repository"), "{:?}", told(3));
        assert!(told(4)[0].contains("no manifest.json"), "{:?}", told(4));
    })
    .await;
}

#[tokio::test]
async fn a_repository_is_resolved_once_and_a_manifest_read_once_however_many_steps_name_them() {
    within(async {
        let world = World::automatic();
        world.put_manifest("demo", "job", job("job"));
        world.put_manifest("other", "job", job("job"));
        let steps: Vec<String> = (0..60)
            .map(|number| {
                let repository = if number % 2 == 0 { "demo" } else { "other" };
                format!(r#"{{"name":"s{number}","namespacetask":"{repository}/job"}}"#)
            })
            .collect();
        let pipeline = format!(r#"{{"name":"wide","tasks":[{}]}}"#, steps.join(","));
        world.put_pipeline("demo", "all", pipeline);
        let server = Server::start(&world);

        server.run("all").await.unwrap();

        let calls = world.source.calls();
        let of = |operation, repository: &str| {
            let is_meant =
                |call: &&SourceCall| call.operation == operation && call.repository.as_str() == repository;
            calls.iter().filter(is_meant).count()
        };
        assert_eq!(of(SourceOperation::Resolve, "demo"), 1);
        assert_eq!(of(SourceOperation::Resolve, "other"), 1);
        assert_eq!(
            of(SourceOperation::Read, "demo"),
            2,
            "the definition and one manifest"
        );
        assert_eq!(of(SourceOperation::Read, "other"), 1);
    })
    .await;
}

#[tokio::test]
async fn every_step_of_a_repository_has_the_commit_of_the_definition() {
    within(async {
        let world = World::automatic();
        world.put_manifest("demo", "job", job("job"));
        world.put_pipeline(
            "demo",
            "all",
            r#"{"name":"all","tasks":[{"name":"a","namespacetask":"demo/job"}]}"#,
        );
        let server = Server::start(&world);
        let view = server.run("all").await.unwrap();
        let source = view.run.source.unwrap();
        let step = view.steps[0].source.as_ref().unwrap();
        assert_eq!(step.commit, source.commit);
        assert_eq!(step.directory.to_string(), "job");
    })
    .await;
}

#[tokio::test]
async fn git_being_away_is_no_violation() {
    within(async {
        let world = World::default();
        world.put_manifest("other", "job", job("job"));
        world.put_pipeline(
            "demo",
            "all",
            r#"{"name":"all","tasks":[{"name":"a","namespacetask":"other/job"}]}"#,
        );
        let server = Server::start(&world);
        world
            .source
            .fail_next(SourceOperation::Read, SourceError::Timeout);
        let error = refused(&world, &server).await;
        assert_eq!(error.code, ErrorCode::GitTimeout);
        assert!(error.retry_after.is_some());
    })
    .await;
}

#[tokio::test]
async fn a_definition_that_is_absent_is_not_found_and_a_bad_one_invalid() {
    within(async {
        let world = World::default();
        world.put_file("demo", "README.md", "nothing here");
        let server = Server::start(&world);
        let error = refused(&world, &server).await;
        assert_eq!(error.code, ErrorCode::DefinitionNotFound);
        world.put_pipeline("demo", "all", r#"{"name":"all","tasks":[]}"#);
        let error = refused(&world, &server).await;
        assert_eq!(error.code, ErrorCode::InvalidPipeline);
        assert!(!error.violations.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_foreign_namespace_refuses_the_run_before_anything_is_stored() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "job", job("job"));
        world.cluster.put_foreign_namespace(&"theirs".parse().unwrap());
        let server = Server::start(&world);
        let request = RunConfiguration {
            namespace: "theirs".parse().unwrap(),
            configuration: br#"{"name":"all","tasks":[{"name":"a","namespacetask":"demo/job"}]}"#.to_vec(),
        };
        let caller = World::caller();
        let error = server.deployer.run_configuration(&caller, request).await;
        assert_eq!(error.unwrap_err().code, ErrorCode::NamespaceForeign);
        assert_eq!(world.store.records().runs().count(), 0);
    })
    .await;
}

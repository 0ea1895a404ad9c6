//! Works through the engine: loads that are asked for now and read later.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "shared between the tests of the engine")]
#[path = "common/engine.rs"]
mod common;

use common::{Server, advance, job, pass_until, settle, within};
use deploy_core::ErrorCode;
use deploy_core::deployer::{LoadConfiguration, Reader};
use deploy_core::names::WorkId;
use deploy_core::ports::{Change, Journal, SourceError};
use deploy_core::work::{DocumentKind, Work, WorkProgress};
use deploy_testkit::World;
use deploy_testkit::memory::Fate;
use deploy_testkit::memory::source_repository::SourceOperation;

fn request(directory: &str) -> LoadConfiguration {
    LoadConfiguration {
        kind: DocumentKind::Task,
        repository: "demo".parse().unwrap(),
        directory: directory.parse().unwrap(),
        branch: None,
    }
}

async fn loaded(world: &World, id: WorkId) -> Work {
    let is_over = |work: &&Work| work.progress != WorkProgress::Loading;
    world
        .store
        .until(|records| records.work(id).filter(is_over).cloned())
        .await
}

#[tokio::test]
async fn a_manifest_is_loaded_as_it_stands_in_git() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "load", job("load"));
        let server = Server::start(&world);
        let asked = server
            .deployer
            .load_configuration(Reader::Anyone, request("load"))
            .await
            .unwrap();
        assert_eq!(asked.progress, WorkProgress::Loading);
        loaded(&world, asked.id).await;
        let work = server
            .deployer
            .work(Reader::Anyone, DocumentKind::Task, asked.id)
            .await
            .unwrap();
        let WorkProgress::Loaded {
            configuration,
            branch,
            problem,
            ..
        } = work.progress
        else {
            panic!("{:?}", work.progress);
        };
        assert_eq!(configuration["name"], "load");
        assert_eq!(branch.as_str(), "master");
        assert_eq!(problem, None);
        let other_kind = server
            .deployer
            .work(Reader::Anyone, DocumentKind::Pipeline, asked.id)
            .await;
        assert_eq!(other_kind.unwrap_err().code, ErrorCode::WorkNotFound);
    })
    .await;
}

#[tokio::test]
async fn a_bad_manifest_is_loaded_with_its_violations() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "load", r#"{"name":"load","type":"jab"}"#);
        let server = Server::start(&world);
        let asked = server
            .deployer
            .load_configuration(Reader::Anyone, request("load"))
            .await
            .unwrap();
        let work = loaded(&world, asked.id).await;
        let WorkProgress::Loaded {
            problem: Some(problem),
            ..
        } = work.progress
        else {
            panic!("{:?}", work.progress);
        };
        assert_eq!(problem.code, ErrorCode::InvalidManifest);
        assert!(
            problem
                .violations
                .iter()
                .any(|violation| violation.pointer == "/type")
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_absent_or_no_json_or_cannot_be_read_fails() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "torn", "{");
        let server = Server::start(&world);
        let cases = [
            ("missing", None, ErrorCode::ManifestNotFound),
            ("torn", None, ErrorCode::InvalidManifest),
            ("torn", Some(SourceError::Timeout), ErrorCode::GitTimeout),
        ];
        for (directory, failure, expected) in cases {
            if let Some(failure) = failure {
                world.source.fail_next(SourceOperation::Resolve, failure);
            }
            let asked = server
                .deployer
                .load_configuration(Reader::Anyone, request(directory))
                .await;
            let work = loaded(&world, asked.unwrap().id).await;
            let WorkProgress::Failed { problem } = work.progress else {
                panic!("{:?}", work.progress);
            };
            assert_eq!(problem.code, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_load_that_the_last_engine_left_is_taken_up() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "etl", job("load"));
        let LoadConfiguration {
            kind,
            repository,
            directory,
            branch,
        } = request("etl");
        let work = Work {
            id: deploy_testkit::builders::work_id(7),
            kind,
            repository,
            directory,
            branch,
            created_at: deploy_testkit::builders::time(0),
            progress: WorkProgress::Loading,
        };
        let generation = world.store.lead().await.unwrap();
        let id = work.id;
        let asked = [Change::PutWork(Box::new(work))];
        world.store.commit(&asked, generation).await.unwrap();

        let _server = Server::start(&world);

        let work = loaded(&world, id).await;
        assert!(matches!(work.progress, WorkProgress::Loaded { .. }));
    })
    .await;
}

#[tokio::test]
async fn a_load_that_cannot_be_recorded_is_refused_and_an_end_that_cannot_comes_later() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "load", job("load"));
        let server = Server::start(&world);
        settle().await;
        world.store.script([Fate::Refused, Fate::Recorded, Fate::Refused]);
        let refused = server
            .deployer
            .load_configuration(Reader::Anyone, request("load"))
            .await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::StorageUnavailable);
        assert_eq!(world.source.calls().len(), 0);
        let asked = server
            .deployer
            .load_configuration(Reader::Anyone, request("load"))
            .await
            .unwrap();
        let work = pass_until(&world, loaded(&world, asked.id)).await;
        assert!(matches!(work.progress, WorkProgress::Loaded { .. }));
    })
    .await;
}

#[tokio::test]
async fn a_work_is_kept_a_day() {
    within(async {
        let world = World::default();
        world.put_manifest("demo", "load", job("load"));
        let server = Server::start(&world);
        let asked = server
            .deployer
            .load_configuration(Reader::Anyone, request("load"))
            .await
            .unwrap();
        loaded(&world, asked.id).await;
        advance(&world, 23 * 3600).await;
        server
            .deployer
            .work(Reader::Anyone, DocumentKind::Task, asked.id)
            .await
            .unwrap();
        advance(&world, 3600 + 600).await;
        advance(&world, 600).await;
        let gone = server
            .deployer
            .work(Reader::Anyone, DocumentKind::Task, asked.id)
            .await;
        assert_eq!(gone.unwrap_err().code, ErrorCode::WorkNotFound);
    })
    .await;
}

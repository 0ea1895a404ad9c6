//! Images built by Jobs, at the stand-in: once for the same, side by side for different ones, and whatever breaks.

use std::sync::Arc;

use deploy_adapters::kubernetes::{BuilderConfig, BuilderError, KubernetesImageBuilder};
use deploy_core::names::Branch;
use deploy_core::ports::{BuildError, ImageBuilder, SourceError, SourceRepository};
use deploy_core::workload::Code;
use deploy_testkit::builders::task_id;
use deploy_testkit::contract::source_repository::Publisher;
use deploy_testkit::fixture::tree::file;
use deploy_testkit::kubernetes::{Controller, Fault, Matcher, Times, Verb};
use deploy_testkit::memory::source_repository::{MemorySourceRepository, SourceOperation};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{Bench, within_patience};

const BUILDS: &str = "builds";
const HERE: &str = "registry.example/demo/task:1";
const THERE: &str = "registry.example/demo/task:2";

/// A cluster with a builder, and a repository with some code.
struct Works {
    bench: Bench,
    source: Arc<MemorySourceRepository>,
    builder: Arc<KubernetesImageBuilder>,
}

impl Works {
    async fn new() -> Self {
        let bench = Bench::new().await;
        bench.server.put_namespace(BUILDS);
        let source = Arc::new(MemorySourceRepository::new("master".parse().unwrap()));
        let builder = bench
            .cluster
            .image_builder(
                BuilderConfig::new(BUILDS.parse().unwrap(), "https://git.example/team/"),
                Arc::clone(&source) as Arc<dyn SourceRepository>,
            )
            .unwrap();
        Self {
            bench,
            source,
            builder: Arc::new(builder),
        }
    }

    /// A commit of that Dockerfile.
    fn code(&self, dockerfile: &str) -> Code {
        let (repository, branch): (_, Branch) = ("etl".parse().unwrap(), "master".parse().unwrap());
        let entries = [file("load/code/Dockerfile", dockerfile)];
        Code {
            commit: self.source.publish(&repository, &branch, &entries),
            repository,
            directory: "load".parse().unwrap(),
        }
    }

    /// Asks for an image, beside whatever follows.
    fn ask(&self, code: &Code, destination: &'static str) -> JoinHandle<Result<String, BuildError>> {
        let (builder, code) = (Arc::clone(&self.builder), code.clone());
        tokio::spawn(async move { builder.build(task_id(1), &code, destination).await })
    }

    /// Waits for so many builder Jobs; their names, the oldest first.
    async fn jobs(&self, count: usize) -> Vec<String> {
        let jobs = self
            .bench
            .server
            .until_listed("jobs", BUILDS, |jobs| jobs.len() == count);
        let mut jobs = jobs.await;
        jobs.sort_by_key(|job| job["metadata"]["creationTimestamp"].as_str().map(str::to_owned));
        let name = |job: &Value| job["metadata"]["name"].as_str().unwrap().to_owned();
        jobs.iter().map(name).collect()
    }

    /// The builder of a Job ends with a code and a message, as the kubelet tells it.
    async fn end(&self, job: &str, code: i32, message: &str) {
        let server = &self.bench.server;
        let pod = server.running_pod(BUILDS, job).await;
        server.hold(Controller::Jobs);
        server.terminate(BUILDS, &pod, code);
        server.edit("pods", BUILDS, &pod, |pod| {
            pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = json!(message);
        });
        server.release(Controller::Jobs);
    }
}

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

fn failure(built: Result<String, BuildError>) -> String {
    match built {
        Err(BuildError::Failed { message }) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_built_and_named_by_its_digest() {
    within_patience(async {
        let works = Works::new().await;
        let mark = works.bench.server.mark();
        let asked = works.ask(&works.code("FROM scratch"), HERE);
        let name = works.jobs(1).await.remove(0);
        works.end(&name, 0, &digest('a')).await;
        assert_eq!(asked.await.unwrap().unwrap(), format!("{HERE}@{}", digest('a')));
        let calls = works.bench.server.calls_since(mark);
        assert_eq!(calls.of(Verb::Create).len(), 1);
        assert_eq!(calls.of(Verb::Patch).len(), 1);
        assert_eq!((calls.writes(), calls.reads()), (2, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_built_is_not_built_again_even_when_its_pod_is_gone() {
    within_patience(async {
        let works = Works::new().await;
        let asked = works.ask(&works.code("FROM scratch"), HERE);
        let name = works.jobs(1).await.remove(0);
        works.end(&name, 0, &digest('a')).await;
        asked.await.unwrap().unwrap();
        let server = &works.bench.server;
        for pod in server.pods_of(BUILDS, &name) {
            server.remove("pods", BUILDS, &pod);
        }
        let uid = server.get("jobs", BUILDS, &name).unwrap()["metadata"]["uid"].clone();
        // Another commit of the same code.
        let again = works.ask(&works.code("FROM scratch"), HERE).await.unwrap();
        assert_eq!(again.unwrap(), format!("{HERE}@{}", digest('a')));
        assert_eq!(server.get("jobs", BUILDS, &name).unwrap()["metadata"]["uid"], uid);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_is_built_once_and_different_ones_side_by_side() {
    within_patience(async {
        let works = Works::new().await;
        let code = works.code("FROM scratch");
        let first = works.ask(&code, HERE);
        let here = works.jobs(1).await.remove(0);
        let second = works.ask(&code, HERE);
        let third = works.ask(&code, THERE);
        let both = works.jobs(2).await;
        let there = both.into_iter().find(|name| *name != here).unwrap();
        works.bench.server.running_pod(BUILDS, &here).await;
        works.bench.server.running_pod(BUILDS, &there).await;
        works.end(&there, 0, &digest('b')).await;
        assert_eq!(third.await.unwrap().unwrap(), format!("{THERE}@{}", digest('b')));
        works.end(&here, 0, &digest('a')).await;
        for asked in [first, second] {
            assert_eq!(asked.await.unwrap().unwrap(), format!("{HERE}@{}", digest('a')));
        }
        assert_eq!(works.bench.server.count("jobs"), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_build_tells_its_last_lines_and_is_tried_again_by_the_next_request() {
    within_patience(async {
        let works = Works::new().await;
        let code = works.code("FROM nothing");
        let asked = works.ask(&code, HERE);
        let name = works.jobs(1).await.remove(0);
        let server = &works.bench.server;
        let uid = server.get("jobs", BUILDS, &name).unwrap()["metadata"]["uid"].clone();
        works.end(&name, 1, "#2 ERROR: nothing: not found\n").await;
        assert_eq!(failure(asked.await.unwrap()), "#2 ERROR: nothing: not found");
        let asked = works.ask(&code, HERE);
        server
            .until("jobs", BUILDS, &name, |job| {
                job.is_some_and(|job| job["metadata"]["uid"] != uid)
            })
            .await;
        works.end(&name, 0, &digest('c')).await;
        assert_eq!(asked.await.unwrap().unwrap(), format!("{HERE}@{}", digest('c')));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_outlives_broken_watches_and_an_api_that_is_away() {
    within_patience(async {
        let works = Works::new().await;
        let server = &works.bench.server;
        let asked = works.ask(&works.code("FROM scratch"), HERE);
        let name = works.jobs(1).await.remove(0);
        let pod = server.running_pod(BUILDS, &name).await;
        server.close_watches("jobs");
        server.expire_watches("jobs");
        server.away().await;
        works.end(&name, 0, &digest('a')).await;
        assert!(server.get("pods", BUILDS, &pod).is_some());
        server.back().await;
        assert_eq!(asked.await.unwrap().unwrap(), format!("{HERE}@{}", digest('a')));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_creation_was_not_answered_is_found_by_its_name() {
    within_patience(async {
        let works = Works::new().await;
        let server = &works.bench.server;
        let creates = Matcher::on(Verb::Create).resource("jobs");
        server.inject(creates, Times::First(1), Fault::CommitThenReset);
        let asked = works.ask(&works.code("FROM scratch"), HERE);
        let name = works.jobs(1).await.remove(0);
        works.end(&name, 0, &digest('a')).await;
        assert_eq!(asked.await.unwrap().unwrap(), format!("{HERE}@{}", digest('a')));
        assert_eq!(server.count("jobs"), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_removed_under_way_is_begun_again() {
    within_patience(async {
        let works = Works::new().await;
        let server = &works.bench.server;
        let asked = works.ask(&works.code("FROM scratch"), HERE);
        let name = works.jobs(1).await.remove(0);
        server.running_pod(BUILDS, &name).await;
        let uid = server.get("jobs", BUILDS, &name).unwrap()["metadata"]["uid"].clone();
        server.remove("jobs", BUILDS, &name);
        server
            .until("jobs", BUILDS, &name, |job| {
                job.is_some_and(|job| job["metadata"]["uid"] != uid)
            })
            .await;
        server
            .until_listed("pods", BUILDS, |pods| {
                pods.len() == 1 && pods[0]["metadata"]["ownerReferences"][0]["uid"] != uid
            })
            .await;
        works.end(&name, 0, &digest('a')).await;
        assert_eq!(asked.await.unwrap().unwrap(), format!("{HERE}@{}", digest('a')));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_the_name_that_is_not_ours_is_left_alone() {
    within_patience(async {
        let works = Works::new().await;
        let server = &works.bench.server;
        let code = works.code("FROM scratch");
        let asked = works.ask(&code, HERE);
        let name = works.jobs(1).await.remove(0);
        server.edit("jobs", BUILDS, &name, |job| {
            job["metadata"]["labels"] = json!({"app": "else"});
        });
        let refused = works.ask(&code, HERE).await.unwrap();
        assert!(failure(refused).contains("not created here"));
        assert_eq!(server.count("jobs"), 1);
        asked.abort();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_begun_is_unavailable_and_what_cannot_be_is_refused() {
    within_patience(async {
        let works = Works::new().await;
        let server = &works.bench.server;
        let code = works.code("FROM scratch");
        let creates = || Matcher::on(Verb::Create).resource("jobs");
        server.inject(creates(), Times::First(1), Fault::Unavailable(Some(1)));
        let not_done = works.ask(&code, HERE).await.unwrap();
        assert!(
            matches!(not_done, Err(BuildError::Unavailable(_))),
            "{not_done:?}"
        );
        server.inject(creates(), Times::First(1), Fault::Forbidden);
        failure(works.ask(&code, HERE).await.unwrap());
        failure(works.ask(&code, "registry.example/x:1,push=false").await.unwrap());
        let no_answer = SourceError::Timeout;
        works.source.fail_next(SourceOperation::TreeHash, no_answer);
        let unread = works.ask(&code, HERE).await.unwrap();
        assert!(matches!(unread, Err(BuildError::Unavailable(_))), "{unread:?}");
        let mut elsewhere = code.clone();
        elsewhere.directory = "store".parse().unwrap();
        failure(works.ask(&elsewhere, HERE).await.unwrap());
        assert_eq!(server.count("jobs"), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_that_ends_well_without_a_digest_has_built_nothing_that_can_be_pinned() {
    within_patience(async {
        let works = Works::new().await;
        let asked = works.ask(&works.code("FROM scratch"), HERE);
        let name = works.jobs(1).await.remove(0);
        works.end(&name, 0, "done").await;
        assert!(failure(asked.await.unwrap()).contains("did not say what it built"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn builders_are_in_no_list_of_tasks() {
    use deploy_core::ports::Inventory;

    within_patience(async {
        let works = Works::new().await;
        let asked = works.ask(&works.code("FROM scratch"), HERE);
        let name = works.jobs(1).await.remove(0);
        works.end(&name, 0, &digest('a')).await;
        asked.await.unwrap().unwrap();
        let listed = works.bench.cluster.pods(None, None, 100).await.unwrap();
        assert!(listed.items.is_empty(), "{listed:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_the_builder_cannot_fetch_is_said_at_the_start() {
    let bench = Bench::new().await;
    for base in ["ssh://git@git.example/team/", "file:///srv/git", "git.example"] {
        let source = Arc::new(MemorySourceRepository::new("master".parse().unwrap()));
        let config = BuilderConfig::new(BUILDS.parse().unwrap(), base);
        let refused = bench.cluster.image_builder(config, source);
        assert!(matches!(refused, Err(BuilderError::BaseUrl)), "{base}");
    }
}

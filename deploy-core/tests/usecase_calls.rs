//! Which calls the use cases make, and in which order: nothing goes outward for what is refused without it. The mocks
//! fail the test at a call that is not expected.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use deploy_core::authz::Policy;
use deploy_core::deployer::{DeployConfiguration, DeployTask, Reader, RunConfiguration, RunPipeline};
use deploy_core::manifest::Violation;
use deploy_core::names::RepositoryName;
use deploy_core::ports::{
    MockClock, MockCluster, MockIds, MockInventory, MockJournal, MockLogs, MockNamespaces, MockRuns,
    MockSourceRepository, MockTasks, MockTemplateStore, MockWorks, NamespaceError, Resolved, SourceError,
};
use deploy_core::workload::{Kind, Review};
use deploy_core::{Deployer, Error, ErrorCode};
use deploy_testkit::{World, builders};

const JOB: &[u8] = br#"{"name":"load","type":"job","image":"registry.example/load:1"}"#;

/// Ports on which any call fails the test, but those that are expected first.
#[derive(Default)]
struct Ports {
    source: MockSourceRepository,
    cluster: MockCluster,
    namespaces: MockNamespaces,
    runs: MockRuns,
    ids: MockIds,
    clock: MockClock,
    policy: Policy,
}

impl Ports {
    fn with_policy(policy: &str) -> Self {
        Self {
            policy: Policy::parse(policy.as_bytes()).unwrap(),
            ..Self::default()
        }
    }

    /// The engine is not there: whatever reaches it is answered [`ErrorCode::EngineUnavailable`].
    fn deployer(self) -> Deployer {
        let (deployer, _engine) = Deployer::builder()
            .cluster(Arc::new(self.cluster))
            .namespaces(Arc::new(self.namespaces))
            .inventory(Arc::new(MockInventory::new()))
            .logs(Arc::new(MockLogs::new()))
            .source(Arc::new(self.source))
            .journal(Arc::new(MockJournal::new()))
            .tasks(Arc::new(MockTasks::new()))
            .runs(Arc::new(self.runs))
            .works(Arc::new(MockWorks::new()))
            .templates(Arc::new(MockTemplateStore::new()))
            .clock(Arc::new(self.clock))
            .ids(Arc::new(self.ids))
            .policy(self.policy)
            .build()
            .unwrap();
        deployer
    }

    fn resolves(&mut self) {
        let resolved = || Resolved {
            branch: "master".parse().unwrap(),
            commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            absent_default: None,
        };
        self.source
            .expect_resolve()
            .times(1)
            .returning(move |_, _| Ok(resolved()));
    }

    fn reads(&mut self, document: &'static [u8]) {
        self.source
            .expect_read()
            .times(1)
            .returning(move |_, _, _, _, _| Ok(document.to_vec()));
    }

    fn gives_a_task_id(&mut self) {
        self.ids.expect_task().return_const(builders::task_id(1));
    }

    fn reviews(&mut self, review: Review) {
        self.cluster.expect_review().times(1).return_const(review);
    }
}

fn deploy(namespace: Option<&str>) -> DeployTask {
    DeployTask {
        repository: "etl".parse().unwrap(),
        directory: "load".parse().unwrap(),
        namespace: namespace.map(|name| name.parse().unwrap()),
        name: None,
        branch: None,
        schedule: None,
        replace: false,
    }
}

fn configuration(namespace: &str) -> DeployConfiguration {
    DeployConfiguration {
        namespace: namespace.parse().unwrap(),
        configuration: JOB.to_vec(),
        origin: Some(("etl".parse().unwrap(), "load".parse().unwrap())),
        replace: false,
    }
}

fn run(namespace: Option<&str>) -> RunPipeline {
    RunPipeline {
        repository: "etl".parse().unwrap(),
        directory: "all".parse().unwrap(),
        name: "nightly".parse().unwrap(),
        namespace: namespace.map(|name| name.parse().unwrap()),
        branch: None,
    }
}

/// Every use case that changes something in a namespace, on ports that take no call.
async fn refused_everywhere(ports: impl Fn() -> Ports, namespace: &str, expected: ErrorCode) {
    let caller = World::caller();
    let target = || Some(namespace);
    let code = |error: Error| error.code;

    let answer = ports().deployer().deploy_task(&caller, deploy(target())).await;
    assert_eq!(answer.map_err(code).err(), Some(expected), "deploy_task");
    let answer = ports()
        .deployer()
        .deploy_configuration(&caller, configuration(namespace))
        .await;
    assert_eq!(answer.map_err(code).err(), Some(expected), "deploy_configuration");
    let answer = ports().deployer().run_pipeline(&caller, run(target())).await;
    assert_eq!(answer.map_err(code).err(), Some(expected), "run_pipeline");
    let request = RunConfiguration {
        namespace: namespace.parse().unwrap(),
        configuration: b"not even JSON".to_vec(),
    };
    let answer = ports().deployer().run_configuration(&caller, request).await;
    assert_eq!(answer.map_err(code).err(), Some(expected), "run_configuration");
    for kind in [Kind::Job, Kind::CronJob, Kind::Deployment, Kind::Service] {
        let (namespace, name) = (namespace.parse().unwrap(), "load".parse().unwrap());
        let answer = ports()
            .deployer()
            .delete_task(&caller, Reader::Anyone, kind, namespace, name)
            .await;
        assert_eq!(answer.map_err(code).err(), Some(expected), "delete {kind}");
    }
}

#[tokio::test]
async fn what_the_policy_denies_makes_no_call() {
    let ports =
        || Ports::with_policy(r#"{"rules":[{"effect":"allow","identities":["somebody@else.example"]}]}"#);
    refused_everywhere(ports, "team", ErrorCode::Denied).await;
}

#[tokio::test]
async fn a_reserved_namespace_makes_no_call() {
    for namespace in ["default", "kube-system", "kube-anything"] {
        refused_everywhere(Ports::default, namespace, ErrorCode::NamespaceReserved).await;
    }
    let ports = || Ports::with_policy(r#"{"reserved":["platform-*"],"rules":[{"effect":"allow"}]}"#);
    refused_everywhere(ports, "platform-dns", ErrorCode::NamespaceReserved).await;
}

#[tokio::test]
async fn a_repository_that_gives_no_namespace_makes_no_call() {
    let repository: RepositoryName = "r".repeat(90).parse().unwrap();
    let request = DeployTask {
        repository,
        ..deploy(None)
    };
    let answer = Ports::default()
        .deployer()
        .deploy_task(&World::caller(), request)
        .await;
    assert_eq!(answer.unwrap_err().code, ErrorCode::NoDefaultNamespace);
}

#[tokio::test]
async fn a_kill_that_is_denied_only_reads_whose_run_it_is() {
    let mut ports = Ports::with_policy(r#"{"rules":[{"effect":"allow","actions":["deploy"]}]}"#);
    let run = builders::run().build();
    let id = run.id;
    ports
        .runs
        .expect_get()
        .times(1)
        .returning(move |_| Ok(Some(run.clone())));
    let answer = ports
        .deployer()
        .kill_pipeline(&World::caller(), Reader::Anyone, id, false)
        .await;
    assert_eq!(answer.unwrap_err().code, ErrorCode::Denied);
}

#[tokio::test]
async fn a_name_that_its_kind_does_not_take_is_refused_before_the_cluster_hears_of_it() {
    let service: &[u8] =
        br#"{"name":"web","type":"service","image":"registry.example/web:1","container-port":80}"#;
    let cronjob: &[u8] =
        br#"{"name":"web","type":"job","image":"registry.example/web:1","schedule":"0 4 * * *"}"#;
    for (manifest, name) in [(service, "1abc".to_owned()), (cronjob, "a".repeat(53))] {
        let mut ports = Ports::default();
        ports.resolves();
        ports.reads(manifest);
        ports.gives_a_task_id();
        let request = DeployTask {
            name: Some(name.parse().unwrap()),
            ..deploy(None)
        };
        let answer = ports.deployer().deploy_task(&World::caller(), request).await;
        let error = answer.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidManifest);
        assert_eq!(error.violations[0].pointer, "/name");
    }
}

#[tokio::test]
async fn a_missing_repository_is_told_before_its_manifest_is_looked_at() {
    let mut ports = Ports::default();
    ports
        .source
        .expect_resolve()
        .times(1)
        .returning(|_, _| Err(SourceError::RepositoryNotFound));
    let answer = ports.deployer().deploy_task(&World::caller(), deploy(None)).await;
    assert_eq!(answer.unwrap_err().code, ErrorCode::RepositoryNotFound);
}

#[tokio::test]
async fn a_bad_manifest_is_told_before_the_namespace_is_asked_for() {
    let mut ports = Ports::default();
    ports.resolves();
    ports.reads(br#"{"name":"load"}"#);
    let answer = ports.deployer().deploy_task(&World::caller(), deploy(None)).await;
    assert_eq!(answer.unwrap_err().code, ErrorCode::InvalidManifest);
}

#[tokio::test]
async fn what_the_cluster_cannot_run_is_told_before_the_namespace_is_made() {
    let mut ports = Ports::default();
    ports.resolves();
    ports.reads(JOB);
    ports.gives_a_task_id();
    ports.reviews(Review {
        violations: vec![Violation::new("/cmd", "this cluster needs a command")],
        ..Review::default()
    });
    let answer = ports.deployer().deploy_task(&World::caller(), deploy(None)).await;
    let error = answer.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidManifest);
    assert_eq!(error.violations[0].pointer, "/cmd");
}

#[tokio::test]
async fn a_foreign_namespace_is_told_before_the_engine_is_asked() {
    for derived in [false, true] {
        let mut ports = Ports::default();
        ports.resolves();
        ports.reads(JOB);
        ports.gives_a_task_id();
        ports.reviews(Review::default());
        // Only a namespace that comes from the repository's name is claimed for it.
        ports
            .namespaces
            .expect_ensure()
            .times(1)
            .withf(move |_, claim| claim.is_some() == derived)
            .returning(|_, _| Err(NamespaceError::Foreign));
        let request = deploy((!derived).then_some("team"));
        let answer = ports.deployer().deploy_task(&World::caller(), request).await;
        assert_eq!(answer.unwrap_err().code, ErrorCode::NamespaceForeign);
    }
}

#[tokio::test]
async fn what_passes_every_check_is_left_to_the_engine_and_nothing_else_is_called() {
    let mut ports = Ports::default();
    ports.resolves();
    ports.reads(JOB);
    ports.gives_a_task_id();
    ports.reviews(Review::default());
    ports.namespaces.expect_ensure().times(1).returning(|_, _| Ok(()));
    ports.clock.expect_now().return_const(builders::time(0));
    let answer = ports.deployer().deploy_task(&World::caller(), deploy(None)).await;
    assert_eq!(answer.unwrap_err().code, ErrorCode::EngineUnavailable);
}

#[tokio::test]
async fn a_run_needs_deploy_on_the_repository_of_every_step_before_any_is_read() {
    let mut ports = Ports::with_policy(
        r#"{"rules":[{"effect":"allow","actions":["run"]},
                     {"effect":"allow","actions":["deploy"],"repositories":["etl"]}]}"#,
    );
    ports.resolves();
    ports.reads(
        br#"{"name":"all","tasks":[{"name":"a","namespacetask":"etl/load"},
             {"name":"b","namespacetask":"secret/load"}]}"#,
    );
    let answer = ports
        .deployer()
        .run_pipeline(&World::caller(), run(Some("team")))
        .await;
    assert_eq!(answer.unwrap_err().code, ErrorCode::Denied);
}

//! Every read route, in process, under a policy: what its caller may not read is not there for them. A new route of that
//! kind is asked too, because the table is walked.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deploy_core::authz::Policy;
use deploy_core::deployer::{DeployTask, LoadConfiguration, Reader, RunPipeline};
use deploy_core::work::{DocumentKind, WorkProgress};
use deploy_core::workload::{Kind, ObjectRef};
use deploy_testkit::World;
use deploy_testkit::contract::template_store::Publisher as _;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use serde_json::Value;

use super::*;
use crate::browser::Origins;
use crate::forms::BodyLimits;
use crate::gate::{Ends, Gate};
use crate::identity::{IdentityRules, Trust};
use crate::problem::{Asked, Problem};
use crate::reply::Reply;
use crate::routes::{Access, Route, TABLE, Verb};

/// `ada@example.com` may do anything, as she does below; somebody else may deploy, and read nothing.
const POLICY: &str = r#"{"rules": [
    {"effect": "allow", "identities": ["ada@example.com"]},
    {"effect": "allow", "identities": ["eve@example.com"], "actions": ["deploy"]}
]}"#;
const ADA: &str = "ada@example.com";
const EVE: &str = "eve@example.com";

const MANIFEST: &str =
    r#"{"name": "load", "type": "deployment", "image": "registry.example/load:1", "cmd": ["run"]}"#;
const PIPELINE: &str = r#"{"name": "all", "tasks": [{"name": "load", "namespacetask": "demo/load"}]}"#;

/// A task, a run, and a load and a template of each kind, in the repository and the namespace `demo`.
struct Scene {
    services: Arc<Services>,
    engine: tokio::task::JoinHandle<()>,
    task: String,
    run: String,
    task_work: String,
    pipeline_work: String,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.engine.abort();
    }
}

impl Scene {
    async fn set() -> Self {
        let world = World::automatic();
        world.put_manifest("demo", "load", MANIFEST);
        world.put_pipeline("demo", "load", PIPELINE);
        let template = "job.json".parse().unwrap();
        for kind in [DocumentKind::Task, DocumentKind::Pipeline] {
            world.templates.put(kind, &template, b"{}");
        }
        let policy = Policy::parse(POLICY.as_bytes()).unwrap();
        let (deployer, engine) = world.builder().policy(policy).build().unwrap();
        let engine = tokio::spawn(async move {
            drop(engine.run(std::future::pending()).await);
        });
        let ada = World::caller();
        let request = RunPipeline {
            repository: "demo".parse().unwrap(),
            directory: "load".parse().unwrap(),
            name: "nightly".parse().unwrap(),
            namespace: None,
            branch: None,
        };
        let run = deployer.run_pipeline(&ada, request).await.unwrap().run.id;
        world.until_ended(run).await;
        let request = DeployTask {
            repository: "demo".parse().unwrap(),
            directory: "load".parse().unwrap(),
            namespace: None,
            name: None,
            branch: None,
            schedule: None,
            replace: false,
        };
        let task = deployer.deploy_task(&ada, request).await.unwrap().task;
        let object = ObjectRef {
            kind: Kind::Deployment,
            namespace: "demo".parse().unwrap(),
            name: "load".parse().unwrap(),
        };
        world.cluster.set_log(&object, "a line\n");
        let mut works = Vec::new();
        for kind in [DocumentKind::Task, DocumentKind::Pipeline] {
            let request = LoadConfiguration {
                kind,
                repository: "demo".parse().unwrap(),
                directory: "load".parse().unwrap(),
                branch: None,
            };
            let id = deployer
                .load_configuration(Reader::Anyone, request)
                .await
                .unwrap()
                .id;
            let loaded = world.store.until(|records| {
                let work = records.work(id)?;
                (work.progress != WorkProgress::Loading).then_some(())
            });
            loaded.await;
            works.push(id.to_string());
        }
        let services = Arc::new(Services {
            deployer,
            drain: CancellationToken::new(),
        });
        let pipeline_work = works.pop().unwrap();
        Self {
            services,
            engine,
            task: task.id().to_string(),
            run: run.to_string(),
            task_work: works.pop().unwrap(),
            pipeline_work,
        }
    }

    /// The path of a route to what is there.
    fn path(&self, route: &Route) -> String {
        let of_pipeline = route.path.contains("/pipeline/");
        let id = if of_pipeline { &self.run } else { &self.task };
        let work = if of_pipeline {
            &self.pipeline_work
        } else {
            &self.task_work
        };
        route
            .path
            .replace(":repository", "demo")
            .replace(":directory", "load")
            .replace(":namespace", "demo")
            .replace(":deployment", "load")
            .replace(":work_id", work)
            .replace(":id", id)
    }

    /// What is answered where those reads are protected, as status and body.
    async fn ask(&self, route: &'static Route, who: &str, reads_protected: bool) -> (u16, String) {
        let reply = match self.reply(route, who, reads_protected).await {
            Ok(reply) => reply,
            Err(problem) => problem.respond(Asked {
                request_id: "",
                verb: "",
                route: route.path,
            }),
        };
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn reply(&self, route: &'static Route, who: &str, reads_protected: bool) -> Result<Reply, Problem> {
        let gate = Gate {
            prefix: "/".parse().unwrap(),
            prefix_required: false,
            identity: IdentityRules {
                trust: Trust::Loopback,
                reads_protected,
                tokens: None,
            },
            origins: Origins::default(),
            body: BodyLimits {
                bytes: 1000,
                time: Duration::from_secs(30),
            },
        };
        let verb = match route.verb {
            Verb::Get => "GET",
            Verb::Post => "POST",
        };
        let is_template = route.form.iter().any(|field| field.name == "template_path");
        let body = if is_template { "template_path=job.json" } else { "" };
        let request = Request::builder()
            .method(verb)
            .uri(self.path(route))
            .header("host", "localhost")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("identity", who);
        let (parts, body) = request.body(Full::new(Bytes::from(body))).unwrap().into_parts();
        let loopback = "127.0.0.1:8080".parse().unwrap();
        let ends = Ends {
            local: loopback,
            peer: loopback,
        };
        let found = gate.route(ends, &parts)?;
        assert!(std::ptr::eq(found.route, route), "{}", route.path);
        let call = gate.admit(found, ends, parts, body).await?;
        (route.handler)(Arc::clone(&self.services), call).await
    }
}

/// Whether a list is there, and empty.
fn is_empty_list(body: &str) -> bool {
    let body: Value = serde_json::from_str(body).unwrap();
    let body = body.as_object().unwrap();
    let arrays: Vec<&Vec<Value>> = body.values().filter_map(Value::as_array).collect();
    !arrays.is_empty() && arrays.iter().all(|array| array.is_empty()) && body["continue"].is_null()
}

#[tokio::test]
async fn every_read_route_keeps_from_its_caller_what_they_may_not_read() {
    let scene = Scene::set().await;
    let reads = TABLE.iter().filter(|route| route.access == Access::Read);
    for route in reads {
        let path = route.path;
        let is_list = path.contains("/list/");
        // Where reads are not protected the policy is not asked, and where they are, she may read.
        for (who, protect) in [(EVE, false), (ADA, true)] {
            let (status, body) = scene.ask(route, who, protect).await;
            assert!(
                matches!(status, 200 | 202),
                "{path} {who} {protect:?}: {status} {body}"
            );
            assert!(!is_list || !is_empty_list(&body), "{path} {who}: {body}");
        }
        let (status, body) = scene.ask(route, EVE, true).await;
        if is_list {
            assert!(status == 200 && is_empty_list(&body), "{path}: {status} {body}");
        } else {
            assert!(
                status == 404 && body.contains("-not-found"),
                "{path}: {status} {body}"
            );
        }
    }
}

#[tokio::test]
async fn a_change_that_is_denied_tells_no_more_than_a_read() {
    let scene = Scene::set().await;
    let kill = TABLE.iter().find(|route| route.path.contains("/kill/")).unwrap();
    let (status, body) = scene.ask(kill, EVE, false).await;
    assert!(
        status == 403 && body.contains("problem:denied"),
        "{status} {body}"
    );
    let (status, body) = scene.ask(kill, EVE, true).await;
    assert!(
        status == 404 && body.contains("problem:pipeline-not-found"),
        "{status} {body}"
    );
    // She may delete nothing there, whatever it is: there is nothing to tell.
    let delete = TABLE
        .iter()
        .find(|route| route.path.contains("/delete/deployment"));
    let (status, body) = scene.ask(delete.unwrap(), EVE, true).await;
    assert!(
        status == 403 && body.contains("problem:denied"),
        "{status} {body}"
    );
}

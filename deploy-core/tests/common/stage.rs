//! A world in which an administrator has deployed, run and loaded something of two repositories, and every operation on
//! it by a name, so that a table can say what becomes of it.

use deploy_core::authz::Policy;
use deploy_core::deployer::{
    Caller, DeployConfiguration, DeployTask, LoadConfiguration, Reader, RunPipeline,
};
use deploy_core::names::{PipelineId, TaskId, WorkId};
use deploy_core::work::{DocumentKind, Work, WorkProgress};
use deploy_core::workload::{Kind, ObjectRef};
use deploy_core::{Deployer, Error};
use deploy_testkit::contract::template_store::Publisher;
use deploy_testkit::memory::cluster::Verb;
use deploy_testkit::{World, builders};

use crate::common::{Server, deployment, job};

/// `etl@` is a team that is known by its repository, `viewer@` reads one namespace, and `nobody@` has no rule.
const POLICY: &str = r#"{"rules": [
    {"effect": "allow", "groups": ["admins"]},
    {"effect": "allow", "identities": ["etl@*"], "namespaces": ["shared", "etl"], "repositories": ["etl"]},
    {"effect": "allow", "identities": ["viewer@*"], "actions": ["read"], "namespaces": ["shared"]}
]}"#;

/// Who asks; the first is an administrator.
pub(crate) const WHO: [&str; 4] = [
    "admin@x.example",
    "etl@x.example",
    "viewer@x.example",
    "nobody@x.example",
];

/// Everything that stands there, and the ids of it.
pub(crate) struct Stage {
    pub(crate) world: World,
    server: Server,
    tasks: Vec<(&'static str, TaskId)>,
    runs: Vec<(&'static str, PipelineId)>,
    works: Vec<(&'static str, WorkId)>,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let world = World::automatic();
        for repository in ["etl", "web"] {
            world.put_manifest(repository, "load", job(repository));
            world.put_manifest(repository, "front", deployment("front"));
            put_pipeline(&world, repository, "all", &[&format!("{repository}/load")]);
        }
        put_pipeline(&world, "etl", "mixed", &["etl/load", "web/load"]);
        put_pipeline(&world, "etl", "blind", &["etl/load", "secret/load"]);
        put_pipeline(&world, "etl", "takes", &["etl/front"]);
        let template = "job.json".parse().unwrap();
        world.templates.put(DocumentKind::Task, &template, b"{}");
        let server = serve(&world);
        let mut stage = Self {
            world,
            server,
            tasks: Vec::new(),
            runs: Vec::new(),
            works: Vec::new(),
        };
        stage.fill().await;
        stage
    }

    /// An administrator deploys and runs what the operations are about.
    async fn fill(&mut self) {
        let (admin, deployer) = (caller(WHO[0]), self.deployer().clone());
        for (repository, name) in [("etl", "of-etl"), ("web", "of-web")] {
            let request = deploy(repository, "load", "shared", Some(name));
            let task = deployer.deploy_task(&admin, request).await.unwrap().task;
            self.tasks.push((repository, task.id()));
            let object = ObjectRef {
                kind: Kind::Job,
                namespace: "shared".parse().unwrap(),
                name: name.parse().unwrap(),
            };
            self.world.cluster.set_log(&object, "a line\n");
            // Into the namespace of its own, which it claims.
            let own = DeployTask {
                namespace: None,
                ..deploy(repository, "load", "shared", None)
            };
            deployer.deploy_task(&admin, own).await.unwrap();
            let request = start(repository, "all", "shared");
            let run = deployer.run_pipeline(&admin, request).await.unwrap().run.id;
            self.world.until_ended(run).await;
            self.expire_steps(run).await;
            self.runs.push((repository, run));
            let work = deployer
                .load_configuration(Reader::Anyone, load(repository))
                .await;
            let id = work.unwrap().id;
            let is_loaded = |work: &&Work| work.progress != WorkProgress::Loading;
            let store = &self.world.store;
            store
                .until(|records| records.work(id).filter(is_loaded).map(|_| ()))
                .await;
            self.works.push((repository, id));
        }
        let adhoc = deployer.deploy_configuration(&admin, configuration()).await;
        self.tasks.push(("adhoc", adhoc.unwrap().task.id()));
        let front = deploy("web", "front", "shared", None);
        deployer.deploy_task(&admin, front).await.unwrap();
    }

    pub(crate) fn deployer(&self) -> &Deployer {
        &self.server.deployer
    }

    /// How often something was changed in the cluster.
    pub(crate) fn changes(&self) -> usize {
        let calls = self.world.cluster.calls();
        calls.iter().filter(|call| call.verb != Verb::Observe).count()
    }

    pub(crate) async fn perform(
        &self,
        operation: &str,
        by: &Caller,
        reader: Reader<'_>,
    ) -> Result<String, Error> {
        let words: Vec<&str> = operation.split(' ').collect();
        let deployer = self.deployer();
        let ok = || "ok".to_owned();
        match words[..] {
            ["task", which] => deployer.task(reader, self.task(which)).await.map(|_| ok()),
            ["log", which] => deployer
                .task_log(reader, self.task(which), 10)
                .await
                .map(|_| ok()),
            ["run", which] => {
                let namespace = "shared".parse().unwrap();
                let run = deployer.pipeline(reader, &namespace, self.run(which)).await;
                run.map(|_| ok())
            }
            ["work", which] => {
                let work = deployer.work(reader, DocumentKind::Task, self.work(which)).await;
                work.map(|_| ok())
            }
            ["load", repository] => deployer
                .load_configuration(reader, load(repository))
                .await
                .map(|_| ok()),
            ["template", ref rest @ ..] => {
                let path = if rest.is_empty() {
                    "job.json"
                } else {
                    "absent.json"
                };
                let path = path.parse().unwrap();
                deployer
                    .template(reader, DocumentKind::Task, &path)
                    .await
                    .map(|_| ok())
            }
            ["templates"] => {
                let page = deployer
                    .list_templates(reader, DocumentKind::Task, None, 10)
                    .await?;
                Ok(names(page.items.iter().map(|path| path.as_str())))
            }
            ["tasks", ref rest @ ..] => {
                let namespace = rest.first().map(|name| name.parse().unwrap());
                let (page, _) = deployer
                    .list_tasks(reader, namespace.as_ref(), None, 2000)
                    .await?;
                Ok(names(page.items.iter().map(|task| task.workload.name.as_str())))
            }
            ["pods"] => {
                let (page, _) = deployer.list_pods(reader, None, None, 2000).await?;
                Ok(names(page.items.iter().map(|pod| pod.name.as_str())))
            }
            ["namespaces"] => {
                let (page, _) = deployer.list_namespaces(reader, None, 2000).await?;
                Ok(names(page.items.iter().map(|view| view.name.as_str())))
            }
            ["runs", ref rest @ ..] => {
                let namespace = rest.first().map(|name| name.parse().unwrap());
                let page = deployer
                    .list_pipelines(reader, namespace.as_ref(), None, 2000)
                    .await?;
                Ok(names(page.items.iter().map(|run| run.name.as_str())))
            }
            ["deploy", repository, namespace, name] => {
                let request = deploy(repository, "load", namespace, Some(name));
                deployer.deploy_task(by, request).await.map(|_| ok())
            }
            ["configure", _] => deployer
                .deploy_configuration(by, configuration())
                .await
                .map(|_| ok()),
            ["configure", _, repository] => {
                let origin = (repository.parse().unwrap(), "load".parse().unwrap());
                let request = DeployConfiguration {
                    origin: Some(origin),
                    ..configuration()
                };
                deployer.deploy_configuration(by, request).await.map(|_| ok())
            }
            ["start", repository, directory, namespace] => {
                let request = start(repository, directory, namespace);
                deployer.run_pipeline(by, request).await.map(|_| ok())
            }
            ["kill", which] => deployer
                .kill_pipeline(by, reader, self.run(which), false)
                .await
                .map(|_| ok()),
            ["delete", namespace, name] => {
                let (namespace, name) = (namespace.parse().unwrap(), name.parse().unwrap());
                let deleted = deployer.delete_task(by, reader, Kind::Job, namespace, name).await;
                deleted.map(|_| ok())
            }
            _ => panic!("{operation}"),
        }
    }

    fn task(&self, which: &str) -> TaskId {
        id_of(&self.tasks, which).unwrap_or_else(|| builders::task_id(999_999))
    }

    fn run(&self, which: &str) -> PipelineId {
        id_of(&self.runs, which).unwrap_or_else(|| builders::pipeline_id(999_999))
    }

    fn work(&self, which: &str) -> WorkId {
        id_of(&self.works, which).unwrap_or_else(|| builders::work_id(999_999))
    }

    /// Removes the jobs of an ended run, whose names nobody could guess.
    async fn expire_steps(&self, run: PipelineId) {
        let admin = caller(WHO[0]);
        let steps = self.world.store.records();
        for step in steps.steps(run) {
            let (namespace, name) = (step.workload.namespace.clone(), step.workload.name.clone());
            let deleted = self
                .deployer()
                .delete_task(&admin, Reader::Anyone, Kind::Job, namespace, name);
            deleted.await.unwrap();
        }
    }
}

fn id_of<T: Copy>(known: &[(&str, T)], which: &str) -> Option<T> {
    known.iter().find(|(name, _)| *name == which).map(|(_, id)| *id)
}

/// Names in a row; of a pod's, what it has from its task.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let short = |name: &'a str| name.strip_suffix("-00000").unwrap_or(name);
    names.map(short).collect::<Vec<_>>().join(" ")
}

pub(crate) fn serve(world: &World) -> Server {
    let policy = Policy::parse(POLICY.as_bytes()).unwrap();
    Server::spawn(world.builder().policy(policy).build().unwrap())
}

pub(crate) fn caller(who: &str) -> Caller {
    let admin = who == WHO[0];
    Caller {
        identity: who.parse().unwrap(),
        groups: admin.then(|| "admins".to_owned()).into_iter().collect(),
    }
}

pub(crate) fn deploy(repository: &str, directory: &str, namespace: &str, name: Option<&str>) -> DeployTask {
    DeployTask {
        repository: repository.parse().unwrap(),
        directory: directory.parse().unwrap(),
        namespace: Some(namespace.parse().unwrap()),
        name: name.map(|name| name.parse().unwrap()),
        branch: None,
        schedule: None,
        replace: true,
    }
}

fn configuration() -> DeployConfiguration {
    DeployConfiguration {
        namespace: "shared".parse().unwrap(),
        configuration: job("adhoc").into_bytes(),
        origin: None,
        replace: true,
    }
}

fn load(repository: &str) -> LoadConfiguration {
    LoadConfiguration {
        kind: DocumentKind::Task,
        repository: repository.parse().unwrap(),
        directory: "load".parse().unwrap(),
        branch: None,
    }
}

pub(crate) fn start(repository: &str, directory: &str, namespace: &str) -> RunPipeline {
    RunPipeline {
        repository: repository.parse().unwrap(),
        directory: directory.parse().unwrap(),
        name: format!("run-{repository}").parse().unwrap(),
        namespace: Some(namespace.parse().unwrap()),
        branch: None,
    }
}

pub(crate) fn put_pipeline(world: &World, repository: &str, directory: &str, steps: &[&str]) {
    let step =
        |(index, place): (usize, &&str)| format!(r#"{{"name": "s{index}", "namespacetask": "{place}"}}"#);
    let tasks: Vec<String> = steps.iter().enumerate().map(step).collect();
    let text = format!(r#"{{"name": "{directory}", "tasks": [{}]}}"#, tasks.join(","));
    world.put_pipeline(repository, directory, text);
}

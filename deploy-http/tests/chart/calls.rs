//! Every call that the Kubernetes adapter makes has a rule in the chart, and every rule has its call: the adapter is taken
//! through everything it can be asked for, against the stand-in, whose log is compared with the rendered roles.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deploy_adapters::kubernetes::{BuilderConfig, Gateway, KubernetesCluster, KubernetesConfig, Rules};
use deploy_adapters::system::SystemClock;
use deploy_core::manifest::Published;
use deploy_core::names::{Branch, Namespace, RepositoryName};
use deploy_core::ports::{BuildError, Cluster, Freshness, ImageBuilder, Logs, Namespaces, SourceRepository};
use deploy_core::workload::{Code, Condition, Shape, Workload};
use deploy_testkit::builders::{WorkloadBuilder, task_id};
use deploy_testkit::contract::cluster::{until, until_ended};
use deploy_testkit::contract::source_repository::Publisher;
use deploy_testkit::fixture::tree::file;
use deploy_testkit::kubernetes::{ApiServer, Call, Controller, Verb};
use deploy_testkit::memory::source_repository::MemorySourceRepository;
use serde_json::json;

use super::helm::{binaries, of_kind, rendered};
use super::permissions::{Permission, difference, granted, granted_by, published, sample};

/// Where images are built.
const BUILDS: &str = "builds";

/// Reached only by what hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a call asks of the authorizer. An apply is a patch, and a create besides where the object was not there
/// (kubernetes.io/docs/reference/using-api/server-side-apply, "Authorization").
fn asked_for(call: &Call) -> Vec<Permission> {
    let resource = match call.subresource.as_str() {
        "" => call.resource.clone(),
        subresource => format!("{}/{subresource}", call.resource),
    };
    let permission = |verb: Verb| Permission {
        group: call.group.clone(),
        resource: resource.clone(),
        verb: verb.to_string(),
    };
    match (call.verb, call.status) {
        (Verb::Other, _) => Vec::new(),
        (Verb::Patch, Some(201)) => vec![permission(Verb::Patch), permission(Verb::Create)],
        (verb, _) => vec![permission(verb)],
    }
}

async fn in_time<T>(server: &ApiServer, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap_or_else(|_| {
        let calls = server.calls();
        let last: Vec<String> = calls
            .iter()
            .skip(calls.len().saturating_sub(8))
            .map(|call| format!("{} {}: {:?}", call.verb, call.path, call.status))
            .collect();
        panic!("it hangs; the last calls were {last:#?}")
    })
}

async fn connected(server: &ApiServer, folder: &Path) -> KubernetesCluster {
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, server.kubeconfig()).unwrap();
    let mut config = KubernetesConfig::new("r".parse().unwrap());
    config.kubeconfig = Some(kubeconfig);
    config.rules = Rules {
        gateway: Some(Gateway {
            namespace: "gateways".parse().unwrap(),
            name: "public".parse().unwrap(),
            own_prefix: "/apps/deploy-api".to_owned(),
            auth: None,
        }),
        ..Rules::default()
    };
    let cluster = KubernetesCluster::connect(config, Arc::new(SystemClock))
        .await
        .unwrap();
    cluster.synced().await;
    cluster
}

/// Everything that the ports offer, with whatever makes the adapter call differently.
async fn through_everything(cluster: &KubernetesCluster) {
    let namespace: Namespace = "demo".parse().unwrap();
    let claim: RepositoryName = "demo".parse().unwrap();
    cluster.ensure(&namespace, None).await.unwrap();
    cluster.ensure(&namespace, Some(&claim)).await.unwrap();

    let job = WorkloadBuilder::default()
        .name("ends")
        .command(&["exit", "0"])
        .build();
    let applied = cluster.apply(&job).await.unwrap();
    until_ended(cluster, &job.object()).await;
    cluster.tail(&job.object(), job.task, 20).await.unwrap();
    cluster.delete(&job.object(), Some(&applied.uid)).await.unwrap();

    let job = WorkloadBuilder::default()
        .name("goes-on")
        .command(&["forever"])
        .build();
    cluster.apply(&job).await.unwrap();
    cluster.stop(&job).await.unwrap();
    until(cluster, &job.object(), |seen| {
        seen.condition == Condition::Stopped
    })
    .await;

    let cron_job = WorkloadBuilder::default()
        .name("often")
        .cronjob("@hourly")
        .build();
    let applied = cluster.apply(&cron_job).await.unwrap();
    cluster
        .observe(&cron_job.object(), Freshness::Confirmed)
        .await
        .unwrap();
    cluster
        .delete(&cron_job.object(), Some(&applied.uid))
        .await
        .unwrap();

    // A service that is published, then not any more, then a deployment: what it has besides goes, piece by piece.
    let service = |task: u64, published: Option<Published>| -> Workload {
        let shape = Shape::Service {
            replicas: 1,
            port: 8080,
            published,
        };
        let service = WorkloadBuilder::default().task(task_id(task)).name("site");
        service.command(&["forever"]).shape(shape).build()
    };
    let on_the_gateway = Published {
        access: None,
        prefix: "/site/".to_owned(),
        rewrite: "/".to_owned(),
        timeout_ms: 6000,
        sticky_sessions: false,
        bypass_auth: true,
    };
    cluster.apply(&service(2, Some(on_the_gateway))).await.unwrap();
    cluster.apply(&service(3, None)).await.unwrap();
    let deployment = WorkloadBuilder::default()
        .task(task_id(4))
        .name("site")
        .command(&["forever"]);
    let deployment = deployment.deployment().build();
    let applied = cluster.apply(&deployment).await.unwrap();
    cluster
        .delete(&deployment.object(), Some(&applied.uid))
        .await
        .unwrap();
}

/// A build that fails, and is asked for again.
async fn through_a_build(server: &ApiServer, cluster: &KubernetesCluster) {
    server.put_namespace(BUILDS);
    let source = Arc::new(MemorySourceRepository::new("master".parse().unwrap()));
    let (repository, branch): (RepositoryName, Branch) = ("etl".parse().unwrap(), "master".parse().unwrap());
    let code = Code {
        commit: source.publish(
            &repository,
            &branch,
            &[file("load/code/Dockerfile", "FROM scratch")],
        ),
        repository,
        directory: "load".parse().unwrap(),
    };
    let config = BuilderConfig::new(BUILDS.parse().unwrap(), "https://git.example/team/");
    let builder = cluster
        .image_builder(config, source as Arc<dyn SourceRepository>)
        .unwrap();
    let build = || builder.build(task_id(1), &code, "registry.example/demo/load:1");

    let (failed, first) = tokio::join!(build(), end(server, None, 1, "no such file"));
    assert!(matches!(failed, Err(BuildError::Failed { .. })), "{failed:?}");
    let digest = format!("sha256:{}", "a".repeat(64));
    let (built, _) = tokio::join!(build(), end(server, Some(&first), 0, &digest));
    assert!(built.unwrap().ends_with(&digest));
}

/// Ends the one builder Job that is not `before`, as the kubelet would tell it; answers its uid.
async fn end(server: &ApiServer, before: Option<&str>, code: i32, message: &str) -> String {
    let is_new = |job: &serde_json::Value| job["metadata"]["uid"].as_str() != before;
    let jobs = server
        .until_listed("jobs", BUILDS, |jobs| jobs.len() == 1 && is_new(&jobs[0]))
        .await;
    let metadata = &jobs[0]["metadata"];
    let pod = server
        .running_pod(BUILDS, metadata["name"].as_str().unwrap())
        .await;
    server.hold(Controller::Jobs);
    server.terminate(BUILDS, &pod, code);
    server.edit("pods", BUILDS, &pod, |pod| {
        pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = json!(message);
    });
    server.release(Controller::Jobs);
    metadata["uid"].as_str().unwrap().to_owned()
}

/// What the adapter asks for on all its ways, each with the namespace; empty for the whole cluster.
async fn needed() -> Vec<(String, Permission)> {
    let folder = tempfile::tempdir().unwrap();
    let server = ApiServer::start().await.unwrap();
    let cluster = in_time(&server, connected(&server, folder.path())).await;
    in_time(&server, through_everything(&cluster)).await;
    in_time(&server, through_a_build(&server, &cluster)).await;
    cluster.shutdown();
    let calls = server.calls();
    let each = calls.iter().flat_map(|call| {
        let place = call.namespace.clone();
        asked_for(call).into_iter().map(move |one| (place.clone(), one))
    });
    each.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_has_its_rule_and_every_rule_its_call() {
    let helms = binaries();
    if helms.is_empty() {
        return;
    }
    let needed = needed().await;
    let anywhere: BTreeSet<Permission> = needed.iter().map(|(_, one)| one.clone()).collect();
    // Lists and watches are granted for the cluster, also where the rest is confined.
    let in_builds: BTreeSet<Permission> = needed
        .into_iter()
        .filter(|(place, one)| place == BUILDS && !["list", "watch"].contains(&one.verb.as_str()))
        .map(|(_, one)| one)
        .collect();
    for helm in helms {
        let found = difference(&granted(&rendered(&helm, &published(), &[])), &anywhere);
        assert!(found.is_empty(), "{}", found.join(", "));
        let confined = rendered(&helm, &sample("confined"), &[]);
        let found = difference(&granted_by(of_kind(&confined, "Role")[0]), &in_builds);
        assert!(found.is_empty(), "in the build namespace: {}", found.join(", "));
    }
}

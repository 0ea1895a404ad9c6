//! Whose an object is: what is not ours is never changed, what was edited into garbage is reported and hurts no other,
//! and two installations leave each other alone.

use deploy_adapters::kubernetes::Gateway;
use deploy_core::manifest::Published;
use deploy_core::names::Namespace;
use deploy_core::ports::{
    Cluster, ClusterError, Freshness, Inventory, Logs, LogsError, NamespaceError, Namespaces,
};
use deploy_core::workload::{Kind, Shape, Workload};
use deploy_testkit::contract::cluster::{until, until_ended};
use deploy_testkit::kubernetes::{ApiServer, Settings};
use serde_json::{Value, json};

use crate::support::{Bench, a_cron_job, a_deployment, a_job, a_service, within_patience};

fn version(server: &ApiServer, plural: &str, name: &str) -> Value {
    server.get(plural, "contract", name).unwrap()["metadata"]["resourceVersion"].clone()
}

fn foreign(kind: &str, api_version: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "theirs", "namespace": "contract"}, "spec": spec})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_is_refused_and_left_as_it_is() {
    within_patience(async {
        let bench = Bench::new().await;
        let template = json!({"metadata": {"labels": {"a": "b"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "command": ["forever"]}]}});
        let running = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let objects = [
            ("jobs", foreign("Job", "batch/v1", json!({"template": template}))),
            (
                "cronjobs",
                foreign(
                    "CronJob",
                    "batch/v1",
                    json!({"schedule": "@yearly", "jobTemplate": {"spec": {"template": template}}}),
                ),
            ),
            ("services", foreign("Service", "v1", json!({"ports": [{"port": 80}]}))),
        ];
        for (_, object) in &objects {
            bench.server.put(object.clone()).unwrap();
        }
        bench.server.until("jobs", "contract", "theirs", |job| job.is_some_and(|job| job["status"]["active"] == 1)).await;
        let before: Vec<Value> = objects.iter().map(|(plural, _)| version(&bench.server, plural, "theirs")).collect();
        for workload in [a_job(1, "theirs"), a_cron_job(2, "theirs"), a_service(3, "theirs")] {
            let object = workload.object();
            let answer = bench.cluster.apply(&workload).await;
            assert!(matches!(answer, Err(ClusterError::NotOurs)), "{object}: {answer:?}");
            if workload.kind() != Kind::Service {
                let answer = bench.cluster.stop(&workload).await;
                assert!(matches!(answer, Err(ClusterError::NotOurs)), "{object}: {answer:?}");
            }
            assert_eq!(bench.cluster.delete(&object, None).await.unwrap(), []);
            let seen = bench.cluster.observe(&object, Freshness::Confirmed).await.unwrap();
            assert_eq!(seen, None);
        }
        let after: Vec<Value> = objects.iter().map(|(plural, _)| version(&bench.server, plural, "theirs")).collect();
        assert_eq!(before, after);
        // The name of the Service was taken, so its deployment was not made either.
        assert_eq!(bench.server.get("deployments", "contract", "theirs"), None);
        let theirs = json!({"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": running});
        bench.server.put(foreign("Deployment", "apps/v1", theirs)).unwrap();
        let answer = bench.cluster.apply(&a_deployment(4, "theirs")).await;
        assert!(matches!(answer, Err(ClusterError::NotOurs)), "{answer:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_somebody_else_or_on_its_way_out_is_refused() {
    within_patience(async {
        let bench = Bench::new().await;
        bench.server.put_namespace("theirs");
        let theirs: Namespace = "theirs".parse().unwrap();
        let refused = bench.cluster.ensure(&theirs, None).await;
        assert!(matches!(refused, Err(NamespaceError::Foreign)), "{refused:?}");
        // An administrator labels it: from then on it is ours.
        let labels = json!({"app.kubernetes.io/managed-by": "deploy-api", "deploy-api/instance": "tests",
            "pod-security.kubernetes.io/enforce": "restricted"});
        assert!(
            bench
                .server
                .edit("namespaces", "", "theirs", |found| found["metadata"]["labels"] =
                    labels)
        );
        bench.cluster.ensure(&theirs, None).await.unwrap();
        let mut inside = a_job(1, "inside");
        inside.namespace = theirs.clone();
        bench.cluster.apply(&inside).await.unwrap();
        let job = bench.server.get("jobs", "theirs", "inside").unwrap();
        let context = job.pointer("/spec/template/spec/securityContext/runAsNonRoot");
        let inner = job.pointer("/spec/template/spec/containers/0/securityContext/runAsNonRoot");
        assert!(context.or(inner) == Some(&json!(true)), "{job}");

        let wait = bench.server.edit("namespaces", "", "theirs", |found| {
            found["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            found["status"] = json!({"phase": "Terminating"});
            found["metadata"]["finalizers"] = json!(["tests/hold"]);
        });
        assert!(wait);
        // Until the watch tells, it is still known as it was.
        let mut tries = bench.cluster.watch();
        let other = a_job(2, "elsewhere");
        loop {
            if let Err(error) = bench.cluster.ensure(&theirs, None).await {
                assert!(matches!(error, NamespaceError::Terminating), "{error:?}");
                break;
            }
            bench.cluster.apply(&other).await.ok();
            tokio::select! {
                _ = futures::StreamExt::next(&mut tries) => {}
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_repositories_that_claim_at_once_one_is_told() {
    within_patience(async {
        let bench = Bench::new().await;
        let (one, two) = ("one".parse().unwrap(), "two".parse().unwrap());
        let other = bench.another(|_| {}).await;
        for round in 0..6 {
            let namespace: Namespace = format!("claimed-{round}").parse().unwrap();
            if round % 2 == 0 {
                bench.cluster.ensure(&namespace, None).await.unwrap();
            }
            let (first, second) = tokio::join!(
                bench.cluster.ensure(&namespace, Some(&one)),
                other.ensure(&namespace, Some(&two)),
            );
            let told = [first, second];
            let refused = told
                .iter()
                .filter(|told| matches!(told, Err(NamespaceError::Claimed)))
                .count();
            let granted = told.iter().filter(|told| told.is_ok()).count();
            assert_eq!((granted, refused), (1, 1), "{told:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_installations_never_touch_each_others_objects() {
    within_patience(async {
        let bench = Bench::new().await;
        let other = bench
            .another(|config| config.instance = "other".parse().unwrap())
            .await;
        let wanted = a_job(1, "mine");
        let applied = bench.cluster.apply(&wanted).await.unwrap();
        let refused = other.apply(&wanted).await;
        assert!(matches!(refused, Err(ClusterError::NotOurs)), "{refused:?}");
        assert_eq!(other.delete(&wanted.object(), None).await.unwrap(), []);
        assert_eq!(other.pods(None, None, 10).await.unwrap().items, []);
        let refused = other.ensure(&wanted.namespace, None).await;
        assert!(matches!(refused, Err(NamespaceError::Foreign)), "{refused:?}");
        let seen = bench
            .cluster
            .observe(&wanted.object(), Freshness::Confirmed)
            .await
            .unwrap();
        assert_eq!(seen.unwrap().uid, applied.uid);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_took_our_labels_off_is_theirs_whatever_its_uid() {
    within_patience(async {
        let bench = Bench::new().await;
        let kept = a_job(1, "kept");
        let applied = bench.cluster.apply(&kept).await.unwrap();
        until_ended(&bench.cluster, &kept.object()).await;
        assert!(bench.server.edit("jobs", "contract", "kept", |job| {
            job["metadata"]["labels"] = json!({"keep": "me"});
        }));
        // The caches hear of it by an event that changes no state of ours.
        while bench
            .cluster
            .observe(&kept.object(), Freshness::Cached)
            .await
            .unwrap()
            .is_some()
        {
            tokio::task::yield_now().await;
        }
        let mark = bench.server.mark();
        let deleted = bench
            .cluster
            .delete(&kept.object(), Some(&applied.uid))
            .await
            .unwrap();
        assert_eq!(deleted, []);
        assert_eq!(bench.server.calls_since(mark).writes(), 0);
        assert!(bench.server.get("jobs", "contract", "kept").is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_were_edited_into_garbage_are_reported_and_hurt_no_other() {
    within_patience(async {
        let bench = Bench::new().await;
        let (damaged, healthy) = (a_job(1, "damaged"), a_job(2, "healthy"));
        let applied = bench.cluster.apply(&damaged).await.unwrap();
        until_ended(&bench.cluster, &damaged.object()).await;
        assert!(bench.server.edit("jobs", "contract", "damaged", |job| {
            job["metadata"]["labels"]["deploy-api/task"] = json!("§§§");
            job["metadata"]["annotations"] = json!({"deploy-api/identity": "\u{0}"});
            job["status"]["startTime"] = json!([]);
            job["status"]["active"] = json!("many");
            job["status"]["conditions"][0]["reason"] = json!({"why": 7});
        }));
        let seen = until(&bench.cluster, &damaged.object(), |seen| seen.task.is_none()).await;
        assert_eq!(seen.uid, applied.uid);
        let answer = bench.cluster.apply(&damaged).await;
        assert!(
            matches!(&answer, Err(ClusterError::Exists { task: None, uid }) if *uid == applied.uid),
            "{answer:?}"
        );
        let log = bench.cluster.tail(&damaged.object(), damaged.task, 5).await;
        assert!(matches!(log, Err(LogsError::NotFound)), "{log:?}");
        bench.cluster.apply(&healthy).await.unwrap();
        until_ended(&bench.cluster, &healthy.object()).await;
        assert_eq!(bench.cluster.pods(None, None, 10).await.unwrap().items.len(), 2);
        let deleted = bench
            .cluster
            .delete(&damaged.object(), Some(&applied.uid))
            .await
            .unwrap();
        assert_eq!(deleted.len(), 1);
    })
    .await;
}

fn published(task: u128, name: &str, prefix: Option<&str>) -> Workload {
    let mut workload = a_service(task, name);
    workload.shape = Shape::Service {
        replicas: 1,
        port: 5000,
        published: prefix.map(|prefix| Published {
            access: None,
            prefix: prefix.to_owned(),
            rewrite: "/".to_owned(),
            timeout_ms: 6000,
            sticky_sessions: false,
            bypass_auth: true,
        }),
    };
    workload
}

async fn with_gateway() -> Bench {
    Bench::with(|config| {
        config.rules.gateway = Some(Gateway {
            namespace: "infra".parse().unwrap(),
            name: "public".parse().unwrap(),
            own_prefix: "/apps/deploy-api".to_owned(),
            auth: None,
        });
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_comes_and_goes_with_what_is_published() {
    within_patience(async {
        let bench = with_gateway().await;
        let route = |name: &str| bench.server.get("httproutes", "contract", name);
        let created = bench
            .cluster
            .apply(&published(1, "site", Some("/site/")))
            .await
            .unwrap();
        let first = route("site").unwrap();
        assert_eq!(first["metadata"]["ownerReferences"][0]["uid"], created.uid.0);
        bench
            .cluster
            .apply(&published(2, "site", Some("/other/")))
            .await
            .unwrap();
        let second = route("site").unwrap();
        assert_eq!(second["metadata"]["uid"], first["metadata"]["uid"]);
        assert_ne!(second["spec"], first["spec"]);
        bench.cluster.apply(&published(3, "site", None)).await.unwrap();
        assert_eq!(route("site"), None);
        let last = published(4, "site", Some("/site/"));
        let applied = bench.cluster.apply(&last).await.unwrap();
        assert_eq!(applied.uid, created.uid);
        bench
            .cluster
            .delete(&last.object(), Some(&applied.uid))
            .await
            .unwrap();
        for plural in ["deployments", "services", "httproutes", "pods"] {
            bench
                .server
                .until_listed(plural, "contract", <[Value]>::is_empty)
                .await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_gateway_api_only_what_is_published_is_refused() {
    within_patience(async {
        let bench = with_gateway().await;
        bench
            .server
            .configure(|settings: &mut Settings| settings.gateway_api = false);
        let refused = bench.cluster.apply(&published(1, "site", Some("/site/"))).await;
        let Err(ClusterError::Refused { message }) = refused else {
            panic!("{refused:?}");
        };
        assert!(message.contains("Gateway API"), "{message}");
        assert_eq!(bench.server.count("deployments"), 0);
        assert!(
            bench
                .cluster
                .apply(&published(2, "site", None))
                .await
                .unwrap()
                .created
        );
        assert!(
            !bench
                .cluster
                .apply(&published(3, "site", None))
                .await
                .unwrap()
                .created
        );
    })
    .await;
}

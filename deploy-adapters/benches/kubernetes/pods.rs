//! Many pods, as a real API server and kubelet write them (`pod.json`, of Kubernetes 1.34: a task with a sidecar that
//! was injected, its volumes and its managed fields), and what it takes to list them all.

use std::time::{Duration, Instant};

use deploy_core::ports::Inventory;
use deploy_testkit::kubernetes::{ApiServer, Controller};
use deploy_testkit::measure::{SideBySide, rounds};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bare::{client, selector};
use crate::ours::{INSTANCE, connect};

pub(crate) const PODS: usize = 10_000;
/// How many deployments they belong to.
const DEPLOYMENTS: usize = 100;
/// How many are asked for at a time.
const PAGE: u32 = 500;
const ROUNDS: usize = 5;

/// All of them out of our cache, page by page, against all of them from the server.
pub(crate) async fn lists(server: &ApiServer) {
    let folder = tempfile::tempdir().unwrap();
    let cluster = connect(server, &folder).await;
    let client = client(&server.kubeconfig()).await;
    let mut measured = SideBySide::default();
    for _ in 0..rounds(ROUNDS) {
        let theirs = from_server(&client).await;
        let ours = from_cache(&cluster).await;
        measured.push(theirs, ours);
    }
    println!("the server's list of {PODS} pods against ours, {PAGE} a page: {measured}");
    cluster.shutdown();
}

async fn from_cache(inventory: &dyn Inventory) -> Duration {
    let begun = Instant::now();
    let (mut count, mut after) = (0, None);
    loop {
        let page = inventory.pods(None, after.as_ref(), PAGE as usize).await.unwrap();
        let Some(last) = page.items.last() else { break };
        after = Some((last.namespace.to_string(), last.name.clone()));
        count += page.items.len();
        assert!(page.items.iter().all(|pod| pod.task_id.is_some()));
    }
    let time = begun.elapsed();
    assert_eq!(count, PODS);
    time
}

async fn from_server(client: &Client) -> Duration {
    let pods: Api<Pod> = Api::all(client.clone());
    let begun = Instant::now();
    let mut parameters = ListParams::default().labels(&selector()).limit(PAGE);
    let mut count = 0;
    loop {
        let page = pods.list(&parameters).await.unwrap();
        count += page.items.len();
        let Some(token) = page.metadata.continue_.filter(|token| !token.is_empty()) else {
            break;
        };
        parameters = parameters.continue_token(&token);
    }
    let time = begun.elapsed();
    assert_eq!(count, PODS);
    time
}

/// Puts the pods there, and what they belong to. They stay as they are.
pub(crate) fn fill(server: &ApiServer) {
    for controller in [
        Controller::Scheduler,
        Controller::Kubelet,
        Controller::Deployments,
        Controller::GarbageCollector,
    ] {
        server.hold(controller);
    }
    for number in 0..DEPLOYMENTS {
        server.put(deployment(number)).unwrap();
    }
    let model: Value = serde_json::from_str(include_str!("pod.json")).unwrap();
    for number in 0..PODS {
        server.put(pod(&model, number)).unwrap();
    }
}

/// How large one of the pods is as the server writes it, in bytes of JSON.
pub(crate) fn size(server: &ApiServer) -> usize {
    let pods = server.list("pods", "");
    let sizes: usize = pods.iter().map(|pod| pod.to_string().len()).sum();
    sizes / pods.len()
}

fn name(deployment: usize) -> String {
    format!("order-worker-{deployment}")
}

fn deployment(number: usize) -> Value {
    let labels = json!({
        "app.kubernetes.io/managed-by": "deploy-api",
        "deploy-api/instance": INSTANCE,
        "deploy-api/kind": "deployment",
        "deploy-api/workload": name(number),
        "deploy-api/task": Uuid::from_u128(number as u128 + 1),
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name(number), "namespace": "demo", "labels": labels},
        "spec": {
            "replicas": PODS / DEPLOYMENTS,
            "selector": {"matchLabels": {"deploy-api/workload": name(number)}},
            "template": {
                "metadata": {"labels": {"deploy-api/workload": name(number)}},
                "spec": {"containers": [{"name": "task", "image": "registry.example/worker:1"}]},
            },
        },
    })
}

/// A pod like the model, with everything of its own that differs from pod to pod.
fn pod(model: &Value, number: usize) -> Value {
    let deployment = number % DEPLOYMENTS;
    let mut pod = model.clone();
    let id = |part: u128| Uuid::from_u128(part << 64 | number as u128).to_string();
    let metadata = &mut pod["metadata"];
    metadata["name"] = json!(format!("{}-7d77bfcf4-{number:05}", name(deployment)));
    metadata["labels"]["deploy-api/workload"] = json!(name(deployment));
    metadata["ownerReferences"][0]["name"] = json!(format!("{}-7d77bfcf4", name(deployment)));
    metadata["ownerReferences"][0]["uid"] = json!(Uuid::from_u128(1 << 100 | deployment as u128));
    let status = &mut pod["status"];
    let address = format!("10.244.{}.{}", number / 250, number % 250 + 1);
    status["podIP"] = json!(address);
    status["podIPs"] = json!([{"ip": address}]);
    for (container, part) in [(0, 1), (1, 2)] {
        let digits = id(part).replace('-', "").repeat(2);
        status["containerStatuses"][container]["containerID"] = json!(format!("containerd://{digits}"));
    }
    pod
}

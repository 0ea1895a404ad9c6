//! What only Kubernetes does, seen through the routes: the real binary, and the stand-in of the API server as its cluster.
//! What a container does is said by its command, which the stand-in plays. The walk over all routes is in walk.rs.

use deploy_testkit::contract::cluster::Behaviour;
use deploy_testkit::fixture::tree::{Entry, file};
use deploy_testkit::kubernetes::{ApiServer, Fault, Matcher, Settings, Times};
use serde_json::{Value, json};

use crate::api::{Api, Request, each, text};
use crate::curl::Answer;
use crate::scene::Scene;
use crate::server::Server;

/// A stand-in, which acts while the test waits for curl.
struct Cluster {
    api_server: ApiServer,
    /// What it runs on, as long as it lives.
    _runtime: tokio::runtime::Runtime,
}

impl Cluster {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let api_server = runtime.block_on(ApiServer::start()).unwrap();
        Self {
            api_server,
            _runtime: runtime,
        }
    }

    fn server(&self, scene: &Scene, flags: &[&str]) -> Api {
        let flags = [&["--cluster", "kubernetes"], flags].concat();
        let kubeconfig = scene.git.root().join("kubeconfig");
        std::fs::write(&kubeconfig, self.api_server.kubeconfig()).unwrap();
        let env = [("KUBECONFIG", kubeconfig.as_path())];
        Api::new(Server::start_with(&scene.base_url(), &flags, &env))
    }
}

#[test]
fn tasks_of_every_kind_and_fate_on_kubernetes() {
    let cluster = Cluster::start();
    let scene = scene();
    let api = cluster.server(&scene, &[]);
    tasks(&api, &cluster.api_server);
    runs(&api);
    deleted(&api, &cluster.api_server);
    let log = api.server.log();
    assert!(!log.contains("ERROR"), "{log}");
    assert!(api.server.stop(), "it did not end as told:\n{log}");
}

#[test]
fn a_cluster_that_takes_nothing_is_a_503_that_says_when_to_come_back_and_lists_go_on() {
    let cluster = Cluster::start();
    let scene = scene();
    let api = cluster.server(&scene, &[]);
    let state = deploy(api.request("GET", "/v1/task/deploy/kube/ok"));
    assert_eq!(api.finished(&state)["state"], "succeeded");
    let refused = |path: &str| {
        let begun = std::time::Instant::now();
        let answer = api.get(path);
        answer.problem(503, "cluster-unavailable");
        assert!(answer.header("retry-after").parse::<u64>().is_ok(), "{answer:?}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(10));
        let listed = api.get("/v1/list/pods");
        assert!(!listed.json(200)["pods"].as_array().unwrap().is_empty());
        assert!(listed.header("age").parse::<u64>().is_ok(), "{listed:?}");
    };
    let api_server = &cluster.api_server;
    api_server.inject(Matcher::all(), Times::Always, Fault::Unavailable(Some(3)));
    refused("/v1/task/deploy/kube/ok");
    refused("/v1/task/deployinas/kube/ok/elsewhere/ok");
    refused("/v1/delete/job/kube/ok");
    api_server.heal();
    let state = deploy(api.request("GET", "/v1/task/deploy/kube/fail"));
    let done = api.finished(&state);
    assert_eq!((text(&done, "state"), &done["exit_code"]), ("failed", &json!(3)));
    // Nobody listens there any more.
    drop(cluster);
    refused("/v1/task/deployas/kube/ok/another");
}

/// The repository `kube` beside those of every scene.
fn scene() -> Scene {
    let scene = Scene::set();
    let ends = |code: i32| command(Behaviour::Ends(code));
    let goes_on = || command(Behaviour::GoesOn);
    let task = |name: &str, kind: &str, cmd: Value, more: Value| -> Entry {
        let image = "registry.example/kube/x:1";
        let mut manifest = json!({"name": name, "type": kind, "image": image, "cmd": cmd});
        manifest
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        file(&format!("{name}/manifest.json"), manifest.to_string())
    };
    let pipeline = |name: &str, tasks: Value| {
        let pipeline = json!({"name": name, "tasks": tasks}).to_string();
        file(&format!("{name}/pipeline.json"), pipeline)
    };
    let entries = [
        task("ok", "job", ends(0), json!({})),
        task("fail", "job", ends(3), json!({})),
        task("slow", "job", goes_on(), json!({})),
        task("big", "job", ends(0), json!({"cpu-request": "1000"})),
        task(
            "gone",
            "job",
            ends(0),
            json!({"image": "nonexistent.invalid/x:1"}),
        ),
        task("cron", "job", ends(0), json!({"schedule": "0 4 * * *"})),
        task("worker", "deployment", goes_on(), json!({"replicas": 2})),
        task("web", "service", goes_on(), json!({"container-port": 5000})),
        pipeline(
            "diamond",
            json!([
                {"name": "a", "namespacetask": "kube/ok"},
                {"name": "b", "namespacetask": "kube/ok", "dependance": ["a"]},
                {"name": "c", "namespacetask": "kube/web", "dependance": ["a"]},
                {"name": "d", "namespacetask": "kube/ok", "dependance": ["b", "c"]},
            ]),
        ),
        pipeline(
            "error",
            json!([
                {"name": "load", "namespacetask": "kube/fail"},
                {"name": "report", "namespacetask": "kube/ok", "dependance": ["load"]},
                {"name": "tidy", "namespacetask": "kube/ok", "dependance": ["load"], "run-if-error": true},
            ]),
        ),
        pipeline(
            "long",
            json!([
                {"name": "first", "namespacetask": "kube/slow"},
                {"name": "then", "namespacetask": "kube/ok", "dependance": ["first"]},
            ]),
        ),
    ];
    scene.git.publish("kube", "master", &entries);
    scene
}

/// As the stand-in plays it.
fn command(behaviour: Behaviour) -> Value {
    match behaviour {
        Behaviour::Ends(code) => json!(["exit", code.to_string()]),
        Behaviour::GoesOn => json!(["forever"]),
    }
}

/// Sends it, and answers where the state of its task is.
#[track_caller]
fn deploy(request: Request<'_>) -> String {
    located(&request.send())
}

#[track_caller]
fn located(answer: &Answer) -> String {
    answer.json(202);
    answer.header("location").to_owned()
}

fn tasks(api: &Api, api_server: &ApiServer) {
    let state = deploy(api.request("GET", "/v1/task/deploy/kube/fail"));
    let done = api.finished(&state);
    assert_eq!((text(&done, "state"), &done["exit_code"]), ("failed", &json!(3)));
    assert_eq!(done["reason"]["code"], "exit-code");
    let log = format!("/v2/task/logs/{}", text(&done, "id"));
    assert_eq!(api.get(&log).body, "here\n");

    let fields = [("namespace", "kube"), ("name", "nightly")];
    let path = "/v2/task/elaborate/deploy/kube/cron";
    let answer = api.request("POST", path).urlencoded(&fields).send();
    assert_eq!(answer.json(202)["state"], "scheduled");
    let job = api_server.fire("kube", "nightly");
    assert!(job.is_some(), "its time has come");

    for (name, reason) in [("big", "unschedulable"), ("gone", "image-pull-failed")] {
        let state = deploy(api.request("GET", &format!("/v1/task/deploy/kube/{name}")));
        let waiting = api.until(&state, |task| task["reason"]["code"] == reason);
        assert_eq!(waiting["state"], "pending", "{waiting:#}");
    }
    for name in ["worker", "web"] {
        let first = deploy(api.request("GET", &format!("/v1/task/deploy/kube/{name}")));
        api.until(&first, |task| task["state"] == "ready");
        let second = deploy(api.request("GET", &format!("/v1/task/deploy/kube/{name}")));
        api.until(&second, |task| task["state"] == "ready");
        assert_eq!(api.get(&first).json(200)["state"], "superseded");
    }
    let path = "/v1/task/deploy/kube/slow";
    let first = deploy(api.request("GET", path));
    api.until(&first, |task| task["state"] == "running");
    api.get(path).problem(409, "job-unfinished");
    let second = deploy(api.request("GET", &format!("{path}?replace=true")));
    api.until(&second, |task| task["state"] == "running");
    // A namespace that somebody else made.
    api_server.put_namespace("theirs");
    api.get("/v1/task/deployinas/kube/ok/theirs/x")
        .problem(403, "namespace-foreign");
}

fn runs(api: &Api) {
    let run = api.finished(&deploy(api.request("GET", "/v1/pipeline/runas/kube/diamond/one")));
    assert_eq!(run["state"], "succeeded", "{run:#}");
    let failed = api.finished(&deploy(api.request("GET", "/v1/pipeline/runas/kube/error/etl")));
    assert_eq!(
        each(&failed["steps"], "state"),
        ["failed", "skipped", "succeeded"]
    );
    for verb in ["GET", "POST"] {
        let state = deploy(api.request("GET", "/v1/pipeline/runas/kube/long/long"));
        api.until(&state, |run| run["steps"][0]["state"] == "running");
        let id = state.rsplit('/').next().unwrap();
        located(&api.request(verb, &format!("/v1/pipeline/kill/{id}")).send());
        let run = api.finished(&state);
        assert_eq!(run["state"], "killed");
        assert_eq!(each(&run["steps"], "state"), ["killed", "killed"]);
    }
}

fn deleted(api: &Api, api_server: &ApiServer) {
    let delete = |verb: &str, path: &str| api.request(verb, path).send().json(200)["deleted"].clone();
    for verb in ["GET", "POST", "DELETE"] {
        for (kind, name, count) in [
            ("job", "slow", 1),
            ("cronjob", "cron", 1),
            ("deployment", "worker", 1),
            ("service", "web", 2),
        ] {
            deploy(api.request("GET", &format!("/v1/task/deploy/kube/{name}?replace=true")));
            let gone = delete(verb, &format!("/v1/delete/{kind}/kube/{name}"));
            assert_eq!(each(&gone, "name"), vec![name; count], "{gone:#}");
        }
    }
    delete("DELETE", "/v1/delete/cronjob/kube/nightly");
    for plural in ["cronjobs", "deployments", "services"] {
        assert_eq!(api_server.count(plural), 0, "{plural}");
    }
    let running = |pod: &Value| pod["status"]["phase"] == "Running";
    let pods = api_server.list("pods", "kube");
    assert!(!pods.iter().any(running), "{pods:#?}");
}

#[test]
fn a_cluster_without_room_says_so_where_the_quota_is_used_up() {
    let cluster = Cluster::start();
    let scene = scene();
    let api = cluster.server(&scene, &[]);
    let limited = |settings: &mut Settings| {
        settings.pods.insert("kube".to_owned(), 0);
    };
    cluster.api_server.configure(limited);
    let state = deploy(api.request("GET", "/v1/task/deploy/kube/ok"));
    let waiting = api.until(&state, |task| task["reason"]["code"] == "quota-exceeded");
    assert_eq!(waiting["state"], "pending");
    cluster.api_server.configure(|settings| settings.pods.clear());
    assert_eq!(api.finished(&state)["state"], "succeeded");
}

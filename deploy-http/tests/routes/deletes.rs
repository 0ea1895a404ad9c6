//! Rows 30 to 33, each by all of its verbs: what was deployed goes, and tells so.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::Value;

use crate::api::{Api, each, keys, text};
use crate::scene::{Place, Scene};

/// Removes what the parts before have left running.
pub fn walk(api: &Api, scene: &Scene) {
    jobs(api);
    cronjobs(api);
    deployments(api);
    services(api, scene);
}

fn jobs(api: &Api) {
    let running = api.get("/v1/list/tasks/demo").json(200);
    let slow = running["jobs"].as_array().unwrap();
    let slow = slow.iter().find(|job| job["name"] == "slow").unwrap();
    let state = format!("/v1/task/state/{}", text(slow, "id"));
    assert_eq!(deleted(api, "GET", "/v1/delete/job/demo/slow"), ["job demo/slow"]);
    assert_eq!(api.finished(&state)["state"], "deleted");
    assert_eq!(
        deleted(api, "POST", "/v1/delete/job/demo/renamed"),
        ["job demo/renamed"]
    );
    assert_eq!(
        deleted(api, "DELETE", "/v1/delete/job/team-a/in-a"),
        ["job team-a/in-a"]
    );
    let again = api.request("DELETE", "/v1/delete/job/team-a/in-a").send();
    again.problem(404, "object-not-found");
}

fn cronjobs(api: &Api) {
    let path = "/v1/delete/cronjob/demo/cron";
    assert!(deleted(api, "GET", path).contains(&"cronjob demo/cron".to_owned()));
    for verb in ["POST", "DELETE"] {
        api.post("/v2/task/elaborate/deploy/demo/cron").json(202);
        assert!(deleted(api, verb, path).contains(&"cronjob demo/cron".to_owned()));
    }
    let left = api.get("/v1/list/tasks").json(200);
    assert_eq!(each(&left["cronjobs"], "name"), ["nightly"]);
}

fn deployments(api: &Api) {
    let path = "/v1/delete/deployment/demo/worker";
    let record = api.get("/v1/list/tasks/demo").json(200);
    let record = format!("/v1/task/state/{}", text(&record["deployments"][0], "id"));
    assert_eq!(deleted(api, "GET", path), ["deployment demo/worker"]);
    api.get(&record).problem(404, "task-not-found");
    for verb in ["POST", "DELETE"] {
        api.get("/v1/task/deploy/demo/worker").json(202);
        assert_eq!(deleted(api, verb, path), ["deployment demo/worker"]);
    }
    api.get(path).problem(404, "object-not-found");
    // It stands behind the service: alone it may not go.
    api.get("/v1/delete/deployment/demo/web")
        .problem(409, "belongs-to-service");
}

fn services(api: &Api, scene: &Scene) {
    let both = |name: &str| [format!("deployment demo/{name}"), format!("service demo/{name}")];
    let sorted = |verb: &str, path: &str| {
        let mut deleted = deleted(api, verb, path);
        deleted.sort();
        deleted
    };
    let path = "/v1/delete/service/demo/web";
    assert_eq!(sorted("GET", path), both("web"));
    if scene.place == Place::Local {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, scene.port));
        assert!(free.is_ok(), "nothing listens on its port any more: {free:?}");
    }
    assert_eq!(
        sorted("DELETE", "/v1/delete/service/demo/mixed-web"),
        both("mixed-web")
    );
    api.get("/v1/task/deploy/demo/web").json(202);
    assert_eq!(sorted("POST", path), both("web"));
    let left = api.get("/v1/list/tasks").json(200);
    assert!(each(&left["services"], "name").is_empty() && each(&left["deployments"], "name").is_empty());
}

/// What a delete says it has removed, as `kind namespace/name`.
#[track_caller]
fn deleted(api: &Api, verb: &str, path: &str) -> Vec<String> {
    let answer = api.request(verb, path).send().json(200);
    assert_eq!(keys(&answer), "deleted");
    let one = |item: &Value| {
        assert_eq!(keys(item), "kind name namespace uid");
        assert!(!text(item, "uid").is_empty());
        let [kind, namespace, name] = ["kind", "namespace", "name"].map(|key| text(item, key));
        format!("{kind} {namespace}/{name}")
    };
    answer["deleted"].as_array().unwrap().iter().map(one).collect()
}

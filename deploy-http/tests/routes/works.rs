//! Rows 6, 7, 15 and 16: configurations loaded from git.

use serde_json::{Value, json};

use crate::api::{Api, Request, keys, text};
use crate::scene::Scene;

const TASK: &str = "/v2/task/load/configuration/from-git/demo";
const PIPELINE: &str = "/v2/pipeline/load/configuration/from-git/demo";

/// Loads good, bad and absent documents of both kinds.
pub fn walk(api: &Api, scene: &Scene) {
    of_tasks(api, scene);
    of_pipelines(api, scene);
}

fn of_tasks(api: &Api, scene: &Scene) {
    let loaded = load(api, api.request("POST", &format!("{TASK}/ok")));
    assert_eq!(
        keys(&loaded),
        "branch commit configuration problem state warnings work_id"
    );
    assert_eq!(loaded["state"], "loaded", "{loaded:#}");
    assert_eq!(loaded["configuration"]["name"], "ok");
    assert_eq!(
        loaded["configuration"]["cmd"][0], "sh",
        "a load shows the document as it stands"
    );
    assert_eq!(
        (text(&loaded, "branch"), text(&loaded, "commit")),
        ("master", &*scene.master)
    );
    assert!(
        loaded["problem"].is_null() && loaded["warnings"] == json!([]),
        "{loaded:#}"
    );

    let on_branch = api.request("POST", &format!("{TASK}/ok"));
    let feature = load(api, on_branch.urlencoded(&[("branch", "feature")]));
    assert_eq!(text(&feature, "commit"), scene.feature);
    assert!(
        feature["configuration"]["cmd"][2]
            .as_str()
            .unwrap()
            .contains("feature branch")
    );

    let bad = load(api, api.request("POST", &format!("{TASK}/bad")));
    assert_eq!(bad["state"], "loaded", "{bad:#}");
    assert_eq!(bad["configuration"]["privileged"], true);
    assert_eq!(bad["problem"]["type"], "urn:deploy:problem:invalid-manifest");
    assert!(
        bad["problem"]["violations"].as_array().unwrap().len() >= 4,
        "{bad:#}"
    );

    let absent = load(api, api.request("POST", &format!("{TASK}/nowhere")));
    assert_eq!(absent["state"], "failed", "{absent:#}");
    assert_eq!(absent["problem"]["type"], "urn:deploy:problem:manifest-not-found");
    assert!(absent["configuration"].is_null());

    let path = TASK.replace("/demo", "/absent");
    let absent = load(api, api.request("POST", &format!("{path}/ok")));
    assert_eq!(
        absent["problem"]["type"],
        "urn:deploy:problem:repository-not-found"
    );
}

fn of_pipelines(api: &Api, scene: &Scene) {
    let path = format!("{PIPELINE}/diamond");
    let loaded = load(api, api.request("POST", &path).multipart(&[("branch", "master")]));
    assert_eq!(loaded["state"], "loaded", "{loaded:#}");
    assert_eq!(
        loaded["configuration"]["tasks"][3]["dependance"],
        json!(["b", "c"])
    );
    assert_eq!(text(&loaded, "commit"), scene.master);

    let cycle = load(api, api.request("POST", &format!("{PIPELINE}/cycle")));
    assert_eq!(cycle["state"], "loaded", "{cycle:#}");
    assert_eq!(cycle["problem"]["type"], "urn:deploy:problem:invalid-pipeline");
    let told = cycle["problem"]["violations"].to_string();
    assert!(
        told.contains("egg") && told.contains("hen"),
        "the members of a cycle are named: {told}"
    );
}

/// Answers the work when it is over.
#[track_caller]
fn load(api: &Api, request: Request<'_>) -> Value {
    let answer = request.send();
    let begun = answer.json(202);
    let id = text(&begun, "work_id").to_owned();
    let path = answer.header("location").to_owned();
    assert!(
        path.ends_with(&format!("/get/configuration-loading-state/{id}")),
        "{path}"
    );
    let over = api.get(&format!("{path}?wait=60"));
    let work = over.json(200);
    assert_eq!(work["work_id"], id);
    let known = format!("If-None-Match: {}", over.header("etag"));
    let again = api.request("GET", &path).header(&known).send();
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let head = api.request("HEAD", &path).send();
    assert_eq!((head.status, head.header("etag")), (200, over.header("etag")));
    work
}

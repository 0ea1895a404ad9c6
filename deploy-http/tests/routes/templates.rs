//! Rows 10, 20, 28 and 29.

use serde_json::json;

use crate::api::{Api, keys};

/// Writes templates where an administrator would, and reads them back.
pub fn walk(api: &Api) {
    let (task, pipeline) = (
        r#"{"name": "job", "type": "job"}"#,
        r#"{"name": "etl", "tasks": []}"#,
    );
    api.server.write("templates/tasks/job.json", task);
    api.server.write("templates/tasks/python/service.json", task);
    api.server.write("templates/tasks/torn.json", "{");
    api.server.write("templates/pipelines/etl.json", pipeline);
    listed(api);
    got(api);
}

fn listed(api: &Api) {
    let all = api.get("/v2/task/list/templates").json(200);
    let names = json!(["job.json", "python/service.json", "torn.json"]);
    assert_eq!(all, json!({"template_filenames": names, "continue": null}));
    let first = api.get("/v2/task/list/templates?limit=1").json(200);
    assert_eq!(first["template_filenames"], json!(["job.json"]));
    let place = first["continue"].as_str().unwrap();
    let rest = api.get(&format!("/v2/task/list/templates?limit=2&continue={place}"));
    assert_eq!(
        rest.json(200),
        json!({"template_filenames": ["python/service.json", "torn.json"], "continue": null})
    );
    let pipelines = api.get("/v2/pipeline/list/templates").json(200);
    assert_eq!(
        pipelines,
        json!({"template_filenames": ["etl.json"], "continue": null})
    );
}

fn got(api: &Api) {
    let task = |path: &str| {
        api.request("POST", "/v2/task/get/template")
            .multipart(&[("template_path", path)])
            .send()
    };
    let found = task("python/service.json").json(200);
    assert_eq!(keys(&found), "configuration template_path");
    assert_eq!(found["template_path"], "python/service.json");
    assert_eq!(found["configuration"], json!({"name": "job", "type": "job"}));
    task("absent.json").problem(404, "template-not-found");
    // Each kind has its own folder.
    task("etl.json").problem(404, "template-not-found");
    task("torn.json").problem(422, "invalid-template");
    let pipeline = api
        .request("POST", "/v2/pipeline/get/template")
        .urlencoded(&[("template_path", "etl.json")])
        .send();
    assert_eq!(
        pipeline.json(200)["configuration"],
        json!({"name": "etl", "tasks": []})
    );
}

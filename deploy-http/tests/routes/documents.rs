//! Manifests and pipelines that break rules: everything that is wrong is named at once, and nothing is begun.

use serde_json::json;

use crate::api::each;
use crate::started::{nothing_has_begun, start};

#[test]
fn a_bad_manifest_is_answered_with_all_that_is_wrong_with_it() {
    let api = start(&[]);
    let problem = api
        .get("/v1/task/deploy/demo/bad")
        .problem(422, "invalid-manifest");
    let mut pointers = each(&problem["violations"], "pointer");
    pointers.sort();
    pointers.dedup();
    assert_eq!(
        pointers,
        ["/cmd", "/name", "/privileged", "/replicas"],
        "{problem:#}"
    );

    let nested = "[".repeat(100_000);
    let twice = r#"{"name": "x", "name": "y"}"#;
    let file = |name: &str, text: &str| api.server.write_beside(name, text);
    for part in [
        file("nested.json", &nested),
        file("twice.json", twice),
        file("number.json", r#"{"name": 1e400}"#),
        file("text.json", "hello"),
    ] {
        for (path, code) in [
            ("/v2/task/deploy/with-configuration", "invalid-manifest"),
            ("/v2/pipeline/run/with-configuration", "invalid-pipeline"),
        ] {
            let request = api.request("POST", path).multipart(&[("namespace", "demo")]);
            let request = request.curl(|curl| curl.multipart_file("configuration", &part));
            let problem = request.send().problem(422, code);
            assert!(
                !problem["violations"].as_array().unwrap().is_empty(),
                "{problem:#}"
            );
        }
    }
    nothing_has_begun(&api);
}

#[test]
fn a_pipeline_with_a_gap_names_its_steps_and_starts_nothing() {
    let api = start(&[]);
    let problem = api
        .get("/v1/pipeline/runas/demo/gap/run")
        .problem(422, "invalid-pipeline");
    let told = problem["violations"].to_string();
    for pointer in each(&problem["violations"], "pointer") {
        assert!(
            pointer.starts_with("/tasks/1") || pointer.starts_with("/tasks/2"),
            "{problem:#}"
        );
    }
    assert!(
        told.contains("/tasks/1") && told.contains("/tasks/2"),
        "all of them at once: {told}"
    );

    let problem = api
        .get("/v1/pipeline/runas/demo/cycle/run")
        .problem(422, "invalid-pipeline");
    let told = problem["violations"].to_string();
    assert!(told.contains("egg") && told.contains("hen"), "{told}");

    let own = json!({"name": "own", "tasks": [
        {"name": "here", "namespacetask": "demo/ok"},
        {"name": "there", "namespacetask": "absent/ok"},
    ]});
    let fields = [("namespace", "demo"), ("configuration", &own.to_string())];
    let request = api.request("POST", "/v2/pipeline/run/with-configuration");
    let problem = request
        .urlencoded(&fields)
        .send()
        .problem(422, "invalid-pipeline");
    assert!(
        problem["violations"].to_string().contains("/tasks/1"),
        "{problem:#}"
    );
    nothing_has_begun(&api);
}

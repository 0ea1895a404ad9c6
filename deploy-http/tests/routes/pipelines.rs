//! Rows 11 to 14 and 17 to 19: runs that succeed, fail, serve and are killed.

use serde_json::{Value, json};

use crate::api::{Api, Request, each, keys, text};
use crate::curl::Answer;
use crate::scene::Scene;

const RUN: &str =
    "created_at finished_at id identity in_error name namespace original source state steps warnings";
const STEP: &str = "branch commit dependance exit_code finished_at name namespacetask reason run_if_error started_at \
                    state task_id";

/// Leaves a service of a run behind, and runs that have ended.
pub fn walk(api: &Api, scene: &Scene) {
    a_diamond_succeeds(api, scene);
    a_failure_skips_what_follows_and_cleans_up(api);
    a_service_serves_the_steps_after_it(api);
    a_run_on_a_branch(api, scene);
    a_configuration_of_ones_own(api);
    a_kill_stops_what_runs_and_what_waits(api);
    a_kill_with_cleanup_still_tidies(api);
}

fn a_diamond_succeeds(api: &Api, scene: &Scene) {
    let path = begun(api.request("GET", "/v1/pipeline/runas/demo/diamond/nightly"));
    let run = api.finished(&path);
    assert_eq!(keys(&run), RUN);
    let shown = ["name", "original", "namespace", "state", "identity"].map(|key| text(&run, key));
    assert_eq!(
        shown,
        ["nightly", "diamond", "demo", "succeeded", "ada@example.com"]
    );
    let source =
        json!({"repository": "demo", "directory": "diamond", "branch": "master", "commit": scene.master});
    assert_eq!((&run["source"], &run["in_error"]), (&source, &json!(false)));
    assert_eq!(
        outcome(&run),
        "a succeeded, b succeeded, c succeeded, d succeeded"
    );
    let steps = run["steps"].as_array().unwrap();
    for step in steps {
        assert_eq!(keys(step), STEP);
        assert_eq!(
            (&step["exit_code"], &step["namespacetask"]),
            (&json!(0), &json!("demo/ok"))
        );
        assert_eq!(
            (text(step, "branch"), text(step, "commit")),
            ("master", &*scene.master)
        );
    }
    assert_eq!(steps[3]["dependance"], json!(["b", "c"]));
    let began = |step: usize| text(&steps[step], "started_at");
    let ended = |step: usize| text(&steps[step], "finished_at");
    assert!(
        began(1) >= ended(0) && began(3) >= ended(1) && began(3) >= ended(2),
        "{run:#}"
    );

    // A step is a task, with the environment that the pipeline gives it.
    let id = text(&steps[1], "task_id");
    let task = api.get(&format!("/v1/task/state/{id}")).json(200);
    assert_eq!(
        (&task["pipeline_id"], text(&task, "state")),
        (&run["id"], "succeeded")
    );
    assert_eq!(api.get(&format!("/v2/task/logs/{id}")).body, "one\ntwo\nleft\n");

    let state = api.get(&path);
    let known = format!("If-None-Match: {}", state.header("etag"));
    let again = api.request("GET", &path).header(&known).send();
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let head = api.request("HEAD", &path).send();
    assert_eq!((head.status, head.header("etag")), (200, state.header("etag")));
    // A run is found in its own namespace alone.
    api.get(&path.replace("/demo/", "/team-a/"))
        .problem(404, "pipeline-not-found");
}

fn a_failure_skips_what_follows_and_cleans_up(api: &Api) {
    let path = begun(api.request("POST", "/v1/pipeline/runinas/demo/error/team-a/etl"));
    let run = api.finished(&path);
    assert_eq!(
        (text(&run, "namespace"), text(&run, "state")),
        ("team-a", "failed")
    );
    assert_eq!(run["in_error"], true);
    assert_eq!(
        outcome(&run),
        "create succeeded, load failed, report skipped, delete succeeded"
    );
    let load = &run["steps"][1];
    assert_eq!(
        (&load["exit_code"], &load["reason"]["code"]),
        (&json!(3), &json!("exit-code"))
    );
    assert!(run["steps"][2]["task_id"].is_null(), "{run:#}");
}

fn a_service_serves_the_steps_after_it(api: &Api) {
    // The empty namespace is the repository's.
    let path = begun(api.request("GET", "/v1/pipeline/runinas/demo/mixed//mixed"));
    let run = api.finished(&path);
    assert_eq!(text(&run, "namespace"), "demo");
    assert_eq!(outcome(&run), "serve succeeded, smoke succeeded", "{run:#}");
    let log = api.get(&format!("/v2/task/logs/{}", text(&run["steps"][1], "task_id")));
    assert_eq!(log.body, "200\n");
}

fn a_run_on_a_branch(api: &Api, scene: &Scene) {
    let path = "/v1/pipeline/elaborate/runinas/demo/diamond/-/on-feature";
    let path = begun(api.request("POST", path).multipart(&[("branch", "feature")]));
    let run = api.finished(&path);
    assert_eq!(
        (text(&run, "namespace"), text(&run, "state")),
        ("demo", "succeeded")
    );
    assert_eq!(run["source"]["commit"], scene.feature);
    let log = api.get(&format!("/v2/task/logs/{}", text(&run["steps"][0], "task_id")));
    assert_eq!(log.body, "from the feature branch\n");

    let path = "/v2/pipeline/elaborate/run/demo/diamond/elsewhere";
    let fields = [("namespace", "team-b"), ("branch", "feature")];
    let path = begun(api.request("POST", path).urlencoded(&fields));
    let run = api.finished(&path);
    assert_eq!(
        (text(&run, "namespace"), text(&run, "state")),
        ("team-b", "succeeded")
    );
}

fn a_configuration_of_ones_own(api: &Api) {
    let own = json!({
        "name": "my own", "tasks": [
            {"name": "one", "namespacetask": "demo/ok"},
            {"name": "two", "namespacetask": "Other_Repo/ok", "dependance": ["one"]},
        ],
    });
    let file = api.server.write_beside("pipeline.json", &own.to_string());
    let request = api
        .request("POST", "/v2/pipeline/run/with-configuration")
        .multipart(&[("namespace", "team-a")])
        .curl(|curl| curl.multipart_file("configuration", &file));
    let run = api.finished(&begun(request));
    assert_eq!((text(&run, "name"), text(&run, "state")), ("my own", "succeeded"));
    assert!(run["source"].is_null() && run["original"].is_null(), "{run:#}");
    assert_eq!(each(&run["steps"], "branch"), ["master", "main"]);
}

fn a_kill_stops_what_runs_and_what_waits(api: &Api) {
    let path = long(api);
    let id = path.rsplit('/').next().unwrap();
    let killed = api.get(&format!("/v1/pipeline/kill/{id}"));
    begins_to_end(&killed);
    assert_eq!(killed.header("location"), path);
    let run = api.finished(&path);
    assert_eq!(text(&run, "state"), "killed");
    assert_eq!(outcome(&run), "first killed, then killed, tidy killed");
    // Nothing is left to kill: the answer is the state as it is.
    for verb in ["GET", "POST"] {
        let again = api.request(verb, &format!("/v1/pipeline/kill/{id}?cleanup=true"));
        assert_eq!(again.send().json(200), run);
    }
}

fn a_kill_with_cleanup_still_tidies(api: &Api) {
    let path = long(api);
    let id = path.rsplit('/').next().unwrap();
    let killed = api.post(&format!("/v1/pipeline/kill/{id}?cleanup=true"));
    begins_to_end(&killed);
    let run = api.finished(&path);
    assert_eq!(text(&run, "state"), "killed");
    assert_eq!(outcome(&run), "first killed, then killed, tidy succeeded");
}

/// The answer to a kill; what was running may have ended by the time it is written.
#[track_caller]
fn begins_to_end(answer: &Answer) {
    let run = answer.json(202);
    assert!(["killing", "killed"].contains(&text(&run, "state")), "{run:#}");
}

/// A run whose first step runs until it is stopped.
fn long(api: &Api) -> String {
    let path = begun(api.request("POST", "/v1/pipeline/runas/demo/long/long"));
    api.until(&path, |run| run["steps"][0]["state"] == "running");
    path
}

/// Sends it, and answers where the state of its run is.
#[track_caller]
fn begun(request: Request<'_>) -> String {
    let answer = request.send();
    let run = answer.json(202);
    let path = format!(
        "/v1/pipeline/state/{}/{}",
        text(&run, "namespace"),
        text(&run, "id")
    );
    assert_eq!(answer.header("location"), path);
    path
}

/// Every step and how it ended.
fn outcome(run: &Value) -> String {
    let (names, states) = (each(&run["steps"], "name"), each(&run["steps"], "state"));
    let steps = names
        .iter()
        .zip(states)
        .map(|(name, state)| format!("{name} {state}"));
    steps.collect::<Vec<_>>().join(", ")
}

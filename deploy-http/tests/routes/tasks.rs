//! Rows 1 to 5, 8, 9 and the log: tasks of every kind, deployed in every way there is.

use serde_json::{Value, json};

use crate::api::{ADA, Api, keys, text};
use crate::curl::{Answer, Curl};
use crate::scene::{IMAGE, Place, Scene, built, document};

const TASK: &str = "created_at exit_code finished_at id identity image kind name namespace pipeline_id pods reason \
                    schedule source started_at state superseded_by warnings";

/// Leaves a cron job, a deployment and a service behind, and jobs that have ended.
pub fn walk(api: &Api, scene: &Scene) {
    a_job_by_its_repository_alone(api, scene);
    a_job_under_another_name(api);
    a_job_that_fails_tells_why(api);
    a_job_in_every_namespace_that_can_be_meant(api);
    a_branch_and_a_schedule_by_form(api, scene);
    the_default_branch_falls_back_and_a_named_one_does_not(api);
    a_job_that_runs_is_replaced_only_where_told(api);
    a_deployment_and_a_service(api, scene);
    configurations_of_ones_own(api, scene);
}

fn a_job_by_its_repository_alone(api: &Api, scene: &Scene) {
    let answer = api.get("/v1/task/deploy/demo/ok");
    let task = accepted(&answer);
    assert_eq!(keys(&task), TASK);
    let fixed = ["name", "namespace", "kind", "image", "identity"].map(|key| text(&task, key));
    assert_eq!(fixed, ["ok", "demo", "job", IMAGE, "ada@example.com"]);
    let source = json!({"repository": "demo", "directory": "ok", "branch": "master", "commit": scene.master});
    assert_eq!(task["source"], source);
    assert!(
        task["pipeline_id"].is_null() && task["schedule"].is_null(),
        "{task:#}"
    );
    let warned = task["warnings"][0]["code"] == "no-effect";
    assert_eq!(warned, scene.place == Place::Local, "{task:#}");

    let path = answer.header("location");
    let done = api.finished(path);
    assert_eq!(
        (text(&done, "state"), &done["exit_code"]),
        ("succeeded", &json!(0))
    );
    assert_eq!(keys(&done), TASK);
    for time in ["created_at", "started_at", "finished_at"] {
        assert!(text(&done, time).ends_with('Z'), "{done:#}");
    }
    its_state_is_a_resource(api, path);
    its_log_is_text(api, text(&task, "id"));
}

fn its_state_is_a_resource(api: &Api, path: &str) {
    let state = api.get(path);
    let tag = state.header("etag");
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    let known = format!("If-None-Match: {tag}");
    for path in [path.to_owned(), format!("{path}?wait=1")] {
        let answer = api.request("GET", &path).header(&known).send();
        assert_eq!((answer.status, answer.body.as_str()), (304, ""));
        assert_eq!(answer.header("etag"), tag);
    }
    let other = api.request("GET", path).header("If-None-Match: \"x\"").send();
    assert_eq!(other.body, state.body);
    let head = api.request("HEAD", path).send();
    assert_eq!(
        (head.status, head.body.as_str(), head.header("etag")),
        (200, "", tag)
    );
}

fn its_log_is_text(api: &Api, id: &str) {
    let log = api.get(&format!("/v2/task/logs/{id}"));
    assert_eq!((log.status, log.body.as_str()), (200, "one\ntwo\nthree\n"));
    assert!(log.header("content-type").starts_with("text/plain"), "{log:?}");
    let tail = api.get(&format!("/v2/task/logs/{id}?tail=1"));
    assert_eq!(tail.body, "three\n");
    let head = api.request("HEAD", &format!("/v2/task/logs/{id}")).send();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

fn a_job_under_another_name(api: &Api) {
    // A slash inside a directory is written %2F; the code beside the manifest comes along.
    let answer = api.get("/v1/task/deployas/demo/deep%2Fer%2Fbuilt/renamed");
    let task = accepted(&answer);
    assert_eq!(
        (text(&task, "name"), text(&task, "namespace")),
        ("renamed", "demo")
    );
    assert_eq!(task["source"]["directory"], "deep/er/built");
    assert_eq!(task["image"], "registry.example/demo/built:0.1");
    assert_eq!(api.finished(answer.header("location"))["state"], "succeeded");
    let log = api.get(&format!("/v2/task/logs/{}", text(&task, "id")));
    assert_eq!(log.body, "built with 10\n");

    let again = api.post("/v1/task/deployas/demo/deep%2Fer%2Fbuilt/renamed");
    let newer = accepted(&again);
    assert_eq!(api.finished(again.header("location"))["state"], "succeeded");
    let older = api.get(answer.header("location")).json(200);
    assert_eq!(text(&older, "state"), "superseded");
    assert_eq!(older["superseded_by"], newer["id"]);
}

fn a_job_that_fails_tells_why(api: &Api) {
    let answer = api.post("/v1/task/deploy/demo/fail");
    accepted(&answer);
    let done = api.finished(answer.header("location"));
    assert_eq!((text(&done, "state"), &done["exit_code"]), ("failed", &json!(3)));
    assert_eq!(done["reason"]["code"], "exit-code");
    assert!(text(&done["reason"], "message").contains("it broke"), "{done:#}");
}

fn a_job_in_every_namespace_that_can_be_meant(api: &Api) {
    let cases = [
        ("/v1/task/deployinas/demo/ok/team-a/in-a", "team-a"),
        ("/v1/task/deployinas/demo/ok//by-nothing", "demo"),
        ("/v1/task/deployinas/demo/ok/-/by-dash", "demo"),
    ];
    for (path, namespace) in cases {
        for verb in ["GET", "POST"] {
            let answer = api.request(verb, path).send();
            assert_eq!(accepted(&answer)["namespace"], namespace, "{path}");
            assert_eq!(api.finished(answer.header("location"))["state"], "succeeded");
        }
    }
}

fn a_branch_and_a_schedule_by_form(api: &Api, scene: &Scene) {
    let path = "/v1/task/elaborate/deployinas/demo/ok/team-a/of-feature";
    let forms = [("branch", "feature"), ("schedule", "")];
    let answer = api.request("POST", path).multipart(&forms).send();
    let task = accepted(&answer);
    assert_eq!(task["source"]["branch"], "feature");
    assert_eq!(task["source"]["commit"], scene.feature);
    assert_eq!(api.finished(answer.header("location"))["state"], "succeeded");
    let log = api.get(&format!("/v2/task/logs/{}", text(&task, "id")));
    assert_eq!(log.body, "from the feature branch\n");

    // The manifest's own schedule, and one of the form's that overrides it.
    for (form, schedule) in [("", "*/5 * * * *"), ("0 4 * * 1-5", "0 4 * * 1-5")] {
        let fields = [("namespace", "team-b"), ("name", "nightly"), ("schedule", form)];
        let path = "/v2/task/elaborate/deploy/demo/cron";
        let answer = api.request("POST", path).urlencoded(&fields).send();
        let task = accepted(&answer);
        let shown = ["kind", "namespace", "name", "schedule", "state"].map(|key| text(&task, key));
        assert_eq!(shown, ["cronjob", "team-b", "nightly", schedule, "scheduled"]);
    }

    // Without any field: everything is the manifest's and the repository's.
    let answer = api.post("/v2/task/elaborate/deploy/demo/cron");
    let task = accepted(&answer);
    assert_eq!(
        ["namespace", "name"].map(|key| text(&task, key)),
        ["demo", "cron"]
    );
}

fn the_default_branch_falls_back_and_a_named_one_does_not(api: &Api) {
    let answer = api.get("/v1/task/deploy/Other_Repo/ok");
    let task = accepted(&answer);
    assert_eq!(
        (text(&task, "namespace"), &task["source"]["branch"]),
        ("other-repo", &json!("main"))
    );
    let warnings = task["warnings"].to_string();
    assert!(warnings.contains("default-branch-absent"), "{warnings}");
    assert_eq!(api.finished(answer.header("location"))["state"], "succeeded");
    let named = api
        .request("POST", "/v2/task/elaborate/deploy/Other_Repo/ok")
        .multipart(&[("branch", "master")]);
    named.send().problem(404, "branch-not-found");
    // Two repositories' names give one namespace: the first has it.
    api.get("/v1/task/deploy/other.repo/ok")
        .problem(409, "namespace-claimed");
}

fn a_job_that_runs_is_replaced_only_where_told(api: &Api) {
    let path = "/v1/task/deploy/demo/slow";
    let first = api.get(path);
    accepted(&first);
    api.until(first.header("location"), |task| task["state"] == "running");
    api.get(path).problem(409, "job-unfinished");
    let second = api.get(&format!("{path}?replace=true"));
    // It answers once the new job has taken the place of the old one, which may have begun to run by then.
    let task = accepted(&second);
    assert!(["pending", "running"].contains(&text(&task, "state")), "{task:#}");
    assert!(task["reason"].is_null(), "{task:#}");
    api.until(second.header("location"), |task| task["state"] == "running");
    let older = api.get(first.header("location")).json(200);
    assert_eq!(older["superseded_by"], task["id"], "{older:#}");
}

fn a_deployment_and_a_service(api: &Api, scene: &Scene) {
    let answer = api.get("/v1/task/deploy/demo/worker");
    assert_eq!(accepted(&answer)["kind"], "deployment");
    let worker = api.until(answer.header("location"), |task| task["state"] == "ready");
    let pods = worker["pods"].as_array().unwrap();
    assert_eq!(pods.len(), 2, "{worker:#}");
    assert_eq!(
        keys(&pods[0]),
        "name namespace node phase reason restarts started_at task_id"
    );
    assert_eq!(pods[0]["task_id"], worker["id"]);
    // Updated in place, by the POST that goes with the GET.
    let updated = api.post("/v1/task/deploy/demo/worker");
    assert_ne!(accepted(&updated)["id"], worker["id"]);
    api.until(updated.header("location"), |task| task["state"] == "ready");

    let answer = api.get("/v1/task/deploy/demo/web");
    assert_eq!(accepted(&answer)["kind"], "service");
    api.until(answer.header("location"), |task| task["state"] == "ready");
    if scene.place != Place::Cluster {
        let page = Curl::new("GET", &format!("http://127.0.0.1:{}/", scene.port)).send();
        assert_eq!(page.status, 200, "what is ready answers");
    }
}

fn configurations_of_ones_own(api: &Api, scene: &Scene) {
    let path = "/v2/task/deploy/with-configuration";
    let job = document(
        "mine",
        "job",
        "echo \"it is ${WHOSE}\"",
        json!({"env": [{"name": "WHOSE", "value": "mine"}]}),
    );
    let file = api.server.write_beside("manifest.json", &job.to_string());
    let by_part = api
        .request("POST", path)
        .multipart(&[("namespace", "team-a")])
        .curl(|curl| curl.multipart_file("configuration", &file));
    let by_encoding = api
        .request("POST", path)
        .urlencoded(&[("namespace", "team-a")])
        .curl(|curl| curl.urlencoded_file("configuration", &file));
    for request in [by_part, by_encoding] {
        let answer = request.send();
        let task = accepted(&answer);
        assert_eq!(
            ["name", "namespace"].map(|key| text(&task, key)),
            ["mine", "team-a"]
        );
        assert!(task["source"].is_null(), "{task:#}");
        assert_eq!(api.finished(answer.header("location"))["state"], "succeeded");
        let log = api.get(&format!("/v2/task/logs/{}", text(&task, "id")));
        assert_eq!(log.body, "it is mine\n");
    }
    of_an_image_that_is_built(api, path, scene.place);
}

fn of_an_image_that_is_built(api: &Api, path: &str, place: Place) {
    let built = json!({
        "name": "built", "type": "job", "image-destination": "registry.example/demo/built:0.2",
        "cmd": built(place, 11),
    })
    .to_string();
    let fields = [("namespace", "team-a"), ("configuration", built.as_str())];
    let alone = api.request("POST", path).urlencoded(&fields).send();
    let problem = alone.problem(422, "invalid-manifest");
    assert_eq!(
        problem["violations"][0]["pointer"], "/image-destination",
        "{problem:#}"
    );
    let with_origin = api
        .request("POST", path)
        .urlencoded(&fields)
        .urlencoded(&[("repository", "demo"), ("directory", "deep/er/built")]);
    let answer = with_origin.send();
    let task = accepted(&answer);
    assert_eq!(task["source"]["directory"], "deep/er/built");
    assert_eq!(api.finished(answer.header("location"))["state"], "succeeded");
    let log = api.get(&format!("/v2/task/logs/{}", text(&task, "id")));
    assert_eq!(log.body, "built with 11\n");
}

/// The task of a 202, which says where its state is.
#[track_caller]
fn accepted(answer: &Answer) -> Value {
    let task = answer.json(202);
    assert_eq!(
        answer.header("location"),
        format!("/v1/task/state/{}", text(&task, "id"))
    );
    assert_eq!(ADA, format!("Identity: {}", text(&task, "identity")));
    task
}

//! Bad input: refused with a stable code, nothing of it repeated, and nothing begun.

use serde_json::json;

use crate::curl::Answer;
use crate::scene::document;
use crate::started::{nothing_has_begun, start};

const NO_ID: &str = "019b2c4e-7d1a-7c3e-9a52-0c5f8f3d6e11";

/// The fields of a form.
type Fields<'a> = &'a [(&'a str, &'a str)];

/// What no answer may repeat, as it is sent and as it is once decoded.
const CANARY: &str = "%3Ccanary%3E%0d%0aX";
const DECODED: &str = "<canary>";

#[test]
fn a_bad_path_or_query_is_refused_with_its_code_and_never_repeated() {
    let api = start(&[]);
    let long = format!("/v1/task/deploy/{}/ok", "r".repeat(300));
    let sixty_four = format!("/v1/task/deployas/demo/ok/{}", "n".repeat(64));
    let fifty_three = format!("/v1/task/deployas/demo/cron/{}", "n".repeat(53));
    let wait_too_long = format!("/v1/task/state/{NO_ID}?wait=61");
    let long_id = format!("/v1/task/state/{}", "f".repeat(5000));
    let cases = [
        ("/v1/task/deploy/../ok", 400, "invalid-parameter"),
        ("/v1/task/deploy/-repo/ok", 400, "invalid-parameter"),
        ("/v1/task/deploy/a%2f..%2fb/ok", 400, "invalid-parameter"),
        ("/v1/task/deploy/evil@host/ok", 400, "invalid-parameter"),
        ("/v1/task/deploy/a%23b/ok", 400, "invalid-parameter"),
        ("/v1/task/deploy/ext::sh%20-c%20x/ok", 400, "invalid-parameter"),
        ("/v1/task/deploy/demo%00/ok", 400, "invalid-parameter"),
        ("/v1/task/deploy/demo%0d%0a/ok", 400, "invalid-parameter"),
        ("/v1/task/deploy/%ff/ok", 400, "invalid-parameter"),
        ("/v1/task/deploy/%zz/ok", 400, "invalid-parameter"),
        (&long, 400, "invalid-parameter"),
        ("/v1/task/deploy/demo/..%2F..%2Fetc", 400, "invalid-parameter"),
        ("/v1/task/deploy/demo/%2Fetc", 400, "invalid-parameter"),
        ("/v1/task/deploy/demo/.git", 400, "invalid-parameter"),
        ("/v1/task/deploy/demo/ok%2F", 400, "invalid-parameter"),
        ("/v1/task/deploy/demo/ok?replace=yes", 400, "invalid-parameter"),
        ("/v1/task/deploy/demo/ok?force=true", 400, "invalid-parameter"),
        (
            "/v1/task/deploy/demo/ok?replace=true&replace=true",
            400,
            "invalid-parameter",
        ),
        ("/v1/task/deployas/demo/ok/UPPER", 400, "invalid-parameter"),
        (&sixty_four, 400, "invalid-parameter"),
        ("/v1/task/deployinas/demo/ok/*/x", 400, "invalid-parameter"),
        ("/v1/task/state/17", 400, "invalid-parameter"),
        (&long_id, 400, "invalid-parameter"),
        (&wait_too_long, 400, "invalid-parameter"),
        ("/v1/list/tasks/-", 400, "invalid-parameter"),
        ("/v1/delete/job//x", 400, "invalid-parameter"),
        ("/v1/list/tasks?limit=0", 400, "invalid-parameter"),
        ("/v1/list/tasks?limit=1001", 400, "invalid-parameter"),
        ("/v1/list/tasks?continue=nonsense", 400, "invalid-parameter"),
        ("/v1/list/pods?continue=%00", 400, "invalid-parameter"),
        (
            "/v1/pipeline/runas/demo/diamond/run?cleanup=true",
            400,
            "invalid-parameter",
        ),
        (
            "/v1/task/deployinas/demo/ok/kube-system/x",
            403,
            "namespace-reserved",
        ),
        ("/v1/task/deployinas/demo/ok/default/x", 403, "namespace-reserved"),
        (
            "/v1/pipeline/runinas/demo/diamond/kube-public/x",
            403,
            "namespace-reserved",
        ),
        ("/v1/delete/job/kube-system/x", 403, "namespace-reserved"),
        ("/v1/task/deploy/kube-system/ok", 403, "namespace-reserved"),
        ("/v1/task/deploy/absent/ok", 404, "repository-not-found"),
        ("/v1/task/deploy/demo/absent", 404, "manifest-not-found"),
        ("/v1/task/deploy/demo/ok%2Fmanifest.json", 422, "unusable-file"),
        ("/v1/task/deploy/demo/empty", 404, "manifest-not-found"),
        ("/v1/pipeline/runas/demo/ok/x", 404, "definition-not-found"),
        ("/v1/pipeline/runas/absent/ok/x", 404, "repository-not-found"),
        (&format!("/v1/task/state/{NO_ID}"), 404, "task-not-found"),
        (&format!("/v2/task/logs/{NO_ID}"), 404, "task-not-found"),
        (
            &format!("/v1/pipeline/state/demo/{NO_ID}"),
            404,
            "pipeline-not-found",
        ),
        (&format!("/v1/pipeline/kill/{NO_ID}"), 404, "pipeline-not-found"),
        (
            &format!("/v2/task/get/configuration-loading-state/{NO_ID}"),
            404,
            "work-not-found",
        ),
        ("/v1/delete/job/demo/absent", 404, "object-not-found"),
        ("/v1/delete/cronjob/demo/absent", 404, "object-not-found"),
        ("/v1/delete/deployment/demo/absent", 404, "object-not-found"),
        ("/v1/delete/service/demo/absent", 404, "object-not-found"),
        ("/v1/task/deploy/demo/ok/", 404, "route-not-found"),
        ("/V1/task/deploy/demo/ok", 404, "route-not-found"),
        ("/v1/task%2Fdeploy/demo/ok", 404, "route-not-found"),
        ("/v1/task/deploy/demo/broken", 422, "invalid-manifest"),
        (&fifty_three, 422, "invalid-manifest"),
    ];
    for (path, status, code) in cases {
        let answer = api.get(path);
        let told = answer.body.clone();
        assert!(told.contains(&format!(":{code}\"")), "{path}: {told}");
        answer.problem(status, code);
    }
    nothing_has_begun(&api);
}

#[test]
fn a_canary_in_any_place_of_a_request_is_never_repeated() {
    let api = start(&[]);
    let paths = [
        format!("/v1/task/deploy/{CANARY}/ok"),
        format!("/v1/task/deploy/demo/{CANARY}"),
        format!("/v1/task/deployinas/demo/ok/{CANARY}/x"),
        format!("/v1/task/deployas/demo/ok/{CANARY}"),
        format!("/v1/task/deploy/demo/ok?replace={CANARY}"),
        format!("/v1/task/state/{CANARY}"),
        format!("/v1/list/tasks?continue={CANARY}"),
        format!("/v1/delete/service/{CANARY}/x"),
    ];
    for path in paths {
        never_repeated(&api.get(&path), 400);
    }
    never_repeated(&api.get(&format!("/v1/{CANARY}")), 404);
    let value = format!("{DECODED}\r\nX");
    for name in ["namespace", "name", "branch", "schedule"] {
        let request = api.request("POST", "/v2/task/elaborate/deploy/demo/ok");
        never_repeated(&request.urlencoded(&[(name, &value)]).send(), 400);
    }
    let request = api.request("POST", "/v2/task/get/template");
    never_repeated(&request.urlencoded(&[("template_path", &value)]).send(), 400);
    let manifest = document(
        "x",
        DECODED,
        DECODED,
        json!({"image": value, "labels": value, "schedule": value}),
    );
    let request = api.request("POST", "/v2/task/deploy/with-configuration");
    let fields = [("namespace", "demo"), ("configuration", &manifest.to_string())];
    never_repeated(&request.urlencoded(&fields).send(), 422);
    nothing_has_begun(&api);
    let log = api.server.log();
    assert!(!log.contains("\nX"), "a line of the log was forged:\n{log}");
}

#[test]
fn a_bad_form_is_refused_with_the_field_it_is_about() {
    let api = start(&[]);
    let task = "/v2/task/elaborate/deploy/demo/ok";
    let own = "/v2/task/deploy/with-configuration";
    let template = "/v2/task/get/template";
    let cases: [(&str, Fields<'_>, &str, &str); 18] = [
        (task, &[("brunch", "master")], "invalid-form", "brunch"),
        (
            task,
            &[("branch", "master"), ("branch", "master")],
            "invalid-form",
            "branch",
        ),
        (task, &[("name", "UPPER")], "invalid-parameter", "name"),
        (task, &[("namespace", "-")], "invalid-parameter", "namespace"),
        (
            task,
            &[("branch", "--upload-pack=x")],
            "invalid-parameter",
            "branch",
        ),
        (task, &[("branch", "a..b")], "invalid-parameter", "branch"),
        (task, &[("branch", "@{-1}")], "invalid-parameter", "branch"),
        (
            task,
            &[("schedule", "0 0 4 * * *")],
            "invalid-parameter",
            "schedule",
        ),
        (
            task,
            &[("schedule", "@every 1s")],
            "invalid-parameter",
            "schedule",
        ),
        (
            task,
            &[("schedule", "60 25 * * *")],
            "invalid-parameter",
            "schedule",
        ),
        (
            task,
            &[("schedule", "0 0 31 2 *")],
            "invalid-parameter",
            "schedule",
        ),
        (own, &[], "invalid-form", "namespace"),
        (own, &[("namespace", "demo")], "invalid-form", "configuration"),
        (
            own,
            &[("namespace", ""), ("configuration", "{}")],
            "invalid-form",
            "namespace",
        ),
        (
            own,
            &[
                ("namespace", "demo"),
                ("configuration", "{}"),
                ("directory", "ok"),
            ],
            "invalid-parameter",
            "repository",
        ),
        (
            template,
            &[("template_path", "../../etc/passwd")],
            "invalid-parameter",
            "template_path",
        ),
        (
            template,
            &[("template_path", "/etc/passwd")],
            "invalid-parameter",
            "template_path",
        ),
        (
            "/v1/task/deploy/demo/ok",
            &[("branch", "master")],
            "invalid-form",
            "branch",
        ),
    ];
    for (path, fields, code, named) in cases {
        let sent = api.request("POST", path);
        let parts = api.request("POST", path);
        // Without a field, curl sends no body by either encoding.
        for answer in [sent.urlencoded(fields).send(), parts.multipart(fields).send()] {
            let problem = answer.problem(400, code);
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                detail.contains(&format!("`{named}`")),
                "{path} {fields:?}: {detail}"
            );
        }
    }
    nothing_has_begun(&api);
}

#[test]
fn a_body_that_is_no_form_or_too_large_is_refused_by_its_size_and_type() {
    let api = start(&[]);
    let send = |arguments: &[&str]| {
        let request = api.request("POST", "/v2/task/deploy/with-configuration");
        request.curl(|curl| curl.with(arguments)).send()
    };
    let json = ["-H", "Content-Type: application/json", "-d", "{}"];
    send(&json).problem(415, "not-a-form");
    send(&["-H", "Content-Type:", "-d", "namespace=demo"]).problem(415, "not-a-form");
    send(&["-H", "Content-Type: multipart/form-data", "-d", "x"]).problem(415, "not-a-form");
    send(&["-H", "Content-Encoding: gzip", "-d", "namespace=demo"]).problem(415, "not-a-form");
    send(&[
        "-H",
        "Content-Type: multipart/form-data; boundary=b",
        "-d",
        "torn",
    ])
    .problem(400, "invalid-form");
    send(&["-d", "namespace=%zz"]).problem(400, "invalid-form");
    send(&["-H", "Accept: image/png", "-d", "namespace=demo"]).problem(406, "not-acceptable");
    let file = api.server.write_beside("large.json", &"x".repeat(2 << 20));
    let file = file.to_str().unwrap();
    send(&["-F", &format!("configuration=@{file}")]).problem(413, "body-too-large");
    send(&["--data-urlencode", &format!("configuration@{file}")]).problem(413, "body-too-large");
}

#[track_caller]
fn never_repeated(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    let lower = answer.body.to_ascii_lowercase();
    // A problem is JSON: what would break a line is escaped there, what would open a tag is not.
    assert!(
        !lower.contains(DECODED) && !lower.contains("%3ccanary"),
        "{}",
        answer.body
    );
    assert!(!answer.headers.contains_key("x"), "{answer:?}");
}

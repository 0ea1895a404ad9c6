//! The two listeners side by side, and the cookie on both.

use crate::api::ADA;
use crate::curl::{Answer, Curl};
use crate::started::{Started, start};
use crate::tokens::{HOUR, believing, token};

const PREFIX: &str = "/apps/deploy-api";
const DEPLOY: &str = "/v1/task/deploy/demo/ok";
const REPLACED: &str = "/v1/task/deploy/demo/ok?replace=true";

fn ask(verb: &str, base: &str, path: &str, headers: &[&str]) -> Answer {
    let curl = Curl::new(verb, &format!("{base}{path}"));
    headers
        .iter()
        .fold(curl, |curl, header| curl.header(header))
        .send()
}

fn both(flags: &[&str]) -> Started {
    start(&[&["--listen-external", "127.0.0.1:0"], flags].concat())
}

#[test]
fn the_external_listener_wants_the_prefix_and_believes_no_header() {
    let api = both(&["--protect-reads", "none"]);
    let (internal, external) = (api.server.url(), api.server.external_url());
    let prefixed = format!("{PREFIX}{DEPLOY}");

    assert_eq!(
        ask("GET", external, &format!("{PREFIX}/healthz"), &[]).status,
        200
    );
    ask("GET", external, "/healthz", &[]).problem(404, "route-not-found");
    ask("GET", external, DEPLOY, &[ADA]).problem(404, "route-not-found");
    ask("GET", external, &prefixed, &[ADA]).problem(401, "identity-required");
    ask("GET", external, &prefixed, &["Identity: nonsense"]).problem(401, "identity-required");
    ask("GET", external, &prefixed, &[ADA, "Cookie: authtoken=x"]).problem(401, "invalid-token");
    let list = ask("GET", external, &format!("{PREFIX}/v1/list/tasks"), &[ADA]);
    assert_eq!(
        list.json(200)["jobs"],
        serde_json::json!([]),
        "nothing was deployed"
    );

    let plain = ask("GET", internal, DEPLOY, &[ADA]);
    assert_eq!(plain.status, 202);
    assert!(plain.header("location").starts_with("/v1/task/state/"));
    let with_prefix = ask("GET", internal, &format!("{PREFIX}{REPLACED}"), &[ADA]);
    assert_eq!(with_prefix.status, 202, "{}", with_prefix.body);
    let location = with_prefix.header("location");
    assert!(
        location.starts_with("/apps/deploy-api/v1/task/state/"),
        "{location}"
    );
    assert_eq!(ask("GET", external, location, &[]).status, 200);
}

#[test]
fn every_answer_forbids_what_a_browser_would_do_with_it() {
    let api = both(&[
        "--protect-reads",
        "none",
        "--allowed-origin",
        "https://app.example",
    ]);
    let external = api.server.external_url();
    for (verb, path) in [
        ("GET", "/healthz"),
        ("HEAD", "/v1/list/tasks"),
        ("GET", "/no/such/route"),
        ("PUT", "/v1/list/tasks"),
        ("GET", DEPLOY),
        ("GET", "/v1/task/state/x"),
    ] {
        let answer = ask(
            verb,
            external,
            &format!("{PREFIX}{path}"),
            &["Origin: https://evil.example"],
        );
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("vary", "Origin"),
        ] {
            assert_eq!(answer.header(name), value, "{verb} {path} {name}");
        }
        assert!(
            !answer.headers.contains_key("access-control-allow-origin"),
            "{verb} {path}"
        );
        let shared = ask(
            verb,
            external,
            &format!("{PREFIX}{path}"),
            &["Origin: https://app.example"],
        );
        assert_eq!(
            shared.header("access-control-allow-origin"),
            "https://app.example"
        );
        assert_eq!(shared.header("access-control-allow-credentials"), "true");
    }
}

#[test]
fn a_cookie_deploys_from_outside_and_for_no_other_sites_page() {
    let outside = [
        "--listen-external",
        "127.0.0.1:0",
        "--allowed-origin",
        "https://app.example",
    ];
    let (api, _folder) = believing(&outside);
    let external = api.server.external_url();
    let ada = token(r#""email": "ada@example.com""#, HOUR);
    let (cookie, bearer) = (
        format!("Cookie: authtoken={ada}"),
        format!("Authorization: Bearer {ada}"),
    );
    let deploy = |name: &str, headers: &[&str]| {
        let path = format!("{PREFIX}/v1/task/deployas/demo/ok/{name}");
        ask("GET", external, &path, headers)
    };
    const ELSEWHERE: &str = "Sec-Fetch-Site: cross-site";

    for headers in [
        &[ELSEWHERE, "Sec-Fetch-Dest: image"] as &[&str],
        &["Origin: https://evil.example"],
        &["Referer: https://evil.example/"],
        &["Sec-Purpose: prefetch", "Sec-Fetch-Site: none"],
    ] {
        let answer = deploy("never", &[&[cookie.as_str()], headers].concat());
        answer.problem(403, "cross-site");
    }
    let list = ask(
        "GET",
        external,
        &format!("{PREFIX}/v1/list/tasks"),
        &[&cookie, ELSEWHERE],
    );
    assert_eq!(
        list.json(200)["jobs"],
        serde_json::json!([]),
        "nothing was deployed"
    );
    ask("GET", external, &format!("{PREFIX}/v1/list/tasks"), &[]).problem(401, "identity-required");

    let task = deploy("typed", &[&cookie, "Sec-Fetch-Site: none"]);
    assert_eq!(task.json(202)["identity"], "ada@example.com");
    let location = task.header("location").to_owned();
    assert!(
        location.starts_with(&format!("{PREFIX}/v1/task/state/")),
        "{location}"
    );
    assert_eq!(ask("GET", external, &location, &[&cookie]).status, 200);
    let shared = deploy("shared", &[&cookie, "Origin: https://app.example", ELSEWHERE]);
    assert_eq!(shared.status, 202);
    assert_eq!(
        shared.header("access-control-allow-origin"),
        "https://app.example"
    );
    assert_eq!(deploy("meant", &[&bearer, ELSEWHERE]).status, 202);
    assert_eq!(deploy("curl", &[&cookie]).status, 202);

    let asked = [
        "Origin: https://app.example",
        "Access-Control-Request-Method: DELETE",
    ];
    let delete = format!("{PREFIX}/v1/delete/job/demo/typed");
    let preflight = ask("OPTIONS", external, &delete, &asked);
    assert_eq!((preflight.status, preflight.body.as_str()), (204, ""));
    assert_eq!(
        preflight.header("access-control-allow-methods"),
        "GET, POST, DELETE"
    );
    assert!(!api.server.log().contains(&ada), "the token is in the log");
}

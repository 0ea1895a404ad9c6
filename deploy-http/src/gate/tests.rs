//! Requests as a client would write them, and how far each of them comes.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::names::{Directory, PipelineName, RepositoryName, ResourceName, TaskId};
use deploy_core::ports::{Claims, TokenError, TokenVerifier};
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper::Request;

use super::*;
use crate::identity::Trust;

fn gate() -> Gate {
    Gate {
        prefix: "/apps/api".parse().unwrap(),
        prefix_required: false,
        identity: IdentityRules {
            trust: Trust::Loopback,
            reads_protected: false,
            tokens: None,
        },
        origins: Origins::default(),
        body: BodyLimits {
            bytes: 100,
            time: Duration::from_secs(30),
        },
    }
}

/// The call that `lines` ("GET /path", then headers) with that body becomes.
fn call(lines: &[&str], body: &str) -> Result<Call, Problem> {
    call_at(&gate(), lines, body)
}

fn call_at(gate: &Gate, lines: &[&str], body: &str) -> Result<Call, Problem> {
    let loopback = "127.0.0.1:8080".parse().unwrap();
    let ends = Ends {
        local: loopback,
        peer: loopback,
    };
    let (method, target) = lines[0].split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(target);
    if !lines.iter().any(|line| line.starts_with("Host: ")) {
        request = request.header("host", "localhost");
    }
    for line in &lines[1..] {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let (parts, body) = request
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
        .into_parts();
    let found = gate.route(ends, &parts)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(gate.admit(found, ends, parts, body))
}

fn refusal(lines: &[&str], body: &str) -> String {
    refusal_at(&gate(), lines, body)
}

fn refusal_at(gate: &Gate, lines: &[&str], body: &str) -> String {
    match call_at(gate, lines, body) {
        Ok(_) => "-".to_owned(),
        Err(problem) => format!("{} {}", problem.code.status().as_u16(), problem.detail()),
    }
}

const ME: &str = "Identity: ada@example.com";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const ELABORATE: &str = "POST /v2/task/elaborate/deploy/r/d";

#[test]
fn each_check_answers_in_its_turn() {
    let cases: &[(&[&str], &str, &str)] = &[
        (&["GET /nowhere", "Host: evil.example"], "", "421 "),
        (&["GET /nowhere"], "", "404 "),
        (
            &["PUT /v1/task/deploy/r/d"],
            "",
            "405 this route answers to GET, POST",
        ),
        (&["HEAD /v1/task/deploy/r/d", ME], "", "405 "),
        (
            &["HEAD /v1/delete/job/n/j", ME],
            "",
            "405 this route answers to GET, POST, DELETE",
        ),
        (
            &["GET /v2/task/elaborate/deploy/r/d", ME],
            "",
            "405 this route answers to POST",
        ),
        (
            &["OPTIONS /v1/list/tasks"],
            "",
            "405 this route answers to GET, HEAD",
        ),
        (&["POST /v1/list/tasks"], "", "405 "),
        (
            &["GET /v1/task/deploy/r/d?x=1"],
            "",
            "401 this route needs an identity",
        ),
        (
            &["POST /v1/task/deploy/r/d", "Content-Type: application/json"],
            "{}",
            "401 ",
        ),
        (
            &["GET /v1/list/tasks", "Accept: text/html"],
            "",
            "406 this route answers with application/json",
        ),
        (&[ELABORATE, ME, "Content-Type: application/json"], "{}", "415 "),
        (&[ELABORATE, ME, FORM], &"x".repeat(101), "413 "),
        (
            &[ELABORATE, ME, FORM],
            "x=1",
            "400 the form has an unknown field `x`",
        ),
        (
            &[ELABORATE, ME, FORM],
            "name=a&name=b",
            "400 the form has the field `name` twice",
        ),
        (
            &["POST /v2/task/get/template"],
            "",
            "400 the form has no field `template_path`",
        ),
        (
            &["GET /v1/list/tasks?x=1"],
            "",
            "400 the query has an unknown parameter `x`",
        ),
        (
            &["GET /v1/task/state/1?replace=true"],
            "",
            "400 the query has an unknown parameter `replace`",
        ),
        (&["GET /v1/list/namespaces?wait=1"], "", "400 "),
        (&["GET /v1/task/deploy/r/d", ME], "", "-"),
        (&["POST /v1/task/deploy/r/d", ME], "", "-"),
        (
            &["POST /v1/task/deploy/r/d", ME, FORM],
            "branch=x",
            "400 the form has a field `branch`, and this route takes none",
        ),
        (&["DELETE /v1/delete/job/n/j", ME], "", "-"),
        (&["POST /v1/delete/job/n/j", ME], "", "-"),
        (&["HEAD /v1/list/tasks"], "", "-"),
        (&[ELABORATE, ME], "", "-"),
        (&[ELABORATE, ME, FORM], "name=a&branch=", "-"),
        (&["POST /v2/task/load/configuration/from-git/r/d"], "", "-"),
        (&["GET /healthz", "Cookie: authtoken=x"], "", "-"),
    ];
    for (lines, body, expected) in cases {
        let answer = refusal(lines, body);
        assert!(answer.starts_with(expected), "{lines:?} {body}: {answer}");
    }
}

#[test]
fn the_prefix_is_needed_on_the_external_listener_and_may_be_there_on_the_internal_one() {
    let internal = gate();
    let external = Gate {
        prefix_required: true,
        ..gate()
    };
    for (path, inside, outside) in [
        ("/v1/list/tasks", true, false),
        ("/apps/api/v1/list/tasks", true, true),
        ("/apps/api/healthz", true, true),
        ("/healthz", true, false),
        ("/apps/api", false, false),
        ("/apps/api/", false, false),
        ("/apps/api//v1/list/tasks", false, false),
        ("/apps//api/v1/list/tasks", false, false),
        ("/apps/api/apps/api/v1/list/tasks", false, false),
        ("/Apps/api/v1/list/tasks", false, false),
        ("/apps%2Fapi/v1/list/tasks", false, false),
    ] {
        for (gate, found) in [(&internal, inside), (&external, outside)] {
            let answer = refusal_at(gate, &[&format!("GET {path}")], "");
            let expected = if found { "-" } else { "404 " };
            assert!(answer.starts_with(expected), "{path}: {answer}");
        }
    }
}

#[test]
fn a_cookie_changes_nothing_for_another_sites_page_and_other_credentials_may() {
    struct Ada;
    impl TokenVerifier for Ada {
        fn verify<'a, 'b, 'c>(&'a self, _: &'b str) -> BoxFuture<'c, Result<Claims, TokenError>>
        where
            'a: 'c,
            'b: 'c,
        {
            let identity = "ada@example.com".parse().unwrap();
            let groups = Vec::new();
            Box::pin(std::future::ready(Ok(Claims { identity, groups })))
        }
    }
    let mut gate = gate();
    gate.identity.tokens = Some(Arc::new(Ada));
    gate.origins = Origins::new(["https://app.example".parse().unwrap()]);
    const COOKIE: &str = "Cookie: authtoken=x";
    const BEARER: &str = "Authorization: Bearer x";
    const EVIL: &str = "Sec-Fetch-Site: cross-site";
    const SWAPPED: &str = "DELETE /v1/delete/job/n/j";
    for (lines, expected) in [
        (&["GET /v1/task/deploy/r/d", COOKIE] as &[&str], "-"),
        (
            &["GET /v1/task/deploy/r/d", COOKIE, EVIL],
            "403 a page of another site",
        ),
        (
            &[
                "GET /v1/task/deploy/r/d",
                COOKIE,
                "Origin: https://app.example",
                EVIL,
            ],
            "-",
        ),
        (
            &["GET /v1/task/deploy/r/d", COOKIE, "Sec-Fetch-Site: same-origin"],
            "-",
        ),
        (
            &["GET /v1/task/deploy/r/d", COOKIE, "Sec-Purpose: prefetch"],
            "403 a browser asks",
        ),
        (&["GET /v1/task/deploy/r/d", COOKIE, ME, EVIL], "403 "),
        (&["GET /v1/task/deploy/r/d", BEARER, EVIL], "-"),
        (&["GET /v1/task/deploy/r/d", ME, EVIL], "-"),
        (&["GET /v1/task/deploy/r/d", EVIL], "401 "),
        (&[SWAPPED, COOKIE, EVIL], "403 "),
        (
            &["POST /v2/task/load/configuration/from-git/r/d", COOKIE, EVIL],
            "403 ",
        ),
        (&["GET /v1/list/tasks", COOKIE, EVIL], "-"),
        // In its turn: after the identity, before the form.
        (
            &[ELABORATE, COOKIE, EVIL, "Content-Type: application/json"],
            "403 ",
        ),
        (&["PUT /v1/task/deploy/r/d", COOKIE, EVIL], "405 "),
    ] {
        let answer = refusal_at(&gate, lines, "");
        assert!(answer.starts_with(expected), "{lines:?}: {answer}");
    }
}

#[test]
fn a_value_of_the_path_is_decoded_once_and_parsed() {
    let lines = ["GET /v1/task/deployinas/Team_repo.v2/etl%2Fload//hello", ME];
    let call = call(&lines, "").unwrap();
    let directory: Directory = call.path("directory").unwrap();
    assert_eq!(directory.as_str(), "etl/load");
    assert!(call.namespace_or_default().unwrap().is_none());
    let name: Option<ResourceName> = call.given("name").unwrap();
    assert_eq!(name.unwrap().as_str(), "hello");
    assert_eq!(call.caller().unwrap().identity.as_str(), "ada@example.com");
}

#[test]
fn a_bad_value_names_its_place_and_rule_and_is_never_repeated() {
    fn rule<T>(path: &str, name: &str) -> String
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let call = call(&[&format!("GET {path}"), ME], "").unwrap();
        call.path::<T>(name).map(|_| ()).unwrap_err().detail().to_owned()
    }
    let repository = |raw: &str| rule::<RepositoryName>(&format!("/v1/task/deploy/{raw}/d"), "repository");
    for raw in [
        "..",
        "-repo",
        "a%2f..%2fb",
        "evil@host",
        "ext::sh",
        "%00",
        "a%0d%0ab",
        "%ff",
        "%zz",
        &"r".repeat(300),
    ] {
        let text = repository(raw);
        assert!(text.starts_with("`repository` in the path: "), "{text}");
        assert!(!text.contains("evil") && !text.contains("ext"), "{text}");
    }
    assert!(repository("a%2Fb").ends_with("only a directory may hold %2F"));
    for raw in ["..%2F..%2Fetc", "%2Fabs", ".git", "a%2F%2Fb", "a%252Fb"] {
        let text = rule::<Directory>(&format!("/v1/task/deploy/r/{raw}"), "directory");
        assert!(
            text.starts_with("`directory` in the path: not a directory: "),
            "{raw}: {text}"
        );
    }
    let text = rule::<PipelineName>("/v1/pipeline/runas/r/d/a%2Fb", "name");
    assert!(text.ends_with("only a directory may hold %2F"), "{text}");
    let text = rule::<TaskId>("/v1/task/state/1", "id");
    assert_eq!(text, "`id` in the path: not a task id: a UUID of 36 characters");
}

#[test]
fn the_default_namespace_needs_a_repository() {
    for path in ["/v1/list/tasks/-", "/v1/list/pods/%2D", "/v1/pipeline/state//x"] {
        let call = call(&[&format!("GET {path}")], "").unwrap();
        let text = call.namespace().unwrap_err().detail().to_owned();
        assert!(text.contains("names no repository"), "{path}: {text}");
    }
}

#[test]
fn the_form_gives_what_the_path_does_not() {
    let call = call(&[ELABORATE, ME, FORM], "namespace=team&name=hello").unwrap();
    assert_eq!(call.namespace_or_default().unwrap().unwrap().as_str(), "team");
    assert_eq!(
        call.given::<ResourceName>("name").unwrap().unwrap().as_str(),
        "hello"
    );
}

#[test]
fn accept_is_understood_as_far_as_one_media_type_needs() {
    for (accept, expected) in [
        ("*/*", true),
        ("application/*", true),
        ("Application/JSON; q=0.5", true),
        ("text/html, application/json", true),
        ("text/html, */*;q=0.8", true),
        ("application/json;q=0", false),
        ("text/*", false),
        ("", false),
        ("application/jsonp", false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        assert_eq!(accepts(&headers, Media::Json), expected, "{accept}");
    }
    assert!(accepts(&HeaderMap::new(), Media::Text));
}

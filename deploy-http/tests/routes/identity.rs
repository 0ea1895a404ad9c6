//! Who is believed, and under which name the server answers.

use crate::api::{ADA, Api};
use crate::curl::{Answer, Curl};
use crate::started::start;

const DEPLOY: &str = "/v1/task/deploy/demo/ok";

#[test]
fn only_one_mailbox_from_this_machine_and_no_proxy_is_an_identity() {
    let api = start(&[]);
    let long = format!("Identity: {}@example.com", "a".repeat(250));
    let cases: [(&[&str], &str); 15] = [
        (&[], "identity-required"),
        (&["X-Identity: ada@example.com"], "identity-required"),
        (&["Identity;"], "invalid-identity"),
        (&["Identity: ada"], "invalid-identity"),
        (
            &["Identity: ada@example.com, bob@example.com"],
            "invalid-identity",
        ),
        (&[ADA, ADA], "invalid-identity"),
        (&[ADA, "Identity: bob@example.com"], "invalid-identity"),
        (&[&long], "invalid-identity"),
        (&[ADA, "X-Forwarded-For: 10.0.0.1"], "identity-required"),
        (&[ADA, "X-Forwarded-Host: example.com"], "identity-required"),
        (&[ADA, "Forwarded: for=10.0.0.1"], "identity-required"),
        (&[ADA, "Cookie: authtoken=x.y.z"], "invalid-token"),
        (&[ADA, "Cookie: authtoken="], "invalid-token"),
        (&[ADA, "Authorization: Bearer x.y.z"], "invalid-token"),
        (&["Cookie: authtoken=a", "Cookie: authtoken=a"], "invalid-token"),
    ];
    for (headers, code) in cases {
        let answer = asked(&api, headers);
        answer.problem(401, code);
        assert!(
            !answer.body.contains("bob") && !answer.body.contains("x.y.z"),
            "{headers:?}"
        );
    }
    // A proxy in between leaves what needs no identity alone.
    let list = Curl::new("GET", &format!("{}/v1/list/tasks", api.server.url()));
    let list = list.header("X-Forwarded-For: 10.0.0.1").send().json(200);
    assert_eq!(
        list["jobs"],
        serde_json::json!([]),
        "nothing was deployed by any of them"
    );
    assert_eq!(asked(&api, &[ADA]).status, 202);
}

#[test]
fn nobody_is_believed_where_that_was_said() {
    let api = start(&["--trust-identity", "nobody"]);
    asked(&api, &[ADA]).problem(401, "identity-required");
}

#[test]
fn a_host_of_another_name_is_misdirected_before_anything_else() {
    let api = start(&[]);
    for host in [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "",
    ] {
        let header = if host.is_empty() {
            "Host;".to_owned()
        } else {
            format!("Host: {host}")
        };
        for path in [DEPLOY, "/v1/list/tasks", "/healthz", "/no/such/route"] {
            let curl = Curl::new("GET", &format!("{}{path}", api.server.url()));
            let answer = curl.header(ADA).header(&header).send();
            answer.problem(421, "misdirected");
            assert!(!answer.body.contains("evil"), "{}", answer.body);
        }
    }
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8080"] {
        let curl = Curl::new("GET", &format!("{}/healthz", api.server.url()));
        assert_eq!(curl.header(&format!("Host: {host}")).send().status, 200, "{host}");
    }
}

fn asked(api: &Api, headers: &[&str]) -> Answer {
    let curl = Curl::new("GET", &format!("{}{DEPLOY}", api.server.url()));
    headers
        .iter()
        .fold(curl, |curl, header| curl.header(header))
        .send()
}

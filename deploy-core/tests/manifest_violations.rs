//! manifest.json: what is refused, where the violation points to, and in which words.

#[path = "common/documents.rs"]
mod common;

use common::{document, parse, violations};
use deploy_core::manifest::Manifest;
use serde_json::json;

/// Each row breaks one rule: (type, what is changed, the violation's beginning).
#[test]
fn a_broken_rule_is_answered_with_its_place_and_cure() {
    let rows = [
        (
            "job",
            json!({"name": null}),
            "/name: missing: expected the name to deploy under",
        ),
        (
            "job",
            json!({"name": 1}),
            "/name: found a number, expected a string",
        ),
        (
            "job",
            json!({"name": "Fibonacci"}),
            "/name: not a name: 1 to 63 of a-z",
        ),
        (
            "job",
            json!({"name": "n".repeat(64)}),
            "/name: not a name: 1 to 63 of a-z",
        ),
        (
            "job",
            json!({"name": "n".repeat(53), "schedule": "@daily"}),
            "/name: the name of a cronjob has at most 52 characters",
        ),
        (
            "service",
            json!({"name": "1abc"}),
            "/name: the name of a service begins with a letter",
        ),
        (
            "job",
            json!({"type": null}),
            "/type: missing: expected \"job\", \"deployment\" or \"service\"",
        ),
        (
            "cronjob",
            json!({}),
            "/type: expected one of \"job\", \"deployment\", \"service\"",
        ),
        ("Job", json!({}), "/type: expected one of \"job\""),
        (
            "job",
            json!({"type": ["job"]}),
            "/type: found an array, expected a string",
        ),
        (
            "job",
            json!({"labels": 1}),
            "/labels: found a number, expected a string \"key:value\" or an object",
        ),
        (
            "job",
            json!({"labels": "deploy-api/workload:x"}),
            "/labels: the label key \"deploy-api/workload\" is reserved",
        ),
        (
            "job",
            json!({"image": null}),
            "/image: missing: expected \"image\", to pull one, or \"image-destination\"",
        ),
        (
            "job",
            json!({"image-destination": "x"}),
            "/image: \"image\" and \"image-destination\" are both there",
        ),
        (
            "job",
            json!({"image": "No Image"}),
            "/image: not an image reference",
        ),
        (
            "job",
            json!({"image": {}}),
            "/image: found an object, expected a string",
        ),
        (
            "job",
            json!({"image": null, "image-destination": format!("x@sha256:{}", "0".repeat(64))}),
            "/image-destination: an image is pushed under a tag",
        ),
        (
            "job",
            json!({"image-pull-policy": "always"}),
            "/image-pull-policy: expected one of \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (
            "job",
            json!({"cmd": "python x.py"}),
            "/cmd: found a string, expected an array of strings",
        ),
        ("job", json!({"cmd": []}), "/cmd: empty: leave \"cmd\" out"),
        (
            "job",
            json!({"cmd": [""]}),
            "/cmd/0: empty: expected the program to run",
        ),
        (
            "job",
            json!({"cmd": ["sh", 10]}),
            "/cmd/1: found a number, expected a string",
        ),
        (
            "job",
            json!({"cmd": ["sh", "a\0b"]}),
            "/cmd/1: no argument holds a NUL",
        ),
        (
            "job",
            json!({"env": {"A": "1"}}),
            "/env: found an object, expected an array of {\"name\", \"value\"}",
        ),
        (
            "job",
            json!({"env": ["A=1"]}),
            "/env/0: found a string, expected an object",
        ),
        ("job", json!({"env": [{"value": "1"}]}), "/env/0/name: missing"),
        (
            "job",
            json!({"env": [{"name": "A"}]}),
            "/env/0/value: missing: expected \"value\" or \"secret\"",
        ),
        (
            "job",
            json!({"env": [{"name": "A", "value": 1}]}),
            "/env/0/value: found a number, expected a string",
        ),
        (
            "job",
            json!({"env": [{"name": "A", "value": "a\0"}]}),
            "/env/0/value: no variable holds a NUL",
        ),
        (
            "job",
            json!({"env": [{"name": "1A", "value": ""}]}),
            "/env/0/name: not a variable's name",
        ),
        (
            "job",
            json!({"env": [{"name": "A-B", "value": ""}]}),
            "/env/0/name: not a variable's name",
        ),
        (
            "job",
            json!({"env": [{"name": "", "value": ""}]}),
            "/env/0/name: not a variable's name",
        ),
        (
            "job",
            json!({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}),
            "/env/1/name: \"A\" is there twice: first in element 0",
        ),
        (
            "job",
            json!({"env": [{"name": "A", "value": "1", "secret": {"name": "s", "key": "k"}}]}),
            "/env/0/secret: \"value\" and \"secret\" are both there",
        ),
        (
            "job",
            json!({"env": [{"name": "A", "secret": "s"}]}),
            "/env/0/secret: found a string, expected an object",
        ),
        (
            "job",
            json!({"env": [{"name": "A", "secret": {"name": "s"}}]}),
            "/env/0/secret/key: missing",
        ),
        (
            "job",
            json!({"env": [{"name": "A", "secret": {"name": "S", "key": "k"}}]}),
            "/env/0/secret/name: not a Secret's name",
        ),
        (
            "job",
            json!({"env": [{"name": "A", "secret": {"name": "s", "key": "../k"}}]}),
            "/env/0/secret/key: not a key of a Secret",
        ),
        (
            "job",
            json!({"cpu-request": 0.15}),
            "/cpu-request: found a number, expected a string",
        ),
        (
            "job",
            json!({"cpu-limit": "1 core"}),
            "/cpu-limit: not a quantity",
        ),
        (
            "job",
            json!({"cpu-limit": "-1"}),
            "/cpu-limit: a quantity is not negative",
        ),
        (
            "job",
            json!({"memory-limit": "200MB"}),
            "/memory-limit: not a quantity",
        ),
        (
            "job",
            json!({"cpu-request": "0.21", "cpu-limit": "200m"}),
            "/cpu-request: more than \"cpu-limit\"",
        ),
        (
            "job",
            json!({"memory-request": "1Gi", "memory-limit": "1G"}),
            "/memory-request: more than \"memory-limit\"",
        ),
        (
            "job",
            json!({"schedule": "0 0 * * 7"}),
            "/schedule: day of week: use 0 for Sunday",
        ),
        (
            "job",
            json!({"schedule": 5}),
            "/schedule: found a number, expected a string",
        ),
        (
            "service",
            json!({"schedule": "@daily"}),
            "/schedule: not for a service: only a job takes \"schedule\"",
        ),
        ("job", json!({"timezone": "Paris"}), "/timezone: not a time zone"),
        (
            "deployment",
            json!({"timezone": "UTC"}),
            "/timezone: not for a deployment: only a job",
        ),
        (
            "job",
            json!({"concurrency-policy": "forbid"}),
            "/concurrency-policy: expected one of \"Allow\"",
        ),
        (
            "service",
            json!({"concurrency-policy": "Allow"}),
            "/concurrency-policy: not for a service",
        ),
        (
            "job",
            json!({"retries": 11}),
            "/retries: found a number, expected a whole number from 0 to 10",
        ),
        (
            "job",
            json!({"retries": -1}),
            "/retries: found a number, expected a whole number from 0 to 10",
        ),
        (
            "service",
            json!({"retries": 1}),
            "/retries: not for a service: only a job takes \"retries\"",
        ),
        (
            "job",
            json!({"timeout-seconds": 0}),
            "/timeout-seconds: found a number, expected a whole number from 1",
        ),
        (
            "service",
            json!({"timeout-seconds": 1.5}),
            "/timeout-seconds: found a number, expected a whole number",
        ),
        (
            "job",
            json!({"replicas": 1}),
            "/replicas: not for a job: only a deployment or service takes \"replicas\"",
        ),
        (
            "deployment",
            json!({"replicas": 101}),
            "/replicas: found a number, expected a whole number from 0 to 100",
        ),
        (
            "deployment",
            json!({"replicas": "1"}),
            "/replicas: found a string, expected a whole number from 0 to 100",
        ),
        (
            "service",
            json!({"container-port": null}),
            "/container-port: missing",
        ),
        (
            "service",
            json!({"container-port": 0}),
            "/container-port: found a number, expected a whole number from 1",
        ),
        (
            "service",
            json!({"container-port": 65536}),
            "/container-port: found a number, expected a whole number",
        ),
        (
            "deployment",
            json!({"container-port": 80}),
            "/container-port: not for a deployment: only a service",
        ),
        (
            "job",
            json!({"published": {"prefix": "/x/"}}),
            "/published: not for a job: only a service",
        ),
        (
            "service",
            json!({"published": true}),
            "/published: found a boolean, expected an object",
        ),
        (
            "service",
            json!({"published": {"access": "a"}}),
            "/published/prefix: missing",
        ),
        (
            "service",
            json!({"published": {"prefix": "/x"}}),
            "/published/prefix: expected a path that begins and ends",
        ),
        (
            "service",
            json!({"published": {"prefix": "/x/../"}}),
            "/published/prefix: expected a path",
        ),
        (
            "service",
            json!({"published": {"prefix": "/x/", "rewrite": "y"}}),
            "/published/rewrite: expected a path",
        ),
        (
            "service",
            json!({"published": {"prefix": "/x/", "access": ""}}),
            "/published/access: not a group",
        ),
        (
            "service",
            json!({"published": {"prefix": "/x/", "timeout_ms": 0}}),
            "/published/timeout_ms: found a number, expected a whole number from 1",
        ),
        (
            "service",
            json!({"published": {"prefix": "/x/", "bypass_auth": "yes"}}),
            "/published/bypass_auth: found a string, expected true or false",
        ),
        (
            "service",
            json!({"published": {"prefix": "/x/", "bypass-auth": true}}),
            "/published/bypass-auth: unknown key \"bypass-auth\"; the nearest known one is \"bypass_auth\"",
        ),
        (
            "job",
            json!({"image_pull_policy": "Never"}),
            "/image_pull_policy: unknown key \"image_pull_policy\"; the nearest known one is \"image-pull-policy\"",
        ),
        (
            "job",
            json!({"privileged": true}),
            "/privileged: unknown key \"privileged\"; the known ones are name, type",
        ),
        (
            "job",
            json!({"spec": {"hostNetwork": true}}),
            "/spec: unknown key \"spec\"",
        ),
    ];
    for (kind, changes, expected) in rows {
        let found = violations(parse(&document(kind, changes.clone())));
        assert_eq!(found.len(), 1, "{kind} {changes}: {found:#?}");
        assert!(found[0].starts_with(expected), "{kind} {changes}: {found:#?}");
    }
}

#[test]
fn null_is_not_the_same_as_absent() {
    let text = r#"{"name": "x", "type": "job", "image": "x", "schedule": null}"#;
    let found = violations(Manifest::parse(text.as_bytes()));
    assert_eq!(found, ["/schedule: found null, expected a string"]);
}

#[test]
fn every_violation_is_answered_at_once() {
    let text = r#"{"nmae": "x", "type": "service", "image": 1, "cmd": [1, "a", 2], "replicas": -1, "retries": 99,
        "env": [{"name": "A", "valeu": ""}], "cpu-limit": "x", "published": {"prefix": 1}}"#;
    let found: Vec<_> = Manifest::parse(text.as_bytes()).unwrap_err();
    let mut pointers: Vec<_> = found.iter().map(|v| v.pointer.as_str()).collect();
    pointers.sort_unstable();
    let expected = [
        "/cmd/0",
        "/cmd/2",
        "/container-port",
        "/cpu-limit",
        "/env/0/valeu",
        "/env/0/value",
        "/image",
        "/name",
        "/nmae",
        "/published/prefix",
        "/replicas",
        "/retries",
    ];
    assert_eq!(pointers, expected);
}

#[test]
fn a_document_that_is_no_object_is_refused() {
    for (text, expected) in [
        ("[]", ": found an array, expected an object"),
        ("null", ": found null, expected an object"),
        ("{", ": not JSON as expected"),
        (
            r#"{"name": "a", "name": "b"}"#,
            "/name: the key \"name\" stands here twice",
        ),
    ] {
        let found = violations(Manifest::parse(text.as_bytes()));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

/// A password put in any place where a string, or anything, may stand never comes back in a message.
#[test]
fn no_value_is_repeated_in_a_message() {
    const CANARY: &str = "S3CRET canary\0";
    let canary = || json!(CANARY);
    let everywhere = json!({
        "name": canary(), "type": canary(), "labels": canary(), "image": canary(), "image-pull-policy": canary(),
        "cmd": [canary()], "cpu-request": canary(), "cpu-limit": canary(), "memory-request": canary(),
        "memory-limit": canary(), "schedule": canary(), "timezone": canary(), "concurrency-policy": canary(),
        "retries": canary(), "timeout-seconds": canary(), "replicas": canary(), "container-port": canary(),
        "unknown": canary(),
        "env": [
            canary(),
            {"name": canary(), "value": canary()},
            {"name": "A", "value": canary()},
            {"name": "A", "value": canary(), "secret": {"name": canary(), "key": canary()}},
            {"name": "B", "secret": {"name": canary(), "key": canary()}},
            {"name": "C", "unknown": canary()},
        ],
        "published": {"access": canary(), "prefix": canary(), "rewrite": canary(), "timeout_ms": canary()},
    });
    let service = document(
        "service",
        json!({"env": everywhere["env"], "published": everywhere["published"]}),
    );
    for document in [everywhere, service] {
        let found = violations(parse(&document));
        assert!(found.len() > 10, "{found:#?}");
        assert!(!found.iter().any(|line| line.contains("S3CRET")), "{found:#?}");
    }
}

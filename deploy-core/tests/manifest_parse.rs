//! manifest.json: what is accepted and as what, and what it is filled up with.

#[path = "common/documents.rs"]
mod common;

use common::{document, parse, violations};
use deploy_core::manifest::{
    ConcurrencyPolicy, EnvValue, EnvVar, Image, Manifest, ManifestKind, Published, PullPolicy, Quantity,
};
use serde_json::json;

/// The two examples that files in use are copied from.
const FIBONACCI: &str = r#"{
  "name": "fibonacci",
  "type": "job",
  "labels": "app:fibonacci",
  "image-destination": "registry.example/demo/fibonacci:0.1",
  "cmd": ["python", "/code/fibo.py", "10"],
  "cpu-request": "0.15", "cpu-limit": "0.20",
  "memory-request": "150Mi", "memory-limit": "200Mi",
  "schedule": ""
}"#;
const HELLO_WORLD: &str = r#"{
  "name": "helloworld",
  "type": "service",
  "labels": "app:helloworld",
  "image-destination": "registry.example/demo/hello_world:0.1",
  "image-pull-policy": "Always",
  "env": [{"name": "FIRST_NAME", "value": "Ada"}],
  "cmd": ["/opt/venv/bin/python", "/code/hello_world.py"],
  "replicas": 1,
  "container-port": 5000,
  "published": {"access": "data-team", "prefix": "/helloworld/"}
}"#;

#[test]
fn the_job_of_the_examples_is_read_as_it_is_meant() {
    let manifest = Manifest::parse(FIBONACCI.as_bytes()).unwrap();
    assert_eq!(manifest.name.as_str(), "fibonacci");
    assert_eq!(manifest.labels.iter().collect::<Vec<_>>(), [("app", "fibonacci")]);
    assert_eq!(
        manifest.image,
        Image::Built("registry.example/demo/fibonacci:0.1".to_owned())
    );
    assert_eq!(manifest.pull_policy, None);
    let command = ["python", "/code/fibo.py", "10"].map(str::to_owned);
    assert_eq!(manifest.command, Some(command.to_vec()));
    assert_eq!(manifest.env, []);
    let quantity = |text: &str| text.parse::<Quantity>().ok();
    assert_eq!(manifest.resources.cpu_request, quantity("0.15"));
    assert_eq!(manifest.resources.cpu_limit, quantity("0.20"));
    assert_eq!(manifest.resources.memory_request, quantity("150Mi"));
    assert_eq!(manifest.resources.memory_limit, quantity("200Mi"));
    let kind = ManifestKind::Job {
        schedule: None,
        timezone: chrono_tz::Etc::UTC,
        concurrency: ConcurrencyPolicy::Forbid,
        retries: 0,
        timeout_seconds: None,
    };
    assert_eq!(manifest.kind, kind);
}

#[test]
fn the_service_of_the_examples_is_read_as_it_is_meant() {
    let manifest = Manifest::parse(HELLO_WORLD.as_bytes()).unwrap();
    assert_eq!(manifest.pull_policy, Some(PullPolicy::Always));
    let env = EnvVar {
        name: "FIRST_NAME".to_owned(),
        value: EnvValue::Literal("Ada".to_owned()),
    };
    assert_eq!(manifest.env, [env]);
    let published = Published {
        access: Some("data-team".to_owned()),
        prefix: "/helloworld/".to_owned(),
        rewrite: "/".to_owned(),
        timeout_ms: 6000,
        sticky_sessions: false,
        bypass_auth: false,
    };
    let kind = ManifestKind::Service {
        replicas: 1,
        port: 5000,
        published: Some(published),
        timeout_seconds: None,
    };
    assert_eq!(manifest.kind, kind);
}

#[test]
fn a_manifest_is_stored_and_read_back_unchanged() {
    for text in [FIBONACCI, HELLO_WORLD] {
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        let stored = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&stored).unwrap(), manifest);
    }
}

#[test]
fn what_the_format_allows_is_accepted() {
    let name_52 = "n".repeat(52);
    let name_63 = "n".repeat(63);
    for (kind, changes) in [
        ("job", json!({})),
        ("job", json!({"published": {}, "schedule": ""})),
        (
            "deployment",
            json!({"published": {}, "schedule": "", "replicas": 0}),
        ),
        (
            "service",
            json!({"published": {}, "schedule": "", "replicas": 100}),
        ),
        ("job", json!({"name": name_63})),
        ("job", json!({"name": name_52, "schedule": "0 3 * * MON-FRI"})),
        (
            "job",
            json!({"schedule": "@daily", "timezone": "Europe/Paris", "concurrency-policy": "Replace", "retries": 10}),
        ),
        // The schedule may come with the request.
        (
            "job",
            json!({"timezone": "Europe/Paris", "timeout-seconds": 31_536_000}),
        ),
        ("deployment", json!({"name": "1a", "timeout-seconds": 1})),
        ("service", json!({"container-port": 65535})),
        (
            "service",
            json!({"published": {"prefix": "/", "rewrite": "/a", "timeout_ms": 1, "bypass_auth": true}}),
        ),
        ("job", json!({"labels": "", "env": []})),
        ("job", json!({"labels": {"a": "b"}, "cmd": ["sh", ""]})),
        (
            "job",
            json!({"env": [{"name": "_A1", "secret": {"name": "db.x", "key": ".password"}}]}),
        ),
        (
            "job",
            json!({"cpu-request": "500m", "cpu-limit": "0.5", "memory-request": "1Gi"}),
        ),
        (
            "job",
            json!({"image": null, "image-destination": "registry.example/x"}),
        ),
    ] {
        assert_eq!(
            violations(parse(&document(kind, changes.clone()))),
            [""; 0],
            "{kind} {changes}"
        );
    }
}

#[test]
fn a_task_without_labels_is_labelled_by_its_name() {
    for changes in [json!({}), json!({"labels": ""}), json!({"labels": {}})] {
        let manifest = parse(&document("job", changes)).unwrap();
        assert_eq!(manifest.labels.iter().collect::<Vec<_>>(), [("app", "x")]);
    }
}

//! What is wrong with a document is told without showing what stands in it: a file that was taken for a manifest may hold
//! anything. Names that the user has given (keys, labels, variables, steps) are shown, short and escaped, for they tell
//! which of them is meant; values never are.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use deploy_core::manifest::{Manifest, Violation};
use deploy_core::pipeline::definition::Definition;
use serde_json::{Value, json};

const CANARY: &str = "Canary-Secret 1";

#[track_caller]
fn tells_without_showing(what: &str, violations: &[Violation]) {
    assert!(!violations.is_empty(), "{what} was accepted");
    let shown = format!("{violations:?}");
    assert!(!shown.contains("Canary"), "{what}: {shown}");
}

#[test]
fn a_text_that_is_no_document_is_not_shown() {
    for text in [
        CANARY.to_owned(),
        format!("\"{CANARY}\""),
        format!("[\"{CANARY}\"]"),
        format!("{{\"name\": {CANARY}}}"),
        format!("{{\"name\": \"{CANARY}"),
        format!("{{\"name\": \"a\"}} {CANARY}"),
        format!("{{\"name\": \"\\x{CANARY}\"}}"),
        format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n"),
        format!("root:x:0:0:{CANARY}:/root:/bin/sh\n"),
        format!("\u{feff}{CANARY}"),
        format!("{{\"a\": \"{CANARY}\", \"a\": \"{CANARY}\"}}"),
    ] {
        tells_without_showing(&text, &Manifest::parse(text.as_bytes()).unwrap_err());
        tells_without_showing(&text, &Definition::parse(text.as_bytes()).unwrap_err());
    }
    let not_utf8 = [CANARY.as_bytes(), b"\xff"].concat();
    tells_without_showing("not UTF-8", &Manifest::parse(&not_utf8).unwrap_err());
}

/// The canary in every shape that a value can have.
fn shapes() -> Vec<Value> {
    vec![
        json!(CANARY),
        json!([CANARY]),
        json!([{"name": CANARY}]),
        json!([{"name": "NAME", "value": [CANARY]}]),
        json!({"access": CANARY, "port": CANARY, "path": CANARY}),
        json!([[CANARY]]),
    ]
}

#[test]
fn a_value_of_a_manifest_is_not_shown() {
    let good = json!({"name": "a", "type": "job", "image": "registry.example/a:1"});
    assert!(Manifest::parse(good.to_string().as_bytes()).is_ok());
    let keys = [
        "name",
        "type",
        "image",
        "image-destination",
        "image-pull-policy",
        "cmd",
        "env",
        "cpu-request",
        "cpu-limit",
        "memory-request",
        "memory-limit",
        "schedule",
        "timezone",
        "concurrency-policy",
        "retries",
        "timeout-seconds",
        "replicas",
        "container-port",
        "published",
    ];
    for key in keys {
        for value in shapes() {
            let mut document = good.clone();
            document[key] = value;
            let text = document.to_string();
            // Some are good: a command may say anything.
            if let Err(violations) = Manifest::parse(text.as_bytes()) {
                tells_without_showing(&text, &violations);
            }
        }
    }
}

#[test]
fn a_value_of_a_pipeline_is_not_shown() {
    let step = json!({"name": "a", "namespacetask": "demo/a"});
    for key in ["namespacetask", "run-if-error", "env", "schedule", "dependance"] {
        for value in shapes() {
            if key == "dependance" && value == json!([CANARY]) {
                // The name of a step.
                continue;
            }
            let mut step = step.clone();
            step[key] = value;
            let text = json!({"name": "p", "tasks": [step]}).to_string();
            if let Err(violations) = Definition::parse(text.as_bytes()) {
                tells_without_showing(&text, &violations);
            }
        }
    }
}

//! That values.yaml, its schema and the templates speak of the same values, whether or not there is a helm.

use std::collections::BTreeSet;

use serde_json::Value;

use super::helm::{binaries, chart, file, rendered, yaml};

/// Paths of all values: of values.yaml the leaves, empty lists and mappings being leaves too.
fn leaves(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value.as_object() {
        Some(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                leaves(value, format!("{at}.{key}").trim_start_matches('.'), found);
            }
        }
        _ => {
            found.insert(at.to_owned());
        }
    }
}

/// What the schema has under a path.
fn schema_at<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(schema, |at, key| {
        at["properties"]
            .get(key)
            .or_else(|| at.get("additionalProperties").filter(|rest| rest.is_object()))
    })
}

#[test]
fn every_value_is_in_the_schema_and_used_by_a_template() {
    let schema: Value = serde_json::from_str(&file("values.schema.json")).unwrap();
    let mut templates = String::new();
    for entry in std::fs::read_dir(chart().join("templates")).unwrap() {
        templates.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let mut found = BTreeSet::new();
    leaves(&yaml(&file("values.yaml")), "", &mut found);
    assert!(found.len() > 60, "{}", found.len());
    for path in found {
        assert!(schema_at(&schema, &path).is_some(), "{path} is not in the schema");
        // `git` and `tokens` are variables of their template; resources are written out whole.
        let used = match path.split_once('.') {
            Some((group @ ("git" | "tokens"), rest)) => format!("${group}.{rest}"),
            Some(("resources", _)) => ".Values.resources".to_owned(),
            _ => format!(".Values.{path}"),
        };
        assert!(templates.contains(&used), "no template uses {path}");
    }
}

#[test]
fn every_key_of_the_schema_is_in_the_values_or_optional_inside_a_list() {
    let schema: Value = serde_json::from_str(&file("values.schema.json")).unwrap();
    let values = yaml(&file("values.yaml"));
    let mut open = Vec::new();
    let mut absent = Vec::new();
    walk(&schema, &values, "", &mut open, &mut absent);
    // What Kubernetes' own types are for, or a mapping of the user's.
    let free = [
        "affinity",
        "external.route.annotations",
        "external.service.annotations",
        "global",
        "nodeSelector",
        "podAnnotations",
        "podLabels",
        "resources.limits",
        "resources.requests",
        "service.annotations",
        "serviceAccount.annotations",
    ];
    open.sort();
    assert_eq!(open, free, "open to any key");
    absent.sort();
    assert_eq!(
        absent,
        ["global", "policy.document.reserved", "policy.document.rules"],
        "in no values.yaml"
    );
}

#[test]
fn the_values_that_the_document_shows_can_be_installed() {
    let document = std::fs::read_to_string(chart().join("../../docs/kubernetes.md")).unwrap();
    let shown: Vec<&str> = document
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(shown.len() >= 3, "{shown:?}");
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("values.yaml");
    for text in shown {
        std::fs::write(&values, text).unwrap();
        for helm in binaries() {
            rendered(&helm, &values, &["image.repository=registry.example/deploy-api"]);
        }
    }
}

fn walk(schema: &Value, values: &Value, at: &str, open: &mut Vec<String>, absent: &mut Vec<String>) {
    if schema["type"] == "object" && schema["additionalProperties"] != false {
        open.push(at.to_owned());
    }
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}.{key}").trim_start_matches('.').to_owned();
        if values.get(key).is_none() {
            absent.push(path.clone());
        }
        walk(below, &values[key.as_str()], &path, open, absent);
    }
}

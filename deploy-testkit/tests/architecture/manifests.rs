//! The rules of the manifests, on the answer of `cargo metadata --no-deps`: what is declared, nothing resolved.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Answers what is wrong, one line each.
pub(crate) type Rule = fn(&Value) -> Vec<String>;

/// Every rule.
pub(crate) const RULES: &[Rule] = &[crates_keep_their_direction, core_is_built_from_its_allow_list];

/// The crates, each with those of the workspace it may be built from and those its tests may use besides.
pub(crate) const CRATES: &[(&str, &[&str], &[&str])] = &[
    ("deploy-core", &[], &["deploy-testkit"]),
    ("deploy-adapters", &["deploy-core"], &["deploy-testkit"]),
    (
        "deploy-http",
        &["deploy-core", "deploy-adapters"],
        &["deploy-testkit"],
    ),
    ("deploy-testkit", &["deploy-core"], &[]),
];

/// What deploy-core may be built from; tokio with `sync` alone.
const CORE_MAY_USE: &[&str] = &[
    "async-trait",
    "chrono",
    "chrono-tz",
    "cron",
    "futures",
    "mockall",
    "serde",
    "serde_json",
    "thiserror",
    "tokio",
    "tracing",
    "uuid",
];

fn crates_keep_their_direction(metadata: &Value) -> Vec<String> {
    let ours: BTreeSet<&str> = CRATES.iter().map(|(name, ..)| *name).collect();
    let mut found = Vec::new();
    for package in list(metadata, "packages") {
        let name = text(package, "name");
        let Some((_, built_from, tested_with)) = CRATES.iter().find(|(known, ..)| *known == name) else {
            found.push(format!("{name} has no place in the crate graph"));
            continue;
        };
        for dependency in list(package, "dependencies") {
            let on = text(dependency, "name");
            let for_tests = text(dependency, "kind") == "dev";
            if ours.contains(on) && !built_from.contains(&on) && !(for_tests && tested_with.contains(&on)) {
                found.push(format!("{name} may not depend on {on}"));
            }
        }
    }
    found
}

fn core_is_built_from_its_allow_list(metadata: &Value) -> Vec<String> {
    let core = list(metadata, "packages")
        .iter()
        .find(|package| text(package, "name") == "deploy-core");
    let Some(core) = core else {
        return vec!["there is no deploy-core".to_owned()];
    };
    let mut found = Vec::new();
    for dependency in list(core, "dependencies") {
        let name = text(dependency, "name");
        if text(dependency, "kind") == "dev" {
            continue;
        }
        if !CORE_MAY_USE.contains(&name) {
            found.push(format!("deploy-core may not use {name}"));
        }
        if name == "mockall" && dependency["optional"] != json!(true) {
            found.push("deploy-core may use mockall optionally alone".to_owned());
        }
        let sync_alone =
            dependency["features"] == json!(["sync"]) && dependency["uses_default_features"] == json!(false);
        if name == "tokio" && !sync_alone {
            found.push("deploy-core may use tokio's sync alone".to_owned());
        }
    }
    found
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Empty where it is absent or null, as the kind of a normal dependency is.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn each_rule_finds_the_manifests_that_break_it_and_no_others() {
    /// The rule breaks where the sample is marked `true`: a crate and one dependency that it declares.
    #[track_caller]
    fn check(rule: Rule, samples: &[(&str, Value, bool)]) {
        for (package, dependency, broken) in samples {
            let core = json!({"name": "deploy-core", "dependencies": []});
            let sample = json!({"name": package, "dependencies": [dependency]});
            let found = rule(&json!({"packages": [sample, core]}));
            assert_eq!(
                !found.is_empty(),
                *broken,
                "{package} with {dependency}, found {found:?}"
            );
        }
    }
    let on = |name: &str, kind: Option<&str>| json!({"name": name, "kind": kind});
    let tokio = |features: &[&str], defaults: bool| json!({"name": "tokio", "kind": null, "features": features, "uses_default_features": defaults});
    let mockall = |optional: bool| json!({"name": "mockall", "kind": null, "optional": optional});

    check(
        crates_keep_their_direction,
        &[
            ("deploy-adapters", on("deploy-core", None), false),
            ("deploy-core", on("deploy-testkit", Some("dev")), false),
            ("deploy-core", on("deploy-testkit", None), true),
            ("deploy-core", on("deploy-adapters", Some("dev")), true),
            ("deploy-adapters", on("deploy-http", None), true),
            ("deploy-testkit", on("deploy-http", Some("dev")), true),
            ("deploy-new", on("serde", None), true),
        ],
    );
    check(
        core_is_built_from_its_allow_list,
        &[
            ("deploy-core", on("serde", None), false),
            ("deploy-core", on("proptest", Some("dev")), false),
            ("deploy-core", on("hyper", None), true),
            ("deploy-core", on("cc", Some("build")), true),
            ("deploy-core", tokio(&["sync"], false), false),
            ("deploy-core", tokio(&["sync", "rt"], false), true),
            ("deploy-core", tokio(&["sync"], true), true),
            ("deploy-core", mockall(true), false),
            ("deploy-core", mockall(false), true),
            ("deploy-http", on("hyper", None), false),
        ],
    );
    assert!(!core_is_built_from_its_allow_list(&json!({"packages": []})).is_empty());
}

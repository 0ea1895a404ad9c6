//! That the server takes what the chart gives it: every variable is one of its flags, every value parses, and together they
//! make sense. And that no flag is forgotten: what the chart does not set is named here, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use deploy_core::authz::Policy;
use deploy_http::config::{self, Command};
use serde_json::Value;

use super::helm::{binaries, deployment, rendered, samples};

/// Flags that no value of the chart sets.
const NOT_THE_CHARTS: &[&str] = &[
    // The database is on the data volume; PostgreSQL is not spoken yet.
    "DEPLOY_DATABASE",
    // The pod's own account is what it speaks to the cluster with.
    "DEPLOY_KUBE_CONTEXT",
];

/// The server's variables, as the rendered pod has them.
fn environment(objects: &[Value]) -> BTreeMap<String, String> {
    deployment(objects)["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |key: &str| {
                entry[key]
                    .as_str()
                    .unwrap_or_else(|| panic!("{entry}"))
                    .to_owned()
            };
            (text("name"), text("value"))
        })
        .collect()
}

/// The variables of all flags, from the table of docs/configuration.md, which a test of its own holds to the code.
fn flags() -> BTreeSet<String> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let flags: BTreeSet<String> = std::fs::read_to_string(document)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| `--"))
        .map(|line| {
            line.split(['`', ' '])
                .next()
                .unwrap()
                .to_uppercase()
                .replace('-', "_")
        })
        .map(|name| format!("DEPLOY_{name}"))
        .collect();
    assert!(flags.len() > 30, "{flags:?}");
    flags
}

#[test]
fn every_variable_is_a_flag_of_the_server_and_every_flag_can_be_set() {
    for helm in binaries() {
        let set: BTreeSet<String> = samples()
            .iter()
            .flat_map(|values| environment(&rendered(&helm, values, &[])).into_keys())
            // The one that excludes what a sample has.
            .chain(environment(&rendered(&helm, &samples()[1], HTTP)).into_keys())
            .collect();
        let mut known = flags();
        for flag in NOT_THE_CHARTS {
            assert!(known.remove(*flag), "{flag} is no flag");
        }
        assert_eq!(set, known);
    }
}

const HTTP: &[&str] = &["git.baseUrl=http://git.example/", "git.allowHttp=true"];

#[test]
fn the_server_takes_the_configuration_of_every_sample() {
    for helm in binaries() {
        let plain = samples().into_iter().map(|values| (values, [].as_slice()));
        for (values, set) in plain.chain([(samples()[1].clone(), HTTP)]) {
            let environment = environment(&rendered(&helm, &values, set));
            let mut arguments = vec![OsString::from("deploy-http"), OsString::from("serve")];
            for (name, value) in environment {
                let flag = name
                    .trim_start_matches("DEPLOY_")
                    .to_lowercase()
                    .replace('_', "-");
                match value.as_str() {
                    // A flag without a value is on; its variable says so in a word.
                    "true" => arguments.push(format!("--{flag}").into()),
                    _ => arguments.extend([format!("--{flag}").into(), value.into()]),
                }
            }
            match config::parse(arguments) {
                Ok(Command::Serve(_)) => {}
                Ok(other) => panic!("{}: {other:?}", values.display()),
                Err(stop) => panic!("{}: {}", values.display(), stop.text),
            }
        }
    }
}

#[test]
fn a_file_that_the_server_is_given_is_in_a_folder_that_is_mounted() {
    for helm in binaries() {
        for values in samples() {
            let objects = rendered(&helm, &values, &[]);
            let container = &deployment(&objects)["spec"]["template"]["spec"]["containers"][0];
            let mounted: Vec<&str> = container["volumeMounts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|mount| mount["mountPath"].as_str().unwrap())
                .collect();
            for (name, value) in environment(&objects) {
                if value.starts_with('/') && name != "DEPLOY_EXTERNAL_PREFIX" {
                    let there = mounted.iter().any(|folder| value.starts_with(folder));
                    assert!(there, "{name}={value} is in none of {mounted:?}");
                }
            }
        }
    }
}

#[test]
fn a_policy_that_is_written_in_the_values_reaches_the_server_and_restarts_it_when_it_changes() {
    for helm in binaries() {
        let with = |group: &str| {
            let rules = [
                "policy.document.rules[0].effect=allow".to_owned(),
                format!("policy.document.rules[0].groups={{{group}}}"),
            ];
            rendered(&helm, &samples()[1], &rules.each_ref().map(String::as_str))
        };
        let (one, other) = (with("data-team"), with("etl-team"));
        let maps = super::helm::of_kind(&one, "ConfigMap");
        let policy = maps[0]["data"]["policy.json"].as_str().unwrap();
        assert!(Policy::parse(policy.as_bytes()).is_ok(), "{policy}");
        let annotations =
            |objects: &[Value]| deployment(objects)["spec"]["template"]["metadata"]["annotations"].clone();
        assert_ne!(annotations(&one), annotations(&other));
    }
}

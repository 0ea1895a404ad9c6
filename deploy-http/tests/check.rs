//! `deploy-http check DIR` end to end: what it prints and how it exits, for good folders, bad ones and none.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn the_examples_are_free_of_violations() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let output = check(&examples);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}{}", text(&output.stderr));
    assert!(printed.ends_with(" files, 0 violations\n"), "{printed}");
    assert!(!printed.starts_with("0 "), "it has found the examples: {printed}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn every_violation_has_its_file_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        (
            "good/manifest.json",
            r#"{"name": "good", "type": "job", "image": "registry.example/x:1"}"#,
        ),
        (
            "bad/manifest.json",
            "{\n  \"name\": \"BAD\",\n  \"type\": \"job\",\n  \"image\": \"registry.example/x:1\",\n  \"cmd\": \"sh\"\n}\n",
        ),
        ("torn/manifest.json", "{\n  \"name\": \n"),
        (
            "pipe/pipeline.json",
            "{\"name\": \"p\", \"tasks\": [\n  {\"name\": \"a\", \"namespacetask\": \"demo/x\", \"dependance\": [\"b\"]}\n]}\n",
        ),
    ];
    for (path, content) in files {
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    let output = check(folder.path());
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stdout);
    let places: Vec<&str> = printed
        .lines()
        .map(|line| {
            let line = line.strip_prefix(folder.path().to_str().unwrap()).unwrap();
            line.split(": ").next().unwrap()
        })
        .collect();
    assert_eq!(
        places,
        [
            "/bad/manifest.json:2:11",
            "/bad/manifest.json:5:10",
            "/pipe/pipeline.json:2:59",
            "/torn/manifest.json:3:1",
        ],
        "{printed}"
    );
    assert_eq!(text(&output.stderr), "4 files, 4 violations\n");
}

#[test]
fn the_example_policies_are_free_of_violations() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/policies");
    let files: Vec<_> = fs::read_dir(policies).unwrap().collect();
    assert!(!files.is_empty());
    for file in files {
        let file = file.unwrap().path();
        let output = run(&["check", "--policy", file.to_str().unwrap()]);
        assert_eq!(
            text(&output.stdout),
            "1 file, 0 violations\n",
            "{}",
            file.display()
        );
        assert_eq!(output.status.code(), Some(0));
    }
}

/// A policy with five mistakes.
const BAD_POLICY: &str = r#"{
  "reserved": ["Platform-*"],
  "rules": [
    {"effect": "permit", "actions": ["deplyo"]},
    {"effect": "allow", "namespace": ["a"], "groups": []}
  ]
}
"#;

/// Where they are.
const ITS_PLACES: [&str; 5] = [":2:16", ":4:16", ":4:38", ":5:38", ":5:55"];

#[test]
fn every_violation_of_a_policy_has_its_file_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.json");
    fs::write(&file, BAD_POLICY).unwrap();
    let file = file.to_str().unwrap();
    let output = run(&["check", "--policy", file]);
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stdout);
    let mut places: Vec<&str> = printed
        .lines()
        .map(|line| line.strip_prefix(file).unwrap().split(": ").next().unwrap())
        .collect();
    places.sort_unstable();
    assert_eq!(places, ITS_PLACES, "{printed}");
    assert_eq!(text(&output.stderr), "1 file, 5 violations\n");

    // With a folder, both are checked and counted together.
    fs::write(folder.path().join("manifest.json"), "{}").unwrap();
    let output = run(&["check", folder.path().to_str().unwrap(), "--policy", file]);
    assert!(
        text(&output.stderr).starts_with("2 files, "),
        "{}",
        text(&output.stderr)
    );
    assert!(text(&output.stdout).contains("manifest.json:1:1: "));
}

#[test]
fn a_server_does_not_start_with_a_bad_policy_and_names_the_same_places() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.json");
    fs::write(&file, BAD_POLICY).unwrap();
    let (file, data) = (file.to_str().unwrap(), folder.path().join("state"));
    let output = run(&[
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data.to_str().unwrap(),
        "--policy",
        file,
    ]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(
        told.contains("is not a policy: ") && !told.contains("listening"),
        "{told}"
    );
    for place in ITS_PLACES {
        assert!(told.contains(&format!("{file}{place}: ")), "{place}: {told}");
    }
}

#[test]
fn a_policy_that_is_not_there_is_wrong_use_and_so_is_nothing_to_check() {
    let output = run(&["check", "--policy", "no/such/policy.json"]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(
        told.starts_with("--policy no/such/policy.json cannot be read"),
        "{told}"
    );
    assert_eq!(run(&["check"]).status.code(), Some(2));
}

#[test]
fn a_folder_that_is_not_there_is_wrong_use() {
    let output = check(Path::new("no/such/folder"));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let told = text(&output.stderr);
    assert!(
        told.starts_with("no/such/folder cannot be checked") && told.lines().count() == 1,
        "{told}"
    );
}

fn check(folder: &Path) -> Output {
    run(&["check", folder.to_str().unwrap()])
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deploy-http"));
    // Whoever runs the tests may have a server of their own configured.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DEPLOY_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

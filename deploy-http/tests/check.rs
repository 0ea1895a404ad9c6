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
    Command::new(env!("CARGO_BIN_EXE_deploy-http"))
        .arg("check")
        .arg(folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

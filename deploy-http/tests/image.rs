//! What can be said of the image without a container engine: that the Dockerfile copies what there is and all that the
//! build reads, under a user who is not root, from bases that are named. Building it is the reader's (docs/kubernetes.md).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A Dockerfile's instructions, each with its arguments on one line.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    joined
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(word, rest)| {
            (
                word.to_uppercase(),
                rest.split_whitespace().collect::<Vec<_>>().join(" "),
            )
        })
        .collect()
}

fn dockerfile() -> Vec<(String, String)> {
    instructions(&fs::read_to_string(root().join("deploy-http/Dockerfile")).unwrap())
}

fn all(of: &str) -> Vec<String> {
    let found: Vec<String> = dockerfile()
        .into_iter()
        .filter(|(word, _)| word == of)
        .map(|(_, rest)| rest)
        .collect();
    assert!(!found.is_empty(), "the Dockerfile has no {of}");
    found
}

/// What is copied out of the context: sources, below the workspace's root.
fn copied() -> Vec<String> {
    all("COPY")
        .iter()
        .filter(|copy| !copy.starts_with("--from="))
        .flat_map(|copy| {
            let mut words: Vec<String> = copy.split(' ').map(str::to_owned).collect();
            words.pop();
            words
        })
        .collect()
}

#[test]
fn everything_that_is_copied_is_there_and_let_into_the_context() {
    let ignore = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let let_in: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let copied = copied();
    for source in &copied {
        assert!(root().join(source).exists(), "{source} is not there");
        assert!(
            let_in.contains(&source.as_str()),
            ".dockerignore keeps {source} out"
        );
    }
    for path in let_in {
        assert!(
            copied.iter().any(|source| source == path),
            "{path} is let in and never copied"
        );
    }
}

#[test]
fn every_member_of_the_workspace_and_every_file_that_the_build_reads_is_copied() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest
        .lines()
        .find_map(|line| line.strip_prefix("members = "))
        .unwrap();
    let copied = copied();
    for member in members.trim_matches(['[', ']']).split(',') {
        let member = member.trim().trim_matches('"');
        assert!(
            copied.iter().any(|source| source == member),
            "{member} is not copied"
        );
    }
    // The one thing outside the crates that code which ships reads as it is built.
    let examples = fs::read_to_string(root().join("deploy-http/src/demo/examples.rs")).unwrap();
    assert!(examples.contains("../../../docs/examples/"));
    assert!(copied.iter().any(|source| source == "docs/examples"));
}

#[test]
fn the_bases_are_named_and_the_compiler_is_the_workspaces() {
    let bases = all("FROM");
    assert_eq!(bases.len(), 2, "{bases:?}");
    for base in &bases {
        let image = base.split(' ').next().unwrap();
        let (_, tag) = image
            .rsplit_once(':')
            .unwrap_or_else(|| panic!("{image} has no tag"));
        assert_ne!(tag, "latest", "{image}");
    }
    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "))
        .unwrap();
    let expected = format!("rust:{}-slim-trixie AS build", channel.trim_matches('"'));
    assert_eq!(bases[0], expected);
    // What the binary is linked with has to be there: Debian 13 is trixie.
    assert_eq!(bases[1], "gcr.io/distroless/cc-debian13:nonroot");
}

#[test]
fn the_server_is_not_root_and_is_the_chart_s_user() {
    let user = all("USER").pop().unwrap();
    let (user, group) = user.split_once(':').unwrap();
    let deployment = fs::read_to_string(root().join("deploy-http/chart/templates/deployment.yaml")).unwrap();
    assert_ne!(user.parse::<u32>().unwrap(), 0);
    assert!(deployment.contains(&format!("runAsUser: {user}\n")), "{user}");
    assert!(deployment.contains(&format!("runAsGroup: {group}\n")), "{group}");
}

#[test]
fn the_image_runs_what_it_copies_and_builds_from_the_lock_file() {
    let built = all("COPY")
        .into_iter()
        .find_map(|copy| copy.strip_prefix("--from=build ").map(str::to_owned));
    let built = built.unwrap();
    let (from, to) = built.split_once(' ').unwrap();
    assert_eq!(from, "/source/target/release/deploy-http");
    assert_eq!(all("WORKDIR"), ["/source"]);
    assert_eq!(all("ENTRYPOINT"), [format!("[\"{to}\"]")]);
    assert!(
        all("RUN")
            .iter()
            .any(|run| run == "cargo build --release --locked --package deploy-http")
    );
}

#[test]
fn no_library_is_wanted_that_the_base_has_not() {
    // What may be linked with is in .ci/run, which looks at the binary; both have to build it alike.
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    for setting in all("ENV") {
        assert!(ci.contains(&format!("export {setting}\n")), "{setting}");
    }
    assert_eq!(all("ENV"), ["LIBZ_SYS_STATIC=1"]);
}

#[test]
fn an_instruction_may_stand_on_several_lines_with_comments_between() {
    let text = "# a\nFROM x:1 AS y\nRUN a \\\n  # why\n  && b\nCOPY a b ./\n";
    let expected = [("FROM", "x:1 AS y"), ("RUN", "a && b"), ("COPY", "a b ./")];
    let found = instructions(text);
    assert_eq!(
        found,
        expected.map(|(word, rest)| (word.to_owned(), rest.to_owned()))
    );
}

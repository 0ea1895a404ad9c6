//! `GitRepositories` against real repositories: the port's contract on a folder and over HTTP, and what an export and a
//! hostile tree may do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use deploy_adapters::git::{GitAccess, GitBase, GitConfig, GitLimits, GitRepositories, publish};
use deploy_core::names::{CommitId, RepositoryName};
use deploy_core::ports::{SourceError, SourceRepository};
use deploy_testkit::contract;
use deploy_testkit::fixture::git::GitFolder;
use deploy_testkit::fixture::git_http::GitHttp;
use deploy_testkit::fixture::tree::file;

fn git_in(base: GitBase, cache: &std::path::Path, limits: GitLimits) -> GitRepositories {
    let config = GitConfig {
        base,
        access: GitAccess::default(),
        default_branch: "master".parse().unwrap(),
        cache: cache.to_owned(),
        limits,
    };
    GitRepositories::new(config).unwrap()
}

/// Reads a folder in place; it needs no cache.
fn in_place(folder: &GitFolder, limits: GitLimits) -> GitRepositories {
    let base = GitBase::Folder(folder.root().to_owned());
    git_in(base, &folder.root().join("unused"), limits)
}

fn demo() -> RepositoryName {
    "demo".parse().unwrap()
}

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    let folder = GitFolder::new();
    let git = in_place(&folder, GitLimits::default());
    contract::source_repository::check(&git, &folder).await;
    let unused = folder.root().join("unused");
    assert!(!unused.exists(), "nothing is cached of a folder");
}

#[tokio::test]
async fn a_server_keeps_the_contract() {
    let folder = GitFolder::new();
    let server = GitHttp::serve(folder.root()).await.unwrap();
    let cache = tempfile::tempdir().unwrap();
    let base = GitBase::parse(&server.url(), false).unwrap();
    let git = git_in(base, cache.path(), GitLimits::default());
    contract::source_repository::check(&git, &folder).await;
}

#[tokio::test]
async fn what_is_published_is_found_by_both_spellings_of_its_folder() {
    let root = tempfile::tempdir().unwrap();
    let branch = "main".parse().unwrap();
    let files: [(&str, &[u8], bool); 1] = [("a/f", b"x", false)];
    let plain = publish(&root.path().join("plain"), &branch, &files).unwrap();
    let bare = publish(&root.path().join("bare.git"), &branch, &files).unwrap();
    let base = GitBase::Folder(root.path().to_owned());
    let git = git_in(base, root.path(), GitLimits::default());
    for (name, commit) in [("plain", plain), ("bare", bare)] {
        let resolved = git.resolve(&name.parse().unwrap(), Some(&branch)).await;
        assert_eq!(resolved.unwrap().commit, commit);
    }
}

#[tokio::test]
async fn a_folder_that_is_no_repository_is_not_searched_upwards() {
    let folder = GitFolder::new();
    folder.publish("outer", "master", &[file("a/f", "x")]);
    fs::create_dir(folder.path("outer").join("inner")).unwrap();
    let base = GitBase::Folder(folder.path("outer"));
    let git = git_in(base, folder.root(), GitLimits::default());
    let answer = git.resolve(&"inner".parse().unwrap(), None).await;
    assert!(
        matches!(answer, Err(SourceError::RepositoryNotFound)),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_export_stays_within_its_bounds() {
    let folder = GitFolder::new();
    let limits = GitLimits {
        max_export_bytes: 10,
        ..GitLimits::default()
    };
    let git = in_place(&folder, limits);
    for (size, fits) in [(10, true), (11, false)] {
        let entries = [file("a/one", "12345"), file("a/two", "x".repeat(size - 5))];
        let commit = folder.publish("demo", "master", &entries);
        let to = tempfile::tempdir().unwrap();
        let exported = git
            .export(&demo(), &commit, &"a".parse().unwrap(), "", to.path())
            .await;
        let written = fs::read_dir(to.path()).unwrap().count();
        if fits {
            assert!(exported.is_ok() && written == 2, "{exported:?}");
        } else {
            let too_large = matches!(exported, Err(SourceError::TooLarge { limit: 10 }));
            assert!(too_large && written == 0, "{exported:?}");
        }
    }
}

#[tokio::test]
async fn a_tree_with_a_name_that_leads_out_is_not_exported() {
    for name in ["..", ".git", ".", ".GIT"] {
        let folder = GitFolder::new();
        let git = in_place(&folder, GitLimits::default());
        let commit = hostile_tree(&folder, name);
        let to = tempfile::tempdir().unwrap();
        let inside = to.path().join("inside");
        fs::create_dir(&inside).unwrap();
        let exported = git
            .export(&demo(), &commit, &"task".parse().unwrap(), "", &inside)
            .await;
        assert!(
            matches!(exported, Err(SourceError::Answer(_))),
            "{name}: {exported:?}"
        );
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1, "{name}");
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_branch_that_is_no_commit_is_told_as_such() {
    let folder = GitFolder::new();
    folder.publish("demo", "master", &[file("a/f", "x")]);
    let blob = folder.git("demo", &["rev-parse", "master:a/f"]);
    // git refuses to make such a branch; a broken server does not.
    fs::write(folder.path("demo").join("refs/heads/broken"), format!("{blob}\n")).unwrap();
    let git = in_place(&folder, GitLimits::default());
    let answer = git.resolve(&demo(), Some(&"broken".parse().unwrap())).await;
    assert!(matches!(answer, Err(SourceError::Answer(_))), "{answer:?}");
}

/// A commit whose folder `task/` holds a folder called `name` with a file in it, which git itself refuses to make.
fn hostile_tree(folder: &GitFolder, name: &str) -> CommitId {
    folder.publish("demo", "master", &[file("below/escaped", "x")]);
    let repository = git2::Repository::open_bare(folder.path("demo")).unwrap();
    let below = repository.revparse_single("master:below").unwrap().id();
    let entry = |name: &str, id: git2::Oid| {
        let mut entry = format!("40000 {name}\0").into_bytes();
        entry.extend_from_slice(id.as_bytes());
        entry
    };
    let odb = repository.odb().unwrap();
    let write = |bytes: Vec<u8>| odb.write(git2::ObjectType::Tree, &bytes).unwrap();
    let root = write(entry("task", write(entry(name, below))));
    let commit = format!("tree {root}\nauthor A <a@x> 0 +0000\ncommitter A <a@x> 0 +0000\n\nx\n");
    let commit = odb.write(git2::ObjectType::Commit, commit.as_bytes()).unwrap();
    commit.to_string().parse().unwrap()
}

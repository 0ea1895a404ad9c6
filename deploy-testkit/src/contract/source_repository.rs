//! What every [`SourceRepository`] does. Each check works on repositories of its own, so that none depends on another.

#![allow(clippy::expect_used, reason = "a suite fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use deploy_core::names::{Branch, CommitId, Directory, RepositoryName};
use deploy_core::ports::{Resolved, SourceError, SourceRepository};

use crate::fixture::tree::{Entry, executable, file, submodule, symlink};

/// Puts commits where the repository under test finds them. Panics where it cannot.
pub trait Publisher: Sync {
    /// Makes a repository without a commit, where it does not exist.
    fn init(&self, repository: &RepositoryName);

    /// Puts a commit of exactly `entries` on top of a branch, and answers it; makes what is missing.
    fn publish(&self, repository: &RepositoryName, branch: &Branch, entries: &[Entry]) -> CommitId;

    /// Points HEAD to a branch.
    fn set_head(&self, repository: &RepositoryName, branch: &Branch);

    /// Makes a tag.
    fn tag(&self, repository: &RepositoryName, tag: &Branch, commit: &CommitId);
}

/// Checks the whole contract. The repository's default branch is `master`.
pub async fn check(source: &dyn SourceRepository, publisher: &dyn Publisher) {
    let subject = Subject { source, publisher };
    subject.a_branch_resolves_to_its_newest_commit().await;
    subject.a_named_branch_never_falls_back().await;
    subject.no_branch_is_the_default_else_the_head().await;
    subject.what_is_not_there_is_told_apart().await;
    subject.a_tag_never_stands_for_a_branch().await;
    subject.concurrent_resolves_agree().await;
    subject.files_are_read_within_the_limit().await;
    subject.only_regular_files_are_read().await;
    subject.an_older_commit_stays_readable().await;
    subject.a_hash_follows_the_content_alone().await;
    subject.files_and_folders_are_exported().await;
    subject.only_folders_are_exported().await;
    subject.an_error_never_shows_content().await;
}

struct Subject<'a> {
    source: &'a dyn SourceRepository,
    publisher: &'a dyn Publisher,
}

impl Subject<'_> {
    async fn a_branch_resolves_to_its_newest_commit(&self) {
        let first = self.publish("newest", "feature/x", &[file("a/f", "1")]);
        assert_eq!(
            self.resolve("newest", Some("feature/x")).await,
            branch("feature/x", &first)
        );
        let second = self.publish("newest", "feature/x", &[file("a/f", "2")]);
        assert_ne!(first, second);
        assert_eq!(
            self.resolve("newest", Some("feature/x")).await,
            branch("feature/x", &second)
        );
        assert_eq!(self.text("newest", &second, "a", "f").await, "2");
    }

    async fn a_named_branch_never_falls_back(&self) {
        self.publish("named", "master", &[file("a/f", "1")]);
        self.publish("named", "feature/x", &[file("a/f", "1")]);
        for absent in [
            "main",
            "maste",
            "aster",
            "master/x",
            "heads/master",
            "feature",
            "feature/x/y",
            "x",
        ] {
            let answer = self.try_resolve("named", Some(absent)).await;
            assert!(
                matches!(answer, Err(SourceError::BranchNotFound)),
                "{absent}: {answer:?}"
            );
        }
    }

    async fn no_branch_is_the_default_else_the_head(&self) {
        let master = self.publish("default", "master", &[file("a/f", "1")]);
        self.publish("default", "main", &[file("a/f", "2")]);
        self.publisher.set_head(&name("default"), &name("main"));
        assert_eq!(self.resolve("default", None).await, branch("master", &master));

        let trunk = self.publish("head", "trunk", &[file("a/f", "1")]);
        // On the same commit and first by name: HEAD names its branch, it is not guessed.
        self.publish("head", "aaa", &[file("a/f", "1")]);
        self.publisher.set_head(&name("head"), &name("trunk"));
        let resolved = self.resolve("head", None).await;
        assert_eq!(resolved.absent_default, Some(name("master")));
        assert_eq!((resolved.branch, resolved.commit), (name("trunk"), trunk));

        self.publish("dangling", "main", &[file("a/f", "1")]);
        self.publisher.set_head(&name("dangling"), &name("gone"));
        let answer = self.try_resolve("dangling", None).await;
        assert!(matches!(answer, Err(SourceError::BranchNotFound)), "{answer:?}");
    }

    async fn what_is_not_there_is_told_apart(&self) {
        let answer = self.try_resolve("missing", None).await;
        assert!(
            matches!(answer, Err(SourceError::RepositoryNotFound)),
            "{answer:?}"
        );

        self.publisher.init(&name("empty"));
        for wanted in [None, Some("master")] {
            let answer = self.try_resolve("empty", wanted).await;
            assert!(matches!(answer, Err(SourceError::BranchNotFound)), "{answer:?}");
        }
    }

    async fn a_tag_never_stands_for_a_branch(&self) {
        let old = self.publish("tagged", "master", &[file("a/f", "old")]);
        let new = self.publish("tagged", "master", &[file("a/f", "new")]);
        self.publisher.tag(&name("tagged"), &name("master"), &old);
        self.publisher.tag(&name("tagged"), &name("v1"), &old);
        assert_eq!(
            self.resolve("tagged", Some("master")).await,
            branch("master", &new)
        );
        assert_eq!(self.resolve("tagged", None).await, branch("master", &new));
        let answer = self.try_resolve("tagged", Some("v1")).await;
        assert!(matches!(answer, Err(SourceError::BranchNotFound)), "{answer:?}");
    }

    async fn concurrent_resolves_agree(&self) {
        let expected: Vec<_> = ["busy-1", "busy-2"]
            .map(|repository| self.publish(repository, "master", &[file("a/f", repository)]))
            .to_vec();
        let resolves = (0..16).map(|i| self.resolve(["busy-1", "busy-2"][i % 2], None));
        for (i, resolved) in futures::future::join_all(resolves).await.into_iter().enumerate() {
            assert_eq!(resolved.commit, expected[i % 2]);
        }
    }

    async fn files_are_read_within_the_limit(&self) {
        let bytes: Vec<u8> = (0..=255).collect();
        let entries = [
            file("etl/load/manifest.json", &bytes),
            file("etl/load/code/empty", ""),
        ];
        let commit = self.resolved("limits", &entries).await;
        let read = |limit| self.read("limits", &commit, "etl/load", "manifest.json", limit);
        assert!(matches!(read(256).await, Ok(read) if read == bytes));
        let refused = read(255).await;
        assert!(
            matches!(refused, Err(SourceError::TooLarge { limit: 255 })),
            "{refused:?}"
        );
        let empty = self.read("limits", &commit, "etl/load", "code/empty", 0).await;
        assert!(matches!(&empty, Ok(empty) if empty.is_empty()), "{empty:?}");
    }

    async fn only_regular_files_are_read(&self) {
        let entries = [
            file("task/code/main.py", "x"),
            file("task/plain", "x"),
            file("outside/manifest.json", "secret"),
            symlink("task/link", "../outside/manifest.json"),
            symlink("linked", "outside"),
            submodule("module"),
        ];
        let commit = self.resolved("regular", &entries).await;
        for (directory, path) in [
            ("task", "code"),
            ("task", "link"),
            ("linked", "manifest.json"),
            ("module", "manifest.json"),
            ("task/plain", "manifest.json"),
        ] {
            let answer = self.read("regular", &commit, directory, path, 100).await;
            assert!(
                matches!(answer, Err(SourceError::NotAFile { .. })),
                "{directory}/{path}: {answer:?}"
            );
        }
        for (directory, path) in [
            ("task", "manifest.json"),
            ("tas", "k/plain"),
            ("absent", "plain"),
            ("task", "code/main"),
        ] {
            let answer = self.read("regular", &commit, directory, path, 100).await;
            assert!(
                matches!(answer, Err(SourceError::PathNotFound)),
                "{directory}/{path}: {answer:?}"
            );
        }
    }

    async fn an_older_commit_stays_readable(&self) {
        let first = self.resolved("older", &[file("a/f", "1")]).await;
        let second = self
            .resolved("older", &[file("a/f", "2"), file("a/g", "2")])
            .await;
        assert_eq!(self.text("older", &first, "a", "f").await, "1");
        assert_eq!(self.text("older", &second, "a", "f").await, "2");
        let absent = self.read("older", &first, "a", "g", 10).await;
        assert!(matches!(absent, Err(SourceError::PathNotFound)), "{absent:?}");
    }

    async fn a_hash_follows_the_content_alone(&self) {
        let hash = async |commit: &CommitId, directory: &str| {
            let directory: Directory = name(directory);
            let source = self.source;
            source.tree_hash(&name("hash"), commit, &directory, "code").await
        };
        let entries = [
            file("a/code/f", "1"),
            file("a/code/sub/g", "2"),
            file("b/code/f", "1"),
            file("b/code/sub/g", "2"),
        ];
        let first = self.resolved("hash", &entries).await;
        let touched = [&entries[..], &[file("a/manifest.json", "{}")]].concat();
        let second = self.resolved("hash", &touched).await;
        let changed = [&entries[2..], &[file("a/code/f", "1"), file("a/code/sub/g", "!")]].concat();
        let third = self.resolved("hash", &changed).await;

        let before = hash(&first, "a").await.expect("a folder has a hash");
        assert_eq!(hash(&first, "b").await.ok().as_ref(), Some(&before));
        assert_eq!(hash(&second, "a").await.ok().as_ref(), Some(&before));
        assert_ne!(hash(&third, "a").await.ok().as_ref(), Some(&before));
        let absent = hash(&first, "c").await;
        assert!(matches!(absent, Err(SourceError::PathNotFound)), "{absent:?}");
    }

    async fn files_and_folders_are_exported(&self) {
        let entries = [
            file("task/code/main.py", "print()"),
            executable("task/code/bin/run", "#!/bin/sh\n"),
            file("task/code/deep/er/data", [0, 159, 146, 150]),
            symlink("task/code/passwd", "/etc/passwd"),
            symlink("task/code/up", ".."),
            submodule("task/code/module"),
            file("task/manifest.json", "{}"),
        ];
        let commit = self.resolved("export", &entries).await;
        let to = tempfile::tempdir().expect("a temporary folder can be made");
        let exported = self.export("export", &commit, "task", "code", to.path()).await;
        assert!(exported.is_ok(), "{exported:?}");

        let expected = [
            ("bin/run", (b"#!/bin/sh\n".to_vec(), true)),
            ("deep/er/data", (vec![0, 159, 146, 150], false)),
            ("main.py", (b"print()".to_vec(), false)),
        ];
        let expected: BTreeMap<_, _> = expected.map(|(path, content)| (path.into(), content)).into();
        assert_eq!(files_below(to.path()), expected);
    }

    async fn only_folders_are_exported(&self) {
        let entries = [
            file("task/code", "x"),
            symlink("linked/code", "../task"),
            submodule("module/code"),
            symlink("manifest/manifest.json", "../other/x"),
            submodule("modules/manifest.json"),
            file("other/x", "x"),
        ];
        let commit = self.resolved("export-no", &entries).await;
        let to = tempfile::tempdir().expect("a temporary folder can be made");
        for directory in ["task", "linked", "module"] {
            let answer = self
                .export("export-no", &commit, directory, "code", to.path())
                .await;
            assert!(matches!(answer, Err(SourceError::NotAFile { .. })), "{answer:?}");
        }
        for directory in ["manifest", "modules"] {
            let answer = self
                .read("export-no", &commit, directory, "manifest.json", 100)
                .await;
            assert!(matches!(answer, Err(SourceError::NotAFile { .. })), "{answer:?}");
        }
        let answer = self
            .export("export-no", &commit, "other", "code", to.path())
            .await;
        assert!(matches!(answer, Err(SourceError::PathNotFound)), "{answer:?}");
        assert!(files_below(to.path()).is_empty(), "a refusal writes nothing");
    }

    async fn an_error_never_shows_content(&self) {
        let entries = [file("a/f", "canary-content"), symlink("a/link", "canary-content")];
        let commit = self.resolved("canary", &entries).await;
        for path in ["f", "link", "f/below", "absent"] {
            let error = self.read("canary", &commit, "a", path, 3).await;
            let error = error.expect_err("nothing of this can be read");
            assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
        }
    }

    fn publish(&self, repository: &str, branch: &str, entries: &[Entry]) -> CommitId {
        self.publisher.publish(&name(repository), &name(branch), entries)
    }

    /// Publishes to `master` and resolves it.
    async fn resolved(&self, repository: &str, entries: &[Entry]) -> CommitId {
        let commit = self.publish(repository, "master", entries);
        assert_eq!(self.resolve(repository, None).await, branch("master", &commit));
        commit
    }

    async fn try_resolve(&self, repository: &str, branch: Option<&str>) -> Result<Resolved, SourceError> {
        let branch: Option<Branch> = branch.map(name);
        self.source.resolve(&name(repository), branch.as_ref()).await
    }

    async fn resolve(&self, repository: &str, branch: Option<&str>) -> Resolved {
        let resolved = self.try_resolve(repository, branch).await;
        resolved.expect("the branch is there")
    }

    async fn read(
        &self,
        repository: &str,
        commit: &CommitId,
        directory: &str,
        path: &str,
        limit: usize,
    ) -> Result<Vec<u8>, SourceError> {
        let (repository, directory) = (name(repository), name(directory));
        self.source
            .read(&repository, commit, &directory, path, limit)
            .await
    }

    async fn text(&self, repository: &str, commit: &CommitId, directory: &str, path: &str) -> String {
        let read = self.read(repository, commit, directory, path, 1000).await;
        String::from_utf8(read.expect("the file is there")).expect("the file is text")
    }

    async fn export(
        &self,
        repository: &str,
        commit: &CommitId,
        directory: &str,
        path: &str,
        to: &Path,
    ) -> Result<(), SourceError> {
        let (repository, directory) = (name(repository), name(directory));
        self.source
            .export(&repository, commit, &directory, path, to)
            .await
    }
}

fn branch(branch: &str, commit: &CommitId) -> Resolved {
    Resolved {
        branch: name(branch),
        commit: commit.clone(),
        absent_default: None,
    }
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("the suite's names are well formed")
}

/// The path, bytes and executable bit of every regular file below a folder; anything else fails.
fn files_below(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, bool)> {
    use std::os::unix::fs::PermissionsExt;

    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            let metadata = path.symlink_metadata().expect("it is there");
            if metadata.is_dir() {
                folders.push(path);
                continue;
            }
            assert!(metadata.is_file(), "{path:?} is neither a file nor a folder");
            let bytes = std::fs::read(&path).expect("the file can be read");
            let relative = path.strip_prefix(folder).expect("it is below");
            let is_executable = metadata.permissions().mode() & 0o100 != 0;
            files.insert(relative.to_owned(), (bytes, is_executable));
        }
    }
    files
}

//! What the cache of `GitRepositories` spares the server, in counted requests, and that it mends, bounds and cleans
//! itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deploy_adapters::git::{GitAccess, GitBase, GitConfig, GitLimits, GitRepositories};
use deploy_core::names::{CommitId, RepositoryName};
use deploy_core::ports::{Resolved, SourceError, SourceRepository};
use deploy_testkit::fixture::git::GitFolder;
use deploy_testkit::fixture::git_http::{Behaviour, GitHttp};
use deploy_testkit::fixture::tree::{Entry, file};

/// A git server, its repositories and a cache folder.
struct Scene {
    folder: GitFolder,
    server: GitHttp,
    cache: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let folder = GitFolder::new();
        let server = GitHttp::serve(folder.root()).await.unwrap();
        let cache = tempfile::tempdir().unwrap();
        Self {
            folder,
            server,
            cache,
        }
    }

    fn git(&self) -> GitRepositories {
        self.git_within(GitLimits::default())
    }

    fn git_within(&self, limits: GitLimits) -> GitRepositories {
        let config = GitConfig {
            base: GitBase::parse(&self.server.url(), false).unwrap(),
            access: GitAccess::default(),
            default_branch: "master".parse().unwrap(),
            cache: self.cache.path().to_owned(),
            limits,
        };
        GitRepositories::new(config).unwrap()
    }

    /// Puts a commit with this text as its file.
    fn publish(&self, branch: &str, text: &str) -> CommitId {
        self.folder.publish("demo", branch, &content(text))
    }

    /// How often references and objects were asked for since the last count.
    fn count(&self) -> (usize, usize) {
        let requests = self.server.requests();
        self.server.forget();
        (
            requests.iter().filter(|r| r.asks_for_references()).count(),
            requests.iter().filter(|r| r.asks_for_objects()).count(),
        )
    }

    /// The generations of the only cached repository, oldest first.
    fn generations(&self) -> Vec<PathBuf> {
        let repositories = folders_in(self.cache.path());
        assert!(repositories.len() <= 1, "{repositories:?}");
        let mut generations = repositories.first().map_or(Vec::new(), |path| folders_in(path));
        let number = |path: &PathBuf| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        generations.sort_by_key(number);
        generations
    }

    fn lose_the_cache(&self) {
        for folder in folders_in(self.cache.path()) {
            fs::remove_dir_all(folder).unwrap();
        }
    }
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir()).collect()
}

fn content(text: &str) -> [Entry; 1] {
    [file("a/f", text)]
}

fn demo() -> RepositoryName {
    "demo".parse().unwrap()
}

async fn resolve(git: &GitRepositories, branch: &str) -> Result<Resolved, SourceError> {
    git.resolve(&demo(), Some(&branch.parse().unwrap())).await
}

async fn text(git: &GitRepositories, commit: &CommitId) -> Result<String, SourceError> {
    let read = git
        .read(&demo(), commit, &"a".parse().unwrap(), "f", 1000)
        .await?;
    Ok(String::from_utf8(read).unwrap())
}

#[tokio::test]
async fn a_warm_cache_asks_for_references_alone_and_a_known_commit_for_nothing() {
    let scene = Scene::new().await;
    let commit = scene.publish("master", "1");
    let git = scene.git();
    assert_eq!(resolve(&git, "master").await.unwrap().commit, commit);
    let (references, objects) = scene.count();
    assert_eq!(references, 1, "one connection finds the branch and fetches it");
    assert!(objects >= 1);

    for _ in 0..3 {
        assert_eq!(resolve(&git, "master").await.unwrap().commit, commit);
    }
    assert_eq!(scene.count(), (3, 0));

    assert_eq!(text(&git, &commit).await.unwrap(), "1");
    let directory = "a".parse().unwrap();
    git.tree_hash(&demo(), &commit, &directory, "").await.unwrap();
    let to = tempfile::tempdir().unwrap();
    let exported = git.export(&demo(), &commit, &directory, "", to.path()).await;
    assert!(exported.is_ok(), "{exported:?}");
    assert_eq!(scene.count(), (0, 0));

    drop(git);
    let restarted = scene.git();
    assert_eq!(resolve(&restarted, "master").await.unwrap().commit, commit);
    assert_eq!(text(&restarted, &commit).await.unwrap(), "1");
    assert_eq!(scene.count(), (1, 0), "the cache outlives the process");
}

#[tokio::test]
async fn a_fetch_brings_one_commit_of_one_branch() {
    let scene = Scene::new().await;
    let old = scene.publish("master", "old");
    let new = scene.publish("master", "new");
    let other = scene.publish("other", "other");
    resolve(&scene.git(), "master").await.unwrap();
    let cached = git2::Repository::open_bare(&scene.generations()[0]).unwrap();
    let has = |commit: &CommitId| cached.find_commit(commit.as_str().parse().unwrap()).is_ok();
    assert_eq!((has(&new), has(&old), has(&other)), (true, false, false));
}

#[tokio::test]
async fn callers_at_the_same_time_share_a_look_and_never_an_older_answer() {
    let scene = Scene::new().await;
    scene.publish("master", "1");
    let git = Arc::new(scene.git());
    scene.server.behave(Behaviour::Silent);
    let caller = || {
        let git = Arc::clone(&git);
        tokio::spawn(async move { resolve(&git, "master").await.unwrap().commit })
    };
    let first = caller();
    scene.server.received(1).await;

    // While the first waits for its answer a commit is pushed: who asks from here on must see it.
    let pushed = scene.publish("master", "2");
    let rest: Vec<_> = (0..15).map(|_| caller()).collect();
    tokio::task::yield_now().await;
    scene.server.behave(Behaviour::Serve);
    first.await.unwrap();
    for caller in rest {
        assert_eq!(caller.await.unwrap(), pushed);
    }
    assert_eq!(scene.count().0, 2, "sixteen callers, two looks");
}

#[tokio::test]
async fn repositories_do_not_wait_for_each_other() {
    let scene = Scene::new().await;
    let names = ["one", "two", "three"];
    for name in names {
        scene.folder.publish(name, "master", &content(name));
    }
    let git = Arc::new(scene.git());
    scene.server.behave(Behaviour::Silent);
    let callers = names.map(|name| {
        let git = Arc::clone(&git);
        tokio::spawn(async move { git.resolve(&name.parse().unwrap(), None).await })
    });
    // All three are asked for before any is answered.
    scene.server.received(3).await;
    scene.server.behave(Behaviour::Serve);
    for caller in callers {
        let answer = caller.await.unwrap();
        assert!(answer.is_ok(), "{answer:?}");
    }
}

#[tokio::test]
async fn nothing_is_kept_of_a_repository_that_gave_nothing() {
    let scene = Scene::new().await;
    let git = scene.git();
    let answer = resolve(&git, "master").await;
    assert!(
        matches!(answer, Err(SourceError::RepositoryNotFound)),
        "{answer:?}"
    );
    scene.publish("master", "1");
    let answer = resolve(&git, "absent").await;
    assert!(matches!(answer, Err(SourceError::BranchNotFound)), "{answer:?}");
    assert!(folders_in(scene.cache.path()).is_empty());
    assert!(resolve(&git, "master").await.is_ok());
}

#[tokio::test]
async fn a_cache_that_has_grown_is_succeeded_and_its_commits_stay_readable() {
    let scene = Scene::new().await;
    let limits = GitLimits {
        max_packs: 2,
        ..GitLimits::default()
    };
    let git = scene.git_within(limits);
    let mut commits = Vec::new();
    for i in 0..10 {
        commits.push(scene.publish("master", &i.to_string()));
        resolve(&git, "master").await.unwrap();
        assert!(scene.generations().len() <= 2, "{:?}", scene.generations());
        scene.server.forget();
        // The newest generation and the whole of the one before it: three packs at the least.
        for (index, commit) in commits.iter().enumerate().rev().take(3) {
            assert_eq!(text(&git, commit).await.unwrap(), index.to_string());
        }
        assert_eq!(scene.count(), (0, 0));
    }
    // Three packs a generation: 0 to 2, 3 to 5, 6 to 8, 9.
    assert!(scene.generations()[1].ends_with("3"), "{:?}", scene.generations());
}

#[tokio::test]
async fn a_commit_the_cache_has_lost_is_fetched_again() {
    let scene = Scene::new().await;
    let old = scene.publish("master", "old");
    let git = scene.git();
    resolve(&git, "master").await.unwrap();
    drop(git);

    scene.lose_the_cache();
    let git = scene.git();
    assert_eq!(
        text(&git, &old).await.unwrap(),
        "old",
        "still the tip of a branch"
    );
    drop(git);

    scene.lose_the_cache();
    scene.publish("master", "new");
    let git = scene.git();
    let answer = text(&git, &old).await;
    assert!(matches!(answer, Err(SourceError::Unavailable(_))), "{answer:?}");
    let _printed = scene
        .folder
        .git("demo", &["config", "uploadpack.allowAnySHA1InWant", "true"]);
    assert_eq!(
        text(&git, &old).await.unwrap(),
        "old",
        "where the server gives it"
    );
}

#[tokio::test]
async fn a_broken_cache_is_rebuilt() {
    type Inflict = fn(&Path);
    let damages: [(&str, Inflict); 6] = [
        ("no HEAD", |path| fs::remove_file(path.join("HEAD")).unwrap()),
        ("an empty folder", |path| {
            fs::remove_dir_all(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("a garbage configuration", |path| {
            fs::write(path.join("config"), "[[[").unwrap();
        }),
        ("redirects allowed", |path| {
            let text = "[core]\nbare = true\n[http]\nfollowRedirects = true\n";
            fs::write(path.join("config"), text).unwrap();
        }),
        ("a truncated pack", |path| overwrite_packs(path, "pack")),
        ("a garbage index", |path| overwrite_packs(path, "idx")),
    ];
    for (damage, inflict) in damages {
        for resolve_first in [true, false] {
            let scene = Scene::new().await;
            let commit = scene.publish("master", "1");
            let git = scene.git();
            resolve(&git, "master").await.unwrap();
            inflict(&scene.generations()[0]);
            if resolve_first {
                let resolved = resolve(&git, "master").await;
                assert!(resolved.is_ok(), "{damage}: {resolved:?}");
                scene.server.forget();
            }
            let read = text(&git, &commit).await;
            assert!(matches!(&read, Ok(read) if read == "1"), "{damage}: {read:?}");
            if resolve_first {
                assert_eq!(scene.count(), (0, 0), "{damage}: what is resolved is readable");
            }
            scene.server.forget();
            let again = resolve(&git, "master").await;
            assert!(again.is_ok(), "{damage}: {again:?}");
            assert_eq!(scene.count(), (1, 0), "{damage}: mended once");
        }
    }
}

fn overwrite_packs(repository: &Path, extension: &str) {
    for entry in fs::read_dir(repository.join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == extension) {
            // It is read-only.
            fs::remove_file(&path).unwrap();
            fs::write(path, b"PACK").unwrap();
        }
    }
}

#[tokio::test]
async fn what_a_killed_process_was_receiving_is_removed() {
    let scene = Scene::new().await;
    scene.publish("master", "1");
    let git = scene.git();
    resolve(&git, "master").await.unwrap();
    drop(git);
    let leftover = scene.generations()[0].join("objects/pack/pack_git2_abc");
    fs::write(&leftover, "half a pack").unwrap();
    resolve(&scene.git(), "master").await.unwrap();
    assert!(!leftover.exists());
}

#[tokio::test]
async fn branches_that_a_file_system_confuses_are_kept_apart() {
    let scene = Scene::new().await;
    let git = scene.git();
    let lower = scene.publish("main", "lower");
    assert_eq!(resolve(&git, "main").await.unwrap().commit, lower);
    let _printed = scene.folder.git("demo", &["update-ref", "-d", "refs/heads/main"]);
    let below = scene.publish("main/x", "below");
    assert_eq!(resolve(&git, "main/x").await.unwrap().commit, below);
    let _printed = scene.folder.git("demo", &["pack-refs", "--all"]);
    let upper = scene.publish("Main/X", "upper");
    assert_eq!(resolve(&git, "Main/X").await.unwrap().commit, upper);
    assert_eq!(resolve(&git, "main/x").await.unwrap().commit, below);
}

#[tokio::test]
async fn a_branch_whose_name_is_not_utf_8_hides_no_other() {
    let scene = Scene::new().await;
    let commit = scene.publish("zebra", "1");
    let _printed = scene.folder.git("demo", &["pack-refs", "--all"]);
    let mut packed = format!("{commit} refs/heads/").into_bytes();
    packed.extend_from_slice(b"\xe9t\xe9\n");
    packed.extend_from_slice(format!("{commit} refs/heads/aaa\n").as_bytes());
    let packed_refs = scene.folder.path("demo").join("packed-refs");
    let mut all = fs::read(&packed_refs).unwrap();
    all.extend_from_slice(&packed);
    // Without the header that says they are sorted.
    let all = all.split(|b| *b == b'\n').filter(|line| !line.starts_with(b"#"));
    fs::write(&packed_refs, all.collect::<Vec<_>>().join(&b'\n')).unwrap();
    let git = scene.git();
    for branch in ["aaa", "zebra"] {
        assert_eq!(resolve(&git, branch).await.unwrap().commit, commit);
    }
    let answer = resolve(&git, "zzz").await;
    assert!(matches!(answer, Err(SourceError::BranchNotFound)), "{answer:?}");
}

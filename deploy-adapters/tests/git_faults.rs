//! `GitRepositories` against servers that are away, silent, endless, lost or hostile: which error, and how soon.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deploy_adapters::git::{GitAccess, GitBase, GitConfig, GitLimits, GitRepositories};
use deploy_core::names::RepositoryName;
use deploy_core::ports::{Resolved, SourceError, SourceRepository};
use deploy_testkit::fixture::git::GitFolder;
use deploy_testkit::fixture::git_http::{Behaviour, GitHttp};
use deploy_testkit::fixture::tree::file;

/// What a call may take.
const TIMEOUT: Duration = Duration::from_millis(400);
/// What none may take, on a machine that is busy with other tests.
const BOUND: Duration = Duration::from_secs(10);

struct Scene {
    folder: GitFolder,
    server: GitHttp,
    cache: tempfile::TempDir,
}

impl Scene {
    async fn new(behaviour: Behaviour) -> Self {
        let folder = GitFolder::new();
        folder.publish("demo", "master", &[file("a/f", "x")]);
        let server = GitHttp::serve(folder.root()).await.unwrap();
        server.behave(behaviour);
        let cache = tempfile::tempdir().unwrap();
        Self {
            folder,
            server,
            cache,
        }
    }

    fn git(&self) -> GitRepositories {
        self.git_within(within(BOUND))
    }

    fn impatient(&self) -> GitRepositories {
        self.git_within(within(TIMEOUT))
    }

    fn git_within(&self, limits: GitLimits) -> GitRepositories {
        git_at(&self.server.url(), self.cache.path(), limits)
    }
}

fn within(timeout: Duration) -> GitLimits {
    GitLimits {
        timeout,
        ..GitLimits::default()
    }
}

fn git_at(url: &str, cache: &Path, limits: GitLimits) -> GitRepositories {
    let config = GitConfig {
        base: GitBase::parse(url, false).unwrap(),
        access: GitAccess::default(),
        default_branch: "master".parse().unwrap(),
        cache: cache.to_owned(),
        limits,
    };
    GitRepositories::new(config).unwrap()
}

fn demo() -> RepositoryName {
    "demo".parse().unwrap()
}

fn answer(status: u16, content_type: &'static str, body: &[u8]) -> Behaviour {
    Behaviour::Answer {
        status,
        content_type,
        body: body.to_vec(),
    }
}

fn kind(answer: &Result<Resolved, SourceError>) -> &'static str {
    match answer {
        Ok(_) => "resolved",
        Err(SourceError::RepositoryNotFound) => "repository not found",
        Err(SourceError::BranchNotFound) => "branch not found",
        Err(SourceError::PathNotFound) => "path not found",
        Err(SourceError::NotAFile { .. }) => "not a file",
        Err(SourceError::TooLarge { .. }) => "too large",
        Err(SourceError::Timeout) => "timeout",
        Err(SourceError::Answer(_)) => "answer",
        Err(SourceError::Refused { .. }) => "refused",
        Err(SourceError::Unavailable(_)) => "unavailable",
    }
}

#[tokio::test]
async fn every_answer_of_a_server_has_its_error() {
    const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
    let table = [
        (answer(404, "text/plain", b"no"), "repository not found"),
        (answer(403, "text/plain", b"no"), "repository not found"),
        (answer(401, "text/plain", b"no"), "repository not found"),
        (answer(500, "text/plain", b"oops"), "unavailable"),
        (answer(503, "text/plain", b"oops"), "unavailable"),
        (answer(429, "text/plain", b"slow down"), "unavailable"),
        (answer(418, "text/plain", b"tea"), "answer"),
        (answer(200, "text/html", b"<html>"), "answer"),
        (answer(200, ADVERTISEMENT, b"garbage"), "answer"),
        // What ends too early may be the line's fault.
        (answer(200, ADVERTISEMENT, b""), "unavailable"),
        (
            answer(200, ADVERTISEMENT, b"001e# service=git-upload-pack\n0000zzzz"),
            "answer",
        ),
        (answer(200, ADVERTISEMENT, b"fff0"), "unavailable"),
    ];
    for (behaviour, expected) in table {
        let scene = Scene::new(behaviour.clone()).await;
        let got = scene.git().resolve(&demo(), None).await;
        assert_eq!(kind(&got), expected, "{behaviour:?}: {got:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let cache = tempfile::tempdir().unwrap();
    let git = git_at(&url, cache.path(), within(TIMEOUT));
    let got = git.resolve(&demo(), None).await;
    assert_eq!(kind(&got), "unavailable", "{got:?}");
}

#[tokio::test]
async fn a_silent_or_stalling_server_times_out_and_the_next_try_succeeds() {
    let stalls = [
        Behaviour::Silent,
        Behaviour::Stall { sent: Vec::new() },
        Behaviour::Stall {
            sent: b"001e# service=git-upload-pack\n0000".to_vec(),
        },
    ];
    for behaviour in stalls {
        let scene = Scene::new(behaviour.clone()).await;
        let git = scene.impatient();
        let began = Instant::now();
        let got = git.resolve(&demo(), None).await;
        assert_eq!(kind(&got), "timeout", "{behaviour:?}: {got:?}");
        assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());

        // The thread that was left behind is let go by the server, and nothing of its failure stays.
        scene.server.behave(Behaviour::Serve);
        drop(git);
        let cache = tempfile::tempdir().unwrap();
        let git = git_at(&scene.server.url(), cache.path(), within(BOUND));
        assert_eq!(kind(&git.resolve(&demo(), None).await), "resolved");
    }
}

#[tokio::test]
async fn a_silent_repository_takes_no_more_than_one_connection() {
    let scene = Scene::new(Behaviour::Silent).await;
    let git = Arc::new(scene.impatient());
    let branches = ["master", "main", "a", "b"];
    let callers = branches.map(|branch| {
        let git = Arc::clone(&git);
        tokio::spawn(async move { git.resolve(&demo(), Some(&branch.parse().unwrap())).await })
    });
    for caller in callers {
        let got = caller.await.unwrap();
        assert_eq!(kind(&got), "timeout", "{got:?}");
    }
    // The first holds its repository's turn; those that waited for it have left without a word to the server.
    assert_eq!(scene.server.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let elsewhere = Scene::new(Behaviour::Serve).await;
    // Another name of loopback is another host.
    let target = elsewhere.server.url().replace("127.0.0.1", "localhost");
    let scene = Scene::new(Behaviour::Redirect(target)).await;
    let git = scene.git();
    let got = git.resolve(&demo(), None).await;
    assert_eq!(kind(&got), "refused", "{got:?}");
    assert_eq!(elsewhere.server.requests(), []);

    // Nor once the repository is known and cached.
    scene.server.behave(Behaviour::Serve);
    assert_eq!(kind(&git.resolve(&demo(), None).await), "resolved");
    let target = elsewhere.server.url().replace("127.0.0.1", "localhost");
    scene.server.behave(Behaviour::Redirect(target));
    assert_eq!(kind(&git.resolve(&demo(), None).await), "refused");
    assert_eq!(elsewhere.server.requests(), []);
}

#[tokio::test]
async fn a_pack_above_the_limit_is_cut_off_and_leaves_nothing() {
    let scene = Scene::new(Behaviour::Serve).await;
    // Random enough not to be compressed.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(2 << 20)
    .collect();
    scene.folder.publish("demo", "master", &[file("a/noise", &noise)]);
    let limits = |max_bytes| GitLimits {
        timeout: BOUND,
        max_bytes,
        ..GitLimits::default()
    };
    let git = scene.git_within(limits(1 << 20));
    let got = git.resolve(&demo(), None).await;
    assert!(
        matches!(got, Err(SourceError::TooLarge { limit: 1_048_576 })),
        "{got:?}"
    );
    let left = std::fs::read_dir(scene.cache.path()).unwrap().count();
    assert_eq!(left, 1, "the lock alone");
    drop(git);
    let git = scene.git_within(limits(4 << 20));
    assert_eq!(kind(&git.resolve(&demo(), None).await), "resolved");
}

#[tokio::test]
async fn a_list_of_references_without_end_is_cut_off() {
    let mut body = b"001e# service=git-upload-pack\n0000".to_vec();
    while body.len() < 33 << 20 {
        let line = format!("{} refs/heads/{:010}\n", "1".repeat(40), body.len());
        body.extend_from_slice(format!("{:04x}{line}", line.len() + 4).as_bytes());
    }
    let scene = Scene::new(answer(200, "application/x-git-upload-pack-advertisement", &body)).await;
    let got = scene
        .git_within(within(Duration::from_secs(60)))
        .resolve(&demo(), None)
        .await;
    assert_eq!(kind(&got), "answer", "{got:?}");
}

#[tokio::test]
async fn a_large_file_is_refused_by_its_size() {
    let scene = Scene::new(Behaviour::Serve).await;
    let zeros = vec![0; 8 << 20];
    scene
        .folder
        .publish("demo", "master", &[file("a/manifest.json", zeros)]);
    let git = scene.git_within(within(BOUND));
    let commit = git.resolve(&demo(), None).await.unwrap().commit;
    let directory = "a".parse().unwrap();
    let read = git
        .read(&demo(), &commit, &directory, "manifest.json", 1 << 18)
        .await;
    assert!(
        matches!(read, Err(SourceError::TooLarge { limit: 262_144 })),
        "{read:?}"
    );
}

#[tokio::test]
async fn an_error_shows_neither_control_characters_nor_much_of_what_the_server_said() {
    let mut body = b"\x1b[31m\r\nforged log line ".to_vec();
    body.resize(100_000, b'x');
    let scene = Scene::new(answer(200, "text/\u{1b}[31mevil", &body)).await;
    let error = scene.git().resolve(&demo(), None).await.unwrap_err();
    let source = std::error::Error::source(&error)
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(
        !source.contains(char::is_control) && source.len() < 1000,
        "{source:?}"
    );
}

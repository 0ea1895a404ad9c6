//! `GitRepositories` over https: the port's contract, whom it trusts, what it shows to whom, and that it follows nobody
//! elsewhere. The servers are on loopback, with certificates made by the `openssl` command.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::error::Error as _;
use std::path::{Path, PathBuf};

use deploy_adapters::git::{
    AccessError, GitAccess, GitBase, GitConfig, GitConfigError, GitLimits, GitRepositories,
};
use deploy_core::names::RepositoryName;
use deploy_core::ports::{Resolved, SourceError, SourceRepository};
use deploy_testkit::contract;
use deploy_testkit::fixture::git::GitFolder;
use deploy_testkit::fixture::git_http::{Behaviour, GitHttp, Request};
use deploy_testkit::fixture::tls::Authority;
use deploy_testkit::fixture::tree::file;

/// What must never be seen again, and what it becomes on the line: `ada:canary-p@ss` in base64.
const PASSWORD: &str = "canary-p%40ss";
const SHOWN: &str = "Basic YWRhOmNhbmFyeS1wQHNz";

/// A server over TLS with one repository, and a folder for files.
struct Scene {
    folder: GitFolder,
    authority: Authority,
    server: GitHttp,
    files: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        Self::of("IP:127.0.0.1,DNS:localhost", 30).await
    }

    async fn of(names: &str, days: i32) -> Self {
        let folder = GitFolder::new();
        folder.publish("demo", "master", &[file("a/f", "x")]);
        let authority = Authority::new();
        let identity = authority.issue(names, days);
        let server = GitHttp::serve_tls(folder.root(), &identity).await.unwrap();
        let files = tempfile::tempdir().unwrap();
        Self {
            folder,
            authority,
            server,
            files,
        }
    }

    fn trusting(&self) -> GitAccess {
        GitAccess {
            ca_file: Some(self.authority.ca_file()),
            ..GitAccess::default()
        }
    }

    fn with_password(&self, password: &str) -> GitAccess {
        let host = self.server.url().replace("https://", "");
        GitAccess {
            credentials_file: Some(self.write("credentials", &format!("https://ada:{password}@{host}\n"))),
            ..self.trusting()
        }
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn git(&self, access: GitAccess) -> GitRepositories {
        git_at(&self.server.url(), access, self.files.path()).unwrap()
    }

    async fn resolve(&self, access: GitAccess) -> Result<Resolved, SourceError> {
        self.git(access).resolve(&demo(), None).await
    }
}

fn git_at(url: &str, access: GitAccess, files: &Path) -> Result<GitRepositories, GitConfigError> {
    GitRepositories::new(GitConfig {
        base: GitBase::parse(url, true).unwrap(),
        access,
        default_branch: "master".parse().unwrap(),
        cache: files.join("cache"),
        limits: GitLimits::default(),
    })
}

fn demo() -> RepositoryName {
    "demo".parse().unwrap()
}

/// Asserts that it was refused for this reason, and that nothing of the secret is in what can be printed of it.
#[track_caller]
fn refused(answer: &Result<Resolved, SourceError>, reason: &str) {
    let Err(error @ SourceError::Refused { why, .. }) = answer else {
        panic!("{reason}: {answer:?}");
    };
    assert!(why.contains(reason), "{reason}: {answer:?}");
    let printed = format!("{error} {error:?} {:?}", error.source().map(ToString::to_string));
    assert!(
        !printed.contains("canary") && !printed.contains("YWRhO"),
        "{printed}"
    );
}

#[tokio::test]
async fn a_server_with_tls_and_a_password_keeps_the_contract() {
    let scene = Scene::new().await;
    scene.server.demand(SHOWN);
    let git = scene.git(scene.with_password(PASSWORD));
    contract::source_repository::check(&git, &scene.folder).await;
    let shown = format!("{git:?}");
    assert!(!shown.contains("canary-p") && !shown.contains("YWRhO"), "{shown}");
    let requests = scene.server.requests();
    let all_shown = requests.iter().all(|r| r.authorization.as_deref() == Some(SHOWN));
    assert!(all_shown, "credentials are shown at once, not when asked for");
}

#[tokio::test]
async fn a_server_is_known_by_its_ca_its_name_and_its_time() {
    let scene = Scene::new().await;
    assert!(scene.resolve(scene.trusting()).await.is_ok());

    // The system knows nothing of it; nor does a file with another CA.
    refused(&scene.resolve(GitAccess::default()).await, "not signed by a CA");
    let other = Authority::new();
    let access = GitAccess {
        ca_file: Some(other.ca_file()),
        ..GitAccess::default()
    };
    refused(&scene.resolve(access).await, "not signed by a CA");

    for (names, days, reason) in [
        ("DNS:other.example", 30, "for another host"),
        ("IP:127.0.0.2", 30, "for another host"),
        ("IP:127.0.0.1", -1, "has expired"),
    ] {
        let scene = Scene::of(names, days).await;
        refused(&scene.resolve(scene.with_password(PASSWORD)).await, reason);
        assert_eq!(scene.server.requests(), [], "{reason}: it was asked something");
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_no_git_server() {
    let scene = Scene::new().await;
    let plain = GitHttp::serve(scene.folder.root()).await.unwrap();
    let url = plain.url().replace("http://", "https://");
    let git = git_at(&url, scene.trusting(), scene.files.path()).unwrap();
    let answer = git.resolve(&demo(), None).await;
    assert!(matches!(answer, Err(SourceError::Unavailable(_))), "{answer:?}");
}

#[tokio::test]
async fn a_wrong_password_is_told_from_a_missing_one() {
    let scene = Scene::new().await;
    scene.server.demand(SHOWN);
    let wrong = scene.resolve(scene.with_password("canary-wrong")).await;
    refused(&wrong, "refuses the credentials");
    assert_eq!(scene.server.requests().len(), 1, "a refusal is asked for once");

    // Hosts answer so for what they hide.
    let missing = scene.resolve(scene.trusting()).await;
    assert!(
        matches!(missing, Err(SourceError::RepositoryNotFound)),
        "{missing:?}"
    );
    assert!(scene.resolve(scene.with_password(PASSWORD)).await.is_ok());
}

#[tokio::test]
async fn a_password_that_was_replaced_is_taken_without_a_restart() {
    let scene = Scene::new().await;
    scene.server.demand(SHOWN);
    let git = scene.git(scene.with_password("canary-old"));
    refused(&git.resolve(&demo(), None).await, "refuses the credentials");
    let _new = scene.with_password(PASSWORD);
    assert!(git.resolve(&demo(), None).await.is_ok());
    // A file in the middle of being written is not taken.
    scene.write("credentials", "https://ada:canary");
    assert!(git.resolve(&demo(), None).await.is_ok());
}

#[tokio::test]
async fn files_of_no_use_end_the_start_without_being_shown() {
    let scene = Scene::new().await;
    let url = scene.server.url();
    let bad_ca = scene.write("bad-ca", "canary");
    let not_listed = scene.write("not-listed", "https://ada:canary@other.example\n");
    let unreadable = scene.write("unreadable", "https://ada:canary%@x\n");
    let with_credentials = |file: &Path| GitAccess {
        credentials_file: Some(file.to_owned()),
        ..scene.trusting()
    };
    let table = [
        (
            GitAccess {
                ca_file: Some(bad_ca),
                ..GitAccess::default()
            },
            "no certificate",
        ),
        (with_credentials(&not_listed), "no line is for https://127.0.0.1"),
        (with_credentials(&unreadable), "line 1"),
        (
            with_credentials(&scene.files.path().join("absent")),
            "cannot be read",
        ),
    ];
    for (access, expected) in table {
        let error = git_at(&url, access, scene.files.path()).unwrap_err();
        let GitConfigError::Access(error) = &error else {
            panic!("{expected}: {error:?}");
        };
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    let elsewhere = git_at(
        "http://git.example/",
        with_credentials(&not_listed).without_ca(),
        scene.files.path(),
    );
    assert!(
        matches!(elsewhere, Err(GitConfigError::Access(AccessError::Unfit(_)))),
        "credentials in the clear: {elsewhere:?}"
    );
}

trait WithoutCa {
    fn without_ca(self) -> Self;
}

impl WithoutCa for GitAccess {
    fn without_ca(self) -> Self {
        Self {
            ca_file: None,
            ..self
        }
    }
}

#[tokio::test]
async fn no_redirect_is_followed_whatever_it_points_to_and_at_whatever_step() {
    let scene = Scene::new().await;
    scene.server.demand(SHOWN);
    let identity = scene.authority.issue("IP:127.0.0.1,DNS:localhost", 30);
    let second = GitHttp::serve_tls(scene.folder.root(), &identity).await.unwrap();
    let plain = GitHttp::serve(scene.folder.root()).await.unwrap();
    let second_url = second.url();
    let targets = [
        // Another port of the same host, by a good certificate; another name of it; no TLS; its own other paths.
        second_url.clone(),
        second_url.replace("127.0.0.1", "localhost"),
        second_url.replace("https://", "https://ada:x@"),
        plain.url(),
        format!("{}elsewhere", scene.server.url()),
        "/elsewhere".to_owned(),
        String::new(),
    ];
    for target in targets {
        for redirect in [Behaviour::Redirect, Behaviour::RedirectObjects] {
            scene.server.forget();
            scene.server.behave(redirect(target.clone()));
            let answer = scene.resolve(scene.with_password(PASSWORD)).await;
            refused(&answer, "redirects");
            let paths = scene.server.requests();
            let own = |request: &Request| request.path.starts_with("/demo.git/");
            assert!(!paths.is_empty() && paths.iter().all(own), "{target}: {paths:?}");
        }
    }
    assert_eq!((second.connections(), plain.connections()), (0, 0));
}

#[tokio::test]
async fn the_contract_holds_over_http_with_a_password_on_this_machine() {
    let scene = Scene::new().await;
    let plain = GitHttp::serve(scene.folder.root()).await.unwrap();
    plain.demand(SHOWN);
    let url = plain.url();
    let host = url.replace("http://", "");
    let access = GitAccess {
        credentials_file: Some(scene.write("plain", &format!("http://ada:{PASSWORD}@{host}"))),
        ..GitAccess::default()
    };
    let git = git_at(&url, access, scene.files.path()).unwrap();
    assert!(git.resolve(&demo(), None).await.is_ok());
}

//! `GitRepositories` over ssh against OpenSSH's own server: the port's contract, which host keys are believed, and which
//! key is shown.
//!
//! It needs `sshd` (Debian: openssh-server) and is asked for by `DEPLOY_TEST_SSHD=1`; without, its tests do nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why it does nothing"
)]

use std::error::Error as _;
use std::path::PathBuf;
use std::process::Command;

use deploy_adapters::git::{GitAccess, GitBase, GitConfig, GitConfigError, GitLimits, GitRepositories};
use deploy_core::names::RepositoryName;
use deploy_core::ports::{Resolved, SourceError, SourceRepository};
use deploy_testkit::contract;
use deploy_testkit::fixture::git::GitFolder;
use deploy_testkit::fixture::sshd::Sshd;
use deploy_testkit::fixture::tree::file;

struct Scene {
    folder: GitFolder,
    server: Sshd,
    cache: tempfile::TempDir,
}

impl Scene {
    /// None where nobody asked for it.
    async fn new() -> Option<Self> {
        if std::env::var_os("DEPLOY_TEST_SSHD").is_none() {
            eprintln!("not run: DEPLOY_TEST_SSHD=1 asks for it; it needs sshd (Debian: openssh-server)");
            return None;
        }
        let folder = GitFolder::new();
        folder.publish("demo", "master", &[file("a/f", "x")]);
        Some(Self {
            server: Sshd::serve(folder.root()).await,
            folder,
            cache: tempfile::tempdir().unwrap(),
        })
    }

    fn access(&self) -> GitAccess {
        self.knowing(self.server.known_hosts().1)
    }

    fn knowing(&self, known_hosts: PathBuf) -> GitAccess {
        GitAccess {
            ssh_key: Some(self.server.key_file()),
            known_hosts: Some(known_hosts),
            ..GitAccess::default()
        }
    }

    fn try_git(&self, access: GitAccess) -> Result<GitRepositories, GitConfigError> {
        GitRepositories::new(GitConfig {
            base: GitBase::parse(&self.server.url(), false).unwrap(),
            access,
            default_branch: "master".parse().unwrap(),
            cache: self.cache.path().to_owned(),
            limits: GitLimits::default(),
        })
    }

    fn git(&self, access: GitAccess) -> GitRepositories {
        self.try_git(access).unwrap()
    }

    async fn resolve(&self, access: GitAccess) -> Result<Resolved, SourceError> {
        self.git(access).resolve(&demo(), None).await
    }
}

fn demo() -> RepositoryName {
    "demo".parse().unwrap()
}

#[track_caller]
fn refused(answer: &Result<Resolved, SourceError>, reason: &str) {
    let Err(error @ SourceError::Refused { why, .. }) = answer else {
        panic!("{reason}: {answer:?}");
    };
    assert!(why.contains(reason), "{reason}: {answer:?}");
    let printed = format!("{error} {error:?} {:?}", error.source().map(ToString::to_string));
    assert!(
        !printed.contains("PRIVATE KEY") && !printed.contains("AAAA"),
        "{printed}"
    );
}

#[tokio::test]
async fn a_server_keeps_the_contract() {
    let Some(scene) = Scene::new().await else { return };
    let git = scene.git(scene.access());
    contract::source_repository::check(&git, &scene.folder).await;
}

#[tokio::test]
async fn a_host_key_is_believed_only_where_it_is_pinned() {
    let Some(scene) = Scene::new().await else { return };
    let (line, file) = scene.server.known_hosts();
    assert!(scene.resolve(scene.knowing(file.clone())).await.is_ok());

    let (_, wrong) = scene.server.known_wrongly();
    refused(&scene.resolve(scene.knowing(wrong)).await, "has changed");

    let revoked = scene.server.file("revoked", &format!("{line}\n@revoked {line}"));
    refused(&scene.resolve(scene.knowing(revoked)).await, "is revoked");

    // While it runs: whoever takes the pin away, or revokes it, is heard at the next look.
    let changing = scene.server.file("changing", &line);
    let git = scene.git(scene.knowing(changing.clone()));
    assert!(git.resolve(&demo(), None).await.is_ok());
    for (content, reason) in [
        (format!("@revoked {line}"), "is revoked"),
        (String::new(), "is unknown"),
    ] {
        std::fs::write(&changing, content).unwrap();
        refused(&git.resolve(&demo(), None).await, reason);
    }
    std::fs::write(&changing, &line).unwrap();
    assert!(git.resolve(&demo(), None).await.is_ok());
    drop(git);

    // Whether the server has no such key or is not asked for one is up to which pins libgit2 has seen.
    let other_kind = line.replace("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "ssh-rsa AAAAB3NzaC1yc2E");
    let rsa = scene.server.file("rsa", &padded(&other_kind));
    refused(&scene.resolve(scene.knowing(rsa)).await, "kind");

    let nobody = scene
        .server
        .file("nobody", "git.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\n");
    let error = scene.try_git(scene.knowing(nobody)).unwrap_err();
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    assert!(cause.contains("ssh-keyscan -p"), "{cause}");
}

/// A line whose key is cut to whole base64.
fn padded(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let length = words[2].len() / 4 * 4;
    format!("{} {} {}\n", words[0], words[1], &words[2][..length])
}

#[tokio::test]
async fn names_that_openssh_hashed_are_known() {
    let Some(scene) = Scene::new().await else { return };
    let (line, _) = scene.server.known_hosts();
    let file = scene.server.file("hashed", &line);
    let hashed = Command::new("ssh-keygen")
        .arg("-q")
        .arg("-H")
        .arg("-f")
        .arg(&file)
        .output()
        .unwrap();
    assert!(hashed.status.success(), "{hashed:?}");
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("|1|"));
    assert!(scene.resolve(scene.knowing(file)).await.is_ok());
}

#[tokio::test]
async fn a_key_that_the_server_does_not_take_is_shown_once_and_told() {
    let Some(scene) = Scene::new().await else { return };
    let access = GitAccess {
        ssh_key: Some(scene.server.other_key_file()),
        ..scene.access()
    };
    refused(&scene.resolve(access).await, "refuses the ssh key");
    assert_eq!(scene.server.connections(), 1);
}

#[tokio::test]
async fn keys_of_every_kind_and_format_that_ssh_keygen_makes_are_taken() {
    let Some(scene) = Scene::new().await else { return };
    for (name, options) in [
        ("rsa", &["-t", "rsa", "-b", "2048"][..]),
        ("rsa-pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("rsa-pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("ecdsa", &["-t", "ecdsa"]),
        ("ecdsa-pem", &["-t", "ecdsa", "-m", "PEM"]),
    ] {
        let access = GitAccess {
            ssh_key: Some(scene.server.let_in(name, options)),
            ..scene.access()
        };
        let answer = scene.resolve(access).await;
        assert!(answer.is_ok(), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn a_key_that_was_replaced_is_taken_without_a_restart() {
    let Some(scene) = Scene::new().await else { return };
    let key = scene.server.file("key", "");
    std::fs::copy(scene.server.other_key_file(), &key).unwrap();
    let access = GitAccess {
        ssh_key: Some(key.clone()),
        ..scene.access()
    };
    let git = scene.git(access);
    refused(&git.resolve(&demo(), None).await, "refuses the ssh key");
    std::fs::copy(scene.server.key_file(), &key).unwrap();
    assert!(git.resolve(&demo(), None).await.is_ok());
}

#[tokio::test]
async fn a_locked_key_ends_the_start_with_the_cure() {
    let Some(scene) = Scene::new().await else { return };
    let key = scene.server.file("locked", "");
    std::fs::copy(scene.server.key_file(), &key).unwrap();
    let locked = Command::new("ssh-keygen")
        .args(["-q", "-p", "-N", "a passphrase", "-f"])
        .arg(&key)
        .output()
        .unwrap();
    assert!(locked.status.success(), "{locked:?}");
    let access = GitAccess {
        ssh_key: Some(key),
        ..scene.access()
    };
    let error = scene.try_git(access).unwrap_err();
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    assert!(
        cause.contains("passphrase") && cause.contains("ssh-keygen"),
        "{cause}"
    );
}

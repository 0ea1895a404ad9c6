//! What it costs to read a manifest out of a repository on a server, against git itself doing as little as it can for the
//! same: with a warm cache against `git ls-remote`, with an empty one against `git clone --depth 1`. The server is the
//! same for both and on this machine, so the network costs next to nothing: `git http-backend` over http and https, and
//! OpenSSH's over ssh where `DEPLOY_TEST_SSHD=1` asks for it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use deploy_adapters::git::{GitAccess, GitBase, GitConfig, GitLimits, GitRepositories};
use deploy_core::names::{Directory, RepositoryName};
use deploy_core::ports::SourceRepository as _;
use deploy_testkit::fixture::git::GitFolder;
use deploy_testkit::fixture::git_http::GitHttp;
use deploy_testkit::fixture::sshd::Sshd;
use deploy_testkit::fixture::tls::Authority;
use deploy_testkit::fixture::tree::{Entry, file};
use deploy_testkit::measure::{SideBySide, rounds};
use tokio::process::Command;

const REPOSITORY: &str = "big";
/// Folders of the repository, and files in each beside its manifest.
const FOLDERS: usize = 100;
const FILES: usize = 40;
const MANIFEST: &[u8] = br#"{"name": "etl", "type": "job", "image": "registry.example/etl:1"}"#;
const LIMIT: usize = 256 << 10;
const WARM_ROUNDS: usize = 41;
const COLD_ROUNDS: usize = 11;

/// A server, what opens it for us, and what for git.
struct Served {
    what: &'static str,
    url: String,
    access: GitAccess,
    environment: Vec<(&'static str, String)>,
}

#[tokio::main]
async fn main() {
    let folder = GitFolder::new();
    folder.publish(REPOSITORY, "master", &entries());

    let http = GitHttp::serve(folder.root()).await.unwrap();
    compare(&Served {
        what: "over http",
        url: http.url(),
        access: GitAccess::default(),
        environment: Vec::new(),
    })
    .await;

    let authority = Authority::new();
    let identity = authority.issue("IP:127.0.0.1", 30);
    let https = GitHttp::serve_tls(folder.root(), &identity).await.unwrap();
    let ca_file = authority.ca_file();
    compare(&Served {
        what: "over https",
        url: https.url(),
        environment: vec![("GIT_SSL_CAINFO", ca_file.display().to_string())],
        access: GitAccess {
            ca_file: Some(ca_file),
            ..GitAccess::default()
        },
    })
    .await;

    if std::env::var_os("DEPLOY_TEST_SSHD").is_some() {
        let sshd = Sshd::serve(folder.root()).await;
        let (key, known) = (sshd.key_file(), sshd.known_hosts().1);
        let ssh = format!(
            "ssh -F /dev/null -o IdentitiesOnly=yes -o UserKnownHostsFile={} -i {}",
            known.display(),
            key.display()
        );
        compare(&Served {
            what: "over ssh",
            url: sshd.url(),
            environment: vec![("GIT_SSH_COMMAND", ssh)],
            access: GitAccess {
                ssh_key: Some(key),
                known_hosts: Some(known),
                ..GitAccess::default()
            },
        })
        .await;
    }
}

async fn compare(served: &Served) {
    let url = format!("{}{REPOSITORY}.git", served.url);
    let scratch = tempfile::tempdir().unwrap();
    let warm = open(served, &scratch.path().join("warm"));
    load(&warm).await;
    let mut measured = SideBySide::default();
    for _ in 0..rounds(WARM_ROUNDS) {
        let ours = load(&warm).await;
        let theirs = git(served, ["ls-remote", &url, "refs/heads/master"]).await;
        measured.push(ours, theirs);
    }
    let what = served.what;
    println!("a manifest {what}, cache warm, against git ls-remote: {measured}");

    let mut measured = SideBySide::default();
    for round in 0..rounds(COLD_ROUNDS) {
        let cold = open(served, &scratch.path().join(format!("cold-{round}")));
        let ours = load(&cold).await;
        let clone = scratch.path().join(format!("clone-{round}"));
        let arguments = ["clone", "--quiet", "--depth=1", &url].map(OsStr::new);
        let theirs = git(served, arguments.into_iter().chain([clone.as_os_str()])).await;
        measured.push(ours, theirs);
    }
    let files = FOLDERS * (FILES + 1);
    println!("a manifest of {files} files {what}, cache empty, against git clone --depth 1: {measured}");
}

/// Text that differs from file to file, so that the pack is not all deltas of one.
fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    for folder in 0..FOLDERS {
        entries.push(file(&format!("task-{folder}/manifest.json"), MANIFEST));
        for number in 0..FILES {
            let line = format!(
                "print({}, {})\n",
                folder * 7919 + number,
                number * 104_729 + folder
            );
            entries.push(file(
                &format!("task-{folder}/code/part_{number}.py"),
                line.repeat(1 + (folder + number) % 60),
            ));
        }
    }
    entries
}

fn open(served: &Served, cache: &Path) -> GitRepositories {
    GitRepositories::new(GitConfig {
        base: GitBase::parse(&served.url, true).unwrap(),
        access: served.access.clone(),
        default_branch: "master".parse().unwrap(),
        cache: cache.to_owned(),
        limits: GitLimits::default(),
    })
    .unwrap()
}

/// As a deploy does: asks where the branch stands now, then reads the manifest there.
async fn load(repositories: &GitRepositories) -> Duration {
    let repository: RepositoryName = REPOSITORY.parse().unwrap();
    let directory: Directory = "task-42".parse().unwrap();
    let begun = Instant::now();
    let resolved = repositories.resolve(&repository, None).await.unwrap();
    let manifest = repositories
        .read(&repository, &resolved.commit, &directory, "manifest.json", LIMIT)
        .await
        .unwrap();
    let time = begun.elapsed();
    assert_eq!(manifest, MANIFEST);
    time
}

/// A git process from its start to its end, without anybody's configuration.
async fn git(served: &Served, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Duration {
    let begun = Instant::now();
    let ended = Command::new("git")
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .envs(served.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await
        .unwrap();
    let time = begun.elapsed();
    assert!(ended.success());
    time
}

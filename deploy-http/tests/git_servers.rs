//! The real binary on git servers that ask who it is: one task deployed over https with a CA and a token, one over ssh
//! with a deploy key, what a user and the log see where the server refuses, and that no secret is in either.
//!
//! The test over ssh needs `sshd` (Debian: openssh-server) and is asked for by `DEPLOY_TEST_SSHD=1`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    unreachable_pub,
    reason = "a test fails by panicking, and shares its helpers with others"
)]

#[path = "common/api.rs"]
mod api;
#[path = "common/curl.rs"]
mod curl;
#[path = "common/scene.rs"]
mod scene;
#[path = "common/server.rs"]
mod server;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use api::{Api, text};
use deploy_testkit::fixture::git_http::{Behaviour, GitHttp};
use deploy_testkit::fixture::sshd::Sshd;
use deploy_testkit::fixture::tls::Authority;
use scene::Scene;
use server::Server;

/// `ada:canary-token` on the line.
const SHOWN: &str = "Basic YWRhOmNhbmFyeS10b2tlbg==";

#[test]
fn a_task_is_deployed_over_https_and_a_refusal_is_told_without_a_secret() {
    let scene = Scene::set();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let authority = Authority::new();
    let identity = authority.issue("IP:127.0.0.1", 30);
    let git = runtime
        .block_on(GitHttp::serve_tls(scene.git.root(), &identity))
        .unwrap();
    git.demand(SHOWN);
    let files = tempfile::tempdir().unwrap();
    let credentials = files.path().join("credentials");
    let host = git.url().replace("https://", "");
    std::fs::write(&credentials, format!("https://ada:canary-token@{host}\n")).unwrap();
    let ca = authority.ca_file();
    let flags = [
        "--git-ca-file",
        path(&ca),
        "--git-credentials-file",
        path(&credentials),
    ];
    let api = Api::new(Server::start(&git.url(), &flags));
    deploys(&api);
    // What is fetched with those credentials is their owner's alone.
    for folder in ["", "git-cache"] {
        let folder = api.server.state_folder().join(folder);
        let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
    }

    std::fs::write(&credentials, format!("https://ada:canary-old@{host}\n")).unwrap();
    let refused = api.get("/v1/task/deploy/demo/ok").problem(502, "git-answer");
    assert_eq!(text(&refused, "detail"), "the git server refuses the credentials");
    std::fs::write(&credentials, format!("https://ada:canary-token@{host}\n")).unwrap();
    git.behave(Behaviour::Redirect("https://elsewhere.example".to_owned()));
    let refused = api.get("/v1/task/deploy/demo/ok").problem(502, "git-answer");
    assert_eq!(
        text(&refused, "detail"),
        "the git server redirects, which is not followed"
    );
    let log = api.server.log();
    for said in ["refuses the credentials", "https://elsewhere.example"] {
        assert!(log.contains(said), "the operator is not told {said:?}:\n{log}");
    }
    for secret in ["canary", "YWRhO"] {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!refused.to_string().contains(secret), "{refused}");
    }
    assert!(api.server.stop());
}

#[test]
fn a_task_is_deployed_over_ssh() {
    if std::env::var_os("DEPLOY_TEST_SSHD").is_none() {
        eprintln!("not run: DEPLOY_TEST_SSHD=1 asks for it; it needs sshd (Debian: openssh-server)");
        return;
    }
    let scene = Scene::set();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let git = runtime.block_on(Sshd::serve(scene.git.root()));
    let (key, known) = (git.key_file(), git.known_hosts().1);
    let flags = ["--git-ssh-key", path(&key), "--git-known-hosts", path(&known)];
    let api = Api::new(Server::start(&git.url(), &flags));
    deploys(&api);

    std::fs::copy(git.known_wrongly().1, &known).unwrap();
    let refused = api.get("/v1/task/deploy/demo/ok").problem(502, "git-answer");
    assert_eq!(
        text(&refused, "detail"),
        "the git server's host key has changed: another is pinned"
    );
    let log = api.server.log();
    assert!(
        log.contains("SHA256:"),
        "the operator is not told which key:\n{log}"
    );
    let secret = std::fs::read_to_string(&key).unwrap();
    for line in secret.lines() {
        assert!(!log.contains(line), "the key is in the log");
    }
    assert!(api.server.stop());
}

/// By the manifest at the tip, in the branch's folder of code.
fn deploys(api: &Api) {
    let answer = api.get("/v1/task/deploy/demo/ok");
    assert_eq!(answer.status, 202, "{}", answer.body);
    let done = api.finished(answer.header("location"));
    assert_eq!(text(&done, "state"), "succeeded", "{done:#}");
}

#[test]
fn what_cannot_work_ends_the_start_with_2_and_without_a_secret() {
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let file = files.path().join(name);
        std::fs::write(&file, content).unwrap();
        file
    };
    let other_host = write("credentials", "https://ada:canary@other.example\n");
    let no_key = write("key", "canary");
    let no_pin = write("known", "");
    let https = ["--git-base-url", "https://git.example/"];
    let ssh = ["--git-base-url", "ssh://git.example/"];
    let with = |base: [&str; 2], flags: &[(&str, &PathBuf)]| {
        let mut all: Vec<String> = base.map(str::to_owned).to_vec();
        for (flag, file) in flags {
            all.extend([(*flag).to_owned(), path(file).to_owned()]);
        }
        all
    };
    let table = [
        (
            with(https, &[("--git-credentials-file", &other_host)]),
            "no line is for https://git.example; write https://USER:PASSWORD@git.example",
        ),
        (with(https, &[("--git-ca-file", &no_key)]), "no certificate"),
        (
            with(ssh, &[("--git-ssh-key", &no_key), ("--git-known-hosts", &no_pin)]),
            "not a private key",
        ),
        (with(ssh, &[("--git-ssh-key", &no_key)]), "--git-known-hosts"),
    ];
    for (flags, expected) in table {
        let output = Command::new(env!("CARGO_BIN_EXE_deploy-http"))
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(files.path().join("state"))
            .args(&flags)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        assert!(said.contains(expected), "{flags:?}: {said}");
        assert!(
            !said.contains("canary") && said.trim_end().lines().count() == 1,
            "{said}"
        );
    }
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

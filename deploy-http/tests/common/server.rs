//! The real binary on a free port and a data folder of its own. It is told to stop as an operator would, so that what it
//! runs ends with it; nothing here kills it before it had its time.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// How long the binary may take to say where it listens, and to end. Reached only where it does neither.
const PATIENCE: Duration = Duration::from_secs(60);

/// What every secret begins with that a test plants: in the environment of tasks, in headers. It is searched for in
/// whatever a server has logged, at the end of each.
pub const CANARY: &str = "planted-canary";

/// Everything that we could ever say about a request.
const LOG: &str = "info,deploy_http=trace,deploy_core=trace,deploy_adapters=trace";

/// A running server.
pub struct Server {
    url: String,
    external_url: Option<String>,
    pid: u32,
    ended: Receiver<ExitStatus>,
    folder: TempDir,
}

impl Server {
    /// Starts it with that git base, and waits until it listens.
    pub fn start(git_base_url: &str, flags: &[&str]) -> Self {
        Self::start_in(git_base_url, flags, &[])
    }

    /// The same, with variables that are none of its flags'.
    pub fn start_in(git_base_url: &str, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_deploy-http"));
        command
            .args(["--listen", "127.0.0.1:0", "--git-base-url", git_base_url])
            .arg("--data-dir")
            .arg(folder.path().join("state"))
            .args(["--drain", "5s", "--log-format", "text", "--log", LOG])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("log")).unwrap());
        // Whoever runs the tests may have a server of their own configured.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("DEPLOY_") {
                command.env_remove(name);
            }
        }
        command.envs(variables.iter().copied());
        let mut child = command.spawn().unwrap();
        let pid = child.id();
        let output = child.stdout.take().unwrap();
        let (lines, listening) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                // Nobody is left to tell where the test has given up.
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        let (exit, ended) = channel();
        thread::spawn(move || exit.send(child.wait().unwrap()).ok());
        let mut server = Self {
            url: String::new(),
            external_url: None,
            pid,
            ended,
            folder,
        };
        let announced = |side: &str| {
            let line = listening.recv_timeout(PATIENCE).unwrap().unwrap();
            let url = line.strip_prefix(&format!("listening {side} "));
            url.unwrap_or_else(|| panic!("it said {line:?}; its log:\n{}", server.log()))
                .to_owned()
        };
        let url = announced("internal");
        let external_url = flags
            .contains(&"--listen-external")
            .then(|| announced("external"));
        server.url = url;
        server.external_url = external_url;
        server
    }

    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its external listener is.
    pub fn external_url(&self) -> &str {
        self.external_url.as_deref().unwrap()
    }

    /// A file below its data folder, written with the folders it needs.
    pub fn write(&self, path: &str, content: &str) -> PathBuf {
        write(&self.folder.path().join("state"), path, content)
    }

    /// A file that the server knows nothing of.
    pub fn write_beside(&self, path: &str, content: &str) -> PathBuf {
        write(&self.folder.path().join("beside"), path, content)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Tells it to stop; whether it ended well.
    pub fn stop(mut self) -> bool {
        self.end().is_some_and(|status| status.success())
    }

    fn end(&mut self) -> Option<ExitStatus> {
        let pid = std::mem::take(&mut self.pid);
        if pid == 0 {
            return None;
        }
        signal("-TERM", pid);
        let status = self.ended.recv_timeout(PATIENCE).ok();
        if status.is_none() {
            signal("-KILL", pid);
        }
        status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
            self.end();
            return;
        }
        self.end();
        let log = self.log();
        let leaks: Vec<&str> = log.lines().filter(|line| line.contains(CANARY)).collect();
        assert!(leaks.is_empty(), "secrets in the log:\n{}", leaks.join("\n"));
    }
}

fn write(folder: &Path, path: &str, content: &str) -> PathBuf {
    let file = folder.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, content).unwrap();
    file
}

/// By kill(1): the standard library has only SIGKILL, which leaves a server's tasks running.
fn signal(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(sent.is_ok(), "kill(1) is installed");
}

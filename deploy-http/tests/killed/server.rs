//! The real binary on a folder, spoken to over plain HTTP/1.1.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// A data folder with repositories.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where jobs of a test say that they have begun.
    pub(crate) fn trace(&self) -> PathBuf {
        self.path().join("trace")
    }

    pub(crate) fn publish(&self, repository: &str, files: &[(String, String)]) {
        let folder = self.path().join("data/git").join(format!("{repository}.git"));
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_bytes(), false))
            .collect();
        deploy_adapters::git::publish(&folder, &"master".parse().unwrap(), &files).unwrap();
    }
}

/// A running server. Dropped, it is killed.
pub(crate) struct Server {
    address: String,
    killer: Killer,
}

/// Kills a server, from any thread.
#[derive(Clone)]
pub(crate) struct Killer(Arc<Mutex<Child>>);

impl Killer {
    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&self) {
        let mut child = self.0.lock().unwrap();
        // One that has ended already is as dead as it can be.
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.killer.kill();
    }
}

/// An answer with a state.
pub(crate) struct State {
    pub(crate) body: Value,
    etag: String,
}

impl Server {
    pub(crate) fn start(folder: &Folder) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_deploy-http"))
            .args(["--listen", "127.0.0.1:0", "--log", "error", "--data-dir"])
            .arg(folder.path().join("data"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("listening internal http://")
            .unwrap_or_else(|| panic!("{line:?}"));
        Self {
            address: address.to_owned(),
            killer: Killer(Arc::new(Mutex::new(child))),
        }
    }

    pub(crate) fn killer(&self) -> Killer {
        self.killer.clone()
    }

    pub(crate) fn kill(self) {
        drop(self);
    }

    /// SIGTERM, and how it ended then.
    pub(crate) fn terminate(self) -> ExitStatus {
        let mut child = self.killer.0.lock().unwrap();
        let sent = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        child.wait().unwrap()
    }

    /// The body of an answer; `None` where the server went away before it was whole.
    pub(crate) fn try_get(&self, path: &str) -> Option<Value> {
        self.send(path, None)
            .map(|(_, body)| serde_json::from_str(&body).unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.try_get(path).unwrap()
    }

    pub(crate) fn state(&self, path: &str) -> State {
        let (head, body) = self.send(path, None).unwrap();
        State {
            etag: etag(&head),
            body: serde_json::from_str(&body).unwrap(),
        }
    }

    /// The state after its next change.
    pub(crate) fn next(&self, path: &str, before: &State) -> State {
        let (head, body) = self.send(&format!("{path}?wait=30"), Some(&before.etag)).unwrap();
        State {
            etag: etag(&head),
            body: serde_json::from_str(&body).unwrap_or_else(|_| before.body.clone()),
        }
    }

    /// The state once it is final.
    pub(crate) fn until_final(&self, path: &str) -> Value {
        let mut state = self.state(path);
        let is_final = |state: &State| state.body["finished_at"].is_string();
        while !is_final(&state) {
            let next = self.next(path, &state);
            assert_ne!(
                next.etag, state.etag,
                "nothing has changed for 30 s: {:#}",
                state.body
            );
            state = next;
        }
        state.body
    }

    fn send(&self, path: &str, etag: Option<&str>) -> Option<(String, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let condition = etag.map_or_else(String::new, |etag| format!("If-None-Match: {etag}\r\n"));
        let host = &self.address;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nIdentity: ada@example.com\r\n{condition}Connection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.to_owned(), body.to_owned()))
    }
}

fn etag(head: &str) -> String {
    let line = head.lines().find_map(|line| {
        line.split_once(": ")
            .filter(|(name, _)| name.eq_ignore_ascii_case("etag"))
    });
    line.unwrap_or_else(|| panic!("no ETag in {head}")).1.to_owned()
}

//! What the repositories hold: small tasks of every kind and outcome, and pipelines of them. Ports are free ones, so that
//! two scenes stand side by side.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use deploy_testkit::fixture::git::GitFolder;
use deploy_testkit::fixture::tree::{Entry, file};
use serde_json::{Value, json};

use super::server::CANARY;

/// Two repositories, `demo` and `other`.
pub struct Scene {
    /// The folder they are in.
    pub git: GitFolder,
    /// Where the service of `demo/web` listens.
    pub port: u16,
    /// The tip of demo's `master`.
    pub master: String,
    /// The tip of demo's `feature`, whose `ok` says something else.
    pub feature: String,
}

impl Scene {
    /// Sets it.
    pub fn set() -> Self {
        let git = GitFolder::new();
        let (port, of_mixed) = free_ports();
        let mut entries = tasks(port, of_mixed);
        entries.extend(pipelines());
        let master = git.publish("demo", "master", &entries).to_string();
        entries.retain(|entry| entry.path != "ok/manifest.json");
        entries.push(manifest("ok", "job", "echo from the feature branch", json!({})));
        let feature = git.publish("demo", "feature", &entries).to_string();
        // No master: the default branch is absent, and HEAD is elsewhere.
        git.init("Other_Repo");
        let _printed = git.git("Other_Repo", &["symbolic-ref", "HEAD", "refs/heads/main"]);
        let ok = manifest("ok", "job", "echo other", json!({}));
        git.publish("Other_Repo", "main", std::slice::from_ref(&ok));
        // Its name gives the same namespace as the one above.
        git.publish("other.repo", "master", &[ok]);
        Self {
            git,
            port,
            master,
            feature,
        }
    }

    /// The base URL of the folder itself.
    pub fn base_url(&self) -> String {
        format!("file://{}", self.git.root().display())
    }
}

/// A manifest that runs a line of shell, with keys on top.
pub fn document(name: &str, kind: &str, line: &str, more: Value) -> Value {
    let mut document = json!({
        "name": name,
        "type": kind,
        "image": "registry.example/demo/sh:1",
        "cmd": ["sh", "-c", line],
        "env": [{"name": "PASSWORD", "value": format!("{CANARY}-env")}],
    });
    let (Some(object), Value::Object(more)) = (document.as_object_mut(), more) else {
        panic!("both are objects");
    };
    object.extend(more);
    document
}

fn manifest(name: &str, kind: &str, line: &str, more: Value) -> Entry {
    let text = document(name, kind, line, more).to_string();
    file(&format!("{name}/manifest.json"), text)
}

fn tasks(port: u16, of_mixed: u16) -> Vec<Entry> {
    let serve = |name: &str, port: u16| {
        let line = format!("exec python3 -m http.server --bind 127.0.0.1 {port}");
        let more = json!({"container-port": port, "labels": "app:web,tier:front", "published": {}});
        manifest(name, "service", &line, more)
    };
    let fetch =
        format!("import urllib.request as r; print(r.urlopen('http://127.0.0.1:{of_mixed}/').status)");
    let smoke = json!({
        "name": "smoke", "type": "job", "image": "registry.example/demo/python:1", "cmd": ["python3", "-c", fetch],
    });
    let built = json!({
        "name": "built", "type": "job", "image-destination": "registry.example/demo/built:0.1",
        "cmd": ["python3", "/code/built.py", "10"],
        "cpu-request": "0.15", "cpu-limit": "0.20", "memory-request": "150Mi", "memory-limit": "200Mi", "schedule": "",
    });
    let bad = json!({
        "name": "BAD", "type": "job", "image": "x", "cmd": "sh", "privileged": true, "replicas": "one",
    });
    vec![
        manifest("ok", "job", "echo one; echo two; echo ${WORD:-three}", json!({})),
        manifest("fail", "job", "echo it broke >&2; exit 3", json!({})),
        manifest("slow", "job", "echo begun; exec sleep 600", json!({})),
        manifest("worker", "deployment", "exec sleep 600", json!({"replicas": 2})),
        manifest("cron", "job", "echo tick", json!({"schedule": "*/5 * * * *"})),
        serve("web", port),
        serve("mixed-web", of_mixed),
        file("smoke/manifest.json", smoke.to_string()),
        file("deep/er/built/manifest.json", built.to_string()),
        file(
            "deep/er/built/code/built.py",
            "import sys\nprint('built with', sys.argv[1])\n",
        ),
        file("deep/er/built/code/Dockerfile", "FROM python:3\nCOPY . /code\n"),
        file("bad/manifest.json", bad.to_string()),
        file("broken/manifest.json", "{\"name\": "),
        file("empty/README.md", "nothing to deploy here\n"),
    ]
}

fn pipelines() -> Vec<Entry> {
    let pipeline = |name: &str, tasks: Value| {
        let text = json!({"name": format!("the {name}"), "original": name, "tasks": tasks}).to_string();
        file(&format!("{name}/pipeline.json"), text)
    };
    vec![
        pipeline(
            "diamond",
            json!([
                {"name": "a", "namespacetask": "demo/ok"},
                {"name": "b", "namespacetask": "demo/ok", "dependance": ["a"],
                 "env": [{"name": "WORD", "value": "left"}, {"name": "PASSWORD", "value": format!("{CANARY}-step")}]},
                {"name": "c", "namespacetask": "demo/ok", "dependance": ["a"]},
                {"name": "d", "namespacetask": "demo/ok", "dependance": ["b", "c"]},
            ]),
        ),
        pipeline(
            "error",
            json!([
                {"name": "create", "namespacetask": "demo/ok"},
                {"name": "load", "namespacetask": "demo/fail", "dependance": ["create"]},
                {"name": "report", "namespacetask": "demo/ok", "dependance": ["load"]},
                {"name": "delete", "namespacetask": "demo/ok", "dependance": ["load"], "run-if-error": true},
            ]),
        ),
        pipeline(
            "mixed",
            json!([
                {"name": "serve", "namespacetask": "demo/mixed-web"},
                {"name": "smoke", "namespacetask": "demo/smoke", "dependance": ["serve"]},
            ]),
        ),
        pipeline(
            "long",
            json!([
                {"name": "first", "namespacetask": "demo/slow"},
                {"name": "then", "namespacetask": "demo/ok", "dependance": ["first"]},
                {"name": "tidy", "namespacetask": "demo/ok", "dependance": ["first"], "run-if-error": true},
            ]),
        ),
        pipeline(
            "gap",
            json!([
                {"name": "here", "namespacetask": "demo/ok"},
                {"name": "there", "namespacetask": "demo/nowhere"},
                {"name": "bad", "namespacetask": "demo/bad"},
            ]),
        ),
        pipeline(
            "cycle",
            json!([
                {"name": "egg", "namespacetask": "demo/ok", "dependance": ["hen"]},
                {"name": "hen", "namespacetask": "demo/ok", "dependance": ["egg"]},
            ]),
        ),
    ]
}

/// Two ports that nobody listens on, below those that Linux gives to whoever asks for any (32768 and up): there, the next
/// connection that anything on this machine makes might take one before the service is up.
fn free_ports() -> (u16, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 16_000 + u16::try_from(std::process::id() % 16_000).unwrap();
    let mut free = std::iter::repeat_with(|| {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 700;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(|_| port)
    })
    .take(700)
    .flatten();
    (free.next().unwrap(), free.next().unwrap())
}

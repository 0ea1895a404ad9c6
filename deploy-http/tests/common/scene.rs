//! What the repositories hold: small tasks of every kind and outcome, and pipelines of them. Ports are free ones, so that
//! two scenes stand side by side.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use deploy_testkit::fixture::git::GitFolder;
use deploy_testkit::fixture::tree::{Entry, file};
use serde_json::{Value, json};

use super::server::CANARY;

/// Where the tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the local cluster: as processes of this machine, with `/code` mapped to the task's folder.
    Local,
    /// On the stand-in for Kubernetes, whose pods are processes of this machine too.
    StandIn,
    /// On a real cluster, in an image of busybox.
    Cluster,
}

/// Two repositories, `demo` and `other`.
pub struct Scene {
    /// Where its tasks run.
    pub place: Place,
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
    /// Sets it for the local cluster.
    pub fn set() -> Self {
        Self::set_in(Place::Local)
    }

    /// Sets it.
    pub fn set_in(place: Place) -> Self {
        let git = GitFolder::new();
        let (port, of_mixed) = free_ports();
        let mut entries = tasks(place, port, of_mixed);
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
            place,
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

/// Has `sh` in it, and what the scene's lines call. Where images are not run, any name will do.
pub const IMAGE: &str = "docker.io/library/busybox:1.37";

/// A manifest that runs a line of shell, with keys on top.
pub fn document(name: &str, kind: &str, line: &str, more: Value) -> Value {
    let mut document = json!({
        "name": name,
        "type": kind,
        "image": IMAGE,
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

fn tasks(place: Place, port: u16, of_mixed: u16) -> Vec<Entry> {
    let serve = |name: &str, port: u16| {
        let line = match place {
            Place::Cluster => format!(
                "mkdir -p /tmp/www && echo up > /tmp/www/index.html && exec httpd -f -p {port} -h /tmp/www"
            ),
            Place::Local | Place::StandIn => {
                format!("exec python3 -m http.server --bind 127.0.0.1 {port}")
            }
        };
        let more = json!({"container-port": port, "labels": "app:web,tier:front", "published": {}});
        manifest(name, "service", &line, more)
    };
    let fetch = match place {
        // By its name, on the port that every service has.
        Place::Cluster => "wget -q -S -O /dev/null http://mixed-web/ 2>&1 | grep -o 200".to_owned(),
        Place::Local | Place::StandIn => format!(
            "python3 -c \"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{of_mixed}/').status)\""
        ),
    };
    let built = json!({
        "name": "built", "type": "job", "image-destination": "registry.example/demo/built:0.1",
        "cmd": built(place, 10),
        "cpu-request": "0.15", "cpu-limit": "0.20", "memory-request": "150Mi", "memory-limit": "200Mi", "schedule": "",
    });
    let bad = json!({
        "name": "BAD", "type": "job", "image": "x", "cmd": "sh", "privileged": true, "replicas": "one",
    });
    let mut entries = vec![
        manifest("ok", "job", "echo one; echo two; echo ${WORD:-three}", json!({})),
        manifest("fail", "job", "echo it broke >&2; exit 3", json!({})),
        manifest("slow", "job", "echo begun; exec sleep 600", json!({})),
        manifest("worker", "deployment", "exec sleep 600", json!({"replicas": 2})),
        manifest("cron", "job", "echo tick", json!({"schedule": "*/5 * * * *"})),
        serve("web", port),
        serve("mixed-web", of_mixed),
        manifest("smoke", "job", &fetch, json!({})),
        file("deep/er/built/manifest.json", built.to_string()),
        file(
            "deep/er/built/code/built.py",
            "import sys\nprint('built with', sys.argv[1])\n",
        ),
        file("bad/manifest.json", bad.to_string()),
        file("broken/manifest.json", "{\"name\": "),
        file("empty/README.md", "nothing to deploy here\n"),
    ];
    // It is built where there is a builder; elsewhere the image is taken for one that is there.
    if place == Place::Local {
        let text = "FROM python:3\nCOPY . /code\n";
        entries.push(file("deep/er/built/code/Dockerfile", text));
    }
    entries
}

/// The command of the task whose image is built: on the local cluster it is the file in `/code` that runs.
pub fn built(place: Place, number: u32) -> Value {
    match place {
        Place::Local => json!(["python3", "/code/built.py", number.to_string()]),
        Place::StandIn | Place::Cluster => json!(["sh", "-c", format!("echo built with {number}")]),
    }
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

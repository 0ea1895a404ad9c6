//! A node for the stand-in: runs the containers of its pods as processes of this machine, so that the walk over all
//! routes sees tasks that print, fail and listen. What the stand-in's own kubelet runs "for ever" is here as long as its
//! process; a pod that is ended by the API takes its process with it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use deploy_testkit::kubernetes::ApiServer;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// It runs pods until it is dropped.
pub struct Node(JoinHandle<()>);

impl Node {
    /// Runs the pods of that server.
    pub fn start(api: Arc<ApiServer>) -> Self {
        Self(tokio::spawn(run(api)))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The processes, by their pod's uid; they end with the node.
#[derive(Default)]
struct Processes(BTreeMap<String, u32>);

impl Drop for Processes {
    fn drop(&mut self) {
        self.0.values().for_each(|group| kill(*group));
    }
}

async fn run(api: Arc<ApiServer>) {
    let folder = tempfile::tempdir().unwrap();
    let mut processes = Processes::default();
    loop {
        let known = &processes.0;
        let has_changed = |pods: &[Value]| {
            let runs = running(pods);
            runs.len() != known.len() || runs.keys().any(|uid| !known.contains_key(uid))
        };
        let pods = api.until_listed("pods", "", has_changed).await;
        let runs = running(&pods);
        processes.0.retain(|uid, group| {
            let goes_on = runs.contains_key(uid);
            if !goes_on {
                kill(*group);
            }
            goes_on
        });
        for (uid, pod) in runs {
            processes
                .0
                .entry(uid)
                .or_insert_with(|| begin(&api, &folder, pod));
        }
    }
}

/// The pods whose container runs, by uid.
fn running(pods: &[Value]) -> BTreeMap<String, &Value> {
    let runs = |pod: &&Value| pod.pointer("/status/containerStatuses/0/state/running").is_some();
    let by_uid = |pod| (text(pod, "/metadata/uid").to_owned(), pod);
    pods.iter().filter(runs).map(by_uid).collect()
}

/// Starts a pod's process; its end is the container's. Tells its process group.
fn begin(api: &Arc<ApiServer>, folder: &TempDir, pod: &Value) -> u32 {
    let container = &pod["spec"]["containers"][0];
    let words: Vec<&str> = each(container, "command").filter_map(Value::as_str).collect();
    let env = each(container, "env").map(|entry| (text(entry, "/name"), text(entry, "/value")));
    let place = [text(pod, "/metadata/namespace"), text(pod, "/metadata/name")].map(str::to_owned);
    let written = folder.path().join(text(pod, "/metadata/uid"));
    let output = File::create(&written).unwrap();
    let (program, arguments) = words.split_first().expect("a task of the scene has a command");
    let child = Command::new(program)
        .args(arguments)
        .envs(env)
        .stdin(Stdio::null())
        .stderr(output.try_clone().unwrap())
        .stdout(output)
        .process_group(0)
        .spawn()
        .unwrap();
    if let Some(port) = container.pointer("/readinessProbe/tcpSocket/port") {
        let port = u16::try_from(port.as_u64().unwrap()).unwrap();
        let (api, place) = (Arc::clone(api), place.clone());
        thread::spawn(move || probe(&api, &place, port));
    }
    let (group, api) = (child.id(), Arc::clone(api));
    thread::spawn(move || wait(&api, child, &place, &written));
    group
}

/// Says that a pod is ready when somebody listens on its port, or gives up with the pod.
fn probe(api: &ApiServer, [namespace, pod]: &[String; 2], port: u16) {
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if api.get("pods", namespace, pod).is_none() {
            return;
        }
        thread::yield_now();
    }
    api.set_ready(namespace, pod, true);
}

fn wait(api: &ApiServer, mut child: Child, [namespace, pod]: &[String; 2], written: &Path) {
    let status = child.wait().unwrap();
    api.write_log(namespace, pod, &lines(written));
    // Of one that was ended by a signal, or whose pod is gone already, nobody asks.
    api.terminate(namespace, pod, status.code().unwrap_or(143));
}

fn lines(written: &Path) -> String {
    fs::read_to_string(written).unwrap_or_default()
}

/// By kill(1): the standard library ends one process, and a shell has children.
fn kill(group: u32) {
    let sent = Command::new("kill")
        .args(["-KILL", "--", &format!("-{group}")])
        .output();
    assert!(sent.is_ok(), "kill(1) is installed");
}

fn each<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

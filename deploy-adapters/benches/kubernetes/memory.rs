//! What a cache of many pods takes of memory: ours, and kube's reflector, which keeps them whole. Each is measured in a
//! process of its own, so that neither has the other's heap; what is told is by how much its resident set has grown.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use deploy_adapters::kubernetes::{KubernetesCluster, KubernetesConfig};
use deploy_adapters::system::SystemClock;
use deploy_core::ports::Inventory as _;
use deploy_testkit::kubernetes::ApiServer;
use deploy_testkit::measure::rounds;
use futures::stream::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::{reflector, watcher};
use tokio::process::Command;
use tokio::runtime::Builder;

use crate::bare::{client, selector};
use crate::ours::INSTANCE;
use crate::pods::{PODS, size};

const ROUNDS: usize = 3;
const KEEP: &str = "keep";

/// What a process of this program was started to measure.
pub(crate) struct Measured {
    ours: bool,
    kubeconfig: String,
}

impl Measured {
    /// By its arguments: `keep ours FILE` or `keep reflector FILE`.
    pub(crate) fn asked_for() -> Option<Self> {
        let mut arguments = std::env::args().skip(1);
        if arguments.next()? != KEEP {
            return None;
        }
        Some(Self {
            ours: arguments.next()? == "ours",
            kubeconfig: arguments.next()?,
        })
    }

    /// Keeps all pods, and writes by how many kB the process has grown.
    pub(crate) fn report(self) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let grown = runtime.block_on(async {
            let client = client(&fs::read_to_string(&self.kubeconfig).unwrap()).await;
            // What a first call brings with it belongs to neither.
            client.apiserver_version().await.unwrap();
            if self.ours {
                keep_ours(Path::new(&self.kubeconfig)).await
            } else {
                keep_whole(client).await
            }
        });
        let mut out = io::stdout();
        writeln!(out, "{grown}").unwrap();
    }
}

/// Starts the processes in turn.
pub(crate) async fn compare(server: &ApiServer) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    fs::write(&file, server.kubeconfig()).unwrap();
    let (mut ours, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..rounds(ROUNDS) {
        ours.push(grown("ours", &file).await);
        whole.push(grown("reflector", &file).await);
    }
    let mut ratios: Vec<f64> = ours
        .iter()
        .zip(&whole)
        .map(|(ours, whole)| ours / whole)
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "memory of {PODS} pods of {} bytes, ours against a reflector: {:.3} ({:.3} to {:.3} in {} rounds; {:.1} MB \
         against {:.1} MB)",
        size(server),
        median(&mut ratios.clone()),
        ratios[0],
        ratios[ratios.len() - 1],
        ratios.len(),
        median(&mut ours),
        median(&mut whole),
    );
}

async fn grown(what: &str, kubeconfig: &Path) -> f64 {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args([KEEP, what])
        .arg(kubeconfig)
        .stderr(Stdio::inherit())
        .output()
        .await
        .unwrap();
    assert!(ended.status.success());
    let kib: f64 = String::from_utf8(ended.stdout).unwrap().trim().parse().unwrap();
    kib * 1024.0 / 1e6
}

async fn keep_ours(kubeconfig: &Path) -> u64 {
    let before = resident_kib();
    let mut config = KubernetesConfig::new(INSTANCE.parse().unwrap());
    config.kubeconfig = Some(kubeconfig.to_owned());
    let cluster = KubernetesCluster::connect(config, Arc::new(SystemClock))
        .await
        .unwrap();
    cluster.synced().await;
    let grown = resident_kib() - before;
    assert_eq!(
        cluster.pods(None, None, 2 * PODS).await.unwrap().items.len(),
        PODS
    );
    grown
}

async fn keep_whole(client: kube::Client) -> u64 {
    let before = resident_kib();
    let (store, writer) = reflector::store::<Pod>();
    let config = watcher::Config::default().labels(&selector());
    let events = reflector(writer, watcher(Api::all(client), config));
    let mut events = Box::pin(events);
    let filled = store.wait_until_ready();
    tokio::pin!(filled);
    loop {
        tokio::select! {
            ready = &mut filled => break ready.unwrap(),
            event = events.next() => assert!(event.unwrap().is_ok()),
        }
    }
    let grown = resident_kib() - before;
    assert_eq!(store.len(), PODS);
    grown
}

/// VmRSS of proc_pid_status(5), which counts in units of 1024 bytes.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

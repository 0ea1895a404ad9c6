//! What the tests of the local cluster stand on: a repository in memory, two clocks, pipes to hear processes by.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use deploy_adapters::local::{LocalCluster, LocalOptions};
use deploy_core::names::{Branch, CommitId, Directory, RepositoryName};
use deploy_core::ports::{Clock, Cluster, Freshness, Logs, Resolved, SourceError, SourceRepository};
use deploy_core::workload::{Code, Condition, ObjectRef, Observed, Workload};
use deploy_testkit::contract::cluster::until;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::{oneshot, watch};

/// Longer than anything takes: what is not there by then never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test's body, and fails it where an event never comes.
pub(crate) async fn within_patience(body: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, body)
        .await
        .expect("an event did not come");
}

/// A data folder and a cluster on it.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) source: Arc<MemorySource>,
    pub(crate) cluster: LocalCluster,
}

impl Bench {
    pub(crate) async fn new(clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Arc::new(MemorySource::default());
        let cluster = open(folder.path(), source.clone(), clock).await;
        Self {
            folder,
            source,
            cluster,
        }
    }

    /// Applies, and waits for the job's end.
    pub(crate) async fn run(&self, workload: &Workload) -> deploy_core::workload::Ended {
        self.cluster.apply(workload).await.unwrap();
        deploy_testkit::contract::cluster::until_ended(&self.cluster, &workload.object()).await
    }

    pub(crate) async fn until(
        &self,
        object: &ObjectRef,
        is_wanted: impl FnMut(&Observed) -> bool,
    ) -> Observed {
        until(&self.cluster, object, is_wanted).await
    }

    pub(crate) async fn condition(&self, object: &ObjectRef) -> Condition {
        let seen = self.cluster.observe(object, Freshness::Confirmed).await.unwrap();
        seen.unwrap().condition
    }

    pub(crate) async fn log(&self, workload: &Workload) -> String {
        self.cluster
            .tail(&workload.object(), workload.task, 1000)
            .await
            .unwrap()
    }
}

pub(crate) fn options(folder: &Path) -> LocalOptions {
    let mut options = LocalOptions::new(folder);
    options.language = Some("C.UTF-8".to_owned());
    options
}

pub(crate) async fn open(folder: &Path, source: Arc<MemorySource>, clock: Arc<dyn Clock>) -> LocalCluster {
    LocalCluster::open(options(folder), source, clock).await.unwrap()
}

/// `sh -c script`
pub(crate) fn sh(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

pub(crate) fn is_running(seen: &Observed) -> bool {
    matches!(seen.condition, Condition::Running { .. })
}

pub(crate) fn is_ready(seen: &Observed) -> bool {
    matches!(seen.condition, Condition::Ready { .. })
}

/// Whether a process is there and has not ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// Lines that processes write to a named pipe: how a test hears of them without looking again and again.
pub(crate) struct Ear {
    path: PathBuf,
    lines: BufReader<pipe::Receiver>,
    _folder: TempDir,
}

impl Ear {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ear");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        // Open for writing too, so that it does not end when a process does.
        let receiver = pipe::OpenOptions::new()
            .read_write(true)
            .open_receiver(&path)
            .unwrap();
        Self {
            path,
            lines: BufReader::new(receiver),
            _folder: folder,
        }
    }

    /// What a script redirects to.
    pub(crate) fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    pub(crate) async fn hear(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) async fn hear_pid(&mut self) -> u32 {
        self.hear().await.parse().unwrap()
    }
}

/// The real clock, in a hurry: what waits, waits a fiftieth.
pub(crate) struct Hasty;

#[async_trait]
impl Clock for Hasty {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration / 50).await;
    }
}

/// A clock that stands until the test moves it.
pub(crate) struct Standing {
    state: Mutex<Sleepers>,
    changed: watch::Sender<()>,
}

struct Sleepers {
    /// The wall clock.
    now: DateTime<Utc>,
    /// What has passed, whatever the wall clock says: sleepers wait by it.
    passed: Duration,
    waiting: Vec<Sleeper>,
}

struct Sleeper {
    asked: Duration,
    wakes_at: Duration,
    wake: oneshot::Sender<()>,
}

impl Standing {
    pub(crate) fn at(text: &str) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Sleepers {
                now: text.parse().unwrap(),
                passed: Duration::ZERO,
                waiting: Vec::new(),
            }),
            changed: watch::Sender::new(()),
        })
    }

    pub(crate) fn new() -> Arc<Self> {
        Self::at("2026-03-01T12:00:00Z")
    }

    /// Waits until something waits for exactly that long, and lets that much time pass.
    pub(crate) async fn pass(&self, duration: Duration) {
        let mut changed = self.changed.subscribe();
        while !self.is_awaited(duration) {
            changed.changed().await.unwrap();
        }
        let mut state = self.state.lock().unwrap();
        state.now += TimeDelta::from_std(duration).unwrap();
        state.passed += duration;
        let passed = state.passed;
        for sleeper in state.waiting.extract_if(.., |sleeper| sleeper.wakes_at <= passed) {
            // One that no longer waits needs no waking.
            let _gone = sleeper.wake.send(());
        }
    }

    /// Sets the wall clock, as an administrator does; nobody wakes of it.
    pub(crate) fn jump(&self, text: &str) {
        self.state.lock().unwrap().now = text.parse().unwrap();
    }

    fn is_awaited(&self, duration: Duration) -> bool {
        let mut state = self.state.lock().unwrap();
        state.waiting.retain(|sleeper| !sleeper.wake.is_closed());
        state.waiting.iter().any(|sleeper| sleeper.asked == duration)
    }
}

#[async_trait]
impl Clock for Standing {
    fn now(&self) -> DateTime<Utc> {
        self.state.lock().unwrap().now
    }

    async fn sleep(&self, duration: Duration) {
        let (wake, woken) = oneshot::channel();
        {
            let mut state = self.state.lock().unwrap();
            let wakes_at = state.passed + duration;
            state.waiting.push(Sleeper {
                asked: duration,
                wakes_at,
                wake,
            });
        }
        self.changed.send_replace(());
        woken.await.unwrap();
    }
}

/// Code trees by their commit, and a count of the exports.
#[derive(Default)]
pub(crate) struct MemorySource {
    trees: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
    exports: Mutex<usize>,
    away: AtomicBool,
}

impl MemorySource {
    /// Commits files, and answers the task's code there.
    pub(crate) fn commit(&self, number: u8, files: &[(&str, &str)]) -> Code {
        let commit = format!("{number:040x}");
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        self.trees.lock().unwrap().insert(commit.clone(), files.collect());
        Code {
            repository: "demo".parse().unwrap(),
            directory: "task".parse().unwrap(),
            commit: commit.parse().unwrap(),
        }
    }

    pub(crate) fn exports(&self) -> usize {
        *self.exports.lock().unwrap()
    }

    /// From now on git cannot be reached, or can again.
    pub(crate) fn is_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn tree(&self, commit: &CommitId) -> Result<BTreeMap<String, String>, SourceError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(SourceError::Unavailable("scripted to be away".into()));
        }
        let trees = self.trees.lock().unwrap();
        trees
            .get(commit.as_str())
            .cloned()
            .ok_or(SourceError::PathNotFound)
    }
}

#[async_trait]
impl SourceRepository for MemorySource {
    async fn resolve<'a>(
        &self,
        _repository: &'a RepositoryName,
        _branch: Option<&'a Branch>,
    ) -> Result<Resolved, SourceError> {
        Err(SourceError::BranchNotFound)
    }

    async fn read(
        &self,
        _repository: &RepositoryName,
        commit: &CommitId,
        _directory: &Directory,
        path: &str,
        _limit: usize,
    ) -> Result<Vec<u8>, SourceError> {
        let tree = self.tree(commit)?;
        let text = tree.get(path).ok_or(SourceError::PathNotFound)?;
        Ok(text.clone().into_bytes())
    }

    async fn tree_hash(
        &self,
        _repository: &RepositoryName,
        commit: &CommitId,
        _directory: &Directory,
        _path: &str,
    ) -> Result<String, SourceError> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.tree(commit)?.hash(&mut hasher);
        Ok(format!("{:016x}", hasher.finish()))
    }

    async fn export(
        &self,
        _repository: &RepositoryName,
        commit: &CommitId,
        _directory: &Directory,
        _path: &str,
        to: &Path,
    ) -> Result<(), SourceError> {
        *self.exports.lock().unwrap() += 1;
        for (path, text) in self.tree(commit)? {
            let file = to.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        Ok(())
    }
}

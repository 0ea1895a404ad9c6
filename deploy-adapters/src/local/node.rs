//! What all of the local cluster shares: the objects, where they are stored, the clock, and the tasks that look after
//! them. The machine as a node; it runs nothing by itself.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deploy_core::ports::{Clock, SourceRepository};
use deploy_core::workload::{Kind, Observed, Slot, Timestamp};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::code::CodeCache;
use super::keyed::KeyedLocks;
use super::namespaces::NamespaceFile;
use super::object::Object;
use super::record::{PodRecord, Record};
use super::store::{FolderLock, Store};
use super::{cronjob, deployment, job};

/// Events that a watcher may be behind before it loses some.
const EVENTS: usize = 4096;

/// The shared parts of one local cluster.
pub(super) struct Node {
    pub store: Store,
    pub code: CodeCache,
    pub namespaces: NamespaceFile,
    pub source: Arc<dyn SourceRepository>,
    pub clock: Arc<dyn Clock>,
    /// Where commands are looked for: the PATH of every process.
    pub search: String,
    /// The LANG of every process.
    pub language: Option<String>,
    /// Between asking a process to end and killing it.
    pub grace: Duration,
    /// Cancelled when the server stops.
    pub closing: CancellationToken,
    /// Supervisors, and changes under way.
    pub tasks: TaskTracker,
    /// Held while an object is applied, stopped or deleted.
    pub changing: KeyedLocks<Slot>,
    objects: Mutex<BTreeMap<Slot, Arc<Object>>>,
    events: broadcast::Sender<Observed>,
    /// Kept for as long as this lives: two servers on one folder would end each other's processes.
    _lock: FolderLock,
}

/// What a node is made of.
pub(super) struct Parts {
    pub store: Store,
    pub code: CodeCache,
    pub namespaces: NamespaceFile,
    pub source: Arc<dyn SourceRepository>,
    pub clock: Arc<dyn Clock>,
    pub search: String,
    pub language: Option<String>,
    pub grace: Duration,
    pub lock: FolderLock,
}

impl Node {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            store: parts.store,
            code: parts.code,
            namespaces: parts.namespaces,
            source: parts.source,
            clock: parts.clock,
            search: parts.search,
            language: parts.language,
            grace: parts.grace,
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            changing: KeyedLocks::default(),
            objects: Mutex::default(),
            events: broadcast::Sender::new(EVENTS),
            _lock: parts.lock,
        }
    }

    /// The object at a place.
    pub(super) fn object(&self, slot: &Slot) -> Option<Arc<Object>> {
        self.objects().get(slot).cloned()
    }

    /// Every object, sorted by its place.
    pub(super) fn all(&self) -> Vec<Arc<Object>> {
        self.objects().values().cloned().collect()
    }

    /// Takes an object in and tells what is seen of it. It is supervised from now on where `alive`.
    pub(super) fn insert(self: &Arc<Self>, object: Arc<Object>, alive: bool) {
        self.objects().insert(object.slot.clone(), object.clone());
        self.publish(object.observed());
        if alive {
            self.supervise(object);
        } else {
            object.done.cancel();
        }
    }

    /// Lets an object go.
    pub(super) fn remove(&self, slot: &Slot) {
        self.objects().remove(slot);
    }

    /// Tells the watchers.
    pub(super) fn publish(&self, observed: Observed) {
        // An error says that nobody watches, which is fine.
        let _nobody = self.events.send(observed);
    }

    /// What is told from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Observed> {
        self.events.subscribe()
    }

    fn supervise(self: &Arc<Self>, object: Arc<Object>) {
        let node = self.clone();
        self.tasks.spawn(async move {
            // Also where the supervisor panics: a delete must not wait for ever.
            let _done = object.done.clone().drop_guard();
            match object.slot.kind {
                deploy_core::workload::SlotKind::Job => job::supervise(&node, &object).await,
                deploy_core::workload::SlotKind::CronJob => cronjob::supervise(&node, &object).await,
                deploy_core::workload::SlotKind::Deployment => deployment::supervise(&node, &object).await,
            }
        });
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<Slot, Arc<Object>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings one record from an earlier server into being: what ran then has been ended by now.
pub(super) async fn revive(node: &Arc<Node>, mut record: Record) -> io::Result<()> {
    let was_running = record.has_processes();
    for pod in &mut record.pods {
        if pod.process.take().is_some() {
            lose(pod);
        }
    }
    let kind = record.workload.kind();
    if kind == Kind::Job && was_running && record.ended.is_none() && !record.suspended {
        record.ended = Some(job::lost(
            node.clock.now(),
            started_at(&record),
            "the server ended while it ran",
        ));
    }
    let (store, stored) = (node.store.clone(), record.clone());
    super::code::blocking(move || store.write(&stored)).await?;
    let is_over = kind == Kind::Job && (record.ended.is_some() || record.suspended);
    let code = record
        .code
        .as_deref()
        .filter(|_| !is_over)
        .and_then(|folder| node.code.hold(folder));
    let condition = record.condition_at_rest();
    node.insert(Arc::new(Object::new(record, condition, code)), !is_over);
    Ok(())
}

/// A name for a new pod: the object's, at most 57 characters of it, and five that no other has.
pub(super) fn pod_name(object: &str) -> String {
    const LETTERS: &[u8; 32] = b"bcdfghjklmnpqrstvwxz2456789abcde";
    let random = uuid::Uuid::now_v7().into_bytes();
    let suffix: String = random[11..]
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect();
    let stem = &object[..object.len().min(57)];
    format!("{stem}-{suffix}")
}

fn lose(pod: &mut PodRecord) {
    use deploy_core::workload::{Reason, ReasonCode};
    pod.phase = super::record::Phase::Failed;
    pod.reason = Some(Reason::new(ReasonCode::Lost, "the server ended while it ran"));
}

fn started_at(record: &Record) -> Option<Timestamp> {
    record.pods.iter().filter_map(|pod| pod.started_at).min()
}

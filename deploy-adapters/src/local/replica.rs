//! One replica of a deployment or service: a process that is started again whenever it ends, with a growing wait, until
//! its fleet halts it. It tells whether it is ready; what that makes of the whole is for the fleet to say.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deploy_core::workload::{Reason, ReasonCode, Shape, Timestamp, Workload};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::code::{Held, blocking};
use super::job::back_off;
use super::logs;
use super::node::Node;
use super::object::Object;
use super::pod::{self, Interrupt, Plan, PodEnd};
use super::record::{Phase, PodRecord, Record};

/// Crashes in a row from which on it is said to loop.
pub(super) const LOOPS: u32 = 3;

/// The longest wait before a new start, and how long a process has to run for its crashes to be forgotten: both as in
/// Kubernetes (Pod Lifecycle, "How Pods handle problems with containers").
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);
const FORGIVEN_AFTER: Duration = Duration::from_secs(600);

/// How long a deployment's process has to be alive to count as up: one that ends at once never was.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// How often a service's port is tried until it answers.
const TRY_PORT: Duration = Duration::from_millis(200);

/// A replica that runs.
pub(super) struct Replica {
    /// Its pod.
    pub name: String,
    /// The [`Record::template`] it was made of.
    pub template: u64,
    /// Whether it needs its port for itself.
    pub exclusive: bool,
    halt: CancellationToken,
    /// Cancelled when nothing of it is left.
    over: CancellationToken,
    task: JoinHandle<()>,
    status: Arc<Mutex<Status>>,
}

/// How a replica is doing.
#[derive(Debug, Clone, Default)]
pub(super) struct Status {
    /// Since when it is up.
    pub ready_since: Option<Timestamp>,
    /// Crashes in a row.
    pub crashes: u32,
    /// What is wrong with it.
    pub reason: Option<Reason>,
}

impl Replica {
    /// Starts a replica of that record as that pod.
    pub(super) fn start(node: &Arc<Node>, object: &Arc<Object>, record: &Record, pod: PodRecord) -> Self {
        let (workload, export) = (record.workload.clone(), record.code.clone());
        let port = match workload.shape {
            Shape::Service { port, .. } => Some(port),
            _ => None,
        };
        let status = Arc::new(Mutex::new(Status::default()));
        let (halt, over) = (object.halt.child_token(), CancellationToken::new());
        let keeper = Keeper {
            node: node.clone(),
            object: object.clone(),
            _kept: export.as_deref().and_then(|folder| node.code.hold(folder)),
            export,
            workload,
            port,
            halt: halt.clone(),
            over: over.clone(),
            status: status.clone(),
        };
        Self {
            name: pod.name.clone(),
            template: pod.template,
            exclusive: port.is_some(),
            halt,
            over,
            task: tokio::spawn(keeper.keep_running(pod)),
            status,
        }
    }

    /// Ends it; the object is woken when nothing of it is left.
    pub(super) fn halt(&self) {
        self.halt.cancel();
    }

    /// Whether it was halted.
    pub(super) fn is_halted(&self) -> bool {
        self.halt.is_cancelled()
    }

    /// Whether nothing of it is left.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Waits until nothing of it is left.
    pub(super) async fn over(self) {
        if let Err(error) = self.task.await {
            tracing::error!(pod = self.name, %error, "a replica was not looked after to its end");
        }
    }

    /// How it is doing.
    pub(super) fn status(&self) -> Status {
        lock(&self.status).clone()
    }
}

struct Keeper {
    node: Arc<Node>,
    object: Arc<Object>,
    workload: Workload,
    /// The code it was made of: an old version that crashes while a new one comes up starts as what it was.
    export: Option<String>,
    _kept: Option<Held>,
    port: Option<u16>,
    halt: CancellationToken,
    over: CancellationToken,
    status: Arc<Mutex<Status>>,
}

impl Keeper {
    async fn keep_running(self, pod: PodRecord) {
        let _over = Over(self.object.clone(), self.over.clone());
        let mut hindrances = 0;
        while !self.halt.is_cancelled() {
            let wait = match self.run_once(&pod).await {
                Ok(end) if end.interrupt.is_some() => break,
                Ok(end) => {
                    hindrances = 0;
                    let crashes = self.crashed(&pod, &end).await;
                    back_off(crashes, LONGEST_BACK_OFF)
                }
                Err(hindrance) => {
                    hindrances += 1;
                    self.set(|status| {
                        status.ready_since = None;
                        status.reason = Some(Reason::new(ReasonCode::Queued, hindrance));
                    });
                    back_off(hindrances, LONGEST_BACK_OFF)
                }
            };
            tokio::select! {
                () = self.halt.cancelled() => {}
                () = self.node.clock.sleep(wait) => {}
            }
        }
        self.set(|status| status.ready_since = None);
        self.leave(&pod.name).await;
    }

    /// One process, from its start to its end. An error says in words why there was none.
    async fn run_once(&self, pod: &PodRecord) -> Result<PodEnd, String> {
        if let Some(port) = self.port
            && answers(port).await
        {
            return Err(format!("port {port} of this machine is in use by something else"));
        }
        let pod = self
            .object
            .read(|record| record.pods.iter().find(|known| known.name == pod.name).cloned())
            .unwrap_or_else(|| pod.clone());
        let mut next = pod.clone();
        if pod.started_at.is_some() {
            next.restarts += 1;
        }
        let started = Notify::new();
        let interrupt = async {
            self.halt.cancelled().await;
            Interrupt::Halted
        };
        let plan = Plan {
            node: &self.node,
            object: &self.object,
            workload: &self.workload,
            code: self.export.as_deref(),
            pod: &next,
        };
        let run = pod::run(plan, |_| None, &started, interrupt);
        tokio::select! {
            end = run => end.map_err(|error| format!("it cannot be started now: {error}")),
            () = self.watch_over(&started) => Err("the watch over a process ended before it".to_owned()),
        }
    }

    /// Tells when the process is ready, and forgives its crashes when it has run for long. Never ends.
    async fn watch_over(&self, started: &Notify) {
        started.notified().await;
        match self.port {
            None => self.node.clock.sleep(SETTLED_AFTER).await,
            Some(port) => {
                while !answers(port).await {
                    self.node.clock.sleep(TRY_PORT).await;
                }
            }
        }
        let now = self.node.clock.now();
        self.set(|status| {
            status.ready_since = Some(now);
            status.reason = None;
        });
        self.node.clock.sleep(FORGIVEN_AFTER).await;
        self.set(|status| status.crashes = 0);
        std::future::pending().await
    }

    /// Tells and records a crash; answers how many there were in a row.
    async fn crashed(&self, pod: &PodRecord, end: &PodEnd) -> u32 {
        let (crashes, reason) = self.set(|status| {
            status.crashes += 1;
            status.ready_since = None;
            let code = if status.crashes < LOOPS {
                ReasonCode::ExitCode
            } else {
                ReasonCode::CrashLooping
            };
            let reason = end.reason(code);
            status.reason = Some(reason.clone());
            (status.crashes, reason)
        });
        let change = |record: &mut Record| {
            if let Some(pod) = record.pod_mut(&pod.name) {
                pod.process = None;
                pod.phase = Phase::Pending;
                pod.reason = Some(reason.clone());
            }
            None
        };
        self.object.record_fact(&self.node, change).await;
        crashes
    }

    /// Records that nothing of it is left. A pod whose whole object ends stays: after a restart it goes on under its name.
    async fn leave(&self, pod: &str) {
        let stays = self.object.halt.is_cancelled();
        let change = |record: &mut Record| {
            if stays {
                if let Some(pod) = record.pod_mut(pod) {
                    pod.process = None;
                    pod.phase = Phase::Pending;
                }
            } else {
                record.pods.retain(|known| known.name != pod);
            }
            None
        };
        self.object.record_fact(&self.node, change).await;
        let log = self.object.log(&self.node, pod);
        if !stays && let Err(error) = blocking(move || logs::remove(&log)).await {
            tracing::warn!(pod, %error, "a replaced pod's log could not be removed");
        }
    }

    fn set<T>(&self, change: impl FnOnce(&mut Status) -> T) -> T {
        let answer = change(&mut lock(&self.status));
        self.object.wake.notify_one();
        answer
    }
}

/// Says that it is over when it goes out of scope, also where the keeper panics: the fleet must not wait for ever.
struct Over(Arc<Object>, CancellationToken);

impl Drop for Over {
    fn drop(&mut self) {
        self.1.cancel();
        self.0.wake.notify_one();
    }
}

async fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
}

fn lock(status: &Mutex<Status>) -> MutexGuard<'_, Status> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

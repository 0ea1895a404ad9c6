//! One run of one pod: a fresh folder, a process on record before it runs, its output in its log, and nothing of it left
//! when this is over. What its end means is for the supervisors to say.

use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};

use deploy_core::manifest::EnvValue;
use deploy_core::workload::{Condition, Reason, ReasonCode, Timestamp, Workload};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::code::blocking;
use super::logs;
use super::node::Node;
use super::object::Object;
use super::paths;
use super::process::{self, Command, Exit};
use super::record::{Phase, PodRecord};
use super::store::create_private;

/// Why a run was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interrupt {
    /// It was stopped, replaced or deleted, or the server stops.
    Halted,
    /// Its time is up.
    Deadline,
}

/// How a run was over.
#[derive(Debug)]
pub(super) struct PodEnd {
    /// `None` = by itself.
    pub interrupt: Option<Interrupt>,
    /// Its exit.
    pub exit: Exit,
    /// The last lines it wrote.
    pub tail: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When nothing of it was left.
    pub finished_at: Timestamp,
}

impl PodEnd {
    /// Whether it ended by itself, and well.
    pub(super) fn is_success(&self) -> bool {
        self.interrupt.is_none() && self.exit.code == 0
    }

    /// Why it failed, with the last lines it wrote.
    pub(super) fn reason(&self, code: ReasonCode) -> Reason {
        let Exit { code: exit, signal } = self.exit;
        let words = match (self.interrupt, signal, exit) {
            (Some(Interrupt::Deadline), ..) => {
                "it took longer than timeout-seconds and was stopped".to_owned()
            }
            (Some(Interrupt::Halted), ..) => "it was stopped".to_owned(),
            (None, Some(signal), _) => format!("ended by signal {signal} (exit code {exit})"),
            (None, None, 126) => "the command cannot be run (exit code 126)".to_owned(),
            (None, None, 127) => "the command was not found (exit code 127)".to_owned(),
            (None, None, exit) => format!("ended with exit code {exit}"),
        };
        let message = if self.tail.is_empty() {
            words
        } else {
            format!("{words}\n{}", self.tail)
        };
        Reason::new(code, message)
    }

    /// Marks the pod as over, in its record.
    pub(super) fn settle(&self, pod: &mut PodRecord, code: ReasonCode) {
        pod.process = None;
        pod.phase = if self.is_success() {
            Phase::Succeeded
        } else {
            Phase::Failed
        };
        pod.reason = (!self.is_success()).then(|| self.reason(code));
    }
}

/// What is run, and as which pod; the pod is recorded if it is not yet.
#[derive(Clone, Copy)]
pub(super) struct Plan<'a> {
    pub node: &'a Node,
    pub object: &'a Object,
    pub workload: &'a Workload,
    /// The export of its code.
    pub code: Option<&'a str>,
    pub pod: &'a PodRecord,
}

/// Runs a pod once. `on_start` gives the condition to tell when its process is on record; `started` is rung when the
/// command runs. An error says that nothing ran; the end is the caller's to record.
pub(super) async fn run(
    plan: Plan<'_>,
    on_start: impl FnOnce(Timestamp) -> Option<Condition>,
    started: &Notify,
    interrupt: impl Future<Output = Interrupt>,
) -> io::Result<PodEnd> {
    let Plan {
        node,
        object,
        workload,
        pod,
        ..
    } = plan;
    let folder = object.pod_folder(node, &pod.name);
    let log = object.log(node, &pod.name);
    prepare(node, plan.code, &folder, &log).await?;
    let argv = argv(node, workload, &folder);
    let env = environment(node, workload, &folder);
    let gated = match process::spawn(&Command {
        argv: &argv,
        env: &env,
        folder: &folder.join("code"),
    }) {
        Err(error) if is_final(&error) => return Ok(not_runnable(node, &error)),
        gated => gated?,
    };

    let started_at = node.clock.now();
    let process = gated.group().clone();
    let recorded = object.change(node, |record| {
        let mut running = pod.clone();
        running.phase = Phase::Running;
        running.reason = None;
        running.started_at = Some(started_at);
        running.process = Some(process);
        match record.pod_mut(&pod.name) {
            Some(known) => *known = running,
            None => record.pods.push(running),
        }
        on_start(started_at)
    });
    if let Err(error) = recorded.await {
        gated.abandon().await;
        return Err(error);
    }

    let mut running = gated.open().await;
    started.notify_one();
    let gone = CancellationToken::new();
    let pump = running
        .take_output()
        .map(|output| tokio::spawn(logs::pump(output, log.clone(), logs::LIMIT, gone.clone())));
    let (interrupt, exit) = tokio::select! {
        // An end that came first counts, also where the stop came right after it.
        biased;
        exit = running.wait() => (None, exit),
        interrupt = interrupt => (Some(interrupt), running.end(&*node.clock, node.grace).await),
    };
    gone.cancel();
    if let Some(pump) = pump
        && let Err(error) = pump.await
    {
        tracing::warn!(%error, "a pod's log is not complete");
    }
    let exit = exit?;
    let tail = blocking(move || {
        let tail = logs::tail_for_reason(&log);
        if let Err(error) = fs::remove_dir_all(&folder) {
            // The next start, or the object's delete, removes it.
            tracing::warn!(%error, "a pod's folder could not be removed");
        }
        Ok(tail)
    });
    Ok(PodEnd {
        interrupt,
        exit,
        tail: tail.await?,
        started_at,
        finished_at: node.clock.now(),
    })
}

/// A fresh folder for the pod: its code, and its home.
async fn prepare(node: &Node, code: Option<&str>, folder: &Path, log: &Path) -> io::Result<()> {
    let (cache, export) = (node.code.clone(), code.map(str::to_owned));
    let (folder, logs) = (folder.to_owned(), log.parent().map(Path::to_owned));
    blocking(move || {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        create_private(&folder.join("home"))?;
        if let Some(logs) = logs {
            create_private(&logs)?;
        }
        let code = folder.join("code");
        match export {
            Some(export) => cache.copy(&export, &code),
            None => create_private(&code),
        }
    })
    .await
}

fn argv(node: &Node, workload: &Workload, folder: &Path) -> Vec<String> {
    let code = folder.join("code").display().to_string();
    let command = workload.container.command.as_deref().unwrap_or_default();
    let mut argv: Vec<String> = command
        .iter()
        .map(|argument| paths::map_argument(argument, &code).unwrap_or_else(|| argument.clone()))
        .collect();
    if let Some(program) = argv.first_mut()
        && let Some(mapped) = paths::map_program(program, &node.search, &paths::is_there)
    {
        *program = mapped;
    }
    argv
}

/// PATH, HOME, LANG, and what the manifest says, which wins.
fn environment(node: &Node, workload: &Workload, folder: &Path) -> Vec<(String, String)> {
    let home: PathBuf = folder.join("home");
    let mut env = vec![
        ("PATH".to_owned(), node.search.clone()),
        ("HOME".to_owned(), home.display().to_string()),
    ];
    env.extend(
        node.language
            .iter()
            .map(|language| ("LANG".to_owned(), language.clone())),
    );
    for variable in &workload.container.env {
        // A secret has been refused by the review.
        if let EnvValue::Literal(value) = &variable.value {
            env.retain(|(name, _)| *name != variable.name);
            env.push((variable.name.clone(), value.clone()));
        }
    }
    env
}

/// Whether the system will never start this command, as opposed to not now.
fn is_final(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::ArgumentListTooLong
    )
}

fn not_runnable(node: &Node, error: &io::Error) -> PodEnd {
    let now = node.clock.now();
    PodEnd {
        interrupt: None,
        exit: Exit {
            code: 126,
            signal: None,
        },
        tail: error.to_string(),
        started_at: now,
        finished_at: now,
    }
}

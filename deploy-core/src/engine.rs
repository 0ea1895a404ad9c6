//! Drives tasks and runs: takes in commands, observations and the outcomes of effects, lets the state machines decide,
//! records what they decided, and only then acts.
//!
//! One loop owns everything that is live, so nothing is locked and every decision sees all that were taken before.
//! All input that is at hand is taken in together and recorded in one commit. What could not be recorded is undone in
//! memory: the loop never acts on, or answers from, what is not stored.

mod batch;
mod board;
mod carry_out;
mod commands;
mod inputs;
mod resync;
mod taking;
mod unreachable;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;

use crate::authz::Policy;
use crate::changes::Changes;
use crate::deployer::Ports;
use crate::error::{Error, ErrorCode};
use crate::names::TaskId;
use crate::ports::{Generation, JournalError};

pub(crate) use commands::{Command, Inbox, Objection};

use batch::{Batch, Refused};
use board::Board;
use commands::Waiter;
use inputs::{Input, IntentKind};
use unreachable::Trouble;

/// How the engine behaves over time.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How often store and cluster are compared, to find what no event told. Some jitter is added.
    pub resync: Duration,
    /// How long a finished job's object stays.
    pub job_retention: Duration,
    /// How often finished jobs and old works are looked for.
    pub janitor: Duration,
    /// The first wait before something that failed is tried again; doubles up to `retry_max`.
    pub retry: Duration,
    /// The longest such wait.
    pub retry_max: Duration,
    /// How long somebody waits for a deploy or delete before it is given up, or, where it may be done already, answered as
    /// pending. What is under way then may add the time that one call takes.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resync: Duration::from_secs(30),
            job_retention: Duration::from_secs(24 * 3600),
            janitor: Duration::from_secs(600),
            retry: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
            patience: Duration::from_secs(7),
        }
    }
}

/// Why an engine ended although it was not told to.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another engine has taken the lead.
    #[error("another engine has taken the lead")]
    Superseded,
    /// It could not begin.
    #[error("what was recorded cannot be read")]
    Recovery(#[source] JournalError),
}

/// The engine. [`Engine::run`] is to be spawned once beside the [`crate::Deployer`] it was built with.
pub struct Engine {
    ports: Ports,
    policy: Arc<Policy>,
    settings: Settings,
    changes: Changes,
    inbox: mpsc::Receiver<Command>,
}

impl Engine {
    pub(crate) fn new(
        ports: Ports,
        policy: Arc<Policy>,
        settings: Settings,
        changes: Changes,
    ) -> (Self, Inbox) {
        let (sender, inbox) = mpsc::channel(1024);
        (
            Self {
                ports,
                policy,
                settings,
                changes,
                inbox,
            },
            Inbox::new(sender),
        )
    }

    /// Takes the lead, resumes what was recorded, and drives everything until `stop` is ready. Effects that are under
    /// way then are dropped: they are recorded, and the next engine carries them out again.
    ///
    /// # Errors
    /// Another engine has taken the lead, or the record cannot be read.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), EngineError> {
        let watch = self.ports.cluster.watch();
        let generation = self.ports.journal.lead().await.map_err(EngineError::Recovery)?;
        let recovery = self
            .ports
            .journal
            .recover()
            .await
            .map_err(EngineError::Recovery)?;
        let mut desk = Desk {
            board: Board::default(),
            batch: Batch::default(),
            work: FuturesUnordered::new(),
            in_flight: HashSet::new(),
            resting: HashSet::new(),
            troubles: HashMap::new(),
            waiting: HashMap::new(),
            refusals: HashMap::new(),
            backlog: VecDeque::new(),
            backlog_is_timed: false,
            unclear: None,
            generation,
            ports: self.ports,
            policy: self.policy,
            settings: self.settings,
            changes: self.changes,
        };
        desk.resume(recovery);

        let mut inbox = self.inbox;
        let mut inbox = futures::stream::poll_fn(move |cx| inbox.poll_recv(cx)).fuse();
        let mut watch = watch.fuse();
        let mut stop = Box::pin(stop.fuse());
        loop {
            futures::select_biased! {
                () = stop => return Ok(()),
                input = desk.work.select_next_some() => desk.take(input).await,
                observed = watch.select_next_some() => desk.take(Input::Observed(observed)).await,
                command = inbox.select_next_some() => desk.command(command).await,
            }
            // Whatever else is at hand goes into the same commit; bounded, so that no source starves another.
            for _ in 0..Desk::BATCH {
                let Some(Some(input)) = desk.work.next().now_or_never() else {
                    break;
                };
                desk.take(input).await;
            }
            for _ in 0..Desk::BATCH {
                let Some(Some(observed)) = watch.next().now_or_never() else {
                    break;
                };
                desk.take(Input::Observed(observed)).await;
            }
            for _ in 0..Desk::BATCH {
                let Some(Some(command)) = inbox.next().now_or_never() else {
                    break;
                };
                desk.command(command).await;
            }
            desk.commit().await?;
        }
    }
}

/// Everything the loop owns.
struct Desk {
    ports: Ports,
    /// Whose deployment a step may take the place of.
    policy: Arc<Policy>,
    settings: Settings,
    changes: Changes,
    generation: Generation,
    /// What is live, as recorded but for what the batch changes.
    board: Board,
    /// What was decided since the last commit.
    batch: Batch,
    /// Effects, timers, looks and loads under way.
    work: FuturesUnordered<BoxFuture<'static, Input>>,
    /// Effects under way, so that none is sent twice at once.
    in_flight: HashSet<(TaskId, IntentKind)>,
    /// Those of them that wait for their next try.
    resting: HashSet<(TaskId, IntentKind)>,
    /// Tasks whose effects do not reach the cluster, or are not heard to.
    troubles: HashMap<TaskId, Trouble>,
    /// Who waits for a task's object to be there, or to be gone.
    waiting: HashMap<TaskId, Vec<Waiter>>,
    /// Why a task's effect was refused, for whoever waits for it.
    refusals: HashMap<TaskId, Error>,
    /// What was taken in and could not be recorded; taken in again when the store may be back.
    backlog: VecDeque<Input>,
    /// Whether that time is being waited for.
    backlog_is_timed: bool,
    /// Set when a commit failed: it may have been recorded all the same, so the record is read before anything else is
    /// decided. Holds what was refused with it, which must not be done then.
    unclear: Option<Refused>,
}

impl Desk {
    const BATCH: usize = 256;
    /// How long the loop waits before it takes its backlog in again.
    const BACKLOG_PAUSE: Duration = Duration::from_millis(500);

    /// Records what was decided, then acts on it; or undoes it.
    async fn commit(&mut self) -> Result<(), EngineError> {
        if let Err(error) = self.displace_recorded().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "who holds a place cannot be read; nothing of what was decided is done"
            );
            self.undo();
            return Ok(());
        }
        let changes = self.batch.changes(&self.board);
        let recorded = if changes.is_empty() {
            Ok(())
        } else {
            self.ports.journal.commit(&changes, self.generation).await
        };
        match recorded {
            Ok(()) => {
                let batch = std::mem::take(&mut self.batch);
                self.recorded(batch);
                Ok(())
            }
            Err(JournalError::Superseded) => Err(EngineError::Superseded),
            Err(JournalError::Unavailable(source)) => {
                tracing::error!(
                    error = &*source,
                    "what was decided cannot be recorded; nothing of it is done"
                );
                self.undo();
                Ok(())
            }
        }
    }

    /// Acts on what is recorded now.
    fn recorded(&mut self, batch: Batch) {
        let settled = batch.settle(&mut self.board);
        for (task, waiter) in settled.waiters {
            self.waiting.entry(task).or_default().push(waiter);
            self.time_patience(task);
        }
        for id in settled.tasks {
            self.launch(id);
            self.answer(id);
            self.changes.publish(id.uuid());
            let Some(task) = self.board.task(id) else { continue };
            if let Some(run) = task.run() {
                self.changes.publish(run.uuid());
            }
            // What is under way for it may still bring an object into being, which its record has to tell of.
            if !task.is_live() && !self.is_in_flight(id) {
                self.board.forget_task(id);
                self.troubles.remove(&id);
            }
        }
        for id in settled.runs {
            self.changes.publish(id.uuid());
            if self
                .board
                .run(id)
                .is_some_and(|live| live.run.status.state.is_final())
            {
                self.board.forget_run(id);
            }
        }
        for id in settled.works {
            self.changes.publish(id.uuid());
        }
        for work in settled.loads {
            self.load(work);
        }
    }

    fn is_in_flight(&self, id: TaskId) -> bool {
        let under_way = |kind: &IntentKind| self.in_flight.contains(&(id, *kind));
        IntentKind::ALL.iter().any(under_way)
    }

    /// Takes back what could not be recorded: commands are refused, everything else is taken in again later.
    fn undo(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let (inputs, refused) = batch.undo(&mut self.board);
        self.backlog.extend(inputs);
        let unclear = self.unclear.get_or_insert_default();
        unclear.tasks.extend(refused.tasks);
        unclear.runs.extend(refused.runs);
        unclear.deletes.extend(refused.deletes);
        self.time_backlog();
    }

    /// Takes an input in when the store may be back.
    fn take_later(&mut self, input: Input) {
        self.backlog.push_back(input);
        self.time_backlog();
    }

    /// One timer, however many turns fail: a store that is away is not asked more often for it.
    fn time_backlog(&mut self) {
        if self.backlog_is_timed {
            return;
        }
        self.backlog_is_timed = true;
        let clock = self.ports.clock.clone();
        self.work.push(Box::pin(async move {
            clock.sleep(Self::BACKLOG_PAUSE).await;
            Input::Backlog
        }));
    }
}

/// What the user hears when nothing could be recorded.
fn not_recorded() -> Error {
    Error::new(
        ErrorCode::StorageUnavailable,
        "the database cannot be used now; nothing was done",
    )
    .retry_after(Duration::from_secs(2))
}

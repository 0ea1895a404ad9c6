//! What use cases ask of the engine, and how each is decided. Nothing is answered before it is recorded.

use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, ErrorCode};
use crate::names::{PipelineId, TaskId};
use crate::pipeline::graph::Graph;
use crate::pipeline::run::{Decision, Progress};
use crate::pipeline::{Run, RunEvent};
use crate::ports::RecordsError;
use crate::task::lifecycle::Event;
use crate::task::{Intent, Status, Task};
use crate::work::Work;
use crate::workload::{Deleted, Kind, ObjectRef, Slot};

use super::board::LiveRun;
use super::inputs::IntentKind;
use super::{Desk, not_recorded};

type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What speaks against taking the place of a task, or removing it. Whose task it is, is known here, at the moment it
/// counts; who may do what to whose is not.
pub(crate) type Objection = Box<dyn Fn(&Task) -> Result<(), Error> + Send + Sync>;

/// Something asked of the engine.
pub(crate) enum Command {
    /// Deploy a task; answered when its object is there, or its image is being built, or neither will be.
    Deploy {
        task: Box<Task>,
        replace: bool,
        objection: Objection,
        answer: Answer<Task>,
    },
    /// Remove the object that holds a place; answered when it is gone, or with `None` where no record holds it.
    Delete {
        object: ObjectRef,
        objection: Objection,
        answer: Answer<Option<Vec<Deleted>>>,
    },
    /// Remove the records of a place that nothing holds; answered when that is recorded.
    Forget { slot: Slot, answer: Answer<()> },
    /// Begin a run; answered when it is recorded.
    Run {
        run: Box<Run>,
        steps: Vec<Task>,
        graph: Graph,
        answer: Answer<()>,
    },
    /// Kill a run; answered, with whether it had ended before, when it is recorded.
    Kill {
        run: PipelineId,
        cleanup: bool,
        answer: Answer<bool>,
    },
    /// Load a document; answered when it is recorded that it is wanted.
    Load { work: Box<Work>, answer: Answer<()> },
}

impl Command {
    fn refuse(self, error: &Error) {
        // Whoever asked may have gone.
        match self {
            Self::Deploy { answer, .. } => drop(answer.send(Err(error.echo()))),
            Self::Delete { answer, .. } => drop(answer.send(Err(error.echo()))),
            Self::Forget { answer, .. } | Self::Run { answer, .. } | Self::Load { answer, .. } => {
                drop(answer.send(Err(error.echo())));
            }
            Self::Kill { answer, .. } => drop(answer.send(Err(error.echo()))),
        }
    }
}

/// The way in, for use cases.
#[derive(Clone)]
pub(crate) struct Inbox(mpsc::Sender<Command>);

impl Inbox {
    pub(super) const fn new(sender: mpsc::Sender<Command>) -> Self {
        Self(sender)
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command + Send) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.0.send(command(answer)).await.map_err(|_| engine_gone())?;
        answered.await.map_err(|_| engine_gone())?
    }
}

fn engine_gone() -> Error {
    Error::new(
        ErrorCode::EngineUnavailable,
        "the engine is stopping; what was recorded goes on when it is back",
    )
    .retry_after(std::time::Duration::from_secs(2))
}

/// Somebody who waits for a task to settle.
pub(super) enum Waiter {
    /// For its object to be there.
    Deploy(Answer<Task>),
    /// For its object to be gone; with what was removed.
    Delete {
        answer: Answer<Option<Vec<Deleted>>>,
        deleted: Vec<Deleted>,
    },
}

impl Waiter {
    pub(super) const fn waits_for(&self, effect: IntentKind) -> bool {
        match self {
            Self::Deploy(_) => matches!(effect, IntentKind::Replace | IntentKind::Apply),
            Self::Delete { .. } => matches!(effect, IntentKind::Delete),
        }
    }

    pub(super) fn refuse(self, error: Error) {
        // Whoever asked may have gone.
        match self {
            Self::Deploy(answer) => drop(answer.send(Err(error))),
            Self::Delete { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}

impl Desk {
    pub(super) async fn command(&mut self, command: Command) {
        if !self.clear_up().await {
            command.refuse(&not_recorded());
            return;
        }
        match command {
            Command::Deploy {
                task,
                replace,
                objection,
                answer,
            } => match self.intent_for(&task, replace, &objection).await {
                Ok(intent) => self.deploy(*task, intent, answer),
                Err(error) => Waiter::Deploy(answer).refuse(error),
            },
            Command::Delete {
                object,
                objection,
                answer,
            } => match self.holder_to_delete(&object, &objection).await {
                Ok(Some(holder)) => {
                    self.feed(holder, Event::Delete);
                    self.batch.wait_for(
                        holder,
                        Waiter::Delete {
                            answer,
                            deleted: Vec::new(),
                        },
                    );
                }
                Ok(None) => drop(answer.send(Ok(None))),
                Err(error) => drop(answer.send(Err(error))),
            },
            Command::Forget { slot, answer } => {
                // Somebody has deployed under this name since it was found that nothing holds it.
                if self.board.slot(&slot).is_some() {
                    let detail = "this name is being deployed right now; try again";
                    drop(answer.send(Err(Error::new(ErrorCode::JobUnfinished, detail))));
                } else {
                    self.batch.remove_tasks(slot);
                    self.batch.reply(answer, ());
                }
            }
            Command::Run {
                run,
                steps,
                graph,
                answer,
            } => self.begin(*run, steps, graph, answer),
            Command::Kill { run, cleanup, answer } => self.kill(run, cleanup, answer).await,
            Command::Load { work, answer } => {
                self.batch.load(*work);
                self.batch.reply(answer, ());
            }
        }
    }

    /// What a deploy has to do first, given what holds its name.
    async fn intent_for(
        &mut self,
        task: &Task,
        replace: bool,
        objection: &Objection,
    ) -> Result<Intent, Error> {
        let busy = |detail: &str| Err(Error::new(ErrorCode::JobUnfinished, detail));
        let slot = task.slot();
        let holder = self.holder(&slot).await?;
        self.object(&slot, holder.as_ref(), objection)?;
        if self
            .board
            .slot(&slot)
            .is_some_and(|usage| !usage.claims.is_empty())
        {
            return busy("this name is being deployed right now; wait for that deploy, or use another name");
        }
        if holder
            .as_ref()
            .is_some_and(|holder| matches!(holder.status.intent, Some(Intent::Delete | Intent::Expire)))
        {
            return busy("the object of this name is being removed right now; try again when it is gone");
        }
        match holder {
            Some(holder) if task.kind() == Kind::Job => {
                if !holder.status.state.is_final() && !replace {
                    return busy(
                        "a job of this name has not finished; wait for it, delete it, or ask with ?replace=true",
                    );
                }
                // An image is built before anything is removed.
                match (task.build, holder.status.uid.clone()) {
                    (false, Some(uid)) => Ok(Intent::Replace {
                        old: holder.id(),
                        uid,
                    }),
                    _ => Ok(Self::first_intent(task)),
                }
            }
            _ => Ok(Self::first_intent(task)),
        }
    }

    const fn first_intent(task: &Task) -> Intent {
        if task.build { Intent::Build } else { Intent::Apply }
    }

    fn deploy(&mut self, mut task: Task, intent: Intent, answer: Answer<Task>) {
        let id = task.id();
        task.status = Status::accepted(intent);
        self.board.put_task(task);
        self.batch.new_task(id);
        self.batch.wait_for(id, Waiter::Deploy(answer));
    }

    /// The task whose object holds a place: from memory if it is live, else from the record.
    async fn holder(&mut self, slot: &Slot) -> Result<Option<Task>, Error> {
        if let Some(id) = self.board.slot(slot).and_then(|usage| usage.holder) {
            return Ok(self.board.task(id).cloned());
        }
        let recorded = self.ports.tasks.holder(slot).await.map_err(Error::from)?;
        // A task that is in memory is newer there: it may have lost its place in this very batch.
        Ok(recorded.filter(|task| self.board.task(task.id()).is_none_or(|live| live.status.holds)))
    }

    /// Refuses where anything speaks against a task that holds a place, or is about to.
    fn object(&self, slot: &Slot, holder: Option<&Task>, objection: &Objection) -> Result<(), Error> {
        let claims = self.board.slot(slot).map(|usage| usage.claims.iter());
        let claiming = claims.into_iter().flatten().filter_map(|id| self.board.task(*id));
        holder.into_iter().chain(claiming).try_for_each(objection)
    }

    async fn holder_to_delete(
        &mut self,
        object: &ObjectRef,
        objection: &Objection,
    ) -> Result<Option<TaskId>, Error> {
        let slot = object.slot();
        let holder = self.holder(&slot).await?;
        self.object(&slot, holder.as_ref(), objection)?;
        if self
            .board
            .slot(&slot)
            .is_some_and(|usage| !usage.claims.is_empty())
        {
            return Err(Error::new(
                ErrorCode::JobUnfinished,
                "this name is being deployed right now; try again",
            ));
        }
        let Some(holder) = holder else {
            return Ok(None);
        };
        match (object.kind, holder.kind()) {
            (Kind::Deployment, Kind::Service) => Err(Error::new(
                ErrorCode::BelongsToService,
                "this deployment belongs to a service; delete it with /v1/delete/service",
            )),
            (Kind::Service, Kind::Deployment) => Err(Error::new(
                ErrorCode::ObjectNotFound,
                "there is no service of this name; it is a deployment",
            )),
            _ => {
                let id = holder.id();
                if self.board.task(id).is_none() {
                    self.board.put_task(holder);
                }
                Ok(Some(id))
            }
        }
    }

    fn begin(&mut self, run: Run, steps: Vec<Task>, graph: Graph, answer: Answer<()>) {
        let (id, now) = (run.id, self.ports.clock.now());
        let (progress, decisions) = Progress::begin(graph);
        let ids: Vec<TaskId> = steps.iter().map(Task::id).collect();
        let mut live = LiveRun {
            run,
            progress,
            events: Vec::new(),
            stored: 0,
            steps: ids,
        };
        live.refresh_status(now);
        let starting: Vec<TaskId> = decisions
            .iter()
            .filter_map(|decision| match decision {
                Decision::Start(step) => live.steps.get(*step as usize).copied(),
                _ => None,
            })
            .collect();
        self.batch.new_run(id);
        self.board.put_run(live);
        for mut step in steps {
            step.status = Status::waiting();
            self.batch.new_task(step.id());
            self.board.put_task(step);
        }
        for step in starting {
            self.feed(step, Event::Start);
        }
        self.batch.reply(answer, ());
    }

    async fn kill(&mut self, id: PipelineId, cleanup: bool, answer: Answer<bool>) {
        if self
            .board
            .run(id)
            .is_some_and(|live| !live.run.status.state.is_final())
        {
            for (step, event) in self.happened(id, RunEvent::Kill { cleanup }) {
                self.feed(step, event);
            }
            self.batch.reply(answer, false);
            return;
        }
        let known = match self.board.run(id) {
            Some(_) => Ok(true),
            None => self.ports.runs.get(id).await.map(|run| run.is_some()),
        };
        match known {
            Ok(true) => self.batch.reply(answer, true),
            Ok(false) => {
                drop(answer.send(Err(Error::new(
                    ErrorCode::PipelineNotFound,
                    "there is no run of this id",
                ))));
            }
            Err(error) => drop(answer.send(Err(error.into()))),
        }
    }

    /// Answers whoever waits for a task that has settled.
    pub(super) fn answer(&mut self, id: TaskId) {
        // Told once: the next who asks of the same task hears what becomes of theirs.
        let refusal = self.refusals.remove(&id);
        let Some(waiters) = self.waiting.remove(&id) else {
            return;
        };
        let Some(task) = self.board.task(id) else { return };
        let mut still_waiting = Vec::new();
        for waiter in waiters {
            let intent = task.status.intent.as_ref().map(IntentKind::from);
            if intent.is_some_and(|intent| waiter.waits_for(intent)) {
                still_waiting.push(waiter);
                continue;
            }
            match (waiter, &refusal) {
                (waiter, Some(error)) => waiter.refuse(error.echo()),
                // Whoever asked may have gone.
                (Waiter::Deploy(answer), None) => drop(answer.send(Ok(task.clone()))),
                (Waiter::Delete { answer, deleted }, None) => drop(answer.send(Ok(Some(deleted)))),
            }
        }
        if !still_waiting.is_empty() {
            self.waiting.insert(id, still_waiting);
        }
    }

    /// Answers a deploy that may have been done: it is pending, and will be resolved by its name.
    pub(super) fn answer_pending(&mut self, id: TaskId) {
        let (Some(waiters), Some(task)) = (self.waiting.remove(&id), self.board.task(id)) else {
            return;
        };
        for waiter in waiters {
            match waiter {
                Waiter::Deploy(answer) => drop(answer.send(Ok(task.clone()))),
                Waiter::Delete { .. } => self.waiting.entry(id).or_default().push(waiter),
            }
        }
    }
}

impl From<RecordsError> for Error {
    fn from(error: RecordsError) -> Self {
        match error {
            RecordsError::Unavailable(source) => {
                Self::new(ErrorCode::StorageUnavailable, "the database cannot be used now")
                    .retry_after(std::time::Duration::from_secs(2))
                    .because(source)
            }
            RecordsError::Damaged(source) => {
                Self::new(ErrorCode::Internal, "a stored record is damaged").because(source)
            }
        }
    }
}

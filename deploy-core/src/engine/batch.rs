//! What was decided since the last commit: enough to record it, and enough to undo it.

use std::collections::HashMap;
use std::hash::Hash;

use tokio::sync::oneshot;

use crate::error::Error;
use crate::names::{PipelineId, TaskId, WorkId};
use crate::pipeline::RunStatus;
use crate::pipeline::run::Progress;
use crate::ports::Change;
use crate::task::{Status, Task};
use crate::work::Work;
use crate::workload::{Kind, Slot, Timestamp};

use super::board::Board;
use super::commands::Waiter;
use super::inputs::Input;
use super::not_recorded;

/// The decisions of one turn of the loop.
#[derive(Default)]
pub(super) struct Batch {
    tasks: Touched<TaskId, Status>,
    runs: Touched<PipelineId, RunStatus>,
    /// Changes that are not a task's or a run's.
    extra: Vec<Change>,
    works: Vec<WorkId>,
    /// Works to be loaded once it is recorded that they are wanted.
    loads: Vec<Work>,
    /// Tasks whose turn has come without a change of their own.
    woken: Vec<TaskId>,
    /// The inputs that led here, but for commands.
    inputs: Vec<Input>,
    /// Who waits for a task to settle, from when this is recorded.
    waiters: Vec<(TaskId, Waiter)>,
    /// What this batch takes back, of what was refused in an earlier one.
    revoked: Refused,
    /// Who waits for this to be recorded.
    replies: Vec<Reply>,
}

/// An answer that is sent when its decision is recorded.
type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// What was touched in this batch, in the order of the first touch, and how it stood before; `None` = it is new.
struct Touched<K, V> {
    order: Vec<K>,
    before: HashMap<K, Option<V>>,
}

impl<K, V> Default for Touched<K, V> {
    fn default() -> Self {
        Self {
            order: Vec::new(),
            before: HashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, V> Touched<K, V> {
    fn touch(&mut self, key: K, before: impl FnOnce() -> Option<V>) {
        self.before.entry(key).or_insert_with(|| {
            self.order.push(key);
            before()
        });
    }
}

/// What a recorded batch touched.
pub(super) struct Settled {
    pub(super) tasks: Vec<TaskId>,
    pub(super) runs: Vec<PipelineId>,
    pub(super) works: Vec<WorkId>,
    pub(super) loads: Vec<Work>,
    pub(super) waiters: Vec<(TaskId, Waiter)>,
}

/// What users were told that it is not done.
#[derive(Default)]
pub(super) struct Refused {
    /// New tasks that are no steps.
    pub(super) tasks: Vec<TaskId>,
    /// New runs.
    pub(super) runs: Vec<PipelineId>,
    /// Tasks that were to be deleted.
    pub(super) deletes: Vec<TaskId>,
}

impl Batch {
    /// A task is about to change.
    pub(super) fn touch_task(&mut self, task: &Task) {
        self.tasks.touch(task.id(), || Some(task.status.clone()));
    }

    /// A task is new.
    pub(super) fn new_task(&mut self, id: TaskId) {
        self.tasks.touch(id, || None);
    }

    /// A run is about to change.
    pub(super) fn touch_run(&mut self, id: PipelineId, status: &RunStatus) {
        self.runs.touch(id, || Some(status.clone()));
    }

    /// A run is new.
    pub(super) fn new_run(&mut self, id: PipelineId) {
        self.runs.touch(id, || None);
    }

    /// The tasks that have come to hold their place in this batch, where an older record may hold it. A step's job has
    /// a name of its own.
    pub(super) fn taken(&self, board: &Board) -> Vec<(TaskId, Slot)> {
        let held_before =
            |id: &TaskId| matches!(self.tasks.before.get(id), Some(Some(before)) if before.holds);
        let taking = self.tasks.order.iter().filter(|id| !held_before(id));
        let tasks = taking.filter_map(|id| board.task(*id));
        tasks
            .filter(|task| task.status.holds && (task.run().is_none() || task.kind() != Kind::Job))
            .map(|task| (task.id(), task.slot()))
            .collect()
    }

    pub(super) fn put_work(&mut self, work: Work) {
        self.works.push(work.id);
        self.extra.push(Change::PutWork(Box::new(work)));
    }

    /// A work is wanted: it is recorded, then loaded.
    pub(super) fn load(&mut self, work: Work) {
        self.put_work(work.clone());
        self.loads.push(work);
    }

    pub(super) fn remove_tasks(&mut self, slot: Slot) {
        self.extra.push(Change::RemoveTasks(slot));
    }

    pub(super) fn remove_works_before(&mut self, time: Timestamp) {
        self.extra.push(Change::RemoveWorksBefore(time));
    }

    pub(super) fn revoke(&mut self, refused: Refused) {
        self.revoked = refused;
    }

    pub(super) fn wake(&mut self, id: TaskId) {
        self.woken.push(id);
    }

    pub(super) fn took_in(&mut self, input: Input) {
        self.inputs.push(input);
    }

    pub(super) fn wait_for(&mut self, task: TaskId, waiter: Waiter) {
        self.waiters.push((task, waiter));
    }

    /// Sends `value` when this is recorded.
    pub(super) fn reply<T: Send + 'static>(&mut self, to: oneshot::Sender<Result<T, Error>>, value: T) {
        self.replies.push(Box::new(move |recorded| {
            // Whoever asked may have gone; what was decided stands.
            to.send(recorded.map(|()| value)).ok();
        }));
    }

    /// Everything to be recorded: removals, then runs before their events, then places given up before they are taken.
    pub(super) fn changes(&self, board: &Board) -> Vec<Change> {
        // First, so that what is removed is what was there, and not a task of the same name that came in this batch.
        let mut changes = self.extra.clone();
        for id in &self.runs.order {
            let Some(live) = board.run(*id) else { continue };
            match self.runs.before.get(id) {
                Some(Some(before)) if *before != live.run.status => {
                    changes.push(Change::SetRun {
                        run: *id,
                        status: live.run.status.clone(),
                    });
                }
                Some(None) => changes.push(Change::PutRun(Box::new(live.run.clone()))),
                _ => {}
            }
            for (seq, event) in (0..).zip(&live.events).skip(live.stored) {
                changes.push(Change::AppendEvent {
                    run: *id,
                    seq,
                    event: *event,
                });
            }
        }
        let mut taking = Vec::new();
        for id in &self.tasks.order {
            let Some(task) = board.task(*id) else { continue };
            let change = match self.tasks.before.get(id).and_then(Option::as_ref) {
                None => Change::PutTask(Box::new(task.clone())),
                Some(before) if *before != task.status => Change::SetStatus {
                    task: *id,
                    status: Box::new(task.status.clone()),
                    live: task.is_live(),
                },
                Some(_) => continue,
            };
            let list = if task.status.holds {
                &mut taking
            } else {
                &mut changes
            };
            list.push(change);
        }
        changes.append(&mut taking);
        changes
    }

    /// Everything is recorded: answers, and tells what was touched.
    pub(super) fn settle(self, board: &mut Board) -> Settled {
        for id in &self.runs.order {
            if let Some(live) = board.run_mut(*id) {
                live.stored = live.events.len();
            }
        }
        for reply in self.replies {
            reply(Ok(()));
        }
        let mut tasks = self.tasks.order;
        tasks.extend(self.woken);
        Settled {
            tasks,
            runs: self.runs.order,
            works: self.works,
            loads: self.loads,
            waiters: self.waiters,
        }
    }

    /// Nothing is recorded: puts everything back as it was, refuses whoever waits, and gives back what led here.
    pub(super) fn undo(self, board: &mut Board) -> (Vec<Input>, Refused) {
        let mut refused = self.revoked;
        for (id, before) in self.tasks.before {
            let Some(status) = before else {
                if board.task(id).is_some_and(|task| task.run().is_none()) {
                    refused.tasks.push(id);
                }
                board.forget_task(id);
                continue;
            };
            if let Some(task) = board.task_mut(id) {
                task.status = status;
            }
            board.index(id);
        }
        for (id, before) in self.runs.before {
            let Some(status) = before else {
                refused.runs.push(id);
                board.forget_run(id);
                continue;
            };
            if let Some(live) = board.run_mut(id) {
                live.events.truncate(live.stored);
                live.progress = Progress::replay(live.progress.graph().clone(), &live.events);
                live.run.status = status;
            }
        }
        for (id, waiter) in self.waiters {
            if matches!(waiter, Waiter::Delete { .. }) {
                refused.deletes.push(id);
            }
            waiter.refuse(not_recorded());
        }
        for reply in self.replies {
            reply(Err(not_recorded()));
        }
        (self.inputs, refused)
    }
}

//! What is live, in memory: a mirror of the record, keyed for the questions the loop asks.

use std::collections::{HashMap, VecDeque};

use crate::names::{PipelineId, TaskId};
use crate::pipeline::run::Progress;
use crate::pipeline::{Run, RunEvent, RunStatus};
use crate::task::{Intent, Task};
use crate::workload::{Observed, Slot, Timestamp};

/// Live tasks and open runs.
#[derive(Default)]
pub(super) struct Board {
    tasks: HashMap<TaskId, Task>,
    runs: HashMap<PipelineId, LiveRun>,
    slots: HashMap<Slot, SlotUse>,
}

/// An open run.
pub(super) struct LiveRun {
    pub(super) run: Run,
    pub(super) progress: Progress,
    /// All its events; the first `stored` of them are recorded.
    pub(super) events: Vec<RunEvent>,
    pub(super) stored: usize,
    /// Its steps' tasks, by the step's index.
    pub(super) steps: Vec<TaskId>,
}

impl LiveRun {
    /// Brings the run's status up to what its progress says.
    pub(super) fn refresh_status(&mut self, now: Timestamp) {
        let state = self.progress.state();
        self.run.status = RunStatus {
            state,
            in_error: self.progress.in_error(),
            finished_at: state.is_final().then_some(now),
            counts: self.progress.counts(),
        };
    }
}

/// Who uses a place.
#[derive(Default)]
pub(super) struct SlotUse {
    /// The live task whose object it is.
    pub(super) holder: Option<TaskId>,
    /// Tasks about to take it, one after the other: the first one's effect is under way.
    pub(super) claims: VecDeque<TaskId>,
}

/// What changed about a place.
#[derive(Default)]
pub(super) struct Reindexed {
    /// The task that lost it to this one.
    pub(super) displaced: Option<TaskId>,
    /// The task whose turn to take it has come.
    pub(super) next: Option<TaskId>,
}

impl Board {
    pub(super) fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id)
    }

    pub(super) fn task_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        self.tasks.get_mut(&id)
    }

    pub(super) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    pub(super) fn run(&self, id: PipelineId) -> Option<&LiveRun> {
        self.runs.get(&id)
    }

    pub(super) fn run_mut(&mut self, id: PipelineId) -> Option<&mut LiveRun> {
        self.runs.get_mut(&id)
    }

    pub(super) fn put_run(&mut self, run: LiveRun) {
        self.runs.insert(run.run.id, run);
    }

    pub(super) fn forget_run(&mut self, id: PipelineId) {
        self.runs.remove(&id);
    }

    pub(super) fn slot(&self, slot: &Slot) -> Option<&SlotUse> {
        self.slots.get(slot)
    }

    /// Takes a task in, with the place it holds or is about to take.
    pub(super) fn put_task(&mut self, task: Task) {
        let id = task.id();
        self.tasks.insert(id, task);
        self.index(id);
    }

    /// Takes a task in whose place another has taken already; its status is to follow.
    pub(super) fn put_displaced(&mut self, task: Task) {
        self.tasks.insert(task.id(), task);
    }

    pub(super) fn forget_task(&mut self, id: TaskId) {
        let Some(task) = self.tasks.remove(&id) else {
            return;
        };
        let slot = task.slot();
        if let Some(usage) = self.slots.get_mut(&slot) {
            usage.claims.retain(|claim| *claim != id);
            usage.holder = usage.holder.filter(|holder| *holder != id);
            self.drop_unused(&slot);
        }
    }

    /// Brings the places up to date with a task's status.
    pub(super) fn index(&mut self, id: TaskId) -> Reindexed {
        let mut result = Reindexed::default();
        let Some(task) = self.tasks.get(&id) else {
            return result;
        };
        let (slot, holds, claims) = (task.slot(), task.status.holds, claims_its_place(task));
        let usage = self.slots.entry(slot.clone()).or_default();
        if holds && usage.holder != Some(id) {
            result.displaced = usage.holder.replace(id);
        } else if !holds && usage.holder == Some(id) {
            usage.holder = None;
        }
        let position = usage.claims.iter().position(|claim| *claim == id);
        match (claims, position) {
            (true, None) => usage.claims.push_back(id),
            (false, Some(position)) => {
                usage.claims.remove(position);
                result.next = usage.claims.front().copied();
            }
            _ => {}
        }
        self.drop_unused(&slot);
        result
    }

    /// Whether it is this task's turn to take its place.
    pub(super) fn is_first_claim(&self, task: &Task) -> bool {
        self.slots
            .get(&task.slot())
            .and_then(|usage| usage.claims.front())
            == Some(&task.id())
    }

    /// The task an observation speaks of: the one written on the object, else the one that holds its place.
    pub(super) fn observed_task(&self, observed: &Observed) -> Option<TaskId> {
        let written = observed.task.filter(|id| self.tasks.contains_key(id));
        written.or_else(|| {
            let object = &observed.object;
            let slot = object.slot();
            self.slots.get(&slot)?.holder
        })
    }

    fn drop_unused(&mut self, slot: &Slot) {
        if self
            .slots
            .get(slot)
            .is_some_and(|usage| usage.holder.is_none() && usage.claims.is_empty())
        {
            self.slots.remove(slot);
        }
    }
}

/// Whether a task is about to take its place.
fn claims_its_place(task: &Task) -> bool {
    matches!(
        task.status.intent,
        Some(Intent::Build | Intent::Apply | Intent::Replace { .. })
    )
}

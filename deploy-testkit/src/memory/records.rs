//! What is recorded, as one value: changes are applied to it, and everything else is read off it. No failures, no log;
//! those are the store's ([`super::MemoryStore`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use deploy_core::names::{PipelineId, TaskId, WorkId};
use deploy_core::pipeline::{Run, RunEvent};
use deploy_core::ports::{Change, OpenRun, Recovery};
use deploy_core::task::Task;
use deploy_core::work::{Work, WorkProgress};
use deploy_core::workload::Slot;

/// Everything that is recorded. Rows are shared, so that a clone costs little.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Records {
    tasks: BTreeMap<TaskId, Arc<Row>>,
    runs: BTreeMap<PipelineId, Arc<Run>>,
    events: BTreeMap<PipelineId, Arc<Vec<RunEvent>>>,
    works: BTreeMap<WorkId, Arc<Work>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    task: Task,
    live: bool,
}

impl Records {
    /// One task.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id).map(|row| &row.task)
    }

    /// All tasks, in the order of their ids.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values().map(|row| &row.task)
    }

    /// The task that holds a place.
    #[must_use]
    pub fn holder(&self, slot: &Slot) -> Option<&Task> {
        self.tasks()
            .find(|task| task.status.holds && task.slot() == *slot)
    }

    /// One run.
    #[must_use]
    pub fn run(&self, id: PipelineId) -> Option<&Run> {
        self.runs.get(&id).map(AsRef::as_ref)
    }

    /// All runs, in the order of their ids.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.runs.values().map(AsRef::as_ref)
    }

    /// The steps of a run, in the order of their index.
    #[must_use]
    pub fn steps(&self, id: PipelineId) -> Vec<&Task> {
        let mut steps: Vec<&Task> = self.tasks().filter(|task| task.run() == Some(id)).collect();
        steps.sort_by_key(|task| task.step.as_ref().map(|step| step.index));
        steps
    }

    /// The events of a run, in their order.
    #[must_use]
    pub fn events(&self, id: PipelineId) -> &[RunEvent] {
        self.events.get(&id).map_or(&[], |events| events.as_slice())
    }

    /// One work.
    #[must_use]
    pub fn work(&self, id: WorkId) -> Option<&Work> {
        self.works.get(&id).map(AsRef::as_ref)
    }

    /// What an engine finds that takes the lead now.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        let open = |run: &Run| !run.status.state.is_final();
        let of_open_run = |task: &Task| task.run().and_then(|id| self.run(id)).is_some_and(open);
        Recovery {
            tasks: self
                .tasks
                .values()
                .filter(|row| row.live && !of_open_run(&row.task))
                .map(|row| row.task.clone())
                .collect(),
            runs: self
                .runs()
                .filter(|run| open(run))
                .map(|run| OpenRun {
                    run: run.clone(),
                    steps: self.steps(run.id).into_iter().cloned().collect(),
                    events: self.events(run.id).to_vec(),
                })
                .collect(),
            works: self
                .works
                .values()
                .filter(|work| matches!(work.progress, WorkProgress::Loading))
                .map(|work| work.as_ref().clone())
                .collect(),
        }
    }

    /// All of `changes`, as a new value; or why that cannot be.
    pub(super) fn with(&self, changes: &[Change]) -> Result<Self, String> {
        let mut next = self.clone();
        for change in changes {
            next.apply(change)?;
        }
        next.check_places(changes)?;
        Ok(next)
    }

    fn apply(&mut self, change: &Change) -> Result<(), String> {
        match change {
            Change::PutTask(task) => {
                self.tasks.entry(task.id()).or_insert_with(|| {
                    Arc::new(Row {
                        live: task.is_live(),
                        task: task.as_ref().clone(),
                    })
                });
            }
            Change::SetStatus { task, status, live } => {
                if let Some(row) = self.tasks.get_mut(task) {
                    let row = Arc::make_mut(row);
                    row.task.status = status.as_ref().clone();
                    row.live = *live;
                }
            }
            Change::RemoveTasks(slot) => self.remove_tasks(slot),
            Change::PutRun(run) => {
                self.runs
                    .entry(run.id)
                    .or_insert_with(|| Arc::new(run.as_ref().clone()));
            }
            Change::SetRun { run, status } => {
                let known = self.runs.get_mut(run).ok_or("there is no such run")?;
                Arc::make_mut(known).status = status.clone();
            }
            Change::AppendEvent { run, seq, event } => self.append_event(*run, *seq, *event)?,
            Change::PutWork(work) => {
                self.works.insert(work.id, Arc::new(work.as_ref().clone()));
            }
            Change::RemoveWorksBefore(time) => self.works.retain(|_, work| work.created_at >= *time),
        }
        Ok(())
    }

    fn remove_tasks(&mut self, slot: &Slot) {
        self.tasks
            .retain(|_, row| row.task.run().is_some() || row.task.slot() != *slot);
        for row in self.tasks.values_mut() {
            if row.task.status.holds && row.task.slot() == *slot {
                let row = Arc::make_mut(row);
                row.task.status.holds = false;
                row.live = row.task.is_live();
            }
        }
    }

    fn append_event(&mut self, run: PipelineId, seq: u64, event: RunEvent) -> Result<(), String> {
        if !self.runs.contains_key(&run) {
            return Err("there is no such run".to_owned());
        }
        let events = Arc::make_mut(self.events.entry(run).or_default());
        let place = usize::try_from(seq).map_err(|error| error.to_string())?;
        match events.get(place) {
            Some(known) if *known == event => {}
            Some(_) => return Err("another event has that place in the run".to_owned()),
            None if place == events.len() => events.push(event),
            None => return Err("the event before it is missing".to_owned()),
        }
        Ok(())
    }

    /// At most one task holds a place, for the places that `changes` have to do with.
    fn check_places(&self, changes: &[Change]) -> Result<(), String> {
        for change in changes {
            let id = match change {
                Change::PutTask(task) if task.status.holds => task.id(),
                Change::SetStatus { task, status, .. } if status.holds => *task,
                _ => continue,
            };
            let Some(holder) = self.task(id).filter(|task| task.status.holds) else {
                continue;
            };
            let slot = holder.slot();
            let also_holds = |task: &Task| task.id() != id && task.status.holds && task.slot() == slot;
            if self.tasks().any(also_holds) {
                return Err(format!(
                    "{} {}/{} would be held by two tasks",
                    slot.kind.as_str(),
                    slot.namespace,
                    slot.name
                ));
            }
        }
        Ok(())
    }
}

//! What is recorded, as one value: changes are applied to it, and everything else is read off it. No failures, no log;
//! those are the store's ([`super::MemoryStore`]).

use std::collections::{BTreeMap, BTreeSet};
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
    /// The tasks that hold each place, so that a commit looks at the places it changes and at no others. More than one
    /// only within a commit.
    holders: BTreeMap<Slot, BTreeSet<TaskId>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    task: Task,
    live: bool,
}

/// What a change replaced; `None` = there was nothing.
enum Before {
    Task(TaskId, Option<Arc<Row>>),
    Run(PipelineId, Option<Arc<Run>>),
    /// How many events the run had. A count, because a second hold on the list would have it copied at each event.
    Events(PipelineId, usize),
    Work(WorkId, Option<Arc<Work>>),
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
        self.task(*self.holders.get(slot)?.first()?)
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

    /// Records all of `changes`, or none of them and says why. It costs what the changes cost, however much is recorded
    /// already: a long run is as cheap by the step as a short one.
    pub(super) fn record(&mut self, changes: &[Change]) -> Result<(), String> {
        let mut before = Vec::new();
        let recorded = changes
            .iter()
            .try_for_each(|change| self.apply(change, &mut before))
            .and_then(|()| self.check_places(changes));
        if recorded.is_err() {
            // The last one first, so that what was changed twice ends as it began.
            for before in before.into_iter().rev() {
                self.take_back(before);
            }
        }
        recorded
    }

    fn apply(&mut self, change: &Change, before: &mut Vec<Before>) -> Result<(), String> {
        match change {
            Change::PutTask(task) if self.tasks.contains_key(&task.id()) => {}
            Change::PutTask(task) => {
                let (task, live) = (task.as_ref().clone(), task.is_live());
                before.push(self.put_task(task.id(), Some(Arc::new(Row { task, live }))));
            }
            Change::SetStatus { task, status, live } => {
                if let Some(row) = self.tasks.get(task) {
                    let mut row = row.as_ref().clone();
                    row.task.status = status.as_ref().clone();
                    row.live = *live;
                    before.push(self.put_task(*task, Some(Arc::new(row))));
                }
            }
            Change::RemoveTasks(slot) => self.remove_tasks(slot, before),
            Change::PutRun(run) if self.runs.contains_key(&run.id) => {}
            Change::PutRun(run) => {
                let known = self.runs.insert(run.id, Arc::new(run.as_ref().clone()));
                before.push(Before::Run(run.id, known));
            }
            Change::SetRun { run, status } => {
                let known = self.runs.get_mut(run).ok_or("there is no such run")?;
                before.push(Before::Run(*run, Some(Arc::clone(known))));
                Arc::make_mut(known).status = status.clone();
            }
            Change::AppendEvent { run, seq, event } => before.extend(self.append_event(*run, *seq, *event)?),
            Change::PutWork(work) => {
                let known = self.works.insert(work.id, Arc::new(work.as_ref().clone()));
                before.push(Before::Work(work.id, known));
            }
            Change::RemoveWorksBefore(time) => {
                let old = self.works.extract_if(.., |_, work| work.created_at < *time);
                before.extend(old.map(|(id, work)| Before::Work(id, Some(work))));
            }
        }
        Ok(())
    }

    fn take_back(&mut self, before: Before) {
        match before {
            Before::Task(id, row) => {
                self.put_task(id, row);
            }
            Before::Run(id, run) => put(&mut self.runs, id, run),
            Before::Events(id, count) => {
                if count == 0 {
                    self.events.remove(&id);
                } else if let Some(events) = self.events.get_mut(&id) {
                    Arc::make_mut(events).truncate(count);
                }
            }
            Before::Work(id, work) => put(&mut self.works, id, work),
        }
    }

    /// Puts a row in its place, or none, and keeps `holders` true.
    fn put_task(&mut self, id: TaskId, row: Option<Arc<Row>>) -> Before {
        let held = row.as_ref().and_then(|row| row.held());
        if let Some(slot) = &held {
            self.holders.entry(slot.clone()).or_default().insert(id);
        }
        let before = match row {
            Some(row) => self.tasks.insert(id, row),
            None => self.tasks.remove(&id),
        };
        if let Some(slot) = before.as_ref().and_then(|row| row.held())
            && held.as_ref() != Some(&slot)
            && let Some(holders) = self.holders.get_mut(&slot)
        {
            holders.remove(&id);
            if holders.is_empty() {
                self.holders.remove(&slot);
            }
        }
        Before::Task(id, before)
    }

    fn remove_tasks(&mut self, slot: &Slot, before: &mut Vec<Before>) {
        let of_slot = |row: &&Arc<Row>| row.task.slot() == *slot;
        let rows: Vec<Arc<Row>> = self.tasks.values().filter(of_slot).cloned().collect();
        for row in rows {
            let id = row.task.id();
            if row.task.run().is_none() {
                before.push(self.put_task(id, None));
            } else if row.task.status.holds {
                let mut task = row.task.clone();
                task.status.holds = false;
                let live = task.is_live();
                before.push(self.put_task(id, Some(Arc::new(Row { task, live }))));
            }
        }
    }

    fn append_event(&mut self, run: PipelineId, seq: u64, event: RunEvent) -> Result<Option<Before>, String> {
        if !self.runs.contains_key(&run) {
            return Err("there is no such run".to_owned());
        }
        let place = usize::try_from(seq).map_err(|error| error.to_string())?;
        let count = self.events(run).len();
        match self.events(run).get(place) {
            Some(known) if *known == event => Ok(None),
            Some(_) => Err("another event has that place in the run".to_owned()),
            None if place == count => {
                Arc::make_mut(self.events.entry(run).or_default()).push(event);
                Ok(Some(Before::Events(run, count)))
            }
            None => Err("the event before it is missing".to_owned()),
        }
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
            if self.holders.get(&slot).is_some_and(|holders| holders.len() > 1) {
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

impl Row {
    /// The place that the task holds, if it holds one.
    fn held(&self) -> Option<Slot> {
        self.task.status.holds.then(|| self.task.slot())
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

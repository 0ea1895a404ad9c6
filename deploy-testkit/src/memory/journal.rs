//! The journal and the records in memory: what [`Records`] holds, behind the ports, with what can go wrong on the way.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use deploy_core::names::{Namespace, PipelineId, TaskId, WorkId};
use deploy_core::pipeline::Run;
use deploy_core::ports::{
    Change, Generation, Journal, JournalError, Page, RecordsError, Recovery, Runs, TaskCursor, Tasks, Works,
};
use deploy_core::task::Task;
use deploy_core::work::Work;
use deploy_core::workload::{Kind, Slot, Timestamp};
use tokio::sync::Notify;

use super::Records;

/// Everything that is recorded, in memory. Clones share it, as processes share a database.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is recorded.
    Recorded,
    /// It is not recorded, and the caller is told so.
    Refused,
    /// It is recorded, and the caller is told that it is not.
    AnswerLost,
    /// The process dies before it: it is not recorded and never answered, nor is any later one of the same generation.
    DiesBefore,
    /// The process dies after it: it is recorded and never answered, and any later one of the same generation is
    /// neither.
    DiesAfter,
}

/// One call, as it was made.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// [`Journal::lead`]
    Lead,
    /// [`Journal::commit`]
    Commit {
        /// What was to be recorded.
        changes: Vec<Change>,
        /// Whether it was.
        recorded: bool,
    },
    /// [`Journal::recover`]
    Recover,
    /// A read: the port and the method, as in `tasks.get`.
    Read(&'static str),
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Rings after every commit.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    records: Records,
    generation: i64,
    script: VecDeque<Fate>,
    down: bool,
    dead: Option<Generation>,
    calls: Vec<Call>,
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What becomes of the next commits, one each; those after them are recorded.
    pub fn script(&self, fates: impl IntoIterator<Item = Fate>) {
        self.lock().script = fates.into_iter().collect();
    }

    /// From now on nothing can be read or recorded.
    pub fn break_down(&self) {
        self.lock().down = true;
    }

    /// Everything works again.
    pub fn mend(&self) {
        self.lock().down = false;
    }

    /// Every call so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// How many calls there were so far, and how many of them were commits: as [`MemoryStore::calls`] would say, for
    /// whoever asks after each of thousands of requests.
    #[must_use]
    pub fn count_calls(&self) -> (usize, usize) {
        let state = self.lock();
        let commits = state
            .calls
            .iter()
            .filter(|call| matches!(call, Call::Commit { .. }));
        (state.calls.len(), commits.count())
    }

    /// What is recorded now.
    #[must_use]
    pub fn records(&self) -> Records {
        self.lock().records.clone()
    }

    /// Waits until `look` finds in the records what it looks for. It looks now and after every commit.
    pub async fn until<T>(&self, mut look: impl FnMut(&Records) -> Option<T>) -> T {
        self.look(|state| look(&state.records)).await
    }

    /// Waits until a commit of the generation that leads meets [`Fate::DiesBefore`] or [`Fate::DiesAfter`], so that the
    /// test can drop the engine that died there.
    pub async fn until_dead(&self) {
        self.look(|state| state.dead.filter(|dead| dead.0 == state.generation))
            .await;
    }

    async fn look<T>(&self, mut find: impl FnMut(&State) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.shared.changed.notified());
            // Listen first, then look: no commit falls between the two.
            changed.as_mut().enable();
            if let Some(found) = find(&self.lock()) {
                return found;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, call: &'static str, read: impl FnOnce(&Records) -> T) -> Result<T, RecordsError> {
        let mut state = self.lock();
        state.calls.push(Call::Read(call));
        if state.down {
            Err(RecordsError::Unavailable("the store is down".into()))
        } else {
            Ok(read(&state.records))
        }
    }
}

impl State {
    /// The answer to a commit; `None` = there is none, ever.
    fn commit(&mut self, changes: &[Change], generation: Generation) -> Option<Result<(), JournalError>> {
        let unavailable = |reason: String| Some(Err(JournalError::Unavailable(reason.into())));
        if self.dead.is_some_and(|dead| generation <= dead) {
            return None;
        }
        if self.down {
            return unavailable("the store is down".to_owned());
        }
        if generation.0 != self.generation {
            return Some(Err(JournalError::Superseded));
        }
        let fate = self.script.pop_front().unwrap_or(Fate::Recorded);
        if matches!(fate, Fate::Recorded | Fate::AnswerLost | Fate::DiesAfter) {
            if let Err(reason) = self.records.record(changes) {
                return unavailable(reason);
            }
            if let Some(Call::Commit { recorded, .. }) = self.calls.last_mut() {
                *recorded = true;
            }
        }
        match fate {
            Fate::Recorded => Some(Ok(())),
            Fate::Refused => unavailable("the commit was refused".to_owned()),
            Fate::AnswerLost => unavailable("the answer was lost".to_owned()),
            Fate::DiesBefore | Fate::DiesAfter => {
                self.dead = Some(generation);
                None
            }
        }
    }
}

#[async_trait]
impl Journal for MemoryStore {
    async fn lead(&self) -> Result<Generation, JournalError> {
        let mut state = self.lock();
        state.calls.push(Call::Lead);
        if state.down {
            return Err(JournalError::Unavailable("the store is down".into()));
        }
        state.generation += 1;
        Ok(Generation(state.generation))
    }

    async fn commit(&self, changes: &[Change], generation: Generation) -> Result<(), JournalError> {
        let answer = {
            let mut state = self.lock();
            state.calls.push(Call::Commit {
                changes: changes.to_vec(),
                recorded: false,
            });
            state.commit(changes, generation)
        };
        self.shared.changed.notify_waiters();
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    async fn recover(&self) -> Result<Recovery, JournalError> {
        let mut state = self.lock();
        state.calls.push(Call::Recover);
        if state.down {
            Err(JournalError::Unavailable("the store is down".into()))
        } else {
            Ok(state.records.recovery())
        }
    }
}

#[async_trait]
impl Tasks for MemoryStore {
    async fn get(&self, id: TaskId) -> Result<Option<Task>, RecordsError> {
        self.read("tasks.get", |records| records.task(id).cloned())
    }

    async fn holder(&self, slot: &Slot) -> Result<Option<Task>, RecordsError> {
        self.read("tasks.holder", |records| records.holder(slot).cloned())
    }

    async fn is_recorded(&self, slot: &Slot) -> Result<bool, RecordsError> {
        self.read("tasks.is_recorded", |records| {
            records
                .tasks()
                .any(|task| task.run().is_none() && task.slot() == *slot)
        })
    }

    async fn page<'a>(
        &self,
        namespace: Option<&'a Namespace>,
        after: Option<&'a TaskCursor>,
        limit: usize,
    ) -> Result<Page<Task>, RecordsError> {
        self.read("tasks.page", |records| {
            let cursor = |task: &Task| TaskCursor {
                kind: task.kind(),
                namespace: task.workload.namespace.clone(),
                name: task.workload.name.to_string(),
            };
            let mut found: Vec<&Task> = records
                .tasks()
                .filter(|task| task.status.holds)
                .filter(|task| namespace.is_none_or(|namespace| task.workload.namespace == *namespace))
                .filter(|task| after.is_none_or(|after| cursor(task) > *after))
                .collect();
            found.sort_by_key(|task| cursor(task));
            page(found.into_iter(), limit)
        })
    }

    async fn finished_jobs(&self, before: Timestamp, limit: usize) -> Result<Vec<Task>, RecordsError> {
        self.read("tasks.finished_jobs", |records| {
            let ended = |task: &Task| task.status.finished_at.filter(|time| *time < before);
            let mut found: Vec<&Task> = records
                .tasks()
                .filter(|task| task.kind() == Kind::Job && task.status.holds && ended(task).is_some())
                .collect();
            found.sort_by_key(|task| (ended(task), task.id()));
            found.into_iter().take(limit).cloned().collect()
        })
    }
}

#[async_trait]
impl Runs for MemoryStore {
    async fn get(&self, id: PipelineId) -> Result<Option<Run>, RecordsError> {
        self.read("runs.get", |records| records.run(id).cloned())
    }

    async fn steps(&self, id: PipelineId) -> Result<Vec<Task>, RecordsError> {
        self.read("runs.steps", |records| {
            records.steps(id).into_iter().cloned().collect()
        })
    }

    async fn page<'a>(
        &self,
        namespace: Option<&'a Namespace>,
        after: Option<PipelineId>,
        limit: usize,
    ) -> Result<Page<Run>, RecordsError> {
        self.read("runs.page", |records| {
            let found = records
                .runs()
                .rev()
                .filter(|run| namespace.is_none_or(|namespace| run.namespace == *namespace))
                .filter(|run| after.is_none_or(|after| run.id < after));
            page(found, limit)
        })
    }
}

#[async_trait]
impl Works for MemoryStore {
    async fn get(&self, id: WorkId) -> Result<Option<Work>, RecordsError> {
        self.read("works.get", |records| records.work(id).cloned())
    }
}

fn page<'a, T: Clone + 'a>(mut found: impl Iterator<Item = &'a T>, limit: usize) -> Page<T> {
    let items = found.by_ref().take(limit).cloned().collect();
    Page {
        items,
        more: found.next().is_some(),
    }
}

#[cfg(test)]
mod tests;

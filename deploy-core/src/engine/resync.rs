//! What the loop does by itself: resumes after a start, compares store and cluster, clears out what has outlived its
//! keep.

use std::time::Duration;

use chrono::TimeDelta;
use futures::stream::{self, StreamExt};

use crate::names::TaskId;
use crate::pipeline::RunEvent;
use crate::pipeline::graph::{Graph, GraphError, Node};
use crate::pipeline::run::Progress;
use crate::ports::{Cluster, ClusterError, Freshness, OpenRun, Recovery};
use crate::task::Task;
use crate::task::lifecycle::Event;
use crate::usecase::load_configuration;
use crate::work::Work;
use crate::workload::{ObjectRef, Observed, Reason, ReasonCode, Uid};

use super::Desk;
use super::board::LiveRun;
use super::inputs::{Input, IntentKind};

/// How many objects are looked at side by side.
const LOOKS_AT_ONCE: usize = 16;
/// How many finished jobs are cleared out in one go.
const CLEARED_AT_ONCE: usize = 500;
/// How long a work is kept.
const WORKS_KEPT: TimeDelta = TimeDelta::hours(24);

impl Desk {
    /// Takes up everything that was recorded: effects are carried out again, the cluster is looked at.
    pub(super) fn resume(&mut self, recovery: Recovery) {
        let Recovery { tasks, runs, works } = recovery;
        tracing::info!(
            tasks = tasks.len(),
            runs = runs.len(),
            works = works.len(),
            "resuming"
        );
        self.take_up(tasks, runs);
        for work in works {
            self.load(work);
        }
        self.look_at_everything();
        self.work.push(Box::pin(async { Input::JanitorDue }));
    }

    /// Reads the record again where a commit may or may not have been recorded, and goes on from what it says. What was
    /// refused and is there all the same is taken back. Answers whether the record is known now.
    pub(super) async fn clear_up(&mut self) -> bool {
        if self.unclear.is_none() {
            return true;
        }
        let recovery = match self.ports.journal.recover().await {
            Ok(recovery) => recovery,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "what was recorded cannot be read");
                return false;
            }
        };
        let before = std::mem::take(&mut self.board);
        self.take_up(recovery.tasks, recovery.runs);
        // What is under way for a task that has ended is still to be told.
        for task in before.tasks() {
            if self.is_in_flight(task.id()) && self.board.task(task.id()).is_none() {
                self.board.put_task(task.clone());
            }
        }
        let refused = self.unclear.take().unwrap_or_default();
        for task in refused.tasks.iter().copied() {
            let message = "the database did not say whether this was recorded; nothing was done";
            let reason = Reason::new(ReasonCode::Interrupted, message);
            self.feed(task, Event::Refused(reason));
        }
        for task in refused.deletes.iter().copied() {
            // Somebody whose delete was recorded may wait for the same task.
            let is_wanted = self
                .waiting
                .get(&task)
                .is_some_and(|waiters| waiters.iter().any(|waiter| waiter.waits_for(IntentKind::Delete)));
            if is_wanted {
                self.batch.wake(task);
            } else {
                self.feed(task, Event::DeleteAbandoned);
            }
        }
        for run in refused.runs.iter().copied() {
            for (step, event) in self.happened(run, RunEvent::Kill { cleanup: false }) {
                self.feed(step, event);
            }
        }
        self.batch.revoke(refused);
        true
    }

    /// Takes up what is live; what was refused is not begun.
    fn take_up(&mut self, tasks: Vec<Task>, runs: Vec<OpenRun>) {
        let refused = |task: &Task| {
            self.unclear.as_ref().is_some_and(|refused| {
                refused.tasks.contains(&task.id())
                    || refused.deletes.contains(&task.id())
                    || task.run().is_some_and(|run| refused.runs.contains(&run))
            })
        };
        let mut all = Vec::new();
        for OpenRun { run, steps, events } in runs {
            let id = run.id;
            match graph_of(&steps) {
                Ok(graph) => {
                    let progress = Progress::replay(graph, &events);
                    let ids = steps.iter().map(Task::id).collect();
                    let stored = events.len();
                    self.board.put_run(LiveRun {
                        run,
                        progress,
                        events,
                        stored,
                        steps: ids,
                    });
                    all.extend(steps);
                }
                // Written by us and read back otherwise: nothing sound can be done with it but to say so.
                Err(error) => tracing::error!(%id, %error, "a stored run has no graph; it is left as it is"),
            }
        }
        all.extend(tasks);
        // In the order in which they were accepted, so that those that want the same place take turns as before.
        all.sort_by_key(Task::id);
        let beginning = all.iter().filter(|task| task.is_live() && !refused(task));
        let ids: Vec<TaskId> = beginning.map(Task::id).collect();
        for task in all.into_iter().filter(Task::is_live) {
            self.board.put_task(task);
        }
        for id in ids {
            self.launch(id);
            self.time_rollout(id);
        }
    }

    /// Looks at every object that is held, and plans the next time.
    pub(super) fn look_at_everything(&mut self) {
        let held: Vec<(TaskId, ObjectRef, Uid)> = self
            .board
            .tasks()
            .filter(|task| task.status.holds)
            .filter_map(|task| Some((task.id(), task.object(), task.status.uid.clone()?)))
            .collect();
        let cluster = self.ports.cluster.clone();
        self.work.push(Box::pin(async move {
            let looks = stream::iter(held).map(|(id, object, uid)| {
                let cluster = cluster.clone();
                async move {
                    match look_at(&*cluster, &object, &uid).await {
                        Ok(observed) => Some((id, uid, observed)),
                        Err(error) => {
                            tracing::debug!(%object, %error, "an object cannot be looked at");
                            None
                        }
                    }
                }
            });
            let seen = looks
                .buffer_unordered(LOOKS_AT_ONCE)
                .filter_map(std::future::ready)
                .collect()
                .await;
            Input::Looked(seen)
        }));
        // The wall clock's milliseconds spread the resyncs of several installations; nothing depends on them.
        let jitter = Duration::from_millis(u64::from(self.ports.clock.now().timestamp_subsec_millis()) * 5);
        let (clock, pause) = (self.ports.clock.clone(), self.settings.resync + jitter);
        self.work.push(Box::pin(async move {
            clock.sleep(pause).await;
            Input::ResyncDue
        }));
    }

    /// Looks at one object after a write to it: what happened to it before the write's answer was here was not acted on.
    pub(super) fn look_again(&mut self, id: TaskId) {
        let Some(task) = self.board.task(id) else { return };
        let Some(uid) = task.status.uid.clone() else {
            return;
        };
        let (cluster, object) = (self.ports.cluster.clone(), task.object());
        self.work.push(Box::pin(async move {
            // Nothing seen is nothing told here: a cache may be behind the write. The resync finds what is lost.
            let seen = cluster.observe(&object, Freshness::Cached).await.ok().flatten();
            Input::Looked(
                seen.map(|observed| (id, uid, Some(observed)))
                    .into_iter()
                    .collect(),
            )
        }));
    }

    /// Removes the objects of jobs that finished long ago, and works nobody reads any more; plans the next time.
    pub(super) async fn clear_out(&mut self) {
        let now = self.ports.clock.now();
        self.batch.remove_works_before(now - WORKS_KEPT);
        let retention = TimeDelta::from_std(self.settings.job_retention).unwrap_or(TimeDelta::MAX);
        let before = now.checked_sub_signed(retention).unwrap_or_default();
        let mut pause = self.settings.janitor;
        match self.ports.tasks.finished_jobs(before, CLEARED_AT_ONCE).await {
            Ok(finished) => {
                if finished.len() == CLEARED_AT_ONCE {
                    pause = Duration::from_secs(1);
                }
                for task in finished {
                    let id = task.id();
                    if self.board.task(id).is_none() {
                        self.board.put_task(task);
                    }
                    self.feed(id, Event::Expire);
                }
            }
            Err(error) => tracing::warn!(%error, "finished jobs cannot be listed"),
        }
        let clock = self.ports.clock.clone();
        self.work.push(Box::pin(async move {
            clock.sleep(pause).await;
            Input::JanitorDue
        }));
    }

    /// Loads a document beside the loop.
    pub(super) fn load(&mut self, work: Work) {
        let ports = self.ports.clone();
        self.work.push(Box::pin(async move {
            let progress = load_configuration::load(&ports, &work).await;
            Input::Loaded(Box::new(Work { progress, ..work }))
        }));
    }
}

/// One look at an incarnation, from what was seen last; that it is gone is confirmed by asking. Another one under its name
/// is not it: somebody has deleted it and made it anew.
async fn look_at(
    cluster: &dyn Cluster,
    object: &ObjectRef,
    uid: &Uid,
) -> Result<Option<Observed>, ClusterError> {
    let is_it = |observed: &Observed| observed.uid == *uid;
    match cluster.observe(object, Freshness::Cached).await?.filter(is_it) {
        Some(observed) => Ok(Some(observed)),
        None => Ok(cluster.observe(object, Freshness::Confirmed).await?.filter(is_it)),
    }
}

/// The graph that a run's steps were recorded with.
fn graph_of(steps: &[Task]) -> Result<Graph, GraphError> {
    let nodes = steps
        .iter()
        .filter_map(|task| task.step.as_ref())
        .map(|step| Node {
            dependances: step.dependance.clone(),
            run_if_error: step.run_if_error,
        });
    Graph::new(nodes.collect())
}

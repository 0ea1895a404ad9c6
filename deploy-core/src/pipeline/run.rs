//! The state machine of a run: decides *when* steps start and stop, and nothing else. Pure: no clock, no io.
//!
//! A run is a function of its graph and the stored order of its events, so [`Progress::replay`] gives what the run
//! was. The eight rules are in docs/pipeline.md; this file is where they are decided.

use super::graph::Graph;
use super::{RunEvent, RunState, StepCounts, StepEnd, StepState};

/// What follows from an event, to be recorded with it and then carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The step's task is to be started.
    Start(u32),
    /// The step's task is to be stopped; the step runs until its end is reported.
    Stop(u32),
    /// The step never runs: another failed.
    Skip(u32),
    /// The step never runs: the run is killed.
    Cancel(u32),
    /// The run has ended.
    End(RunState),
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    graph: Graph,
    steps: Vec<StepState>,
    /// For each step, how many of its dependances are not finished.
    blocked_by: Vec<usize>,
    /// Running steps that were told to stop.
    stopping: Vec<bool>,
    in_error: bool,
    kill: Option<Kill>,
    counts: StepCounts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    Plain,
    WithCleanup,
}

impl Progress {
    /// Begins a run: its first steps start.
    #[must_use]
    pub fn begin(graph: Graph) -> (Self, Vec<Decision>) {
        let nodes = || 0..u32::try_from(graph.len()).unwrap_or(u32::MAX);
        let blocked_by = nodes().map(|node| graph.dependances(node).len()).collect();
        let mut progress = Self {
            steps: vec![StepState::Waiting; graph.len()],
            blocked_by,
            stopping: vec![false; graph.len()],
            in_error: false,
            kill: None,
            counts: StepCounts {
                waiting: nodes().end,
                ..StepCounts::default()
            },
            graph,
        };
        let mut decisions = Vec::new();
        for step in 0..progress.counts.waiting {
            progress.start_if_ready(step, &mut decisions);
        }
        (progress, decisions)
    }

    /// A run as it stands after these events, in their stored order.
    #[must_use]
    pub fn replay(graph: Graph, events: &[RunEvent]) -> Self {
        let (mut progress, _) = Self::begin(graph);
        for event in events {
            progress.apply(*event);
        }
        progress
    }

    /// Whether an event changes anything. One that does not (a duplicate, or too late) is not stored.
    #[must_use]
    pub fn accepts(&self, event: RunEvent) -> bool {
        match event {
            RunEvent::StepEnded { step, .. } => self.step(step) == Some(StepState::Running),
            RunEvent::Kill { cleanup } => {
                !self.state().is_final()
                    && (self.kill.is_none() || (self.kill == Some(Kill::WithCleanup) && !cleanup))
            }
        }
    }

    /// Takes an event in and tells what follows. An event that is not accepted changes nothing.
    pub fn apply(&mut self, event: RunEvent) -> Vec<Decision> {
        let mut decisions = Vec::new();
        if !self.accepts(event) {
            return decisions;
        }
        match event {
            RunEvent::StepEnded { step, end } => {
                let failed_first = end == StepEnd::Failed && !self.in_error;
                self.in_error |= end == StepEnd::Failed;
                let state = match end {
                    StepEnd::Succeeded => StepState::Succeeded,
                    StepEnd::Failed => StepState::Failed,
                    StepEnd::Killed => StepState::Killed,
                };
                self.finish(step, state, &mut decisions);
                if failed_first {
                    self.end_waiting(StepState::Skipped, |runs_if_error| !runs_if_error, &mut decisions);
                }
            }
            RunEvent::Kill { cleanup } => {
                self.kill = Some(if cleanup { Kill::WithCleanup } else { Kill::Plain });
                for (step, stopping) in (0..).zip(&mut self.stopping) {
                    if self.steps.get(step as usize) == Some(&StepState::Running) && !*stopping {
                        *stopping = true;
                        decisions.push(Decision::Stop(step));
                    }
                }
                self.end_waiting(
                    StepState::Killed,
                    |runs_if_error| !(cleanup && runs_if_error),
                    &mut decisions,
                );
            }
        }
        if self.state().is_final() {
            decisions.push(Decision::End(self.state()));
        }
        decisions
    }

    /// The run's state.
    #[must_use]
    pub fn state(&self) -> RunState {
        let finished = self.counts.waiting == 0 && self.counts.running == 0;
        match (finished, self.kill.is_some(), self.in_error) {
            (true, true, _) => RunState::Killed,
            (true, false, true) => RunState::Failed,
            (true, false, false) => RunState::Succeeded,
            (false, true, _) => RunState::Killing,
            (false, false, _) => RunState::Running,
        }
    }

    /// Whether a step has failed.
    #[must_use]
    pub const fn in_error(&self) -> bool {
        self.in_error
    }

    /// A step's state; `None` where there is no such step.
    #[must_use]
    pub fn step(&self, step: u32) -> Option<StepState> {
        self.steps.get(step as usize).copied()
    }

    /// The state of every step.
    #[must_use]
    pub fn steps(&self) -> &[StepState] {
        &self.steps
    }

    /// The graph it follows.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// How many steps stand how.
    #[must_use]
    pub const fn counts(&self) -> StepCounts {
        self.counts
    }

    /// Ends, as `state`, every waiting step whose run-if-error is `matching`.
    fn end_waiting(
        &mut self,
        state: StepState,
        matching: impl Fn(bool) -> bool,
        decisions: &mut Vec<Decision>,
    ) {
        for step in (0..).take(self.steps.len()) {
            if self.step(step) == Some(StepState::Waiting) && matching(self.graph.runs_if_error(step)) {
                decisions.push(if state == StepState::Skipped {
                    Decision::Skip(step)
                } else {
                    Decision::Cancel(step)
                });
                self.finish(step, state, decisions);
            }
        }
    }

    /// Finishes one step and starts what waited for nothing else. Dependants that may not start any more are ended by
    /// [`Self::end_waiting`] when that came to be, so this never cascades.
    fn finish(&mut self, step: u32, state: StepState, decisions: &mut Vec<Decision>) {
        self.set(step, state);
        let dependants = self.graph.dependants(step).to_vec();
        for dependant in dependants {
            if let Some(blocked_by) = self.blocked_by.get_mut(dependant as usize) {
                *blocked_by -= 1;
            }
            self.start_if_ready(dependant, decisions);
        }
    }

    fn start_if_ready(&mut self, step: u32, decisions: &mut Vec<Decision>) {
        let unblocked = self.blocked_by.get(step as usize) == Some(&0);
        if unblocked && self.step(step) == Some(StepState::Waiting) && self.may_start(step) {
            self.set(step, StepState::Running);
            decisions.push(Decision::Start(step));
        }
    }

    /// Rules 3 and 6: after an error only run-if-error steps start; after a kill none, unless it lets cleanup run.
    fn may_start(&self, step: u32) -> bool {
        let runs_if_error = self.graph.runs_if_error(step);
        match self.kill {
            Some(Kill::Plain) => false,
            Some(Kill::WithCleanup) => runs_if_error,
            None => !self.in_error || runs_if_error,
        }
    }

    fn set(&mut self, step: u32, state: StepState) {
        if let Some(slot) = self.steps.get_mut(step as usize) {
            *self.counts.of(*slot) -= 1;
            *self.counts.of(state) += 1;
            *slot = state;
        }
    }
}

impl StepCounts {
    const fn of(&mut self, state: StepState) -> &mut u32 {
        match state {
            StepState::Waiting => &mut self.waiting,
            StepState::Running => &mut self.running,
            StepState::Succeeded => &mut self.succeeded,
            StepState::Failed => &mut self.failed,
            StepState::Skipped => &mut self.skipped,
            StepState::Killed => &mut self.killed,
        }
    }
}

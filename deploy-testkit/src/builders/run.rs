//! Runs with defaults.

use deploy_core::names::PipelineId;
use deploy_core::pipeline::{Run, RunState, RunStatus, StepCounts};
use deploy_core::workload::{Timestamp, Warning, WarningCode};

use super::{parsed, pipeline_id, source, time};

/// Builds a [`Run`].
#[derive(Debug, Clone)]
pub struct RunBuilder {
    run: Run,
}

impl Default for RunBuilder {
    fn default() -> Self {
        Self {
            run: Run {
                id: pipeline_id(1),
                name: parsed("nightly"),
                original: Some("pipeline_example".to_owned()),
                namespace: parsed("demo"),
                source: None,
                identity: parsed("ada@example.com"),
                groups: vec!["data".to_owned()],
                created_at: time(0),
                warnings: Vec::new(),
                status: RunStatus {
                    state: RunState::Running,
                    in_error: false,
                    finished_at: None,
                    counts: StepCounts::default(),
                },
            },
        }
    }
}

impl RunBuilder {
    /// Its id by number: [`pipeline_id`]. Every run has number 1 unless told.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        self.id(pipeline_id(number))
    }

    /// Its id.
    #[must_use]
    pub fn id(mut self, id: PipelineId) -> Self {
        self.run.id = id;
        self
    }

    /// Its name.
    #[must_use]
    #[track_caller]
    pub fn name(mut self, name: &str) -> Self {
        self.run.name = parsed(name);
        self
    }

    /// Its namespace.
    #[must_use]
    #[track_caller]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.run.namespace = parsed(namespace);
        self
    }

    /// Its definition comes from git: [`source`].
    #[must_use]
    pub fn from_git(mut self) -> Self {
        self.run.source = Some(source());
        self
    }

    /// When it was accepted.
    #[must_use]
    pub fn created_at(mut self, time: Timestamp) -> Self {
        self.run.created_at = time;
        self
    }

    /// A remark.
    #[must_use]
    pub fn warning(mut self, code: WarningCode, message: &str) -> Self {
        self.run.warnings.push(Warning::new(code, message));
        self
    }

    /// Its state; one that is final is reached after a minute.
    #[must_use]
    pub fn state(mut self, state: RunState) -> Self {
        self.run.status.state = state;
        self.run.status.in_error = state == RunState::Failed;
        self.run.status.finished_at = state.is_final().then(|| time(60));
        self
    }

    /// How many of its steps stand how.
    #[must_use]
    pub fn counts(mut self, counts: StepCounts) -> Self {
        self.run.status.counts = counts;
        self
    }

    /// The run.
    #[must_use]
    pub fn build(self) -> Run {
        self.run
    }
}

//! Tasks with defaults.

use deploy_core::names::{PipelineId, TaskId};
use deploy_core::pipeline::StepState;
use deploy_core::task::{Intent, Source, State, Status, Step, Task};
use deploy_core::workload::{Reason, ReasonCode, Timestamp, Uid, Warning, WarningCode, Workload};

use super::{WorkloadBuilder, parsed, time};

/// Builds a [`Task`].
#[derive(Debug, Clone)]
pub struct TaskBuilder {
    workload: WorkloadBuilder,
    source: Option<Source>,
    step: Option<Step>,
    created_at: Timestamp,
    warnings: Vec<Warning>,
    build: bool,
    status: Status,
}

/// The status of a task that has just been accepted: pending, nothing done.
#[must_use]
pub fn status() -> Status {
    Status {
        state: State::Pending,
        reason: None,
        started_at: None,
        finished_at: None,
        exit_code: None,
        intent: None,
        image: None,
        holds: false,
        uid: None,
        revision: 0,
        created_object: false,
        superseded_by: None,
        step: None,
        warnings: Vec::new(),
    }
}

impl Default for TaskBuilder {
    fn default() -> Self {
        Self {
            workload: WorkloadBuilder::default(),
            source: None,
            step: None,
            created_at: time(0),
            warnings: Vec::new(),
            build: false,
            status: status(),
        }
    }
}

impl TaskBuilder {
    /// Its id by number: [`super::task_id`]. Every task has number 1 unless told.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        self.id(super::task_id(number))
    }

    /// Its id.
    #[must_use]
    pub fn id(mut self, id: TaskId) -> Self {
        self.workload = self.workload.task(id);
        self
    }

    /// Anything of its workload: `.workload(|w| w.image("x").env("A", "1"))`.
    #[must_use]
    pub fn workload(mut self, change: impl FnOnce(WorkloadBuilder) -> WorkloadBuilder) -> Self {
        self.workload = change(self.workload);
        self
    }

    /// Its name.
    #[must_use]
    #[track_caller]
    pub fn name(mut self, name: &str) -> Self {
        self.workload = self.workload.name(name);
        self
    }

    /// Its namespace.
    #[must_use]
    #[track_caller]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.workload = self.workload.namespace(namespace);
        self
    }

    /// A job.
    #[must_use]
    pub fn job(mut self) -> Self {
        self.workload = self.workload.job();
        self
    }

    /// A cron job, every five minutes.
    #[must_use]
    pub fn cronjob(mut self) -> Self {
        self.workload = self.workload.cronjob("*/5 * * * *");
        self
    }

    /// A deployment.
    #[must_use]
    pub fn deployment(mut self) -> Self {
        self.workload = self.workload.deployment();
        self
    }

    /// A service.
    #[must_use]
    pub fn service(mut self) -> Self {
        self.workload = self.workload.service();
        self
    }

    /// Its manifest comes from git: [`super::source`].
    #[must_use]
    pub fn from_git(mut self) -> Self {
        self.source = Some(super::source());
        self
    }

    /// A step of a run that has not started, at that place in the definition, named `step-<index>`.
    #[must_use]
    pub fn step(mut self, run: PipelineId, index: u32) -> Self {
        self.workload = self.workload.run(run);
        self.step = Some(Step {
            index,
            name: parsed(&format!("step-{index}")),
            namespacetask: "demo/etl".to_owned(),
            dependance: Vec::new(),
            run_if_error: false,
            rollout_seconds: 600,
        });
        self.status.step = Some(StepState::Waiting);
        self.state(State::Waiting)
    }

    /// The steps that must be finished before this one; only after [`TaskBuilder::step`].
    #[must_use]
    pub fn after(mut self, dependance: &[u32]) -> Self {
        if let Some(step) = &mut self.step {
            step.dependance = dependance.to_vec();
        }
        self
    }

    /// When it was accepted.
    #[must_use]
    pub fn created_at(mut self, time: Timestamp) -> Self {
        self.created_at = time;
        self
    }

    /// A remark made when it was accepted.
    #[must_use]
    pub fn warning(mut self, code: WarningCode, message: &str) -> Self {
        self.warnings.push(Warning::new(code, message));
        self
    }

    /// Its image is built first.
    #[must_use]
    pub fn builds(mut self) -> Self {
        self.build = true;
        self.workload = self
            .workload
            .image_destination("registry.example/demo/task:1")
            .code();
        self
    }

    /// Its state.
    #[must_use]
    pub fn state(mut self, state: State) -> Self {
        self.status.state = state;
        self
    }

    /// Why it is in that state.
    #[must_use]
    pub fn reason(mut self, code: ReasonCode, message: &str) -> Self {
        self.status.reason = Some(Reason::new(code, message));
        self
    }

    /// What was recorded to be done.
    #[must_use]
    pub fn intent(mut self, intent: Intent) -> Self {
        self.status.intent = Some(intent);
        self
    }

    /// The object under its name is its own, in its first incarnation.
    #[must_use]
    pub fn holds(mut self) -> Self {
        self.status.holds = true;
        self.status.created_object = true;
        self.status.uid = Some(Uid("uid-1".to_owned()));
        self.status.revision = 1;
        self
    }

    /// It succeeded at that time, after ten seconds.
    #[must_use]
    pub fn succeeded_at(mut self, time: Timestamp) -> Self {
        self.status.state = State::Succeeded;
        self.status.exit_code = Some(0);
        self.status.started_at = Some(time - chrono::TimeDelta::seconds(10));
        self.status.finished_at = Some(time);
        self
    }

    /// Anything of its status: `.status(|s| s.revision = 7)`.
    #[must_use]
    pub fn status(mut self, change: impl FnOnce(&mut Status)) -> Self {
        change(&mut self.status);
        self
    }

    /// The task.
    #[must_use]
    pub fn build(self) -> Task {
        let workload: Workload = self.workload.build();
        Task {
            workload,
            source: self.source,
            step: self.step,
            created_at: self.created_at,
            warnings: self.warnings,
            build: self.build,
            status: self.status,
        }
    }
}

//! Works with defaults.

use deploy_core::error::ErrorCode;
use deploy_core::names::WorkId;
use deploy_core::work::{DocumentKind, Problem, Work, WorkProgress};
use deploy_core::workload::Timestamp;

use super::{source, time, work_id};

/// Builds a [`Work`].
#[derive(Debug, Clone)]
pub struct WorkBuilder {
    work: Work,
}

impl Default for WorkBuilder {
    fn default() -> Self {
        let source = source();
        Self {
            work: Work {
                id: work_id(1),
                kind: DocumentKind::Task,
                repository: source.repository,
                directory: source.directory,
                branch: None,
                created_at: time(0),
                progress: WorkProgress::Loading,
            },
        }
    }
}

impl WorkBuilder {
    /// Its id by number: [`work_id`]. Every work has number 1 unless told.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        self.id(work_id(number))
    }

    /// Its id.
    #[must_use]
    pub fn id(mut self, id: WorkId) -> Self {
        self.work.id = id;
        self
    }

    /// Which of the two documents it loads.
    #[must_use]
    pub fn kind(mut self, kind: DocumentKind) -> Self {
        self.work.kind = kind;
        self
    }

    /// When it was asked for.
    #[must_use]
    pub fn created_at(mut self, time: Timestamp) -> Self {
        self.work.created_at = time;
        self
    }

    /// It was read, from [`source`], as this document.
    #[must_use]
    pub fn loaded(mut self, configuration: serde_json::Value) -> Self {
        let source = source();
        self.work.progress = WorkProgress::Loaded {
            configuration,
            branch: source.branch,
            commit: source.commit,
            warnings: Vec::new(),
            problem: None,
        };
        self
    }

    /// It could not be read.
    #[must_use]
    pub fn failed(mut self, code: ErrorCode, detail: &str) -> Self {
        self.work.progress = WorkProgress::Failed {
            problem: Problem {
                code,
                detail: detail.to_owned(),
                violations: Vec::new(),
            },
        };
        self
    }

    /// The work.
    #[must_use]
    pub fn build(self) -> Work {
        self.work
    }
}

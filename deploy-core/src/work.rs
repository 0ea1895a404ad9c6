//! A work: one load of a configuration from git, asked for now and read later.

use serde::{Deserialize, Serialize};

use crate::error::ErrorCode;
use crate::manifest::Violation;
use crate::names::{Branch, CommitId, Directory, RepositoryName, WorkId};
use crate::workload::{Timestamp, Warning};

/// Which of the two documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DocumentKind {
    /// manifest.json
    Task,
    /// pipeline.json
    Pipeline,
}

impl DocumentKind {
    /// The file's name below its directory.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Task => "manifest.json",
            Self::Pipeline => "pipeline.json",
        }
    }
}

/// One load. Kept 24 hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Its id.
    pub id: WorkId,
    /// What is loaded.
    pub kind: DocumentKind,
    /// From where.
    pub repository: RepositoryName,
    /// From where.
    pub directory: Directory,
    /// The branch asked for; `None` = the default.
    pub branch: Option<Branch>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// How far it is.
    pub progress: WorkProgress,
}

/// How far a load is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum WorkProgress {
    /// Asked for.
    Loading,
    /// Read. A document that is JSON and still no good has its violations under `problem`.
    Loaded {
        /// The document as it stands in git.
        configuration: serde_json::Value,
        /// The branch taken.
        branch: Branch,
        /// The commit read.
        commit: CommitId,
        /// Remarks.
        warnings: Vec<Warning>,
        /// What is wrong with the document.
        problem: Option<Problem>,
    },
    /// Not read.
    Failed {
        /// Why.
        problem: Problem,
    },
}

/// An error as it is stored with a work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The stable code.
    pub code: ErrorCode,
    /// Words for people.
    pub detail: String,
    /// Every violation.
    pub violations: Vec<Violation>,
}

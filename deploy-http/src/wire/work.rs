//! A work's JSON, and a template's.

use deploy_core::names::{Branch, CommitId, TemplatePath};
use deploy_core::work::{Work, WorkProgress};
use deploy_core::workload::Warning;
use serde::Serialize;
use serde_json::Value;

use crate::problem::Body;

/// A load of a configuration.
#[derive(Debug, Serialize)]
pub struct WorkJson<'a> {
    work_id: String,
    state: &'static str,
    configuration: Option<&'a Value>,
    branch: Option<&'a Branch>,
    commit: Option<&'a CommitId>,
    warnings: &'a [Warning],
    problem: Option<Body<'a>>,
}

impl<'a> WorkJson<'a> {
    /// The JSON of a work.
    #[must_use]
    pub fn new(work: &'a Work) -> Self {
        let begun = Self {
            work_id: work.id.to_string(),
            state: "loading",
            configuration: None,
            branch: work.branch.as_ref(),
            commit: None,
            warnings: &[],
            problem: None,
        };
        match &work.progress {
            WorkProgress::Loading => begun,
            WorkProgress::Loaded {
                configuration,
                branch,
                commit,
                warnings,
                problem,
            } => Self {
                state: "loaded",
                configuration: Some(configuration),
                branch: Some(branch),
                commit: Some(commit),
                warnings,
                problem: problem.as_ref().map(Body::stored),
                ..begun
            },
            WorkProgress::Failed { problem } => Self {
                state: "failed",
                problem: Some(Body::stored(problem)),
                ..begun
            },
        }
    }
}

/// A template.
#[derive(Debug, Serialize)]
pub struct TemplateJson<'a> {
    /// Its path below its folder.
    pub template_path: &'a TemplatePath,
    /// What it says.
    pub configuration: &'a Value,
}

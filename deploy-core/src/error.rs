//! What a use case answers when it does not do what was asked: one stable code per cause, words for the user, and the
//! source for the log. It never decides a status; the edge does (deploy-http's `problem.rs`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::manifest::Violation;

/// Any error, for the opaque rest of a port's.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request that was not carried out.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    /// The stable code.
    pub code: ErrorCode,
    /// What happened and the cure, in words that may leave the server.
    pub detail: String,
    /// Every violation of a document or parameter.
    pub violations: Vec<Violation>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
    /// What lies below, for the log alone.
    #[source]
    pub source: Option<BoxError>,
}

impl Error {
    /// An error of `code`, in these words.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            violations: Vec::new(),
            retry_after: None,
            source: None,
        }
    }

    /// The same for somebody else, without what lies below it.
    #[must_use]
    pub fn echo(&self) -> Self {
        let Self {
            code,
            detail,
            violations,
            retry_after,
            source: _,
        } = self;
        Self {
            code: *code,
            detail: detail.clone(),
            violations: violations.clone(),
            retry_after: *retry_after,
            source: None,
        }
    }

    /// With every violation that makes it so.
    #[must_use]
    pub fn with_violations(mut self, violations: Vec<Violation>) -> Self {
        self.violations = violations;
        self
    }

    /// With what lies below it.
    #[must_use]
    pub fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// With the time after which to try again.
    #[must_use]
    pub const fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// The closed list of causes. The text form is stable: clients branch on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode { $($(#[$doc])* #[serde(rename = $text)] $name,)+ }

        impl ErrorCode {
            /// Every code, for tables and tests.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

codes! {
    /// A value of the request does not parse.
    InvalidParameter = "invalid-parameter",
    /// The repository's name gives no namespace.
    NoDefaultNamespace = "no-default-namespace",
    /// The policy denies it.
    Denied = "denied",
    /// The namespace is reserved.
    NamespaceReserved = "namespace-reserved",
    /// The namespace was not created through this API.
    NamespaceForeign = "namespace-foreign",
    /// No such repository.
    RepositoryNotFound = "repository-not-found",
    /// No such branch.
    BranchNotFound = "branch-not-found",
    /// No manifest.json in that directory.
    ManifestNotFound = "manifest-not-found",
    /// No pipeline.json in that directory.
    DefinitionNotFound = "definition-not-found",
    /// No task of that id.
    TaskNotFound = "task-not-found",
    /// No run of that id.
    PipelineNotFound = "pipeline-not-found",
    /// No work of that id, or it is older than 24 hours.
    WorkNotFound = "work-not-found",
    /// No template at that path.
    TemplateNotFound = "template-not-found",
    /// No object of that name that is ours.
    ObjectNotFound = "object-not-found",
    /// The name is held by something that is not ours.
    NameTaken = "name-taken",
    /// A job of that name has not finished, or is being deployed right now.
    JobUnfinished = "job-unfinished",
    /// The deployment belongs to a service.
    BelongsToService = "belongs-to-service",
    /// Another repository claims the namespace.
    NamespaceClaimed = "namespace-claimed",
    /// The namespace is being deleted.
    NamespaceTerminating = "namespace-terminating",
    /// The manifest is invalid.
    InvalidManifest = "invalid-manifest",
    /// The pipeline, or a manifest of its steps, is invalid.
    InvalidPipeline = "invalid-pipeline",
    /// The file is there and cannot be used: a symbolic link, a submodule, too large.
    UnusableFile = "unusable-file",
    /// The template is not JSON.
    InvalidTemplate = "invalid-template",
    /// An image has to be built and no builder is configured.
    NoImageBuilder = "no-image-builder",
    /// The cluster refused the object.
    ClusterRefused = "cluster-refused",
    /// git cannot be reached.
    GitUnavailable = "git-unavailable",
    /// git did not answer in time.
    GitTimeout = "git-timeout",
    /// git answered something that is no repository.
    GitAnswer = "git-answer",
    /// The cluster cannot be reached.
    ClusterUnavailable = "cluster-unavailable",
    /// The database cannot be reached, or is full.
    StorageUnavailable = "storage-unavailable",
    /// Templates cannot be reached.
    TemplatesUnavailable = "templates-unavailable",
    /// The engine does not run here.
    EngineUnavailable = "engine-unavailable",
    /// A bug.
    Internal = "internal",
}

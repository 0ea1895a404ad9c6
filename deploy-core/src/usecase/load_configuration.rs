//! Loads a document from git for somebody who reads it later.

use crate::authz::Reader;
use crate::deployer::{Deployer, Ports};
use crate::engine::Command;
use crate::error::{Error, ErrorCode};
use crate::manifest::{Document, Manifest, Violation};
use crate::names::{Branch, Directory, RepositoryName, WorkId};
use crate::pipeline::definition::Definition;
use crate::work::{DocumentKind, Problem, Work, WorkProgress};

use super::source;

/// A load of a document from git.
#[derive(Debug, Clone)]
pub struct LoadConfiguration {
    /// Which of the two.
    pub kind: DocumentKind,
    /// Where it is.
    pub repository: RepositoryName,
    /// Where it is.
    pub directory: Directory,
    /// From which branch; `None` = the default.
    pub branch: Option<Branch>,
}

impl Deployer {
    /// Asks for a load. Answers when it is recorded that it is wanted.
    ///
    /// # Errors
    /// The repository may not be read, which is decided before git is asked whether there is one; it cannot be recorded
    /// now.
    pub async fn load_configuration(
        &self,
        reader: Reader<'_>,
        request: LoadConfiguration,
    ) -> Result<Work, Error> {
        let LoadConfiguration {
            kind,
            repository,
            directory,
            branch,
        } = request;
        if !self.may_read(reader, &repository) {
            return Err(source::no_repository());
        }
        let (id, created_at) = (self.ports.ids.work(), self.ports.clock.now());
        let work = Work {
            id,
            kind,
            repository,
            directory,
            branch,
            created_at,
            progress: WorkProgress::Loading,
        };
        let wanted = Box::new(work.clone());
        self.inbox
            .ask(|answer| Command::Load { work: wanted, answer })
            .await?;
        Ok(work)
    }

    /// How far a load is.
    ///
    /// # Errors
    /// No such work that may be read, or it is older than 24 hours.
    pub async fn work(&self, reader: Reader<'_>, kind: DocumentKind, id: WorkId) -> Result<Work, Error> {
        let work = self.ports.works.get(id).await?;
        let work = work.filter(|work| work.kind == kind && self.may_read(reader, &work.repository));
        work.ok_or_else(|| {
            Error::new(
                ErrorCode::WorkNotFound,
                "there is no load of this id, or it is older than 24 hours",
            )
        })
    }

    /// Whether a repository's documents may be read: what is in git is in no namespace, so it is the one that the
    /// repository deploys into; one that deploys into none of its own has to be readable in all.
    fn may_read(&self, reader: Reader<'_>, repository: &RepositoryName) -> bool {
        let sight = self.sight(reader);
        match repository.default_namespace() {
            Some(namespace) => sight.shows(Some(&namespace), Some(repository)),
            None => sight.shows_in_every_namespace(repository),
        }
    }
}

/// Carries a load out.
pub(crate) async fn load(ports: &Ports, work: &Work) -> WorkProgress {
    let fetched = match source::fetch(
        ports,
        work.kind,
        &work.repository,
        &work.directory,
        work.branch.as_ref(),
    )
    .await
    {
        Ok(fetched) => fetched,
        Err(error) => return failed(error),
    };
    let document = match Document::parse(&fetched.bytes) {
        Ok(document) => document,
        Err(violations) => return failed(invalid(work.kind, violations)),
    };
    let violations = match work.kind {
        DocumentKind::Task => Manifest::parse(&fetched.bytes).err(),
        DocumentKind::Pipeline => Definition::parse(&fetched.bytes).err(),
    };
    WorkProgress::Loaded {
        configuration: document.value,
        branch: fetched.source.branch,
        commit: fetched.source.commit,
        warnings: fetched.warnings,
        problem: violations.map(|violations| problem(invalid(work.kind, violations))),
    }
}

fn failed(error: Error) -> WorkProgress {
    if let Some(source) = &error.source {
        tracing::warn!(
            code = error.code.as_str(),
            error = &**source,
            "a document cannot be loaded"
        );
    }
    WorkProgress::Failed {
        problem: problem(error),
    }
}

fn problem(error: Error) -> Problem {
    Problem {
        code: error.code,
        detail: error.detail,
        violations: error.violations,
    }
}

fn invalid(kind: DocumentKind, violations: Vec<Violation>) -> Error {
    let code = match kind {
        DocumentKind::Task => ErrorCode::InvalidManifest,
        DocumentKind::Pipeline => ErrorCode::InvalidPipeline,
    };
    let detail = format!("{} is not valid; see the violations", kind.file_name());
    Error::new(code, detail).with_violations(violations)
}

//! Documents out of git, with errors in the user's words.

use crate::deployer::Ports;
use crate::error::{Error, ErrorCode};
use crate::manifest::Document;
use crate::names::{Branch, CommitId, Directory, RepositoryName};
use crate::ports::{Resolved, SourceError};
use crate::task::Source;
use crate::work::DocumentKind;
use crate::workload::{Warning, WarningCode};

/// A document's bytes, and where they were read.
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    pub(super) source: Source,
    pub(super) warnings: Vec<Warning>,
}

/// Reads a document at the tip of a branch.
pub(super) async fn fetch(
    ports: &Ports,
    kind: DocumentKind,
    repository: &RepositoryName,
    directory: &Directory,
    branch: Option<&Branch>,
) -> Result<Fetched, Error> {
    let resolved = ports
        .source
        .resolve(repository, branch)
        .await
        .map_err(|error| explain(error, kind))?;
    let bytes = read(ports, kind, repository, directory, &resolved.commit).await?;
    let warnings = absent_default(&resolved).into_iter().collect();
    let Resolved { branch, commit, .. } = resolved;
    let source = Source {
        repository: repository.clone(),
        directory: directory.clone(),
        branch,
        commit,
    };
    Ok(Fetched {
        bytes,
        source,
        warnings,
    })
}

/// Reads a document at a commit.
pub(super) async fn read(
    ports: &Ports,
    kind: DocumentKind,
    repository: &RepositoryName,
    directory: &Directory,
    commit: &CommitId,
) -> Result<Vec<u8>, Error> {
    let read = ports.source.read(
        repository,
        commit,
        directory,
        kind.file_name(),
        Document::MAX_BYTES,
    );
    read.await.map_err(|error| explain(error, kind))
}

/// What to tell where the default branch was not there.
pub(super) fn absent_default(resolved: &Resolved) -> Option<Warning> {
    let absent = resolved.absent_default.as_ref()?;
    let taken = &resolved.branch;
    let message = format!("there is no branch {absent}; the repository's own default, {taken}, was taken");
    Some(Warning::new(WarningCode::DefaultBranchAbsent, message))
}

/// What to tell of a repository that is not there, or not for whoever asks.
pub(super) fn no_repository() -> Error {
    Error::new(ErrorCode::RepositoryNotFound, "there is no such repository")
}

/// A source's error in the user's words.
pub(super) fn explain(error: SourceError, kind: DocumentKind) -> Error {
    let retry = std::time::Duration::from_secs(5);
    let file = kind.file_name();
    match error {
        SourceError::RepositoryNotFound => no_repository(),
        SourceError::BranchNotFound => Error::new(
            ErrorCode::BranchNotFound,
            "the repository has no such branch, or no branch at all",
        ),
        SourceError::PathNotFound => match kind {
            DocumentKind::Task => Error::new(
                ErrorCode::ManifestNotFound,
                "there is no manifest.json in that directory at that commit",
            ),
            DocumentKind::Pipeline => Error::new(
                ErrorCode::DefinitionNotFound,
                "there is no pipeline.json in that directory at that commit",
            ),
        },
        SourceError::NotAFile { found } => Error::new(
            ErrorCode::UnusableFile,
            format!("{file} has to be a regular file; it is {found}"),
        ),
        SourceError::TooLarge { limit } => Error::new(
            ErrorCode::UnusableFile,
            format!("{file} is larger than {limit} bytes"),
        ),
        SourceError::Timeout => {
            Error::new(ErrorCode::GitTimeout, "git did not answer in time").retry_after(retry)
        }
        SourceError::Answer(source) => Error::new(
            ErrorCode::GitAnswer,
            "git answered something that is no repository",
        )
        .because(source),
        SourceError::Refused { why, cause } => Error::new(ErrorCode::GitAnswer, why).because(cause),
        SourceError::Unavailable(source) => {
            Error::new(ErrorCode::GitUnavailable, "git cannot be reached now")
                .retry_after(retry)
                .because(source)
        }
    }
}

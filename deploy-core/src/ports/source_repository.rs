//! Where tasks are kept.

use std::path::Path;

use async_trait::async_trait;

use crate::error::BoxError;
use crate::names::{Branch, CommitId, Directory, RepositoryName};

/// Reads files of repositories at commits. Never a checkout: files are read out of the object database.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SourceRepository: Send + Sync {
    /// The commit a branch points to now, fetched so that [`SourceRepository::read`] answers without the network. A
    /// branch that was named never falls back; `None` is the default branch, else the remote's HEAD.
    async fn resolve<'a>(
        &self,
        repository: &'a RepositoryName,
        branch: Option<&'a Branch>,
    ) -> Result<Resolved, SourceError>;

    /// A regular file of at most `limit` bytes, at a commit that was resolved. `path` is below `directory`, made of
    /// constants by the caller, as in `code/Dockerfile`.
    async fn read(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        directory: &Directory,
        path: &str,
        limit: usize,
    ) -> Result<Vec<u8>, SourceError>;

    /// git's own hash of what is at `path` below `directory`: changes when, and only when, its content does.
    async fn tree_hash(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        directory: &Directory,
        path: &str,
    ) -> Result<String, SourceError>;

    /// Writes the tree at `path` below `directory` into the existing, empty folder `to`: regular files and folders
    /// alone, executable where git says so; symbolic links and submodules are left out.
    async fn export(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        directory: &Directory,
        path: &str,
        to: &Path,
    ) -> Result<(), SourceError>;
}

/// A branch and what it points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The branch taken.
    pub branch: Branch,
    /// Its commit.
    pub commit: CommitId,
    /// The default branch that does not exist, where the remote's HEAD was taken in its place.
    pub absent_default: Option<Branch>,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No such repository (or not for us: hosts do not tell the two apart).
    #[error("there is no such repository")]
    RepositoryNotFound,
    /// No such branch.
    #[error("there is no such branch")]
    BranchNotFound,
    /// Nothing at that path at that commit.
    #[error("there is nothing at that path")]
    PathNotFound,
    /// A symbolic link, a submodule, a folder where a file is wanted or the reverse.
    #[error("it is not a regular file: {found}")]
    NotAFile {
        /// What it is.
        found: &'static str,
    },
    /// Larger than allowed.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// The limit, bytes.
        limit: u64,
    },
    /// No answer in time.
    #[error("git did not answer in time")]
    Timeout,
    /// The remote answered something that is no repository.
    #[error("git answered something that is no repository")]
    Answer(#[source] BoxError),
    /// The git server and this one do not accept each other: a certificate, a host key, credentials, a redirect. Trying
    /// again does not help, the operator has to act.
    #[error("{why}")]
    Refused {
        /// Which of them, in words that hold nothing of the conversation.
        why: &'static str,
        /// More, for the log; no secret either.
        #[source]
        cause: BoxError,
    },
    /// It cannot be told now.
    #[error("git cannot be reached")]
    Unavailable(#[source] BoxError),
}

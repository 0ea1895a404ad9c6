//! Why git did not do it: the adapter's own error, which several callers can share, and the one place where libgit2's
//! errors are told apart. It keeps libgit2's words, never a file's.

use std::sync::{Arc, Mutex, PoisonError};

use deploy_core::ports::SourceError;
use git2::{ErrorClass, ErrorCode};

/// [`SourceError`], cloneable, and what the adapter mends by itself.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    RepositoryNotFound,
    BranchNotFound,
    PathNotFound,
    NotAFile(&'static str),
    TooLarge(u64),
    Timeout,
    Answer(Cause),
    /// What was not accepted, in fixed words, and more for the log.
    Refused(&'static str, Cause),
    Unavailable(Cause),
    /// The commit is not in this object database.
    CommitAbsent,
    /// What ought to be in this object database is not, or is broken.
    Corrupt(Cause),
}

/// What was said below. Text from outside: control characters are escaped, and it is cut short.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Cause(Arc<str>);

impl Cause {
    pub(super) fn new(text: impl std::fmt::Display) -> Self {
        let escaped = |c: char| -> Box<dyn Iterator<Item = char>> {
            if c.is_control() {
                Box::new(c.escape_default())
            } else {
                Box::new(std::iter::once(c))
            }
        };
        let text = text.to_string();
        let text: String = text.chars().take(400).flat_map(escaped).collect();
        Self(text.into())
    }
}

/// Where a callback or a stream that libgit2 runs leaves the true reason: what comes back through libgit2 is its words.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict(Arc<Mutex<Option<Failure>>>);

impl Verdict {
    /// Keeps the first reason; what follows from it is no news.
    pub(super) fn record(&self, failure: Failure) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert(failure);
    }

    pub(super) fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Failure {
    pub(super) fn answer(cause: impl std::fmt::Display) -> Self {
        Self::Answer(Cause::new(cause))
    }

    pub(super) fn refused(why: &'static str, cause: impl std::fmt::Display) -> Self {
        Self::Refused(why, Cause::new(cause))
    }

    pub(super) fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self::Unavailable(Cause::new(cause))
    }

    pub(super) fn corrupt(cause: impl std::fmt::Display) -> Self {
        Self::Corrupt(Cause::new(cause))
    }

    /// An error of opening a repository in a folder.
    pub(super) fn of_folder(error: &git2::Error) -> Self {
        match error.class() {
            ErrorClass::Os | ErrorClass::Filesystem => Self::unavailable(error),
            _ => Self::answer(error),
        }
    }

    /// An error of a conversation with a remote. Errors of the cache that the conversation fills are
    /// [`Failure::Corrupt`].
    pub(super) fn of_remote(error: &git2::Error) -> Self {
        let message = error.message();
        match (error.code(), error.class()) {
            (ErrorCode::Timeout, _) => Self::Timeout,
            (ErrorCode::Auth, _) => Self::refused("the git server refuses this one", error),
            // libgit2 gives what the far side printed in place of an answer.
            (ErrorCode::Eof, ErrorClass::Ssh) if says_not_found(message) => Self::RepositoryNotFound,
            (ErrorCode::Eof, ErrorClass::Ssh) => Self::answer(error),
            // libgit2 asks for the pinned kinds alone.
            (_, ErrorClass::Ssh) if message.contains("Unable to exchange encryption keys") => Self::refused(
                "the git server has no host key of a pinned kind, or no cipher in common",
                error,
            ),
            // Neither let in nor turned away: a kind of key that libssh2 does not know.
            (_, ErrorClass::Ssh) if message.starts_with("Failed to authenticate") => {
                Self::refused("the ssh key cannot be used", error)
            }
            (_, ErrorClass::Ssh) if is_of_time(message) => Self::Timeout,
            (ErrorCode::Certificate | ErrorCode::Eof, _) => Self::unavailable(error),
            (_, ErrorClass::Os | ErrorClass::Ssh | ErrorClass::Filesystem | ErrorClass::NoMemory) => {
                Self::unavailable(error)
            }
            (_, ErrorClass::Net) if is_of_the_line(message) => Self::unavailable(error),
            (_, ErrorClass::Net | ErrorClass::Http) => Self::answer(error),
            _ => Self::corrupt(error),
        }
    }
}

/// What git itself and the hosts say over ssh of a repository that is not there, or not for this key.
fn says_not_found(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "does not appear to be a git repository",
        "repository not found",
        "could not be found",
        "does not exist",
        "not authorized",
        "access denied",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// libssh2 has a code for it, and libgit2 keeps the words alone.
fn is_of_time(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("timeout") || message.contains("timed out")
}

/// libgit2 gives the class "net" both to a line that breaks and to an answer it cannot read.
fn is_of_the_line(message: &str) -> bool {
    [
        "failed to connect",
        "failed to resolve",
        "error receiving",
        "error sending",
        "could not connect",
    ]
    .iter()
    .any(|start| message.starts_with(start))
}

impl From<Failure> for SourceError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::RepositoryNotFound => Self::RepositoryNotFound,
            Failure::BranchNotFound => Self::BranchNotFound,
            Failure::PathNotFound => Self::PathNotFound,
            Failure::NotAFile(found) => Self::NotAFile { found },
            Failure::TooLarge(limit) => Self::TooLarge { limit },
            Failure::Timeout => Self::Timeout,
            Failure::Answer(cause) | Failure::Corrupt(cause) => Self::Answer(cause.into()),
            Failure::Refused(why, cause) => Self::Refused {
                why,
                cause: cause.into(),
            },
            Failure::Unavailable(cause) => Self::Unavailable(cause.into()),
            Failure::CommitAbsent => Self::Unavailable("the commit is not there any more".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_escaped_and_cut_short() {
        assert_eq!(Cause::new("a\r\n\u{1b}[31mb").to_string(), "a\\r\\n\\u{1b}[31mb");
        assert_eq!(Cause::new("x".repeat(10_000)).to_string().len(), 400);
    }

    #[test]
    fn errors_of_a_remote_are_told_apart() {
        use ErrorClass as Class;
        use ErrorCode as Code;
        let table = [
            (Code::Timeout, Class::Net, "read timed out".to_owned(), "Timeout"),
            (Code::Auth, Class::Ssh, "no more keys".to_owned(), "Refused"),
            (
                Code::Eof,
                Class::Ssh,
                "fatal: '/x.git' does not appear to be a git repository".to_owned(),
                "RepositoryNotFound",
            ),
            (
                Code::Eof,
                Class::Ssh,
                "ERROR: Repository not found.".to_owned(),
                "RepositoryNotFound",
            ),
            (
                Code::Eof,
                Class::Ssh,
                "git-upload-pack: command not found".to_owned(),
                "Answer",
            ),
            (
                Code::GenericError,
                Class::Ssh,
                "SSH could not read data: Timed out waiting".to_owned(),
                "Timeout",
            ),
            (
                Code::GenericError,
                Class::Ssh,
                "Failed to authenticate SSH session: Unable to extract public key".to_owned(),
                "Refused",
            ),
            (
                Code::GenericError,
                Class::Ssh,
                "failed to start SSH session".to_owned(),
                "Unavailable",
            ),
            (
                Code::GenericError,
                Class::Os,
                "failed to connect to x".to_owned(),
                "Unavailable",
            ),
            (
                Code::GenericError,
                Class::Net,
                "failed to resolve address for x".to_owned(),
                "Unavailable",
            ),
            (
                Code::GenericError,
                Class::Net,
                "invalid packet line".to_owned(),
                "Answer",
            ),
            (
                Code::GenericError,
                Class::Odb,
                "object not found".to_owned(),
                "Corrupt",
            ),
            (
                Code::GenericError,
                Class::Indexer,
                "packfile is broken".to_owned(),
                "Corrupt",
            ),
        ];
        for (code, class, message, expected) in table {
            let failure = Failure::of_remote(&git2::Error::new(code, class, &message));
            let shown = format!("{failure:?}");
            assert!(shown.starts_with(expected), "{message}: {shown}");
        }
    }
}

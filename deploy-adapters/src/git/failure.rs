//! Why git did not do it: the adapter's own error, which several callers can share, and the one place where libgit2's
//! errors are told apart. It keeps libgit2's words, never a file's.

use std::sync::Arc;

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

impl Failure {
    pub(super) fn answer(cause: impl std::fmt::Display) -> Self {
        Self::Answer(Cause::new(cause))
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
        let status = error
            .message()
            .strip_prefix("unexpected http status code: ")
            .and_then(|status| status.parse::<u16>().ok());
        match (error.code(), error.class(), status) {
            (ErrorCode::Timeout, ..) => Self::Timeout,
            // Hosts answer 401 and 403 for what they do not want to tell from 404.
            (ErrorCode::Auth, ..) | (.., Some(401 | 403 | 404 | 410)) => Self::RepositoryNotFound,
            (.., Some(429 | 500..=599)) => Self::unavailable(error),
            (ErrorCode::Certificate | ErrorCode::Eof, ..) => Self::unavailable(error),
            (_, ErrorClass::Os | ErrorClass::Ssl | ErrorClass::Filesystem | ErrorClass::NoMemory, _) => {
                Self::unavailable(error)
            }
            (_, ErrorClass::Net, _) if is_of_the_line(error.message()) => Self::unavailable(error),
            (_, ErrorClass::Net | ErrorClass::Http, _) => Self::answer(error),
            _ => Self::corrupt(error),
        }
    }
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
        let status = |status| format!("unexpected http status code: {status}");
        let table = [
            (Code::Timeout, Class::Net, "read timed out".to_owned(), "Timeout"),
            (
                Code::Auth,
                Class::Http,
                "no callback set".to_owned(),
                "RepositoryNotFound",
            ),
            (Code::GenericError, Class::Http, status(404), "RepositoryNotFound"),
            (Code::GenericError, Class::Http, status(403), "RepositoryNotFound"),
            (Code::GenericError, Class::Http, status(503), "Unavailable"),
            (Code::GenericError, Class::Http, status(429), "Unavailable"),
            (Code::GenericError, Class::Http, status(418), "Answer"),
            (
                Code::GenericError,
                Class::Http,
                "unexpected redirect".to_owned(),
                "Answer",
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
                Code::Certificate,
                Class::Ssl,
                "the certificate is invalid".to_owned(),
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

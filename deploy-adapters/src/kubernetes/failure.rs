//! What an answer of the API server, or none, says of a request: whether it was done. One table decides it for every
//! call, because everything else depends on it: what was surely not done may be answered 503, what may have been done is
//! looked for by its name, and is never just sent again.

use std::error::Error;
use std::time::Duration;

use deploy_core::error::BoxError;
use deploy_core::ports::{ClusterError, NamespaceError};
use serde::Deserialize;

/// Longest wait that a server's Retry-After is believed.
const LONGEST_WAIT: u64 = 3600;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There is nothing of that name, or nowhere to put it.
    #[error("{0}")]
    Absent(String),
    /// Nothing of that kind is served here: a custom resource whose definition is not installed.
    #[error("the API server does not serve this kind of object")]
    Unserved,
    /// The name is taken.
    #[error("the name is taken")]
    AlreadyExists,
    /// It is not what it was, or not of the incarnation that was meant. It was not done.
    #[error("{0}")]
    Conflict(String),
    /// The cluster looked at it and said no.
    #[error("{0}")]
    Refused(String),
    /// It was surely not done.
    #[error("the API server did not take it")]
    NotDone {
        /// When to try again, where the server said so.
        retry_after: Option<Duration>,
        /// What lies below.
        #[source]
        source: BoxError,
    },
    /// It may have been done.
    #[error("the API server did not say whether it was done")]
    Unknown(#[source] BoxError),
}

/// Whether a call changes anything: one that does not was never done by halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// The part of a `Status` answer that decides.
#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusBody {
    kind: String,
    reason: String,
    message: String,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    name: String,
    causes: Vec<Cause>,
    retry_after_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cause {
    field: String,
}

impl Failure {
    /// The failure that an answer other than 2xx is. `retry_after` is its header.
    pub(super) fn answered(access: Access, status: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        // What is no Status comes from something in between, or from a server that had no time to write one.
        let said: StatusBody = serde_json::from_slice(body).unwrap_or_default();
        let is_own_word = said.kind == "Status";
        let message = match said.message.as_str() {
            "" => format!("the API server answered {status}"),
            message => message.to_owned(),
        };
        let details = said.details.unwrap_or_default();
        let wait = retry_after
            .and_then(|text| text.trim().parse().ok())
            .or(details.retry_after_seconds)
            .map(|seconds| Duration::from_secs(seconds.min(LONGEST_WAIT)));
        let names_another_incarnation = || details.causes.iter().any(|cause| cause.field == "metadata.uid");
        match status {
            // What is looked for and not there is named; a path that leads nowhere is not.
            404 if details.name.is_empty() => Self::Unserved,
            404 => Self::Absent(message),
            409 if said.reason == "AlreadyExists" => Self::AlreadyExists,
            409 => Self::Conflict(message),
            422 if names_another_incarnation() => Self::Conflict(message),
            // Credentials are renewed, and a full queue empties.
            401 | 429 => Self::not_done(wait, message),
            // Taken back before anything was stored: the server's own word, before admission or by it.
            503 if is_own_word => Self::not_done(wait, message),
            500 if message.contains("failed calling webhook") => Self::not_done(wait, message),
            // A field that the cluster's version of the kind has not. It is the client's doing, though its code is not.
            500 if is_own_word && message.contains("field not declared in schema") => Self::Refused(message),
            408 | 410 | 500.. if access == Access::Read => Self::not_done(wait, message),
            408 | 500.. => Self::Unknown(message.into()),
            _ => Self::Refused(message),
        }
    }

    /// The failure of a call that had no answer.
    pub(super) fn unanswered(access: Access, error: kube::Error) -> Self {
        if access == Access::Read || was_not_sent(&error) {
            Self::NotDone {
                retry_after: None,
                source: BoxError::from(error),
            }
        } else {
            Self::Unknown(BoxError::from(error))
        }
    }

    /// The failure of a call that was answered with what cannot be read.
    pub(super) fn unreadable(access: Access, error: impl Into<BoxError>) -> Self {
        match access {
            Access::Read => Self::NotDone {
                retry_after: None,
                source: error.into(),
            },
            Access::Write => Self::Unknown(error.into()),
        }
    }

    /// The failure of a call whose answer did not come in time; `sent` where it may have begun.
    pub(super) fn too_late(access: Access, sent: bool) -> Self {
        if access == Access::Write && sent {
            Self::Unknown("the API server did not answer in time".into())
        } else {
            Self::not_done(None, "the API server did not answer in time".to_owned())
        }
    }

    fn not_done(retry_after: Option<Duration>, message: String) -> Self {
        Self::NotDone {
            retry_after,
            source: message.into(),
        }
    }
}

/// Whether the request cannot have reached the server: no connection came about, or there was nothing to say who asks.
fn was_not_sent(error: &kube::Error) -> bool {
    if matches!(error, kube::Error::Auth(_) | kube::Error::BuildRequest(_)) {
        return true;
    }
    let mut below: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = below {
        if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            return error.is_connect();
        }
        below = error.source();
    }
    false
}

impl From<Failure> for ClusterError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Absent(message) | Failure::Refused(message) => Self::Refused { message },
            Failure::Unserved => Self::Refused {
                message: failure.to_string(),
            },
            Failure::AlreadyExists | Failure::Conflict(_) => Self::Unavailable {
                retry_after: None,
                source: BoxError::from(failure),
            },
            Failure::NotDone { retry_after, source } => Self::Unavailable { retry_after, source },
            Failure::Unknown(source) => Self::Ambiguous(source),
        }
    }
}

impl From<Failure> for NamespaceError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(message) => Self::Refused { message },
            other => Self::Unavailable(BoxError::from(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn short(failure: &Failure) -> String {
        match failure {
            Failure::Absent(_) => "absent".to_owned(),
            Failure::Unserved => "unserved".to_owned(),
            Failure::AlreadyExists => "exists".to_owned(),
            Failure::Conflict(_) => "conflict".to_owned(),
            Failure::Refused(message) => format!("refused: {message}"),
            Failure::NotDone { retry_after, .. } => match retry_after {
                Some(wait) => format!("not done, again in {} s", wait.as_secs()),
                None => "not done".to_owned(),
            },
            Failure::Unknown(_) => "unknown".to_owned(),
        }
    }

    #[test]
    fn an_answer_says_whether_it_was_done() {
        let own = |reason: &str| format!(r#"{{"kind":"Status","reason":"{reason}","message":"words"}}"#);
        let uid = r#"{"kind":"Status","reason":"Invalid","message":"words","details":{"causes":[{"field":"metadata.uid"}]}}"#;
        let absent =
            r#"{"kind":"Status","reason":"NotFound","message":"words","details":{"name":"x","kind":"jobs"}}"#;
        let webhook = r#"{"kind":"Status","reason":"InternalError","message":"Internal error occurred: failed calling webhook \"w\""}"#;
        let field = r#"{"kind":"Status","message":".timeouts: field not declared in schema"}"#;
        let wait = r#"{"kind":"Status","reason":"TooManyRequests","details":{"retryAfterSeconds":7}}"#;
        // Status, header, body, as a read, as a write.
        let table = [
            (400, None, own("BadRequest"), "refused: words", "refused: words"),
            (401, None, own("Unauthorized"), "not done", "not done"),
            (403, None, own("Forbidden"), "refused: words", "refused: words"),
            (404, None, absent.to_owned(), "absent", "absent"),
            (404, None, own("NotFound"), "unserved", "unserved"),
            (404, None, "404 page not found".to_owned(), "unserved", "unserved"),
            (408, None, String::new(), "not done", "unknown"),
            (409, None, own("AlreadyExists"), "exists", "exists"),
            (409, None, own("Conflict"), "conflict", "conflict"),
            (410, None, own("Expired"), "not done", "refused: words"),
            (415, None, own(""), "refused: words", "refused: words"),
            (422, None, own("Invalid"), "refused: words", "refused: words"),
            (422, None, uid.to_owned(), "conflict", "conflict"),
            (
                429,
                Some("3"),
                "Too many requests".to_owned(),
                "not done, again in 3 s",
                "not done, again in 3 s",
            ),
            (
                429,
                Some("soon"),
                wait.to_owned(),
                "not done, again in 7 s",
                "not done, again in 7 s",
            ),
            (
                429,
                Some("999999999999"),
                String::new(),
                "not done, again in 3600 s",
                "not done, again in 3600 s",
            ),
            (429, None, String::new(), "not done", "not done"),
            (500, None, own("InternalError"), "not done", "unknown"),
            (500, None, webhook.to_owned(), "not done", "not done"),
            (
                500,
                None,
                field.to_owned(),
                "refused: .timeouts: field not declared in schema",
                "refused: .timeouts: field not declared in schema",
            ),
            (502, None, "<html>".to_owned(), "not done", "unknown"),
            (
                503,
                Some("1"),
                own("ServiceUnavailable"),
                "not done, again in 1 s",
                "not done, again in 1 s",
            ),
            // A proxy says so as well where the connection broke after the request was passed on.
            (
                503,
                Some("1"),
                "upstream connect error".to_owned(),
                "not done, again in 1 s",
                "unknown",
            ),
            (504, None, own("Timeout"), "not done", "unknown"),
            (
                418,
                None,
                String::new(),
                "refused: the API server answered 418",
                "refused: the API server answered 418",
            ),
        ];
        for (status, header, body, as_read, as_write) in table {
            for (access, wanted) in [(Access::Read, as_read), (Access::Write, as_write)] {
                let failure = Failure::answered(access, status, header, body.as_bytes());
                assert_eq!(short(&failure), wanted, "{access:?} {status} {body}");
            }
        }
    }

    #[test]
    fn an_answer_that_is_late_is_unknown_where_a_write_was_sent() {
        assert_eq!(short(&Failure::too_late(Access::Write, true)), "unknown");
        assert_eq!(short(&Failure::too_late(Access::Write, false)), "not done");
        assert_eq!(short(&Failure::too_late(Access::Read, true)), "not done");
    }

    #[test]
    fn what_surely_was_not_done_is_unavailable_and_what_may_be_is_ambiguous() {
        let wait = Duration::from_secs(2);
        let not_done = Failure::NotDone {
            retry_after: Some(wait),
            source: "below".into(),
        };
        match ClusterError::from(not_done) {
            ClusterError::Unavailable { retry_after, .. } => assert_eq!(retry_after, Some(wait)),
            other => panic!("{other:?}"),
        }
        let unknown = Failure::Unknown("below".into());
        assert!(matches!(ClusterError::from(unknown), ClusterError::Ambiguous(_)));
        let conflict = Failure::Conflict("again and again".to_owned());
        assert!(matches!(
            ClusterError::from(conflict),
            ClusterError::Unavailable { .. }
        ));
    }
}

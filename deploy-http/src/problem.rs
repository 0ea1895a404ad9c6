//! The only place where an error becomes a status, a body (RFC 9457, `application/problem+json`) and a log line. Every
//! code is listed in docs/errors.md; a test holds the two together. What it refuses to do: let the detail of a bug, or
//! what lies below an error, leave the server.

mod codes;

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::time::Duration;

use deploy_core::error::BoxError;
use deploy_core::manifest::Violation;
use deploy_core::{Error, ErrorCode, work};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

pub use codes::{Code, EdgeCode};

use crate::reply::{Reply, number, with_body};

/// A request that is answered with an error.
#[derive(Debug)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    detail: String,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
    /// Boxed: it is rare, and every fallible function of the edge returns a problem.
    header: Option<Box<(HeaderName, HeaderValue)>>,
    source: Option<BoxError>,
}

/// What an answer says of the request it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Finds the log line.
    pub request_id: &'a str,
    /// The verb.
    pub verb: &'a str,
    /// The row's path with its placeholders, never the values.
    pub route: &'static str,
}

impl Problem {
    /// An error of the edge's own, in these words.
    #[must_use]
    pub fn new(code: EdgeCode, detail: impl Into<String>) -> Self {
        Self {
            code: Code::Edge(code),
            detail: detail.into(),
            violations: Vec::new(),
            retry_after: None,
            header: None,
            source: None,
        }
    }

    /// A value that does not parse: its place, then the rule. Never the value.
    #[must_use]
    pub fn parameter(detail: impl Into<String>) -> Self {
        Error::new(ErrorCode::InvalidParameter, detail).into()
    }

    /// A bug. The words are for the log alone.
    #[must_use]
    pub fn bug(source: impl Into<BoxError>) -> Self {
        Error::new(ErrorCode::Internal, "a bug").because(source).into()
    }

    /// With a header that the status asks for.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    /// With what lies below it, for the log alone.
    #[must_use]
    pub fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The words that leave the server.
    #[must_use]
    pub fn detail(&self) -> &str {
        if self.code.status() == StatusCode::INTERNAL_SERVER_ERROR {
            "a bug in the server; the request id finds it in the log"
        } else {
            &self.detail
        }
    }

    /// The answer.
    #[must_use]
    pub fn respond(&self, asked: Asked<'_>) -> Reply {
        let status = self.code.status();
        let body = Body {
            kind: Urn(self.code),
            title: self.code.title(),
            status: status.as_u16(),
            detail: self.detail(),
            instance: Some(format!("urn:deploy:request:{}", asked.request_id)),
            request_id: Some(asked.request_id),
            violations: &self.violations,
        };
        // Strings and numbers alone: this cannot fail, and an error while answering an error has no better answer.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut reply: Response<_> = with_body(status, HeaderValue::from_static(MEDIA_TYPE), body);
        let headers = reply.headers_mut();
        if let Some((name, value)) = self.header.as_deref() {
            headers.insert(name, value.clone());
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1 asks for a challenge.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(delay) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, number(delay.as_secs().max(1)));
        }
        reply
    }

    /// Writes the one log line of this error, with everything that lies below it.
    pub fn log(&self, asked: Asked<'_>) {
        let Asked {
            request_id,
            verb,
            route,
        } = asked;
        let status = self.code.status();
        let (code, status_code) = (self.code.as_str(), status.as_u16());
        let cause = self.source.as_ref().map(|source| chain(source.as_ref()));
        let detail = &self.detail;
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(
                request_id,
                verb,
                route,
                status = status_code,
                code,
                detail,
                cause,
                "bug"
            );
        } else if status.is_server_error() {
            tracing::warn!(
                request_id,
                verb,
                route,
                status = status_code,
                code,
                detail,
                cause,
                "not done"
            );
        } else {
            tracing::info!(
                request_id,
                verb,
                route,
                status = status_code,
                code,
                detail,
                cause,
                "refused"
            );
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        const WHEN_UNKNOWN: Duration = Duration::from_secs(5);
        let asks = self.code.status() == StatusCode::SERVICE_UNAVAILABLE;
        self.retry_after.or(asks.then_some(WHEN_UNKNOWN))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self {
            code: Code::Core(error.code),
            detail: error.detail,
            violations: error.violations,
            retry_after: error.retry_after,
            header: None,
            source: error.source,
        }
    }
}

/// A problem as it is written.
#[derive(Debug, Serialize)]
pub struct Body<'a> {
    #[serde(rename = "type")]
    kind: Urn,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: Option<String>,
    request_id: Option<&'a str>,
    violations: &'a [Violation],
}

impl<'a> Body<'a> {
    /// The problem of a work that was stored: it belongs to no request any more.
    #[must_use]
    pub fn stored(problem: &'a work::Problem) -> Self {
        let code = Code::Core(problem.code);
        Self {
            kind: Urn(code),
            title: code.title(),
            status: code.status().as_u16(),
            detail: &problem.detail,
            instance: None,
            request_id: None,
            violations: &problem.violations,
        }
    }
}

const MEDIA_TYPE: &str = "application/problem+json";

#[derive(Debug)]
struct Urn(Code);

impl Serialize for Urn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("urn:deploy:problem:{}", self.0.as_str()))
    }
}

/// An error and everything below it. Each layer's words speak for that layer alone, so joining them repeats nothing.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        // Writing to a String cannot fail.
        write!(text, ": {error}").unwrap_or_default();
        below = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    const ASKED: Asked<'_> = Asked {
        request_id: "r-1",
        verb: "GET",
        route: "/v1/task/state/:id",
    };

    async fn body(reply: Reply) -> serde_json::Value {
        serde_json::from_slice(&reply.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_problem_has_the_shape_of_rfc_9457() {
        let error = Error::new(ErrorCode::InvalidManifest, "the manifest has 1 violation")
            .with_violations(vec![Violation::new("/cmd", "expected an array")]);
        let reply = Problem::from(error).respond(ASKED);
        assert_eq!(reply.status(), 422);
        assert_eq!(reply.headers()[header::CONTENT_TYPE], "application/problem+json");
        insta::assert_json_snapshot!(body(reply).await, @r#"
        {
          "type": "urn:deploy:problem:invalid-manifest",
          "title": "The manifest is invalid",
          "status": 422,
          "detail": "the manifest has 1 violation",
          "instance": "urn:deploy:request:r-1",
          "request_id": "r-1",
          "violations": [
            {
              "pointer": "/cmd",
              "message": "expected an array"
            }
          ]
        }
        "#);
    }

    #[tokio::test]
    async fn nothing_of_a_bug_leaves_the_server() {
        let reply = Problem::bug("secret path /srv/x").respond(ASKED);
        assert_eq!(reply.status(), 500);
        let body = body(reply).await.to_string();
        assert!(!body.contains("secret"), "{body}");
        let reply = Problem::from(Error::new(ErrorCode::Internal, "secret words")).respond(ASKED);
        assert!(!self::body(reply).await.to_string().contains("secret"));
    }

    #[test]
    fn a_503_says_when_to_come_back_and_a_401_what_it_wants() {
        let away = Error::new(ErrorCode::ClusterUnavailable, "away").retry_after(Duration::from_secs(7));
        let unknown = Error::new(ErrorCode::StorageUnavailable, "away");
        let retry = |error: Error| Problem::from(error).respond(ASKED).headers()[header::RETRY_AFTER].clone();
        assert_eq!(retry(away), "7");
        assert_eq!(retry(unknown), "5");
        let refused = Problem::new(EdgeCode::IdentityRequired, "who?").respond(ASKED);
        assert_eq!(refused.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }

    #[test]
    fn the_log_has_every_layer_once() {
        let inner = std::io::Error::other("disk full");
        let error = Error::new(ErrorCode::StorageUnavailable, "the database cannot be used").because(inner);
        assert_eq!(chain(&error), "the database cannot be used: disk full");
    }
}

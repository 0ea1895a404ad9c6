//! Answers: a status, a media type and bytes. It refuses to stream: every answer is complete, and so has a length.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::problem::Problem;

/// What a handler answers.
pub type Reply = Response<Full<Bytes>>;

/// A JSON answer.
///
/// # Errors
/// A bug, where the value has no JSON form.
pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Reply, Problem> {
    let body = serde_json::to_vec(value).map_err(Problem::bug)?;
    Ok(with_body(status, JSON, body))
}

/// An answer in plain text.
#[must_use]
pub fn text(body: String) -> Reply {
    with_body(
        StatusCode::OK,
        HeaderValue::from_static("text/plain; charset=utf-8"),
        body,
    )
}

/// An answer of that media type.
#[must_use]
pub fn with_body(status: StatusCode, media: HeaderValue, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, media);
    reply
}

/// The same answer, saying where the state of what it began is found. The edge puts the request's prefix before it.
///
/// # Errors
/// A bug, where the path is no header value.
pub fn located(mut reply: Reply, path: &str) -> Result<Reply, Problem> {
    let location = HeaderValue::from_str(path).map_err(Problem::bug)?;
    reply.headers_mut().insert(header::LOCATION, location);
    Ok(reply)
}

/// A number as a header's value.
#[must_use]
pub fn number(value: u64) -> HeaderValue {
    HeaderValue::from(value)
}

/// The media type of almost every answer.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

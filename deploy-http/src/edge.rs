//! One request from its first header to its last byte: let in by the gate, carried out by its handler, answered with
//! the headers every answer has, logged once. No panic of a handler reaches a user or the connection.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use deploy_core::error::BoxError;
use futures::FutureExt as _;
use http_body_util::Full;
use hyper::body::Body;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Version};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::browser::cors;
use crate::gate::{Call, Ends, Found, Gate};
use crate::handlers::Services;
use crate::problem::{Asked, Problem};
use crate::reply::{Reply, number};
use crate::routes::Route;

/// Answers requests.
pub struct Edge {
    gate: Gate,
    services: Arc<Services>,
    changes: TaskTracker,
}

impl Edge {
    /// An edge that lets requests in by `gate`. What changes state runs on `changes`, whether or not its client stays.
    #[must_use]
    pub fn new(gate: Gate, services: Arc<Services>, changes: TaskTracker) -> Self {
        crate::router::prepare();
        Self {
            gate,
            services,
            changes,
        }
    }

    /// Answers one request.
    pub async fn answer<B>(&self, ends: Ends, request: Request<B>) -> Reply
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let began = Instant::now();
        let (request, body) = request.into_parts();
        let request_id = request_id(&request.headers);
        let (method, version) = (request.method.clone(), request.version);
        let reader = cors::reader(&request.headers, &self.gate.origins);
        let found = self.gate.route(ends, &request);
        let asked = Asked {
            request_id: &request_id,
            verb: method.as_str(),
            route: found.as_ref().map_or("-", |found| found.route.path),
        };
        let prefix = found.as_ref().map_or("", |found| found.prefix);
        let outcome = match found {
            Ok(found) => match self.gate.preflight(&found, &request) {
                Some(reply) => Ok(reply),
                None => self.carried_out(found, ends, request, body).await,
            },
            Err(problem) => Err(problem),
        };
        let mut reply = match outcome {
            Ok(reply) => {
                let (Asked { verb, route, .. }, status) = (asked, reply.status().as_u16());
                let ms = began.elapsed().as_millis();
                if status == StatusCode::ACCEPTED.as_u16() {
                    tracing::info!(request_id, verb, route, status, ms, "accepted");
                } else {
                    tracing::debug!(request_id, verb, route, status, ms, "answered");
                }
                reply
            }
            Err(problem) => {
                problem.log(asked);
                problem.respond(asked)
            }
        };
        put_before_location(&mut reply, prefix);
        cors::share(&mut reply, reader, &self.gate.origins);
        finish(&mut reply, &request_id, version);
        if method == Method::HEAD {
            without_body(reply)
        } else {
            reply
        }
    }

    async fn carried_out<B>(
        &self,
        found: Found<'_>,
        ends: Ends,
        request: Parts,
        body: B,
    ) -> Result<Reply, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let route = found.route;
        let admitted = AssertUnwindSafe(self.gate.admit(found, ends, request, body))
            .catch_unwind()
            .await;
        let call = admitted.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))?;
        self.handled(route, call).await
    }

    async fn handled(&self, route: &'static Route, call: Call) -> Result<Reply, Problem> {
        let work = AssertUnwindSafe((route.handler)(self.services.clone(), call)).catch_unwind();
        let outcome = if route.access.changes() {
            // A client that goes away drops the future of its request; a deploy half done is finished all the same.
            self.changes.spawn(work).await.map_err(Problem::bug)?
        } else {
            work.await
        };
        outcome.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
    }
}

/// The panic hook has logged where; this tells which request it was.
fn panicked(panic: &(dyn Any + Send)) -> Problem {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    Problem::bug(format!("a panic: {}", text.unwrap_or_default()))
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The client's own id where it is a plain one, so that its logs and ours can be joined; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    match given {
        Some(id) if (1..=64).contains(&id.len()) && id.bytes().all(plain) => id.to_owned(),
        _ => Uuid::now_v7().to_string(),
    }
}

/// Not to be kept, not to be guessed at, not to be told to other sites, not to be embedded by them.
const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Handlers know paths without the prefix; a client finds them with it alone.
fn put_before_location(reply: &mut Reply, prefix: &str) {
    if prefix.is_empty() {
        return;
    }
    if let Some(location) = reply.headers_mut().get_mut(header::LOCATION) {
        let prefixed = [prefix.as_bytes(), location.as_bytes()].concat();
        if let Ok(prefixed) = HeaderValue::from_maybe_shared(Bytes::from(prefixed)) {
            *location = prefixed;
        }
    }
}

/// The headers every answer has.
fn finish(reply: &mut Reply, request_id: &str, version: Version) {
    let closes = matches!(
        reply.status(),
        StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE
    );
    let headers = reply.headers_mut();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    if closes && version <= Version::HTTP_11 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// The answer to a HEAD: all of a GET's but the body.
fn without_body(reply: Reply) -> Reply {
    let (mut parts, body) = reply.into_parts();
    let length = body.size_hint().exact().unwrap_or_default();
    if parts.status != StatusCode::NOT_MODIFIED {
        parts.headers.insert(header::CONTENT_LENGTH, number(length));
    }
    Response::from_parts(parts, Full::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_request_id_is_taken_over_and_any_other_replaced() {
        for (given, taken) in [
            ("abc-1.2_3", true),
            ("", false),
            ("a b", false),
            ("\u{e9}", false),
            (&"x".repeat(65), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(given.as_bytes()).unwrap());
            assert_eq!(request_id(&headers) == given, taken, "{given}");
        }
        assert_eq!(request_id(&HeaderMap::new()).len(), 36);
    }

    #[test]
    fn the_answer_to_a_head_has_the_length_and_not_the_body() {
        let reply = without_body(crate::reply::text("hello".to_owned()));
        assert_eq!(reply.headers()[header::CONTENT_LENGTH], "5");
        assert_eq!(reply.body().size_hint().exact(), Some(0));
    }

    #[test]
    fn a_location_carries_the_prefix_that_the_request_had() {
        for (prefix, expected) in [("", "/v1/x"), ("/apps/api", "/apps/api/v1/x")] {
            let reply = crate::reply::text(String::new());
            let mut reply = crate::reply::located(reply, "/v1/x").unwrap();
            put_before_location(&mut reply, prefix);
            assert_eq!(reply.headers()["location"], expected);
        }
    }

    #[test]
    fn every_answer_says_that_it_is_not_to_be_kept_or_guessed_at() {
        let mut reply = crate::reply::text(String::new());
        finish(&mut reply, "r-1", Version::HTTP_11);
        let line = |name: &str| reply.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(line("x-request-id"), "r-1");
        assert_eq!(line("cache-control"), "no-store");
        assert_eq!(line("x-content-type-options"), "nosniff");
        assert_eq!(line("referrer-policy"), "no-referrer");
        assert_eq!(line("cross-origin-resource-policy"), "same-origin");
        assert!(!reply.headers().contains_key("connection"));
        *reply.status_mut() = StatusCode::REQUEST_TIMEOUT;
        finish(&mut reply, "r-1", Version::HTTP_11);
        assert_eq!(reply.headers()["connection"], "close");
    }
}

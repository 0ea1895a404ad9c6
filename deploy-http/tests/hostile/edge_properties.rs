//! Whatever a header or a target holds, the request is answered: with no 5xx, in the shape that every answer has, and
//! without an identity to no change.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::HeaderValue;
use hyper::{Request, Uri};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use crate::judge::{Judge, problem};
use crate::properties::{pieces, runtime};
use crate::server::Server;

/// Sends requests made of what `make` answers for bytes, on one server; none is answered with a 5xx, and without an
/// identity none changes anything.
fn every_request_is_answered<S: Strategy>(
    strategy: S,
    cases: u32,
    make: impl Fn(S::Value) -> Option<Request<Full<Bytes>>>,
) {
    let (runtime, judge) = (runtime(), Judge::new());
    let server = runtime.block_on(Server::start(Duration::from_secs(60)));
    let before = server.calls();
    let config = ProptestConfig {
        failure_persistence: None,
        cases,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    let answered = runner.run(&strategy, |value| {
        let Some(request) = make(value) else {
            return Ok(());
        };
        let shown = format!("{request:?}");
        let answer = runtime.block_on(server.answer(request));
        let told = problem(&answer);
        if let Err(why) = judge.code(&answer, told.as_ref()) {
            return Err(TestCaseError::fail(format!("{why}: {answer:?} to {shown}")));
        }
        prop_assert!(server.calls().changed_nothing_since(before), "{shown}");
        Ok(())
    });
    answered.unwrap();
}

/// A request for a protected route or one that reads, with one header more than it needs.
fn with_header(name: &str, value: &[u8], host: &[u8]) -> Option<Request<Full<Bytes>>> {
    let value = HeaderValue::from_bytes(value).ok()?;
    let path = match value.len() % 3 {
        0 => "/v1/task/deploy/demo/ok",
        1 => "/v1/list/pods?limit=1",
        _ => "/v2/task/list/templates",
    };
    let request = Request::get(path).header("host", host).header(name, value);
    request.body(Full::default()).ok()
}

#[test]
fn any_header_is_read_passed_over_or_refused() {
    let name = select(vec![
        "accept",
        "if-none-match",
        "cookie",
        "authorization",
        "x-request-id",
        "content-type",
        "content-encoding",
        "host",
        "forwarded",
        "x-forwarded-for",
        "origin",
        "referer",
        "sec-fetch-site",
        "expect",
        "idempotency-key",
    ]);
    let word = select(vec![
        "authtoken",
        "=",
        ";",
        ",",
        " ",
        "Bearer ",
        "q=",
        "0",
        "*",
        "*/*",
        "application/json",
        "W/",
        "\"",
        "localhost",
        ":",
        "@",
        "[",
        "]",
        "127.0.0.1",
        "x.y.z",
        "é",
        "\t",
    ]);
    let part = prop_oneof![
        word.prop_map(|word| word.as_bytes().to_vec()),
        vec(any::<u8>(), 0..6),
    ];
    let value = vec(part, 0..12).prop_map(|parts| parts.concat());
    every_request_is_answered((name, value), 2000, |(name, value)| {
        with_header(name, &value, b"localhost")
    });
}

#[test]
fn any_host_is_ours_or_refused() {
    let host = "(localhost|127\\.0\\.0\\.1|\\[::1\\]|[a-z@.\\[\\]:%/]{0,12})(:[0-9a-z]{0,6}|)[\\PC]{0,3}";
    every_request_is_answered(host, 1000, |host| with_header("accept", b"*/*", host.as_bytes()));
}

#[test]
fn any_target_is_a_route_or_none() {
    every_request_is_answered(pieces(), 2000, |bytes| {
        let target = format!("/{}", String::from_utf8_lossy(&bytes));
        let target: Uri = target.parse().ok()?;
        let request = Request::get(target).header("host", "localhost");
        request.body(Full::default()).ok()
    });
}

//! Cross-origin resource sharing (the Fetch standard, §3.2), for allowed origins alone: their pages may read answers and
//! send what a plain form cannot. Any other origin gets no word of it, so its pages read nothing. The Identity header is
//! never allowed: it would let such a page say who asks.

use hyper::Method;
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderValue};

use super::Origins;
use super::cross_site::allowed_origin;
use crate::reply::Reply;
use crate::routes::Route;

/// What a page may send beyond what any form can.
const MAY_SEND: HeaderValue =
    HeaderValue::from_static("Authorization, Content-Type, If-None-Match, X-Request-Id");
/// What a page may read beyond the body.
const MAY_READ: HeaderValue = HeaderValue::from_static("Age, ETag, Location, Retry-After, X-Request-Id");

/// The answer to a browser that asks beforehand, for an allowed origin.
#[must_use]
pub fn preflight(route: &Route, method: &Method, headers: &HeaderMap, allowed: &Origins) -> Option<Reply> {
    let asks = method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !asks || allowed_origin(headers, allowed).is_none() {
        return None;
    }
    let mut reply = Reply::default();
    *reply.status_mut() = StatusCode::NO_CONTENT;
    let answer = reply.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, route.allow());
    answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, MAY_SEND);
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    Some(reply)
}

/// The origin whose page may read the answer to a request with these headers.
#[must_use]
pub fn reader(asked: &HeaderMap, allowed: &Origins) -> Option<HeaderValue> {
    allowed_origin(asked, allowed).cloned()
}

/// Lets that page read the answer.
pub fn share(reply: &mut Reply, reader: Option<HeaderValue>, allowed: &Origins) {
    if allowed.is_empty() {
        return;
    }
    let answer = reply.headers_mut();
    answer.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = reader {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, MAY_READ);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::find;

    fn asked(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                header::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        lines.iter().map(pair).collect()
    }

    fn allowed() -> Origins {
        Origins::new(["https://app.example".parse().unwrap()])
    }

    #[test]
    fn a_page_of_an_allowed_origin_is_told_what_it_may_send_and_no_other_page_is() {
        let route = find("/v1/delete/job/n/j").unwrap();
        let preflight = |origin, method| {
            let headers = asked(&[("origin", origin), ("access-control-request-method", "DELETE")]);
            preflight(route, method, &headers, &allowed())
        };
        let reply = preflight("https://app.example", &Method::OPTIONS).unwrap();
        assert_eq!(reply.status(), 204);
        assert_eq!(
            reply.headers()["access-control-allow-methods"],
            "GET, POST, DELETE"
        );
        let may_send = reply.headers()["access-control-allow-headers"].to_str().unwrap();
        assert!(!may_send.to_lowercase().contains("identity"), "{may_send}");
        assert!(preflight("https://app.example", &Method::GET).is_none());
        assert!(preflight("https://evil.example", &Method::OPTIONS).is_none());
        assert!(preflight("null", &Method::OPTIONS).is_none());
    }

    #[test]
    fn an_answer_is_shared_with_allowed_origins_alone_and_says_what_it_varies_by() {
        let shared = |origin, allowed: &Origins| {
            let mut reply = Reply::default();
            share(
                &mut reply,
                reader(&asked(&[("origin", origin)]), allowed),
                allowed,
            );
            let header = |name| {
                reply
                    .headers()
                    .get(name)
                    .map(|value| value.to_str().unwrap().to_owned())
            };
            (header("vary"), header("access-control-allow-origin"))
        };
        let vary = Some("Origin".to_owned());
        assert_eq!(
            shared("https://app.example", &allowed()),
            (vary.clone(), Some("https://app.example".to_owned()))
        );
        assert_eq!(shared("https://evil.example", &allowed()), (vary, None));
        assert_eq!(shared("https://app.example", &Origins::default()), (None, None));
    }
}

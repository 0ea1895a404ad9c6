//! States as resources: an ETag, `If-None-Match`, and `?wait=`, which holds the answer back until there is something
//! new to say. It polls nothing: it listens for changes of one id, then reads that one record.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use deploy_core::changes::Subscription;
use futures::future::{self, Either};
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderValue};
use serde::Serialize;
use uuid::Uuid;

use crate::gate::Call;
use crate::handlers::Services;
use crate::problem::Problem;
use crate::reply::{JSON, Reply, with_body};

/// A state as it would be answered now.
#[derive(Debug, Clone)]
pub struct State {
    body: Bytes,
    is_final: bool,
}

impl State {
    /// A state, and whether it never changes again by itself.
    ///
    /// # Errors
    /// A bug, where the value has no JSON form.
    pub fn new(value: &impl Serialize, is_final: bool) -> Result<Self, Problem> {
        let body = serde_json::to_vec(value).map_err(Problem::bug)?.into();
        Ok(Self { body, is_final })
    }
}

/// Answers the state of `id`, as `read` gives it, under the conditions of the call.
///
/// # Errors
/// 400 for a bad `?wait=`, and whatever `read` answers.
pub async fn answer<F, R>(services: &Services, call: &Call, id: Uuid, read: F) -> Result<Reply, Problem>
where
    F: Fn() -> R,
    R: Future<Output = Result<State, Problem>>,
{
    let wait = call.query.number("wait", 0..=60)?.unwrap_or(0);
    let known = Known::of(&call.headers);
    if wait == 0 {
        return Ok(reply(read().await?, known.as_ref()));
    }
    let changes = services.deployer.changes().subscribe(id);
    let time = tokio::time::sleep(Duration::from_secs(wait.into()));
    let until = future::select(Box::pin(time), Box::pin(services.drain.cancelled()));
    let state = settled(read, known.as_ref(), Changes(changes), until).await?;
    Ok(reply(state, known.as_ref()))
}

/// Tells when to read again.
trait Signal {
    /// Waits for the next change.
    async fn changed(&mut self);
}

struct Changes(Subscription);

impl Signal for Changes {
    async fn changed(&mut self) {
        self.0.changed().await;
    }
}

/// The first state worth answering; the one that stands when `until` comes otherwise.
async fn settled<F, R>(
    read: F,
    known: Option<&Known>,
    mut signal: impl Signal,
    mut until: impl Future + Unpin,
) -> Result<State, Problem>
where
    F: Fn() -> R,
    R: Future<Output = Result<State, Problem>>,
{
    loop {
        let state = read().await?;
        // A final state is all there will ever be to say, even to somebody who knows it already.
        let news = state.is_final || known.is_some_and(|known| !known.has(&etag(&state.body)));
        if news {
            return Ok(state);
        }
        let changed = Box::pin(signal.changed());
        if let Either::Right(_) = future::select(changed, &mut until).await {
            return read().await;
        }
    }
}

fn reply(state: State, known: Option<&Known>) -> Reply {
    let tag = etag(&state.body);
    let mut reply = if known.is_some_and(|known| known.has(&tag)) {
        let mut reply = Reply::default();
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        reply
    } else {
        with_body(StatusCode::OK, JSON, state.body)
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        reply.headers_mut().insert(header::ETAG, tag);
    }
    reply
}

/// A strong validator: the same bytes have the same tag, on every replica and after every restart.
fn etag(body: &[u8]) -> String {
    const SPACE: Uuid = Uuid::from_u128(0x6a1c_8e0e_5f0b_4e63_9f3a_2f6f_0d1e_7c55);
    format!("\"{}\"", Uuid::new_v5(&SPACE, body).as_simple())
}

/// What the client has already: the tags of `If-None-Match` (RFC 9110 §13.1.2).
struct Known(String);

impl Known {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(header::IF_NONE_MATCH).iter();
        let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then(|| Self(values.join(",")))
    }

    /// Weak comparison, as RFC 9110 asks for here. Our tags hold no comma.
    fn has(&self, tag: &str) -> bool {
        self.0
            .split(',')
            .map(str::trim)
            .any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use futures::FutureExt as _;

    use super::*;

    /// Says "changed" as often as it is told to, then never again.
    struct Script(usize);

    impl Signal for Script {
        async fn changed(&mut self) {
            match self.0.checked_sub(1) {
                Some(left) => self.0 = left,
                None => future::pending().await,
            }
        }
    }

    /// The states that reads find one after the other; the last one stays.
    fn run(
        states: &[(&str, bool)],
        known: Option<&str>,
        changes: usize,
        time_is_up: bool,
    ) -> (String, usize) {
        let rest: RefCell<VecDeque<_>> = RefCell::new(states.iter().copied().collect());
        let reads = Cell::new(0);
        let read = || {
            reads.set(reads.get() + 1);
            let mut rest = rest.borrow_mut();
            let (text, is_final) = if rest.len() > 1 {
                rest.pop_front().unwrap()
            } else {
                rest[0]
            };
            future::ready(State::new(&text, is_final))
        };
        let known = known.map(|text| Known(etag(format!("{text:?}").as_bytes())));
        let until = if time_is_up {
            future::ready(()).left_future()
        } else {
            future::pending().right_future()
        };
        match settled(read, known.as_ref(), Script(changes), until).now_or_never() {
            Some(state) => (
                String::from_utf8(state.unwrap().body.to_vec()).unwrap(),
                reads.get(),
            ),
            None => ("waits".to_owned(), reads.get()),
        }
    }

    #[test]
    fn without_a_tag_the_answer_waits_for_the_end() {
        assert_eq!(run(&[("done", true)], None, 0, false), ("\"done\"".into(), 1));
        assert_eq!(
            run(&[("a", false), ("b", false), ("done", true)], None, 2, false),
            ("\"done\"".into(), 3)
        );
        assert_eq!(run(&[("a", false), ("b", false)], None, 1, false).0, "waits");
    }

    #[test]
    fn with_a_tag_the_answer_waits_for_a_difference() {
        assert_eq!(
            run(&[("a", false), ("b", false)], Some("a"), 1, false),
            ("\"b\"".into(), 2)
        );
        assert_eq!(run(&[("b", false)], Some("a"), 0, false), ("\"b\"".into(), 1));
        assert_eq!(run(&[("a", false)], Some("a"), 3, false).0, "waits");
        // Nobody is kept waiting for what has ended.
        assert_eq!(run(&[("a", true)], Some("a"), 0, false), ("\"a\"".into(), 1));
    }

    #[test]
    fn when_the_time_is_up_the_state_is_answered_as_it_is() {
        assert_eq!(run(&[("a", false)], None, 0, true), ("\"a\"".into(), 2));
        assert_eq!(run(&[("a", false)], Some("a"), 0, true), ("\"a\"".into(), 2));
    }

    #[test]
    fn a_tag_that_is_known_gives_a_304_without_a_body() {
        let state = State::new(&"a", false).unwrap();
        let fresh = reply(state.clone(), None);
        let tag = fresh.headers()[header::ETAG].clone();
        let known = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, text.parse().unwrap());
            reply(state.clone(), Known::of(&headers).as_ref())
                .status()
                .as_u16()
        };
        let tag = tag.to_str().unwrap();
        assert_eq!(fresh.status(), 200);
        assert_eq!(known(tag), 304);
        assert_eq!(known(&format!("\"x\", W/{tag}")), 304);
        assert_eq!(known("*"), 304);
        assert_eq!(known("\"x\""), 200);
        assert_eq!(known(tag.trim_matches('"')), 200);
    }
}

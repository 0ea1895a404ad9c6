//! What goes wrong on request: which requests a fault is for, how often it strikes, and what it does.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::request::{Asked, Verb};

/// Which requests; what is not said matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matcher {
    verbs: Vec<Verb>,
    resource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
    writes_alone: bool,
}

impl Matcher {
    /// Every request, health checks and discovery included.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Whatever could change something.
    #[must_use]
    pub fn writes() -> Self {
        Self {
            writes_alone: true,
            ..Self::default()
        }
    }

    /// Requests of a verb.
    #[must_use]
    pub fn on(verb: Verb) -> Self {
        Self {
            verbs: vec![verb],
            ..Self::default()
        }
    }

    /// And those of another verb.
    #[must_use]
    pub fn or(mut self, verb: Verb) -> Self {
        self.verbs.push(verb);
        self
    }

    /// Only on this resource, by its plural.
    #[must_use]
    pub fn resource(mut self, plural: &str) -> Self {
        self.resource = Some(plural.to_owned());
        self
    }

    /// Only in this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Only where the path names this object. A create names none: its name is in its body.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Only on this subresource.
    #[must_use]
    pub fn subresource(mut self, subresource: &str) -> Self {
        self.subresource = Some(subresource.to_owned());
        self
    }

    fn matches(&self, asked: &Asked) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        (self.verbs.is_empty() || self.verbs.contains(&asked.verb))
            && (!self.writes_alone || asked.verb.writes())
            && is(&self.resource, asked.kind.map_or("", |kind| kind.plural))
            && is(&self.namespace, &asked.namespace)
            && is(&self.name, &asked.name)
            && is(&self.subresource, &asked.subresource)
    }
}

/// Which of the matching requests it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Each.
    Always,
    /// The first so many.
    First(u64),
    /// That one alone, counted from 1.
    Nth(u64),
    /// Every k-th: the k-th, the 2k-th and so on.
    Every(u64),
    /// So many of a hundred, drawn by a generator that begins with this seed.
    Percent {
        /// How many of a hundred.
        percent: u8,
        /// The same seed strikes the same requests.
        seed: u64,
    },
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429 with Retry-After, where seconds are given; nothing is done.
    TooManyRequests(Option<u64>),
    /// 503 with Retry-After, where seconds are given; nothing is done.
    Unavailable(Option<u64>),
    /// 500; nothing is done.
    InternalError,
    /// 403, as RBAC refuses; nothing is done.
    Forbidden,
    /// 409, as an update that lost a race; nothing is done.
    Conflict,
    /// 410; a watch is answered with it as its first event.
    Gone,
    /// The connection is closed before anything is done.
    Reset,
    /// It is done, and answered with 504.
    CommitThenTimeout,
    /// It is done, and the connection closed without an answer.
    CommitThenReset,
    /// It is neither done nor answered, for as long as the server runs or the client waits.
    Hang,
    /// It is done so much later, to within a tenth of a millisecond. Faults behind it strike as well.
    Delay(Duration),
}

/// A fault that was injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injected(u64);

/// The faults of a server.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    faults: Vec<Rule>,
    made: u64,
}

#[derive(Debug)]
struct Rule {
    number: u64,
    matcher: Matcher,
    times: Times,
    fault: Fault,
    matched: u64,
    struck: u64,
    drawn: u64,
}

impl Faults {
    pub(super) fn inject(&self, matcher: Matcher, times: Times, fault: Fault) -> Injected {
        let mut waiting = self.lock();
        waiting.made += 1;
        let number = waiting.made;
        let drawn = match times {
            Times::Percent { seed, .. } => seed,
            _ => 0,
        };
        waiting.faults.push(Rule {
            number,
            matcher,
            times,
            fault,
            matched: 0,
            struck: 0,
            drawn,
        });
        Injected(number)
    }

    pub(super) fn end(&self, injected: Injected) {
        self.lock().faults.retain(|rule| rule.number != injected.0);
    }

    pub(super) fn heal(&self) {
        self.lock().faults.clear();
    }

    /// How often a fault has struck.
    pub(super) fn struck(&self, injected: Injected) -> u64 {
        let waiting = self.lock();
        let rule = waiting.faults.iter().find(|rule| rule.number == injected.0);
        rule.map_or(0, |rule| rule.struck)
    }

    /// How long a request is delayed, and what strikes it then: the first that does.
    pub(super) fn strike(&self, asked: &Asked) -> (Duration, Option<Fault>) {
        let mut delay = Duration::ZERO;
        for rule in &mut self.lock().faults {
            if !rule.matcher.matches(asked) || !rule.strikes() {
                continue;
            }
            match rule.fault {
                Fault::Delay(by) => delay += by,
                fault => return (delay, Some(fault)),
            }
        }
        (delay, None)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule {
    fn strikes(&mut self) -> bool {
        self.matched += 1;
        let strikes = match self.times {
            Times::Always => true,
            Times::First(count) => self.matched <= count,
            Times::Nth(nth) => self.matched == nth,
            Times::Every(k) => self.matched.is_multiple_of(k),
            Times::Percent { percent, .. } => {
                // The constants of Knuth's MMIX; its high bits are the good ones.
                self.drawn = self
                    .drawn
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (self.drawn >> 33) % 100 < u64::from(percent)
            }
        };
        self.struck += u64::from(strikes);
        strikes
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::*;

    fn struck(times: Times, of: usize) -> Vec<usize> {
        let faults = Faults::default();
        faults.inject(Matcher::on(Verb::Create).resource("jobs"), times, Fault::Reset);
        let create = Asked::new(&Method::POST, "/apis/batch/v1/namespaces/demo/jobs", "");
        let list = Asked::new(&Method::GET, "/apis/batch/v1/namespaces/demo/jobs", "");
        (1..=of)
            .filter(|_| {
                assert_eq!(faults.strike(&list), (Duration::ZERO, None));
                faults.strike(&create).1.is_some()
            })
            .collect()
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_says() {
        assert_eq!(struck(Times::Always, 3), [1, 2, 3]);
        assert_eq!(struck(Times::First(2), 4), [1, 2]);
        assert_eq!(struck(Times::Nth(2), 4), [2]);
        assert_eq!(struck(Times::Every(3), 7), [3, 6]);
        let percent = Times::Percent { percent: 30, seed: 7 };
        let hits = struck(percent, 1000);
        assert!((250..350).contains(&hits.len()), "{}", hits.len());
        assert_eq!(struck(percent, 1000), hits);
    }

    #[test]
    fn delays_add_up_and_let_what_is_behind_them_strike() {
        let faults = Faults::default();
        let millisecond = Duration::from_millis(1);
        faults.inject(Matcher::all(), Times::Always, Fault::Delay(millisecond));
        faults.inject(Matcher::writes(), Times::Always, Fault::Delay(millisecond));
        let injected = faults.inject(Matcher::writes(), Times::Always, Fault::InternalError);
        let create = Asked::new(&Method::POST, "/api/v1/namespaces", "");
        assert_eq!(
            faults.strike(&create),
            (2 * millisecond, Some(Fault::InternalError))
        );
        assert_eq!(faults.struck(injected), 1);
        faults.end(injected);
        assert_eq!(faults.strike(&create), (2 * millisecond, None));
    }
}

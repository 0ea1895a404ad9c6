//! Every bad value in every place that takes its kind, the rest of the request being good. Which places there are is
//! read from the route table; which values, from the data.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_http::routes::{Route, TABLE};
use serde_json::Value;

use crate::corpus::{Corpus, Entry, Kind, Part};
use crate::judge::{Judge, problem, repeats, violations};
use crate::report::{Report, short};
use crate::requests::{Draft, Encoding, Escaping};
use crate::server::{Answer, Server};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn every_place_of_every_route_has_a_kind_of_value_to_try_on_it() {
    let corpus = Corpus::read();
    let untold: Vec<String> = TABLE
        .iter()
        .filter_map(|route| corpus.places_of(route).err())
        .collect();
    assert!(untold.is_empty(), "{untold:#?}");
}

#[test]
fn the_data_holds_hundreds_of_values_and_none_twice() {
    let corpus = Corpus::read();
    let mut count = 0;
    for (name, kind) in &corpus.kinds {
        let mut seen = BTreeSet::new();
        for Entry { value, why, raw, .. } in &kind.values {
            assert!(seen.insert((value.bytes(), *raw)), "{name}: twice: {why}");
            assert!(why.len() > 2, "{name}: why is {value:?} bad?");
        }
        assert!(seen.len() >= 20, "{name} has {} values", seen.len());
        count += seen.len();
    }
    assert!(count >= 1000, "{count}");
}

#[tokio::test]
async fn a_good_request_is_let_through_on_every_route() {
    let corpus = Corpus::read();
    for encoding in [Encoding::Urlencoded, Encoding::Multipart] {
        let server = Server::start(LONG).await;
        for route in TABLE {
            let mut draft = Draft::good(&corpus, &server, route);
            draft.encoding = encoding;
            let answer = server.answer(draft.request()).await;
            // What is not there to be deleted, or has no log, is no fault of the request's.
            let fine = answer.status < 300 || answer.status == 404;
            assert!(fine, "{} {encoding:?}: {answer:?}", route.path);
            server.settle().await;
        }
    }
}

#[tokio::test]
async fn a_bad_value_is_refused_wherever_it_is_sent_before_anything_outside_is_asked() {
    let corpus = Corpus::read();
    let mut matrix = Matrix::new(&corpus, Server::start(LONG).await);
    matrix.send(|entry| !entry.reaches).await;
    matrix.report.end(10_000);
}

#[tokio::test]
async fn a_value_that_only_looks_odd_is_answered_by_what_is_or_is_not_there() {
    let corpus = Corpus::read();
    let mut matrix = Matrix::new(&corpus, Server::start(LONG).await);
    matrix.send(|entry| entry.reaches).await;
    matrix.report.end(200);
}

/// Every place of the table times every value of its kind.
struct Matrix<'a> {
    corpus: &'a Corpus,
    server: Server,
    judge: Judge,
    report: Report,
}

/// One request of it.
struct Case<'a> {
    route: &'static Route,
    place: (Part, &'static str),
    kind: &'a Kind,
    entry: &'a Entry,
    value: &'a [u8],
}

impl<'a> Matrix<'a> {
    fn new(corpus: &'a Corpus, server: Server) -> Self {
        Self {
            corpus,
            server,
            judge: Judge::new(),
            report: Report::default(),
        }
    }

    async fn send(&mut self, which: impl Fn(&Entry) -> bool) {
        for kind in self.corpus.kinds.values() {
            for entry in kind.values.iter().filter(|entry| which(entry)) {
                let value = self.value(entry);
                for (route, place) in self.places(kind) {
                    if entry.fits(place.0) {
                        self.try_one(&Case {
                            route,
                            place,
                            kind,
                            entry,
                            value: &value,
                        })
                        .await;
                    }
                }
            }
        }
    }

    fn places(&self, kind: &Kind) -> Vec<(&'static Route, (Part, &'static str))> {
        let mut found = Vec::new();
        for route in TABLE {
            for (part, name, of) in self.corpus.places_of(route).unwrap() {
                if std::ptr::eq(&raw const self.corpus.kinds[of], kind) {
                    found.push((route, (part, name)));
                }
            }
        }
        found
    }

    /// The bytes of a value, ids being those of things of another kind that are there.
    fn value(&self, entry: &Entry) -> Vec<u8> {
        match entry.value.bytes() {
            b"{task}" => self.server.task.clone().into_bytes(),
            b"{run}" => self.server.run.clone().into_bytes(),
            other => other.to_vec(),
        }
    }

    /// In every way the place can be written.
    async fn try_one(&mut self, case: &Case<'_>) {
        let (part, _) = case.place;
        let ways: &[(Escaping, Encoding)] = match part {
            _ if case.entry.raw => &[(Escaping::None, Encoding::Urlencoded)],
            Part::Form => &[
                (Escaping::Needed, Encoding::Urlencoded),
                (Escaping::Needed, Encoding::Multipart),
            ],
            // The longest path there is has 64 kB.
            _ if case.value.len() > 5000 => &[(Escaping::Needed, Encoding::Urlencoded)],
            _ => &[
                (Escaping::Needed, Encoding::Urlencoded),
                (Escaping::All, Encoding::Multipart),
            ],
        };
        for (escaping, encoding) in ways {
            let mut draft = Draft::good(self.corpus, &self.server, case.route);
            draft.encoding = *encoding;
            let sent = draft.put(case.route, case.place, case.value, *escaping);
            let before = self.server.calls();
            let answer = self.server.answer(draft.request()).await;
            let after = self.server.calls();
            let judged = self.judge(case, &answer, &sent).and_then(|accepted| {
                let only_read = case.entry.reaches && after.changed_nothing_since(before);
                if accepted || only_read || after == before {
                    Ok(accepted)
                } else {
                    Err(format!("something outside was asked: {before:?}, then {after:?}"))
                }
            });
            let Case {
                route, place, entry, ..
            } = case;
            let what = format!("{} ({})", short(case.value), entry.why);
            let place = format!("{} {place:?} {escaping:?} {encoding:?}", route.path);
            if self.report.add(&what, &place, &answer, judged) == Some(true) {
                self.server.settle().await;
            }
        }
    }

    /// Whether it was accepted, as it may be; or what is wrong with the answer.
    fn judge(&self, case: &Case<'_>, answer: &Answer, sent: &str) -> Result<bool, String> {
        let told = problem(answer);
        let code = self.judge.code(answer, told.as_ref())?;
        let Case {
            kind, entry, value, ..
        } = case;
        let allowed = entry.codes(kind);
        if !allowed.iter().any(|allowed| allowed == code) {
            return Err(format!("expected {allowed:?}, found {code}"));
        }
        let Some(told) = told.as_ref().filter(|_| code != "-") else {
            return Ok(true);
        };
        if entry.reaches && !self.judge.asks_first(code) && code.starts_with("invalid-parameter") {
            return Err("it parses, and was refused as if it did not".to_owned());
        }
        if !entry.rule && repeats(answer, value, sent) {
            return Err("the answer repeats the value".to_owned());
        }
        let document = matches!(code, "invalid-manifest" | "invalid-pipeline");
        if document
            && !entry.reaches
            && let Ok(document) = serde_json::from_slice(value)
        {
            let mut texts = Vec::new();
            values_of(&document, &mut texts);
            if let Some(shown) = texts.iter().find(|text| repeats(answer, text.as_bytes(), text)) {
                return Err(format!("the answer repeats a value of the document: {shown:?}"));
            }
        }
        names_the_place(case, code, told)?;
        Ok(false)
    }
}

/// Every text of a document that may be a secret in the wrong place. Names are none: a violation says which task waits
/// for which, and which label it is about.
fn values_of<'v>(document: &'v Value, found: &mut Vec<&'v str>) {
    match document {
        Value::String(text) => found.push(text),
        Value::Array(elements) => elements.iter().for_each(|element| values_of(element, found)),
        Value::Object(members) => {
            let members = members
                .iter()
                .filter(|(key, _)| !matches!(key.as_str(), "name" | "dependance" | "labels"));
            members.for_each(|(_, value)| values_of(value, found));
        }
        _ => {}
    }
}

fn names_the_place(case: &Case<'_>, code: &str, told: &Value) -> Result<(), String> {
    let (part, name) = case.place;
    match code {
        "invalid-parameter" => {
            let detail = told["detail"].as_str().unwrap_or_default();
            let place = format!("`{name}` in the {}", part.as_str());
            // Where a query cannot be decoded, there is no telling its names apart.
            let whole = part == Part::Query && detail == "the query is not percent-encoded correctly";
            if detail.contains(&place) || whole {
                Ok(())
            } else {
                Err(format!("it does not name {place}"))
            }
        }
        "invalid-manifest" | "invalid-pipeline" => {
            let pointers: Vec<_> = violations(told).map(|(pointer, _)| pointer).collect();
            let wanted = case.entry.at.as_deref();
            if pointers.is_empty() || wanted.is_some_and(|wanted| !pointers.contains(&wanted)) {
                return Err(format!("no violation at {wanted:?} but at {pointers:.8?}"));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

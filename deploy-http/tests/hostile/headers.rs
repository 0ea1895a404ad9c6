//! Every bad header on every route, the rest of the request being good. What would not even be a header, such as one
//! with a NUL in it, is sent as bytes to a listener by the tests of raw requests.

use std::time::Duration;

use deploy_http::routes::{Access, TABLE};
use serde::Deserialize;

use crate::corpus::{Corpus, Text};
use crate::judge::{Judge, problem, repeats};
use crate::report::{Report, short};
use crate::requests::Draft;
use crate::server::Server;

const HEADERS: &str = include_str!("bad_headers.json");

const LONG: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    header: String,
    /// One a line.
    values: Vec<Text>,
    why: String,
    /// What it is answered with; `=` is what the request is answered with without it.
    codes: Vec<String>,
    /// The same, where a route only reads.
    reads: Option<Vec<String>>,
    /// A rule may say these words, so that finding them in an answer is no echo.
    #[serde(default)]
    rule: bool,
    /// Whether probes, which look for no identity, answer alike.
    #[serde(default)]
    probes: bool,
    /// Whether the good request has its own header of that name no more.
    #[serde(default)]
    beside: bool,
}

impl Entry {
    fn codes(&self, access: Access) -> &[String] {
        match access {
            Access::Open if !self.probes => &[],
            Access::Read => self.reads.as_ref().unwrap_or(&self.codes),
            _ => &self.codes,
        }
    }

    fn on(&self, mut draft: Draft) -> Draft {
        if !self.beside {
            draft.headers.retain(|(name, _)| *name != self.header);
        }
        let values = self.values.iter();
        values.fold(draft, |draft, value| {
            draft.with_header(&self.header, value.bytes())
        })
    }
}

#[tokio::test]
async fn a_bad_header_is_refused_or_passed_over_on_every_route() {
    let entries: Vec<Entry> = serde_json::from_str(HEADERS).unwrap();
    assert!(entries.len() >= 200, "{}", entries.len());
    let (corpus, judge) = (Corpus::read(), Judge::new());
    let mut report = Report::default();
    let mut server = Server::start(LONG).await;
    for (index, entry) in entries.iter().enumerate() {
        // What good requests have begun makes lists longer and slower.
        if index % 10 == 9 {
            server = Server::start(LONG).await;
        }
        for route in TABLE {
            let draft = entry.on(Draft::good(&corpus, &server, route));
            let before = server.calls();
            let answer = server.answer(draft.request()).await;
            let told = problem(&answer);
            let judged = judge.code(&answer, told.as_ref()).and_then(|code| {
                let allowed = entry.codes(route.access);
                // What a good request meets: success, or that there is nothing to delete and no log.
                let unmoved = matches!(code, "-" | "object-not-found");
                let as_without = allowed.is_empty() || allowed.iter().any(|allowed| allowed == "=");
                let fine = allowed.iter().any(|allowed| allowed == code) || unmoved && as_without;
                if !fine {
                    return Err(format!("expected {allowed:?}, found {code}"));
                }
                if !unmoved && server.calls() != before {
                    return Err("something outside was asked".to_owned());
                }
                let value = entry.values[0].bytes();
                // A good mailbox is a person's, and is shown to those who may read what that person did.
                if !unmoved && !entry.rule && repeats(&answer, value, &String::from_utf8_lossy(value)) {
                    return Err("the answer repeats the value".to_owned());
                }
                Ok(unmoved)
            });
            let value = short(entry.values[0].bytes());
            let what = format!("{}: {value} ({})", entry.header, entry.why);
            if report.add(&what, route.path, &answer, judged) == Some(true) && route.access.changes() {
                server.settle().await;
            }
        }
    }
    report.end(5000);
}

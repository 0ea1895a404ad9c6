//! Bodies that are no form, or a broken one, on every route that reads one.

use std::time::Duration;

use deploy_http::routes::{Route, TABLE};
use hyper::Method;
use serde::Deserialize;

use crate::corpus::{Corpus, Text};
use crate::judge::{Judge, problem};
use crate::report::{Report, short};
use crate::requests::Draft;
use crate::server::Server;

const FORMS: &str = include_str!("bad_forms.json");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    content_type: Option<Text>,
    /// `{field}` stands for a field that the route takes.
    body: Text,
    why: String,
    /// What it is answered with. `=` where it may be taken as a form, and is answered as its
    /// values are.
    codes: Vec<String>,
    /// Content-Encoding.
    encoding: Option<String>,
}

#[tokio::test]
async fn a_body_that_is_no_form_is_refused_on_every_route_before_anything_outside_is_asked() {
    let entries: Vec<Entry> = serde_json::from_str(FORMS).unwrap();
    assert!(entries.len() >= 100, "{}", entries.len());
    let (corpus, judge) = (Corpus::read(), Judge::new());
    let mut report = Report::default();
    let routes = TABLE
        .iter()
        .filter(|route| route.methods().contains(&Method::POST));
    let routes: Vec<&'static Route> = routes.collect();
    let server = Server::start(Duration::from_secs(60)).await;
    for entry in &entries {
        let (body, content_type) = (entry.body.bytes(), entry.content_type.as_ref().map(Text::bytes));
        let large = body.len() > 100_000;
        // A large body costs time and is read by the same code whatever the route.
        for route in routes.iter().step_by(if large { 5 } else { 1 }) {
            let mut draft = Draft::good(&corpus, &server, route);
            draft.verb = Method::POST;
            let field = route.form.first().map_or("nobody", |field| field.name);
            draft = draft.with_body(filled(body, field));
            if let Some(content_type) = content_type {
                draft = draft.with_header("content-type", content_type);
            }
            if let Some(encoding) = &entry.encoding {
                draft = draft.with_header("content-encoding", encoding.as_bytes());
            }
            let before = server.calls();
            let answer = server.answer(draft.request()).await;
            let told = problem(&answer);
            let judged = judge.code(&answer, told.as_ref()).and_then(|code| {
                if !entry
                    .codes
                    .iter()
                    .any(|allowed| allowed == code || allowed == "=")
                {
                    return Err(format!("expected {:?}, found {code}", entry.codes));
                }
                if matches!(answer.status, 400 | 413 | 415) && server.calls() != before {
                    return Err("something outside was asked".to_owned());
                }
                if answer.body.len() > 2000 {
                    return Err(format!("an answer of {} bytes", answer.body.len()));
                }
                Ok(code == "-")
            });
            let content_type = content_type.map(short);
            let what = format!("{} ({content_type:?})", entry.why);
            if report.add(&what, route.path, &answer, judged) == Some(true) {
                server.settle().await;
            }
        }
    }
    report.end(1000);
}

fn filled(body: &[u8], field: &str) -> Vec<u8> {
    match std::str::from_utf8(body) {
        Ok(text) => text.replace("{field}", field).into_bytes(),
        Err(_) => body.to_vec(),
    }
}

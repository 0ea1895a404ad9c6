//! Who asks, on both listeners as the configuration puts them together: every combination of credentials, and every token
//! of a foreign issuer, over every row of the route table by each of its verbs. Who is let in asks for an answer of a type
//! that no route has, so that what comes after the gate is never reached: nothing outside may be asked at all.

use std::ffi::OsString;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use deploy_adapters::identity::{JwtConfig, JwtVerifier, KeyFile};
use deploy_core::ports::TokenVerifier;
use deploy_core::workload::Timestamp;
use deploy_http::config::{Command, Config, parse};
use deploy_http::edge::Edge;
use deploy_http::routes::{Access, Route, TABLE};
use deploy_http::serving::{Side, gate};
use deploy_testkit::memory::ManualClock;
use hyper::{Method, Request};
use serde::Deserialize;
use serde_json::Value;

use crate::corpus::Corpus;
use crate::judge::{Judge, problem, repeats};
use crate::report::{Report, short};
use crate::requests::Draft;
use crate::server::{Answer, Server, answer};

const MATRIX: &str = include_str!("identity.json");
const TOKENS: &str = include_str!("../../../deploy-adapters/tests/identity/tokens.json");
const PREFIX: &str = "/apps/deploy-api";
/// What the gate says next to whoever it believes, for no route answers with that.
const LET_IN: &str = "not-acceptable";

/// One combination, and what the two listeners say to it where the route changes state; `-` = come in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    why: String,
    /// `name: value`; `!name: value` in place of the good request's own. `$ada` is a good token, `$cut` a part of it.
    headers: Vec<String>,
    internal: String,
    external: String,
}

/// The tokens of PyJWT, as far as they are meant for these keys.
#[derive(Debug, Deserialize)]
struct Tokens {
    /// Seconds since 1970.
    now: i64,
    verifiers: Value,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    verifier: String,
    token: String,
    identity: Option<String>,
}

impl Tokens {
    fn read() -> Self {
        let mut tokens: Self = serde_json::from_str(TOKENS).unwrap();
        tokens.cases.retain(|case| case.verifier == "set");
        tokens
    }

    fn good(&self) -> &str {
        let case = self
            .cases
            .iter()
            .find(|case| case.name == "RS256 as PyJWT signs it");
        &case.unwrap().token
    }

    fn verifier(&self) -> Arc<dyn TokenVerifier> {
        let set = &self.verifiers["set"];
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{}", set["jwks"]).unwrap();
        let text = |key: &str| set[key].as_str().map(str::to_owned);
        let config = JwtConfig {
            keys: KeyFile::Jwks(file.path().to_owned()),
            issuer: text("issuer"),
            audience: text("audience"),
            leeway: Duration::from_secs(60),
        };
        let clock = ManualClock::at(Timestamp::from_timestamp(self.now, 0).unwrap());
        Arc::new(JwtVerifier::open(config, Arc::new(clock)).unwrap())
    }
}

/// Both listeners, and the requests that are sent to them.
struct Listeners {
    server: Server,
    corpus: Corpus,
    judge: Judge,
    sides: [(Side, Edge); 2],
}

impl Listeners {
    async fn open(tokens: &Tokens) -> Self {
        let flags = "deploy-http --listen-external 127.0.0.1:0 --allowed-origin https://app.example \
                     --jwt-jwks keys --jwt-issuer i --jwt-audience a";
        let config: Box<Config> = match parse(flags.split_whitespace().map(OsString::from)) {
            Ok(Command::Serve(config)) => config,
            other => panic!("{other:?}"),
        };
        let server = Server::start(Duration::from_secs(60)).await;
        let verifier = tokens.verifier();
        let sides = [Side::Internal, Side::External].map(|side| {
            let gate = gate(&config, side, Some(verifier.clone()));
            (side, server.behind(gate))
        });
        Self {
            server,
            corpus: Corpus::read(),
            judge: Judge::new(),
            sides,
        }
    }

    /// Sends a request for a route with those headers, and judges whether the answer's code is the expected one.
    async fn ask(
        &self,
        (side, edge): &(Side, Edge),
        route: &'static Route,
        verb: &Method,
        headers: &[String],
        expected: &str,
    ) -> (Answer, Result<(), String>) {
        let mut draft = Draft::good(&self.corpus, &self.server, route);
        draft.headers.retain(|(name, _)| name == "host");
        draft = draft.with_header("accept", b"application/nothing");
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            let instead = name.strip_prefix('!');
            draft.headers.retain(|(known, _)| Some(known.as_str()) != instead);
            draft = draft.with_header(instead.unwrap_or(name), value.as_bytes());
        }
        let prefix = if *side == Side::External { PREFIX } else { "" };
        let mut request: Request<_> = draft.request();
        *request.method_mut() = verb.clone();
        *request.uri_mut() = format!("{prefix}{}", request.uri()).parse().unwrap();
        let before = self.server.calls();
        let answer = answer(edge, request).await;
        let told = problem(&answer);
        // The answer to a HEAD is the code's status alone.
        let judged = if *verb == Method::HEAD {
            let status = self.judge.status(expected);
            (answer.status == status)
                .then_some(())
                .ok_or_else(|| format!("expected a {status}"))
        } else {
            self.judge.code(&answer, told.as_ref()).and_then(|code| {
                (code == expected)
                    .then_some(())
                    .ok_or_else(|| format!("expected {expected}, found {code}"))
            })
        };
        let judged = judged.and_then(|()| {
            if self.server.calls() == before {
                Ok(())
            } else {
                Err("something outside was asked".to_owned())
            }
        });
        (answer, judged)
    }
}

/// What a listener says on a route, of what it says where the route changes state.
fn expected(code: &str, route: &Route, verb: &Method, side: Side) -> &'static str {
    let changes = route.access.changes();
    let codes = [
        "misdirected",
        "identity-required",
        "invalid-identity",
        "invalid-token",
        "identity-conflict",
        "cross-site",
        "-",
    ];
    let code = codes.into_iter().find(|known| *known == code);
    match code.expect("a code that the gate has") {
        "misdirected" => "misdirected",
        _ if route.access == Access::Open => LET_IN,
        "identity-required" if !changes && side == Side::Internal => LET_IN,
        "cross-site" if !changes && *verb != Method::POST => LET_IN,
        "-" => LET_IN,
        code => code,
    }
}

#[tokio::test]
async fn every_combination_of_credentials_is_believed_or_refused_on_every_route_and_listener() {
    let tokens = Tokens::read();
    let mut entries: Vec<Entry> = serde_json::from_str(MATRIX).unwrap();
    let ada = tokens.good();
    for header in entries.iter_mut().flat_map(|entry| &mut entry.headers) {
        *header = header.replace("$ada", ada).replace("$cut", &ada[..ada.len() - 4]);
    }
    let listeners = Listeners::open(&tokens).await;
    let mut report = Report::default();
    for entry in &entries {
        for side in &listeners.sides {
            let code = match side.0 {
                Side::Internal => &entry.internal,
                Side::External => &entry.external,
            };
            for (route, verb) in rows() {
                let expected = expected(code, route, verb, side.0);
                let (answer, judged) = listeners.ask(side, route, verb, &entry.headers, expected).await;
                let place = format!("{:?} {verb} {}", side.0, route.path);
                report.add(&entry.why, &place, &answer, judged);
            }
        }
    }
    report.end(30_000);
}

#[tokio::test]
async fn every_token_of_a_foreign_issuer_is_believed_or_refused_on_every_route_and_is_never_repeated() {
    let tokens = Tokens::read();
    let listeners = Listeners::open(&tokens).await;
    let mut report = Report::default();
    let carried = ["cookie: authtoken=", "authorization: Bearer "];
    // Not every token can be a header's value, and one with a `;` or a blank in it is another cookie.
    let sendable = |case: &&Case| {
        let plain = |b: u8| b.is_ascii_graphic() && b != b';' && b != b'"';
        !case.token.is_empty() && case.token.bytes().all(plain)
    };
    let cases: Vec<&Case> = tokens.cases.iter().filter(sendable).collect();
    let bad = cases.iter().filter(|case| case.identity.is_none()).count();
    assert!(bad >= 150, "{bad}");
    for case in cases {
        let code = if case.identity.is_some() {
            "-"
        } else {
            "invalid-token"
        };
        for (at, (route, verb)) in rows().enumerate() {
            // The listeners and the ways in take turns.
            let (side, way) = (&listeners.sides[at % 2], carried[at / 2 % 2]);
            let expected = expected(code, route, verb, side.0);
            let header = [format!("{way}{}", case.token)];
            let (answer, judged) = listeners.ask(side, route, verb, &header, expected).await;
            let judged = judged.and_then(|()| {
                let echo = repeats(&answer, case.token.as_bytes(), &case.token)
                    || (case.token.len() > 20
                        && String::from_utf8_lossy(&answer.body).contains(&case.token[..20]));
                if echo {
                    Err("the answer repeats the token".to_owned())
                } else {
                    Ok(())
                }
            });
            let place = format!("{:?} {verb} {} {}", side.0, route.path, short(way.as_bytes()));
            report.add(&case.name, &place, &answer, judged);
        }
    }
    report.end(10_000);
}

/// Every row by each of its verbs.
fn rows() -> impl Iterator<Item = (&'static Route, &'static Method)> {
    TABLE
        .iter()
        .flat_map(|route| route.methods().iter().map(move |verb| (route, verb)))
}

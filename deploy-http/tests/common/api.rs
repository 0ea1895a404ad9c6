//! One server as a user sees it. It remembers which rows of the route table have answered with success, and by which
//! verb, so that a walk can tell what it has missed.

use std::cell::RefCell;
use std::collections::BTreeSet;

use deploy_http::router::{find, normalized};
use deploy_http::routes::{Route, TABLE};
use serde_json::Value;

use super::curl::{Answer, Curl};
use super::server::{CANARY, Server};

/// Who asks.
pub const ADA: &str = "Identity: ada@example.com";

/// More changes than any one task or run here goes through.
const MOST_CHANGES: usize = 60;

/// A server and what was walked of it.
pub struct Api {
    /// The server.
    pub server: Server,
    walked: RefCell<BTreeSet<String>>,
}

impl Api {
    /// Nothing is walked yet.
    pub fn new(server: Server) -> Self {
        Self {
            server,
            walked: RefCell::default(),
        }
    }

    /// A request that carries an identity only where its row needs one.
    pub fn request(&self, verb: &str, path: &str) -> Request<'_> {
        let curl = Curl::new(verb, &format!("{}{path}", self.server.url()));
        // Secrets of somebody else's that come along with every request.
        let curl = curl
            .header(&format!("Authorization: Basic {CANARY}-basic"))
            .header(&format!("Cookie: session={CANARY}-session"));
        let row = row(path);
        let protected = row.is_some_and(|route| route.access.changes());
        Request {
            api: self,
            names: row.map(|route| format!("{verb} {}", route.path)),
            shows_documents: row.is_some_and(shows_documents),
            curl: if protected { curl.header(ADA) } else { curl },
        }
    }

    /// GET.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send()
    }

    /// POST without a body.
    pub fn post(&self, path: &str) -> Answer {
        self.request("POST", path).send()
    }

    /// The state at `path` once it is as wanted, learnt from the server's own news: its ETag and `?wait=`.
    #[track_caller]
    pub fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut answer = self.get(path);
        for _ in 0..MOST_CHANGES {
            let state = answer.json(200);
            if wanted(&state) {
                return state;
            }
            let tag = format!("If-None-Match: {}", answer.header("etag"));
            let waiting = self.request("GET", &format!("{path}?wait=60")).header(&tag);
            answer = waiting.send();
            assert_eq!(answer.status, 200, "nothing happens any more to {state:#}");
        }
        panic!("it changes and changes: {}", answer.body);
    }

    /// The state at `path` when it is final.
    #[track_caller]
    pub fn finished(&self, path: &str) -> Value {
        let state = self.get(&format!("{path}?wait=60")).json(200);
        assert!(!state["finished_at"].is_null(), "still not final: {state:#}");
        state
    }

    /// The rows of the table, each by each of its verbs, that have not answered with success yet.
    pub fn missed(&self) -> Vec<String> {
        let walked = self.walked.borrow();
        let all = TABLE.iter().flat_map(|route| {
            let verbs = route.methods().iter();
            verbs.map(|verb| format!("{verb} {}", route.path))
        });
        all.filter(|name| !walked.contains(name)).collect()
    }
}

/// A request to an [`Api`].
pub struct Request<'a> {
    api: &'a Api,
    names: Option<String>,
    shows_documents: bool,
    curl: Curl,
}

impl Request<'_> {
    /// Changes what curl is told.
    pub fn curl(mut self, change: impl FnOnce(Curl) -> Curl) -> Self {
        self.curl = change(self.curl);
        self
    }

    /// With a header.
    pub fn header(self, header: &str) -> Self {
        self.curl(|curl| curl.header(header))
    }

    /// With fields in multipart/form-data.
    pub fn multipart(self, fields: &[(&str, &str)]) -> Self {
        self.curl(|curl| curl.multipart(fields))
    }

    /// With fields in application/x-www-form-urlencoded.
    pub fn urlencoded(self, fields: &[(&str, &str)]) -> Self {
        self.curl(|curl| curl.urlencoded(fields))
    }

    /// Sends it.
    pub fn send(self) -> Answer {
        let answer = self.curl.send();
        let leaks = format!("{answer:?}").contains(CANARY);
        assert!(self.shows_documents || !leaks, "a secret came back: {answer:?}");
        if (200..300).contains(&answer.status) {
            self.api.walked.borrow_mut().extend(self.names);
        }
        answer
    }
}

/// Whether it is there to show a document as it stands, secrets and all.
fn shows_documents(route: &Route) -> bool {
    route.path.contains("/configuration-loading-state/") || route.path.ends_with("/get/template")
}

fn row(path: &str) -> Option<&'static Route> {
    let path = path.split('?').next().unwrap_or_default();
    find(&normalized(path))
}

/// The keys of an object, in order.
#[track_caller]
pub fn keys(value: &Value) -> String {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys.join(" ")
}

/// One member of every item of an array.
#[track_caller]
pub fn each(array: &Value, key: &str) -> Vec<String> {
    let items = array.as_array().unwrap_or_else(|| panic!("no array: {array}"));
    let text = |item: &Value| item[key].as_str().unwrap_or("null").to_owned();
    items.iter().map(text).collect()
}

/// A member that is text.
#[track_caller]
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    let found = value[key].as_str();
    found.unwrap_or_else(|| panic!("{key} is no text in {value}"))
}

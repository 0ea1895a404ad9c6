//! Requests for a route, good in every place but those that a test says.

use std::fmt::Write as _;

use bytes::Bytes;
use deploy_http::routes::{Route, Verb};
use http_body_util::Full;
use hyper::{Method, Request};

use crate::corpus::{Corpus, Part};
use crate::server::Server;

/// How a form is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// application/x-www-form-urlencoded
    Urlencoded,
    /// multipart/form-data
    Multipart,
}

/// How much of a path is percent-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escaping {
    /// What has to be.
    Needed,
    /// Every byte.
    All,
    /// Nothing: it is sent as it stands.
    None,
}

/// A request on its way to being written.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The verb.
    pub verb: Method,
    path: String,
    query: String,
    form: Vec<(String, Vec<u8>)>,
    /// How its form is written.
    pub encoding: Encoding,
    own_body: Option<Vec<u8>>,
    /// Further headers, or others in place of those it has.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Draft {
    /// A good request for a route, with every placeholder and field.
    pub fn good(corpus: &Corpus, server: &Server, route: &'static Route) -> Self {
        let places = corpus.places_of(route).unwrap();
        let good = |part: Part, name: &str| {
            let kind = places.iter().find(|place| place.0 == part && place.1 == name);
            let good = &corpus.kinds[kind.unwrap().2].good;
            let of_pipeline = route.path.contains("/pipeline/");
            let work = if of_pipeline {
                &server.pipeline_work
            } else {
                &server.task_work
            };
            good.replace("{task}", &server.task)
                .replace("{run}", &server.run)
                .replace("{work}", work)
        };
        let mut path = String::new();
        for segment in route.path.split('/').skip(1) {
            let value = segment.strip_prefix(':').map(|name| good(Part::Path, name));
            write!(path, "/{}", value.as_deref().unwrap_or(segment)).unwrap();
        }
        let form = route.form.iter();
        let form = form.map(|field| (field.name.to_owned(), good(Part::Form, field.name).into_bytes()));
        Self {
            verb: match route.verb {
                Verb::Get => Method::GET,
                Verb::Post => Method::POST,
            },
            path,
            query: String::new(),
            form: form.collect(),
            encoding: Encoding::Urlencoded,
            own_body: None,
            headers: vec![
                ("host".to_owned(), b"localhost".to_vec()),
                ("identity".to_owned(), b"ada@example.com".to_vec()),
            ],
        }
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Puts a value in a place. Answers the value as it is sent.
    pub fn put(
        &mut self,
        route: &Route,
        (part, name): (Part, &str),
        value: &[u8],
        escaping: Escaping,
    ) -> String {
        let sent = match escaping {
            Escaping::Needed => encoded(value, false),
            Escaping::All => encoded(value, true),
            Escaping::None => String::from_utf8(value.to_vec()).unwrap(),
        };
        match part {
            Part::Path => {
                let segments = self.path.split('/').zip(route.path.split('/'));
                let segments = segments.map(|(good, pattern)| {
                    if pattern.strip_prefix(':') == Some(name) {
                        sent.as_str()
                    } else {
                        good
                    }
                });
                self.path = segments.collect::<Vec<_>>().join("/");
            }
            Part::Query => self.query = format!("?{name}={sent}"),
            Part::Form => {
                let field = self.form.iter_mut().find(|(field, _)| field == name);
                field.unwrap().1 = value.to_vec();
            }
        }
        sent
    }

    /// With a header more.
    pub fn with_header(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.to_owned(), value.to_vec()));
        self
    }

    /// With that query.
    pub fn with_query(mut self, query: &str) -> Self {
        self.query = format!("?{query}");
        self
    }

    /// With that body, whatever its form would have been; its type is a header.
    pub fn with_body(mut self, body: Vec<u8>) -> Self {
        self.own_body = Some(body);
        self
    }

    /// The request.
    pub fn request(&self) -> Request<Full<Bytes>> {
        let (content_type, body) = match &self.own_body {
            Some(body) => (None, body.clone()),
            None => {
                let (content_type, body) = self.body();
                (Some(content_type), body)
            }
        };
        let mut request = Request::builder()
            .method(self.verb.clone())
            .uri(format!("{}{}", self.path, self.query));
        if let Some(content_type) = content_type.filter(|_| !body.is_empty()) {
            request = request.header("content-type", content_type);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value.as_slice());
        }
        request.body(Full::new(body.into())).unwrap()
    }

    fn body(&self) -> (&'static str, Vec<u8>) {
        let mut body = Vec::new();
        match self.encoding {
            Encoding::Urlencoded => {
                for (name, value) in &self.form {
                    body.extend_from_slice(format!("{name}={}&", encoded(value, false)).as_bytes());
                }
                ("application/x-www-form-urlencoded", body)
            }
            Encoding::Multipart => {
                for (name, value) in &self.form {
                    let head =
                        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
                    body.extend([head.as_bytes(), value, b"\r\n"].concat());
                }
                if !body.is_empty() {
                    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
                }
                ("multipart/form-data; boundary=xYzZyBoundary", body)
            }
        }
    }
}

const BOUNDARY: &str = "xYzZyBoundary";

/// Percent-encoded, wholly or where it has to be.
pub fn encoded(bytes: &[u8], all: bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if !all && (byte.is_ascii_alphanumeric() || b"-_.~".contains(byte)) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").unwrap();
        }
    }
    text
}

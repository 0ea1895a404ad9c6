//! git's smart protocol over http(s) (gitprotocol-http(5)), by ureq below libgit2's protocol. libgit2's own client follows
//! redirects within a host, to any port and path, whatever it is told; it has no limit on the whole of an answer; and its
//! CA certificates are the process's.
//!
//! It refuses every redirect, to speak to any other scheme, host or port than the base's, to send credentials that were
//! not read for just those, to go on after the deadline (a server that drips is cut off as one that is silent), and to
//! take more references than a repository has.

mod client;
mod trust;

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{ErrorClass, ErrorCode, Remote};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use ureq::http::{HeaderMap, HeaderValue, Method, Request, Response, header, request};
use ureq::{Agent, Body, BodyReader};

use super::access::{AccessError, Rotating};
use super::base::RemoteBase;
use super::credentials::{self, Authorization};
use super::failure::{Cause, Failure, Verdict};

/// The most that is taken of a list of references, bytes: some 400,000 of them. libgit2 keeps them all in memory.
const MAX_REFERENCES: u64 = 32 << 20;
/// What cannot stand in a path as it is.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// With this git ends a list, and what it sends with a pack (gitprotocol-common(5)).
const FLUSH: &[u8; 4] = b"0000";

/// The server, how it is spoken to, and what it is shown.
#[derive(Debug)]
pub(super) struct HttpServer {
    base: RemoteBase,
    agent: Agent,
    credentials: Option<Rotating<Authorization>>,
}

thread_local! {
    /// The conversation that libgit2 has on this thread. It makes its transports without an argument of ours.
    static CURRENT: RefCell<Option<Arc<Talk>>> = const { RefCell::new(None) };
}

/// A conversation on this thread, until it is dropped.
pub(super) struct Conversation(());

impl Drop for Conversation {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

struct Talk {
    server: Arc<HttpServer>,
    authorization: Option<Arc<Authorization>>,
    deadline: Instant,
    verdict: Verdict,
}

impl HttpServer {
    pub(super) fn open(
        base: RemoteBase,
        ca_file: Option<&Path>,
        credentials_file: Option<PathBuf>,
    ) -> Result<Self, AccessError> {
        let agent = client::agent(&base, ca_file)?;
        let for_base = base.clone();
        let credentials = credentials_file
            .map(|file| Rotating::open(file, move |bytes| credentials::parse(bytes, &for_base)))
            .transpose()?;
        Ok(Self {
            base,
            agent,
            credentials,
        })
    }

    /// From now on what libgit2 asks of an http server on this thread is asked of this one. The true reason of an error
    /// is in `verdict`.
    pub(super) fn converse(self: &Arc<Self>, deadline: Instant, verdict: Verdict) -> Conversation {
        let talk = Talk {
            server: Arc::clone(self),
            authorization: self.credentials.as_ref().map(Rotating::current),
            deadline,
            verdict,
        };
        CURRENT.set(Some(Arc::new(talk)));
        Conversation(())
    }
}

/// Makes libgit2's transport for an http(s) URL; for [`git2::transport::register`].
pub(super) fn transport(remote: &Remote<'_>) -> Result<Transport, git2::Error> {
    let talk = CURRENT.with_borrow(Clone::clone).ok_or_else(|| {
        git2::Error::new(
            ErrorCode::GenericError,
            ErrorClass::Net,
            "no conversation has begun",
        )
    })?;
    Transport::smart(remote, true, Subtransport(talk))
}

struct Subtransport(Arc<Talk>);

impl SmartSubtransport for Subtransport {
    fn action(&self, url: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let refused = |why| git2::Error::new(ErrorCode::GenericError, ErrorClass::Net, why);
        let path = url.strip_prefix(self.0.server.base.origin());
        let path = path.filter(|path| path.starts_with('/'));
        let path = path.ok_or_else(|| refused("that is another server"))?;
        let exchange = match service {
            Service::UploadPackLs => Exchange::references(path),
            Service::UploadPack => Exchange::objects(path),
            Service::ReceivePackLs | Service::ReceivePack => return Err(refused("nothing is pushed")),
        };
        Ok(Box::new(Stream::new(Arc::clone(&self.0), exchange)))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// One request and what is expected of its answer.
struct Exchange {
    method: Method,
    path_and_query: String,
    sent: Vec<u8>,
    content_type: &'static str,
    /// The most that is taken of the answer, bytes. A pack has the limits of a fetch.
    limit: u64,
}

impl Exchange {
    fn references(path: &str) -> Self {
        Self {
            method: Method::GET,
            path_and_query: format!("{path}/info/refs?service=git-upload-pack"),
            sent: Vec::new(),
            content_type: "application/x-git-upload-pack-advertisement",
            limit: MAX_REFERENCES,
        }
    }

    fn objects(path: &str) -> Self {
        Self {
            method: Method::POST,
            path_and_query: format!("{path}/git-upload-pack"),
            sent: Vec::new(),
            content_type: "application/x-git-upload-pack-result",
            limit: u64::MAX,
        }
    }

    /// The request's head.
    fn head(
        &self,
        server: &RemoteBase,
        authorization: Option<&Authorization>,
    ) -> Result<request::Builder, ureq::Error> {
        let path = utf8_percent_encode(&self.path_and_query, ESCAPED);
        let mut head = Request::builder()
            .method(self.method.clone())
            .uri(format!("{}{path}", server.origin()))
            .header(header::ACCEPT, self.content_type);
        if self.method == Method::POST {
            head = head.header(header::CONTENT_TYPE, "application/x-git-upload-pack-request");
        }
        if let Some(authorization) = authorization {
            let mut value = HeaderValue::from_str(authorization.expose()).map_err(ureq::http::Error::from)?;
            // Never in what ureq or http print of it.
            value.set_sensitive(true);
            head = head.header(header::AUTHORIZATION, value);
        }
        Ok(head)
    }
}

/// What libgit2 writes is the request's body; when it reads, the request is sent.
struct Stream {
    talk: Arc<Talk>,
    exchange: Exchange,
    received: u64,
    /// What came last.
    tail: [u8; FLUSH.len()],
    body: Option<BodyReader<'static>>,
}

impl Stream {
    fn new(talk: Arc<Talk>, exchange: Exchange) -> Self {
        Self {
            talk,
            exchange,
            received: 0,
            tail: [0; FLUSH.len()],
            body: None,
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let body = match &mut self.body {
            Some(body) => body,
            None => self.body.insert(self.talk.ask(&self.exchange)?),
        };
        let read = body.read(buffer);
        let read = read.map_err(|error| client::failure_of(&ureq::Error::from(error)))?;
        self.received += read as u64;
        for byte in buffer.iter().take(read).skip(read.saturating_sub(FLUSH.len())) {
            self.tail.rotate_left(1);
            if let Some(last) = self.tail.last_mut() {
                *last = *byte;
            }
        }
        let limit = self.exchange.limit;
        if self.received > limit {
            return Err(Failure::answer(format!(
                "it lists more than {limit} bytes of references"
            )));
        }
        Ok(read)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.exchange.sent.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer).map_err(|failure| {
            self.body = None;
            self.talk.verdict.record(failure);
            // The words are the verdict's; libgit2 would take them for its own.
            io::Error::other("the git server's answer was refused, or the line to it broke")
        })
    }
}

impl Drop for Stream {
    /// libgit2 knows the end of an answer by itself and leaves http's, without which the connection is not used again. It is
    /// waited for until the deadline, as git itself does.
    fn drop(&mut self) {
        if let Some(body) = &mut self.body
            && self.tail == *FLUSH
            && let Err(error) = body.read(&mut [0])
        {
            tracing::debug!(%error, "the git server's answer has no end; the connection is closed");
        }
    }
}

impl Talk {
    fn ask(&self, exchange: &Exchange) -> Result<BodyReader<'static>, Failure> {
        let answer = match self.send(exchange) {
            // A server may close a connection that is not in use at any time; what is asked here changes nothing there.
            Err(error) if client::is_of_the_line(&error) => self.send(exchange),
            answer => answer,
        };
        let answer = answer.map_err(|error| {
            let failure = client::failure_of(&error);
            if let Failure::Refused(why, cause) = &failure {
                tracing::warn!(server = self.server.base.origin(), %cause, "{why}");
            }
            failure
        })?;
        self.judge(&answer, exchange)?;
        Ok(answer.into_body().into_reader())
    }

    fn send(&self, exchange: &Exchange) -> Result<Response<Body>, ureq::Error> {
        let HttpServer { base, agent, .. } = &*self.server;
        let head = exchange.head(base, self.authorization.as_deref())?;
        // For all of it: the name, the connection, the request, and the answer to its end.
        let left = Some(self.deadline.saturating_duration_since(Instant::now()));
        if exchange.method == Method::POST {
            let request = agent.configure_request(head.body(exchange.sent.as_slice())?);
            agent.run(request.timeout_global(left).build())
        } else {
            let request = agent.configure_request(head.body(())?);
            agent.run(request.timeout_global(left).build())
        }
    }

    /// Whether an answer is git's; else what it means.
    fn judge(&self, answer: &Response<Body>, exchange: &Exchange) -> Result<(), Failure> {
        let (status, server) = (answer.status().as_u16(), self.server.base.origin());
        let content_type = content_type(answer.headers());
        let shown = self.authorization.is_some();
        match status {
            200 if content_type == exchange.content_type => Ok(()),
            200 => Err(Failure::answer(format!(
                "its answer is of the type {:?}",
                content_type
            ))),
            300..=399 => {
                let to = Cause::new(redirects_to(answer.headers()));
                let why = "the git server redirects, which is not followed";
                tracing::warn!(server, %to, "{why}; where it is right, make it the base URL");
                Err(Failure::refused(why, format!("{status} to {to}")))
            }
            401 if shown => {
                let why = "the git server refuses the credentials";
                tracing::warn!(server, "{why}");
                Err(Failure::refused(why, format!("{status} from {server}")))
            }
            // Hosts answer so for what they do not want to tell from what is not there.
            401 | 403 | 404 | 410 => {
                if status == 401 || status == 403 {
                    tracing::info!(
                        server,
                        status,
                        credentials = shown,
                        "the git server hides a repository, or has none"
                    );
                }
                Err(Failure::RepositoryNotFound)
            }
            429 | 500..=599 => Err(Failure::unavailable(format!("it answers {status}"))),
            _ => Err(Failure::answer(format!("it answers {status}"))),
        }
    }
}

/// A header's text; empty where there is none.
fn text_of(headers: &HeaderMap, name: header::HeaderName) -> String {
    let value = headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    String::from_utf8_lossy(value).trim().to_owned()
}

/// Without parameters, in lower case.
fn content_type(headers: &HeaderMap) -> String {
    let text = text_of(headers, header::CONTENT_TYPE).to_ascii_lowercase();
    text.split(';').next().unwrap_or_default().trim().to_owned()
}

/// Where a redirect points, fit for a log: without a path, which may be signed.
fn redirects_to(headers: &HeaderMap) -> String {
    let location = text_of(headers, header::LOCATION);
    let origin = location.split_once("://").map(|(scheme, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}")
    });
    origin.unwrap_or_else(|| "another path of its own".to_owned())
}

#[cfg(test)]
mod tests;

//! git's smart protocol over http(s) (gitprotocol-http(5)), by a client of our own below libgit2's protocol. libgit2's
//! own client follows redirects within a host, to any port and path, whatever it is told; it has no limit on the whole
//! of an answer; and its CA certificates are the process's.
//!
//! It refuses every redirect, to speak to any other scheme, host or port than the base's, to send credentials that were
//! not read for just those, to go on after the deadline (a server that drips is cut off as one that is silent), and to
//! take more references than a repository has.

mod answer;
mod tls;
mod wire;

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{ErrorClass, ErrorCode, Remote};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::access::{AccessError, Rotating};
use super::base::{RemoteBase, Scheme};
use super::credentials::{self, Authorization};
use super::failure::{Cause, Failure, Verdict};
use answer::{Answer, Body};
use wire::Wire;

/// The most that is taken of a list of references, bytes: some 400,000 of them. libgit2 keeps them all in memory.
const MAX_REFERENCES: u64 = 32 << 20;

/// The server, how it is known, and what it is shown.
#[derive(Debug)]
pub(super) struct HttpServer {
    base: RemoteBase,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
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
    /// A connection that may be used again.
    idle: Mutex<Option<Wire>>,
}

impl HttpServer {
    pub(super) fn open(
        base: RemoteBase,
        ca_file: Option<&Path>,
        credentials_file: Option<PathBuf>,
    ) -> Result<Self, AccessError> {
        let tls = match base.scheme() {
            Scheme::Https => Some((tls::trusting(ca_file)?, tls::name_of(base.host())?)),
            Scheme::Http | Scheme::Ssh => None,
        };
        let for_base = base.clone();
        let credentials = credentials_file
            .map(|file| Rotating::open(file, move |bytes| credentials::parse(bytes, &for_base)))
            .transpose()?;
        Ok(Self {
            base,
            tls,
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
            idle: Mutex::default(),
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
        Ok(Box::new(Stream {
            talk: Arc::clone(&self.0),
            exchange,
            received: 0,
            body: None,
        }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// One request and what is expected of its answer.
struct Exchange {
    method: &'static str,
    target: String,
    sent: Vec<u8>,
    content_type: &'static str,
    /// The most that is taken of the answer, bytes. A pack has the limits of a fetch.
    limit: u64,
}

impl Exchange {
    fn references(path: &str) -> Self {
        Self {
            method: "GET",
            target: format!("{path}/info/refs?service=git-upload-pack"),
            sent: Vec::new(),
            content_type: "application/x-git-upload-pack-advertisement",
            limit: MAX_REFERENCES,
        }
    }

    fn objects(path: &str) -> Self {
        Self {
            method: "POST",
            target: format!("{path}/git-upload-pack"),
            sent: Vec::new(),
            content_type: "application/x-git-upload-pack-result",
            limit: u64::MAX,
        }
    }

    /// The request, whole. It is a secret where it holds credentials, hence not kept.
    fn bytes(&self, server: &RemoteBase, authorization: Option<&Authorization>) -> Vec<u8> {
        let origin = server.origin();
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        let target = percent_encoding::utf8_percent_encode(&self.target, percent_encoding::CONTROLS);
        let mut head = format!(
            "{} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: git/2.0 (deploy-api)\r\nAccept: {}\r\n",
            self.method, self.content_type
        );
        if let Some(authorization) = authorization {
            head += &format!("Authorization: {}\r\n", authorization.expose());
        }
        if self.method == "POST" {
            head += &format!(
                "Content-Type: application/x-git-upload-pack-request\r\nContent-Length: {}\r\n",
                self.sent.len()
            );
        }
        head += "\r\n";
        [head.as_bytes(), &self.sent].concat()
    }
}

/// What libgit2 writes is the request's body; when it reads, the request is sent.
struct Stream {
    talk: Arc<Talk>,
    exchange: Exchange,
    received: u64,
    body: Option<Body<Wire>>,
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
        let read = match &mut self.body {
            Some(body) => body.read(buffer),
            None => match self.talk.ask(&self.exchange) {
                Ok(body) => self.body.insert(body).read(buffer),
                Err(failure) => {
                    self.talk.verdict.record(failure);
                    return Err(io::Error::other("the git server's answer was refused"));
                }
            },
        };
        if let Err(error) = &read {
            self.talk.verdict.record(wire::failure_of(error));
        }
        self.received += read.as_ref().map_or(0, |read| *read as u64);
        if self.received > self.exchange.limit {
            let limit = self.exchange.limit;
            let more = Failure::answer(format!("it lists more than {limit} bytes of references"));
            self.talk.verdict.record(more);
            return Err(io::Error::other("the git server does not come to an end"));
        }
        if matches!(read, Ok(0))
            && let Some(wire) = self.body.as_mut().and_then(Body::take_wire)
        {
            self.talk.keep(wire);
        }
        // The words are the verdict's; libgit2 would take them for its own.
        read.map_err(|_| io::Error::other("the line to the git server broke"))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(wire) = self.body.as_mut().and_then(Body::take_wire) {
            self.talk.keep(wire);
        }
    }
}

impl Talk {
    fn ask(&self, exchange: &Exchange) -> Result<Body<Wire>, Failure> {
        let request = exchange.bytes(&self.server.base, self.authorization.as_deref());
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let send = |mut wire: Wire| -> io::Result<Answer<Wire>> {
            wire.write_all(&request)?;
            wire.flush()?;
            Answer::read(wire)
        };
        let fresh = || {
            let Self { server, deadline, .. } = self;
            let tls = server.tls.clone();
            Wire::connect(server.base.host(), server.base.port(), tls, *deadline)
        };
        let answer = match idle.map(send) {
            Some(Ok(answer)) => Ok(answer),
            // A server may close a connection that is not in use at any time; what is asked here changes nothing there.
            Some(Err(_)) | None => fresh().and_then(send),
        };
        let answer = answer.map_err(|error| {
            let failure = wire::failure_of(&error);
            if let Failure::Refused(why, cause) = &failure {
                tracing::warn!(server = self.server.base.origin(), %cause, "{why}");
            }
            failure
        })?;
        self.judge(&answer, exchange)?;
        Ok(answer.body())
    }

    /// Whether an answer is git's; else what it means.
    fn judge(&self, answer: &Answer<Wire>, exchange: &Exchange) -> Result<(), Failure> {
        let (status, server) = (answer.status, self.server.base.origin());
        let shown = self.authorization.is_some();
        match status {
            200 if answer.content_type == exchange.content_type => Ok(()),
            200 => Err(Failure::answer(format!(
                "its answer is of the type {:?}",
                answer.content_type
            ))),
            300..=399 => {
                let to = Cause::new(answer.redirects_to());
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

    fn keep(&self, wire: Wire) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(wire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::GitBase;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    /// Answers so many requests on each of its connections, then closes it. Ends when all were answered; tells what was
    /// asked, by connection.
    fn server(listener: TcpListener, requests: &'static [usize]) -> thread::JoinHandle<Vec<Vec<String>>> {
        thread::spawn(move || {
            let answer = |stream: &mut BufReader<std::net::TcpStream>| {
                let mut head = Vec::new();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    if line.trim().is_empty() {
                        break;
                    }
                    head.push(line.trim().to_owned());
                }
                let text = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nTransfer-Encoding: \
                            chunked\r\n\r\n4\r\n0000\r\n0\r\n\r\n";
                stream.get_mut().write_all(text.as_bytes()).unwrap();
                head.swap_remove(0)
            };
            let serve = |count: &usize| {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                (0..*count).map(|_| answer(&mut stream)).collect()
            };
            requests.iter().map(serve).collect()
        })
    }

    /// Asks for the references of each repository, one after the other, and reads four bytes of each, as libgit2 does.
    fn ask(port: u16, names: &[&str]) {
        let Ok(GitBase::Remote(base)) = GitBase::parse(&format!("http://127.0.0.1:{port}/"), false) else {
            panic!("it is a server's");
        };
        let talk = Arc::new(Talk {
            server: Arc::new(HttpServer::open(base, None, None).unwrap()),
            authorization: None,
            deadline: Instant::now() + Duration::from_secs(30),
            verdict: Verdict::default(),
            idle: Mutex::default(),
        });
        for name in names {
            let mut stream = Stream {
                talk: Arc::clone(&talk),
                exchange: Exchange::references(&format!("/{name}")),
                received: 0,
                body: None,
            };
            let mut flush = [0; 4];
            stream.read_exact(&mut flush).unwrap();
            assert_eq!(&flush, b"0000");
        }
    }

    #[test]
    fn a_connection_is_used_again_until_the_server_closes_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = server(listener, &[2, 1]);
        ask(port, &["a", "b", "c"]);
        let get = |name| format!("GET /{name}/info/refs?service=git-upload-pack HTTP/1.1");
        assert_eq!(server.join().unwrap(), [vec![get("a"), get("b")], vec![get("c")]]);
    }

    #[test]
    fn a_request_goes_to_the_base_s_host_alone() {
        let Ok(GitBase::Remote(base)) = GitBase::parse("https://git.example:8443/t", false) else {
            panic!("it is a server's");
        };
        let secret = Authorization::new("Basic x".to_owned());
        let mut exchange = Exchange::objects("/t/d\u{e9}mo.git");
        exchange.sent = b"want".to_vec();
        let bytes = String::from_utf8(exchange.bytes(&base, Some(&secret))).unwrap();
        assert_eq!(
            bytes,
            "POST /t/d%C3%A9mo.git/git-upload-pack HTTP/1.1\r\nHost: git.example:8443\r\nUser-Agent: git/2.0 \
             (deploy-api)\r\nAccept: application/x-git-upload-pack-result\r\nAuthorization: Basic x\r\nContent-Type: \
             application/x-git-upload-pack-request\r\nContent-Length: 4\r\n\r\nwant"
        );
    }
}

//! The http side: connections, one request from its line to its answer, and the faults on the way.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use deploy_core::ports::Clock;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::calls::Log;
use super::delay::Delays;
use super::discovery;
use super::faults::{Fault, Faults};
use super::handle::{self, Answer, Patch};
use super::kinds::HTTP_ROUTES;
use super::request::{Asked, Verb};
use super::settings::Settings;
use super::status::Refusal;
use super::store::State;
use super::watch::Watch;
use super::watches::Watches;

/// As the real server's limit of a request's body.
const MAX_BODY: usize = 3 << 20;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What connections and the controllers share.
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) log: Log,
    pub(super) faults: Faults,
    pub(super) watches: Watches,
    /// Whether the API is to be away, and whether its port is open.
    pub(super) away: watch::Sender<bool>,
    pub(super) listens: watch::Sender<bool>,
    pub(super) clock: Arc<dyn Clock>,
    /// Rings when the controllers may have something to do.
    pub(super) wake: Notify,
    delays: Delays,
}

impl Shared {
    pub(super) fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Mutex::new(State::new(Arc::clone(&clock), settings)),
            log: Log::default(),
            faults: Faults::default(),
            watches: Watches::default(),
            away: watch::Sender::new(false),
            listens: watch::Sender::new(true),
            clock,
            wake: Notify::new(),
            delays: Delays::default(),
        }
    }

    /// To look.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To change something: the controllers look at it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let answer = change(&mut self.lock());
        self.wake.notify_one();
        answer
    }
}

/// Binds a free port of 127.0.0.1.
pub(super) async fn bind() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves connections until it is dropped. While the API is away its port is closed, as that of a server that is not
/// there: nobody connects.
pub(super) async fn accept(mut listener: TcpListener, address: SocketAddr, shared: Arc<Shared>) {
    let mut away = shared.away.subscribe();
    let mut connections = JoinSet::new();
    loop {
        if *away.borrow_and_update() {
            drop(listener);
            connections.shutdown().await;
            shared.listens.send_replace(false);
            if away.wait_for(|away| !*away).await.is_err() {
                return;
            }
            listener = bind_again(address).await;
            shared.listens.send_replace(true);
        }
        tokio::select! {
            _changed = away.changed() => {}
            accepted = listener.accept() => {
                // A connection that broke before it was accepted is no business of the others.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
            }
            // Connections that have ended are let go; how they ended is known to their clients.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// Somebody else may have the port for a moment, as the near end of a connection.
async fn bind_again(address: SocketAddr) -> TcpListener {
    loop {
        if let Ok(listener) = TcpListener::bind(address).await {
            return listener;
        }
        tokio::task::yield_now().await;
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Small answers are not kept waiting for more.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(|request| answer(Arc::clone(&shared), request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // However it ended, its client was told by the end itself.
    let _ended = connection.await;
}

/// The connection is closed without an answer.
#[derive(Debug)]
struct Reset;

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed on purpose")
    }
}

impl std::error::Error for Reset {}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Reset> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let asked = Asked::new(&head.method, head.uri.path(), query);
    let content_type = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let patch = patch_of(content_type.unwrap_or_default());
    let body = Limited::new(body, MAX_BODY).collect().await;
    let number = shared.log.received(&asked, query);
    let (delay, fault) = shared.faults.strike(&asked);
    shared.delays.wait(delay).await;
    let response = match fault {
        Some(Fault::Reset) => return Err(Reset),
        Some(Fault::Hang) => std::future::pending().await,
        Some(fault) if refusal(fault, &asked).is_some() => refuse(&shared, &asked, refusal(fault, &asked)),
        fault => {
            let answered = match body {
                Ok(body) => respond(&shared, &asked, patch, &body.to_bytes()),
                Err(_) => Err(Refusal::new(
                    413,
                    "RequestEntityTooLarge",
                    "Request entity too large: limit is 3145728",
                )),
            };
            let done = answered.unwrap_or_else(|refusal| refused(&refusal));
            match fault {
                Some(Fault::CommitThenReset) => return Err(Reset),
                Some(Fault::CommitThenTimeout) => refused(&Refusal::new(
                    504,
                    "Timeout",
                    "Timeout: request did not complete within requested timeout - context deadline exceeded",
                )),
                _ => done,
            }
        }
    };
    shared.log.answered(number, response.status().as_u16());
    Ok(response)
}

fn patch_of(content_type: &str) -> Option<Patch> {
    match content_type.split(';').next().unwrap_or_default().trim() {
        "application/merge-patch+json" => Some(Patch::Merge),
        "application/apply-patch+yaml" | "application/apply-patch+json" => Some(Patch::Apply),
        _ => None,
    }
}

/// What a fault answers without anything done; `None` = it strikes otherwise.
fn refusal(fault: Fault, asked: &Asked) -> Option<Refusal> {
    let kind = asked.kind;
    Some(match fault {
        Fault::TooManyRequests(seconds) => {
            let message = "The server has received too many requests and has asked us to try again later";
            Refusal::new(429, "TooManyRequests", message).retry_after(seconds)
        }
        Fault::Unavailable(seconds) => {
            let message = "the server is currently unable to handle the request";
            Refusal::new(503, "ServiceUnavailable", message).retry_after(seconds)
        }
        Fault::InternalError => Refusal::new(500, "InternalError", "Internal error occurred: injected"),
        Fault::Forbidden => {
            let what = kind.map_or_else(String::new, super::kinds::Kind::qualified);
            let (plural, group) = kind.map_or(("", ""), |kind| (kind.plural, kind.group));
            let mut message = format!(
                "{what} is forbidden: User \"stand-in\" cannot {} resource {plural:?} in API group {group:?}",
                asked.verb
            );
            if !asked.namespace.is_empty() {
                message = format!("{message} in the namespace {:?}", asked.namespace);
            }
            Refusal::new(403, "Forbidden", message)
        }
        Fault::Conflict => match kind {
            Some(kind) => Refusal::modified(kind, &asked.name),
            None => Refusal::new(409, "Conflict", "injected"),
        },
        Fault::Gone => Refusal::expired("too old resource version: injected"),
        Fault::Reset | Fault::CommitThenTimeout | Fault::CommitThenReset | Fault::Hang | Fault::Delay(_) => {
            return None;
        }
    })
}

/// A refusal by a fault: a watch that is told 410 is told so by an event, as the real server does.
fn refuse(shared: &Arc<Shared>, asked: &Asked, refusal: Option<Refusal>) -> Response<Body> {
    let refusal = refusal.unwrap_or_else(Refusal::no_such_path);
    if refusal.code == 410
        && asked.verb == Verb::Watch
        && let Some(kind) = asked.kind
        && let Ok(selector) = handle::selector(kind, asked)
    {
        let watch = Watch::begin(shared, &shared.lock(), kind, asked, selector);
        if let Ok(mut watch) = watch {
            watch.end_with(&refusal);
            return streamed(watch);
        }
    }
    refused(&refusal)
}

fn respond(
    shared: &Arc<Shared>,
    asked: &Asked,
    patch: Option<Patch>,
    body: &[u8],
) -> Result<Response<Body>, Refusal> {
    if asked.verb == Verb::Watch {
        return begin_watch(shared, asked);
    }
    let answered = if asked.kind.is_some() {
        shared.change(|state| handle::handle(state, asked, patch, body))?
    } else {
        discovery::answer(&shared.lock(), &asked.path).ok_or_else(Refusal::no_such_path)?
    };
    Ok(match answered {
        Answer::Object(status, object) => {
            let mut document = Vec::new();
            object.document(&mut document);
            json(status, document.into())
        }
        Answer::Json(value) => json(200, value.to_string().into()),
        Answer::Bytes(bytes) => json(200, bytes),
        Answer::Text(text) => typed(200, "text/plain", text.into()),
    })
}

fn begin_watch(shared: &Arc<Shared>, asked: &Asked) -> Result<Response<Body>, Refusal> {
    let kind = asked.kind.ok_or_else(Refusal::no_such_path)?;
    let selector = handle::selector(kind, asked)?;
    let state = shared.lock();
    if kind.plural == HTTP_ROUTES && !state.settings.gateway_api {
        return Err(Refusal::no_such_path());
    }
    Watch::begin(shared, &state, kind, asked, selector).map(streamed)
}

fn streamed(watch: Watch) -> Response<Body> {
    let lines = stream::unfold(watch, |watch| async {
        let (lines, watch) = Box::pin(watch.next()).await?;
        Some((Ok(Frame::data(lines)), watch))
    });
    with_type(
        200,
        "application/json",
        BodyExt::boxed_unsync(StreamBody::new(lines)),
    )
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = json(refusal.code, refusal.body().to_string().into());
    if let Some(seconds) = refusal.retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json(status: u16, body: Bytes) -> Response<Body> {
    typed(status, "application/json", body)
}

fn typed(status: u16, content_type: &'static str, body: Bytes) -> Response<Body> {
    with_type(status, content_type, Full::new(body).boxed_unsync())
}

fn with_type(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

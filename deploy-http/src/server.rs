//! Connections: how many, how long, and how they end. It knows nothing of routes; it hands each request to a function
//! and bounds what any client may cost, the silent ones too.
//!
//! hyper's automatic builder arms no timer before it has seen the first bytes (hyperium/hyper#3962) and HTTP/2 has
//! none for an idle connection, so both are timed here.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::gate::Ends;
use crate::problem::{Asked, EdgeCode, Problem};
use crate::reply::Reply;

/// What clients may cost.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Connections at a time.
    pub connections: u32,
    /// How long headers may take, and a connection may be idle.
    pub header_timeout: Duration,
    /// How long requests may take to end once `stop` is cancelled.
    pub drain: Duration,
}

/// Serves until `stop` is cancelled, then drains. `work` is waited for too: what the answers have begun. Whether
/// everything ended in time.
pub async fn serve<F, R>(
    listener: TcpListener,
    limits: ServerLimits,
    answer: F,
    stop: CancellationToken,
    work: TaskTracker,
) -> bool
where
    F: Fn(Ends, Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    let cut = CancellationToken::new();
    let room = Arc::new(Semaphore::new(
        usize::try_from(limits.connections).unwrap_or(Semaphore::MAX_PERMITS),
    ));
    let refusals = Arc::new(Semaphore::new(REFUSALS_AT_A_TIME));
    let protocol = protocol(limits);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file handles, or the client was gone already: nothing to do but to let others end.
                tracing::warn!(%error, "a connection was not accepted");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Ok(permit) = room.clone().try_acquire_owned() {
            let connection = Connection {
                protocol: protocol.clone(),
                limits,
                answer: answer.clone(),
                stop: stop.clone(),
                _permit: permit,
            };
            let cut = cut.clone();
            work.spawn(async move {
                tokio::select! {
                    () = cut.cancelled() => {}
                    served = connection.serve(stream) => {
                        if let Err(error) = served {
                            tracing::debug!(%error, "a connection broke off");
                        }
                    }
                }
            });
        } else if let Ok(permit) = refusals.clone().try_acquire_owned() {
            work.spawn(async move {
                if let Err(error) = refuse(stream, permit).await {
                    tracing::debug!(%error, "a refused connection broke off");
                }
            });
        }
    }
    drop(listener);
    work.close();
    let drained = timeout(limits.drain, work.wait()).await.is_ok();
    cut.cancel();
    drained
}

/// SIGTERM and Ctrl-C, listened for from the moment this is made: a server that can be told to stop before it says that it
/// listens is never cut off by a signal's default.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Begins to listen.
    ///
    /// # Errors
    /// The process cannot listen for signals.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the first of them.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Enough to answer a burst; past that a connection is closed unanswered, which costs nothing.
const REFUSALS_AT_A_TIME: usize = 256;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn protocol(limits: ServerLimits) -> auto::Builder<TokioExecutor> {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(64 * 1024);
    protocol
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(32 * 1024)
        .keep_alive_interval(limits.header_timeout)
        .keep_alive_timeout(limits.header_timeout);
    protocol
}

struct Connection<F> {
    protocol: auto::Builder<TokioExecutor>,
    limits: ServerLimits,
    answer: F,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl<F, R> Connection<F>
where
    F: Fn(Ends, Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    async fn serve(self, stream: TcpStream) -> Result<(), BoxError> {
        let Self {
            protocol,
            limits,
            answer,
            stop,
            _permit,
        } = self;
        let ends = Ends {
            local: stream.local_addr()?,
            peer: stream.peer_addr()?,
        };
        stream.set_nodelay(true)?;
        let mut byte = [0; 1];
        let first = tokio::select! {
            first = timeout(limits.header_timeout, stream.peek(&mut byte)) => first,
            () = stop.cancelled() => return Ok(()),
        };
        if !matches!(first, Ok(Ok(1..))) {
            return Ok(());
        }
        let (open, mut watched) = watch::channel(0_usize);
        let open = Arc::new(open);
        let service = service_fn(move |request| {
            let guard = Open::begin(&open);
            let answered = answer(ends, request);
            async move {
                let reply = answered.await;
                drop(guard);
                Ok::<_, Infallible>(reply)
            }
        });
        let mut connection = std::pin::pin!(protocol.serve_connection(TokioIo::new(stream), service));
        let mut ending = false;
        loop {
            let idle = *watched.borrow_and_update() == 0;
            tokio::select! {
                served = connection.as_mut() => return served,
                // An error would mean that the service is gone, and with it the connection.
                Ok(()) = watched.changed() => {}
                () = stop.cancelled(), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = sleep(limits.header_timeout), if idle => {
                    if ending {
                        return Ok(());
                    }
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// One request that is being answered.
struct Open(Arc<watch::Sender<usize>>);

impl Open {
    fn begin(open: &Arc<watch::Sender<usize>>) -> Self {
        open.send_modify(|count| *count += 1);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Answers 503 without reading a request, then waits a little for the client to have read it: closing on unread bytes
/// would reset the connection under the answer.
async fn refuse(mut stream: TcpStream, _permit: OwnedSemaphorePermit) -> Result<(), BoxError> {
    const AT_MOST: Duration = Duration::from_secs(1);
    let request_id = Uuid::now_v7().to_string();
    let problem = Problem::new(
        EdgeCode::Overloaded,
        "the server has no connection left; try again",
    );
    let reply = problem.respond(Asked {
        request_id: &request_id,
        verb: "-",
        route: "-",
    });
    let written = async {
        stream.write_all(&plain(reply).await).await?;
        stream.shutdown().await?;
        let mut unread = [0; 1024];
        while stream.read(&mut unread).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    match timeout(AT_MOST, written).await {
        Ok(written) => Ok(written?),
        Err(_) => Ok(()),
    }
}

/// An answer as HTTP/1.1 text.
async fn plain(reply: Reply) -> Vec<u8> {
    use http_body_util::BodyExt as _;

    let (parts, body) = reply.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
    };
    let mut text = format!("HTTP/1.1 {}\r\nconnection: close\r\n", parts.status).into_bytes();
    for (name, value) in parts
        .headers
        .iter()
        .filter(|(name, _)| *name != header::CONTENT_LENGTH)
    {
        text.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    text.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    text.extend_from_slice(&body);
    text
}

#[cfg(test)]
mod tests;

//! Bytes on a wire, for the real listener: what no client library would send. Every connection comes to an end, nothing
//! is answered with a 5xx, and nothing that changes state is done without an identity.

use std::net::SocketAddr;
use std::time::Duration;

use deploy_http::server::{ServerLimits, serve};
use futures::StreamExt as _;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::corpus::Text;
use crate::report::short;
use crate::server::Server;

const REQUESTS: &str = include_str!("bad_requests.json");

/// How long headers and bodies may take here: long enough for any that is sent whole, on any machine.
const SHORT: Duration = Duration::from_secs(4);
/// Reached only where a connection is never ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many connections are opened at a time: fewer than wait in the shortest queue that a kernel keeps (128), past which
/// one is only tried again after a second.
const AT_ONCE: usize = 100;

/// A server behind a listener.
pub struct Listening {
    /// What answers.
    pub server: Server,
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<bool>,
}

impl Listening {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let server = Server::start(SHORT).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = ServerLimits {
            connections: 1000,
            header_timeout: SHORT,
            drain: PATIENCE,
        };
        let (edge, stop) = (server.edge(), CancellationToken::new());
        let answer = move |ends, request| {
            let edge = edge.clone();
            async move { edge.answer(ends, request).await }
        };
        let served = tokio::spawn(serve(listener, limits, answer, stop.clone(), TaskTracker::new()));
        Self {
            server,
            address,
            stop,
            served,
        }
    }

    /// Sends bytes; everything that is answered until the connection ends.
    pub async fn exchange(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let exchanged = async {
            let stream = TcpStream::connect(self.address).await.unwrap();
            let (mut read, mut write) = stream.into_split();
            // The server may end the connection before it has read everything: then the rest is not sent.
            let sent = async { write.write_all(bytes).await.is_ok() };
            let answered = async {
                let (mut all, mut part) = (Vec::new(), [0; 4096]);
                // A reset is an end too.
                while let Ok(count @ 1..) = read.read(&mut part).await {
                    all.extend_from_slice(&part[..count]);
                }
                all
            };
            let (_sent, answered) = tokio::join!(sent, answered);
            answered
        };
        let answered = tokio::time::timeout(PATIENCE, exchanged).await;
        answered.map_err(|_| "the connection was never ended".to_owned())
    }

    /// Sends each of them, many at a time; the answers in the same order.
    pub async fn exchange_all(&self, all: &[Vec<u8>]) -> Vec<Result<Vec<u8>, String>> {
        let exchanges = all.iter().map(|bytes| self.exchange(bytes));
        futures::stream::iter(exchanges).buffered(AT_ONCE).collect().await
    }

    /// Ends the listener, and waits for everything it has begun.
    pub async fn end(self) -> Server {
        self.stop.cancel();
        assert!(self.served.await.unwrap(), "a connection was left open");
        self.server
    }
}

/// The statuses of the answers in what came back; 0 where nothing did.
pub fn statuses(answered: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answered);
    let found: Vec<u16> = text
        .split("HTTP/1.")
        .skip(1)
        .filter_map(|answer| answer.get(2..5)?.parse().ok())
        .collect();
    if found.is_empty() { vec![0] } else { found }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    bytes: Text,
    why: String,
    /// What each answer on the connection may be; 0 is none.
    status: Vec<u16>,
    /// The bytes of another protocol may come back.
    #[serde(default)]
    anything: bool,
    /// What must not come back.
    never: Option<String>,
}

#[tokio::test]
async fn bytes_that_are_no_request_are_answered_with_4xx_or_an_end_and_change_nothing() {
    let entries: Vec<Entry> = serde_json::from_str(REQUESTS).unwrap();
    assert!(entries.len() >= 100, "{}", entries.len());
    let listening = Listening::start().await;
    let before = listening.server.calls();
    let all: Vec<Vec<u8>> = entries.iter().map(|entry| entry.bytes.bytes().to_vec()).collect();
    let answers = listening.exchange_all(&all).await;
    let mut failures = Vec::new();
    for ((entry, bytes), answer) in entries.iter().zip(&all).zip(answers) {
        let judged = answer.and_then(|answer| {
            let found = statuses(&answer);
            let text = String::from_utf8_lossy(&answer);
            if !entry.anything && !found.iter().all(|status| entry.status.contains(status)) {
                return Err(format!(
                    "expected {:?}, found {found:?}: {text:.300}",
                    entry.status
                ));
            }
            match entry.never.as_deref().filter(|never| text.contains(*never)) {
                Some(never) => Err(format!("{never} came back")),
                None => Ok(()),
            }
        });
        if let Err(why) = judged {
            failures.push(format!("{} ({}): {why}", short(bytes), entry.why));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        entries.len(),
        failures.join("\n")
    );
    let server = listening.end().await;
    server.settle().await;
    let after = server.calls();
    // Loads are recorded, and are no change of what runs.
    assert!(after.started_nothing_since(before), "{before:?}, then {after:?}");
}

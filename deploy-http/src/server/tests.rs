//! Clients of every manner against a real listener. Whatever is waited for is an event: an answer, or the end of the
//! connection; the outer limit only keeps a broken build from hanging.

use std::net::SocketAddr;

use tokio::sync::Notify;

use super::*;
use crate::reply::text;

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);
const LIMITS: ServerLimits = ServerLimits {
    connections: 10,
    header_timeout: LONG,
    drain: LONG,
};
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<bool>,
    /// Told when a request has come.
    came: Arc<Notify>,
    /// Lets `/held` be answered.
    release: Arc<Notify>,
}

/// A server that answers `ok`, and `/held` once it is released.
async fn running(limits: ServerLimits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (came, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let stop = CancellationToken::new();
    let answer = {
        let (came, release) = (came.clone(), release.clone());
        move |_: Ends, request: Request<Incoming>| {
            let (came, release) = (came.clone(), release.clone());
            async move {
                came.notify_one();
                if request.uri().path() == "/held" {
                    release.notified().await;
                }
                text("ok".to_owned())
            }
        }
    };
    let server = tokio::spawn(serve(listener, limits, answer, stop.clone(), TaskTracker::new()));
    Running {
        address,
        stop,
        server,
        came,
        release,
    }
}

impl Running {
    async fn connect(&self, sent: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream
    }
}

/// Everything until the server closes the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let read = timeout(LONG, stream.read_to_end(&mut text))
        .await
        .expect("the connection stayed open");
    // A reset is an end too.
    let _ = read.is_err();
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads until the answer's last byte, the connection staying open.
async fn one_answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"ok") {
        let read = timeout(LONG, stream.read_buf(&mut text))
            .await
            .expect("no answer came")
            .unwrap();
        assert!(read > 0, "the connection was closed");
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn whoever_sends_no_request_in_time_is_cut() {
    let server = running(ServerLimits {
        header_timeout: SHORT,
        ..LIMITS
    })
    .await;
    for (sent, what) in [
        ("", "silent"),
        ("G", "a first byte"),
        ("GET / HTTP/1.1\r\nHost: local", "half a header"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "an HTTP/2 preface"),
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            "HTTP/2 settings and no stream",
        ),
    ] {
        let answer = rest(server.connect(sent).await).await;
        assert!(!answer.contains("ok"), "{what}: {answer}");
    }
    let mut idle = server.connect(REQUEST).await;
    assert!(one_answer(&mut idle).await.starts_with("HTTP/1.1 200"));
    assert_eq!(rest(idle).await, "");
}

#[tokio::test]
async fn a_request_that_is_being_answered_is_not_idle() {
    let server = running(ServerLimits {
        header_timeout: SHORT,
        ..LIMITS
    })
    .await;
    let held = server
        .connect("GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    server.came.notified().await;
    // As long as it takes another connection to be cut for idling.
    assert_eq!(rest(server.connect("").await).await, "");
    server.release.notify_one();
    assert!(rest(held).await.ends_with("ok"));
}

#[tokio::test]
async fn one_connection_too_many_is_answered_503_at_once_and_room_is_given_back() {
    let server = running(ServerLimits {
        connections: 1,
        ..LIMITS
    })
    .await;
    let mut first = server.connect(REQUEST).await;
    one_answer(&mut first).await;
    let refused = rest(server.connect(REQUEST).await).await;
    assert!(
        refused.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{refused}"
    );
    assert!(
        refused.contains("retry-after: ") && refused.contains("urn:deploy:problem:overloaded"),
        "{refused}"
    );
    first
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(rest(first).await.ends_with("ok"));
    // The permit comes back when the connection's task has ended, which no client can see: ask until it has.
    let again = async {
        loop {
            let answer = rest(
                server
                    .connect("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    .await,
            )
            .await;
            if answer.ends_with("ok") {
                break;
            }
        }
    };
    timeout(LONG, again).await.unwrap();
}

#[tokio::test]
async fn a_request_in_flight_is_answered_after_the_stop_and_no_new_one_is_taken() {
    let server = running(LIMITS).await;
    let silent = server.connect("").await;
    let held = server
        .connect("GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    server.came.notified().await;
    server.stop.cancel();
    assert_eq!(rest(silent).await, "");
    server.release.notify_one();
    assert!(rest(held).await.ends_with("ok"));
    assert!(server.server.await.unwrap(), "not drained");
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn what_does_not_end_in_the_drain_time_is_cut() {
    let server = running(ServerLimits {
        drain: SHORT,
        ..LIMITS
    })
    .await;
    let held = server
        .connect("GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    server.came.notified().await;
    server.stop.cancel();
    assert!(!server.server.await.unwrap(), "drained");
    assert_eq!(rest(held).await, "");
}

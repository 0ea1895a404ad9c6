//! How fast a task's state is answered by the binary, against a bare hyper server that says hello: the cost of the
//! routes, the gate, the record and the JSON, as a ratio of rates. Both are processes of their own, asked in turn by the
//! same client over kept connections. It also counts the reads of the record that one answer takes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use deploy_core::Deployer;
use deploy_core::ports::{Change, Journal as _};
use deploy_http::config::{self, Config};
use deploy_http::serving::Bound;
use deploy_testkit::builders;
use deploy_testkit::measure::{SideBySide, rounds};
use deploy_testkit::memory::cluster::MemoryCluster;
use deploy_testkit::memory::source_repository::MemorySourceRepository;
use deploy_testkit::memory::template_store::MemoryTemplateStore;
use deploy_testkit::memory::{Call, ManualClock, MemoryStore, SequentialIds};
use futures::future::join_all;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[path = "common/server.rs"]
mod server;

use server::{ANNOUNCEMENT, Client, Server, get};

const CONNECTIONS: usize = 16;
/// Requests of one connection in one round.
const REQUESTS: usize = 1000;
const ROUNDS: usize = 9;
/// The argument by which this program is the server that says hello.
const HELLO: &str = "hello";

fn main() {
    let is_hello = std::env::args().nth(1).is_some_and(|argument| argument == HELLO);
    // As the binary's own runtime for the servers; one thread for the client, which leaves the other core to them.
    let mut runtime = if is_hello {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = runtime.enable_all().build().unwrap();
    if is_hello {
        runtime.block_on(say_hello());
    } else {
        runtime.block_on(compare());
        println!(
            "reads of the record for one answer: {}",
            runtime.block_on(reads())
        );
    }
}

async fn compare() {
    let folder = tempfile::tempdir().unwrap();
    let deploy = Server::deploy_http(folder.path());
    let hello = Server::start(Command::new(std::env::current_exe().unwrap()).arg(HELLO));
    let state = get(&format!("/v1/task/state/{}", finished_task(deploy.address).await));
    let any = get("/");

    // The first round warms both up and is not counted.
    round(hello.address, &any).await;
    round(deploy.address, &state).await;
    let mut measured = SideBySide::default();
    for _ in 0..rounds(ROUNDS) {
        let hello = round(hello.address, &any).await;
        let deploy = round(deploy.address, &state).await;
        measured.push(hello, deploy);
    }
    let requests = CONNECTIONS * REQUESTS;
    println!(
        "rate of a state against hello, {requests} requests a round on {CONNECTIONS} connections: {measured}"
    );
}

/// How long it takes until every connection has had all its answers.
async fn round(address: SocketAddr, request: &[u8]) -> Duration {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Client::connect(address).await);
    }
    let begun = Instant::now();
    join_all(clients.iter_mut().map(|client| async {
        for _ in 0..REQUESTS {
            let (status, _) = client.exchange(request).await;
            assert_eq!(status, 200);
        }
    }))
    .await;
    begun.elapsed()
}

/// Deploys a job and waits, by the server's own waiting, for its end; its id.
async fn finished_task(address: SocketAddr) -> String {
    // {"name":"bench","type":"job","image":"example/bench:1","cmd":["true"]}
    let form = "namespace=bench&configuration=%7B%22name%22%3A%22bench%22%2C%22type%22%3A%22job%22%2C%22image%22%3A%22\
                example%2Fbench%3A1%22%2C%22cmd%22%3A%5B%22true%22%5D%7D";
    let request = format!(
        "POST /v2/task/deploy/with-configuration HTTP/1.1\r\nHost: localhost\r\nIdentity: ada@example.com\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let mut client = Client::connect(address).await;
    let (status, body) = client.exchange(request.as_bytes()).await;
    assert_eq!(status, 202, "{}", String::from_utf8_lossy(body));
    let id = text(body, "id");
    let (status, body) = client
        .exchange(&get(&format!("/v1/task/state/{id}?wait=30")))
        .await;
    assert_eq!((status, text(body, "state").as_str()), (200, "succeeded"));
    id
}

fn text(body: &[u8], key: &str) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    body[key].as_str().unwrap().to_owned()
}

/// The same request to the same edge on a record that counts.
async fn reads() -> usize {
    let (clock, store) = (Arc::new(ManualClock::default()), Arc::new(MemoryStore::new()));
    let task = builders::task().build();
    let path = format!("/v1/task/state/{}", task.id());
    let generation = store.lead().await.unwrap();
    let change = Change::PutTask(Box::new(task));
    store.commit(&[change], generation).await.unwrap();
    let cluster = Arc::new(MemoryCluster::new(clock.clone()));
    let source = MemorySourceRepository::new("master".parse().unwrap());
    // A state needs no engine: it is read, not asked for.
    let (deployer, _engine) = Deployer::builder()
        .cluster(cluster.clone())
        .namespaces(cluster.clone())
        .inventory(cluster.clone())
        .logs(cluster)
        .source(Arc::new(source))
        .journal(store.clone())
        .tasks(store.clone())
        .runs(store.clone())
        .works(store.clone())
        .templates(Arc::new(MemoryTemplateStore::new()))
        .clock(clock)
        .ids(Arc::new(SequentialIds::default()))
        .build()
        .unwrap();
    let config = config();
    let bound = Bound::new(&config.listen).await.unwrap();
    let address = bound.address();
    let stop = CancellationToken::new();
    let asked = async {
        let (status, _) = Client::connect(address).await.exchange(&get(&path)).await;
        assert_eq!(status, 200);
        stop.cancel();
    };
    let ((), drained) = tokio::join!(asked, bound.serve(&config, deployer, None, stop.clone()));
    assert!(drained);
    let calls = store.calls();
    calls.iter().filter(|call| matches!(call, Call::Read(_))).count()
}

fn config() -> Box<Config> {
    match config::parse(["deploy-http", "--listen", "127.0.0.1:0"].map(OsString::from)) {
        Ok(config::Command::Serve(config)) => config,
        other => panic!("{other:?}"),
    }
}

/// hyper, and nothing on top of it.
async fn say_hello() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "{ANNOUNCEMENT}{}", listener.local_addr().unwrap()).unwrap();
    out.flush().unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let hello = |_: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
            };
            let served = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service_fn(hello))
                .await;
            // How a connection ends is the client's to judge.
            served.ok();
        });
    }
}

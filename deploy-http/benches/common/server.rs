//! A server as a process of its own that says where it listens, and a lean client for it: requests are bytes made once,
//! answers are read by their Content-Length and nothing else is looked at, so that what is measured is the server.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How the line begins that says where a server listens.
pub(crate) const ANNOUNCEMENT: &str = "listening internal http://";

/// A running server; it is killed with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Open as long as the server runs, so that it can go on writing.
    _output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts it and waits until it says where it listens.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it says where it listens");
        let address = line
            .trim_end()
            .strip_prefix(ANNOUNCEMENT)
            .unwrap_or_else(|| panic!("it said {line:?}"));
        Self {
            child,
            address: address.parse().expect("it names an address"),
            _output: output,
        }
    }

    /// The binary of this crate, on a folder of its own and a free port.
    pub(crate) fn deploy_http(data_dir: &std::path::Path) -> Self {
        Self::start(
            Command::new(env!("CARGO_BIN_EXE_deploy-http"))
                .args(["--listen", "127.0.0.1:0", "--log", "warn", "--data-dir"])
                .arg(data_dir),
        )
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One connection that is kept.
pub(crate) struct Client {
    stream: TcpStream,
    /// Bytes of the last answer.
    answer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("the connection is open");
        Self {
            stream,
            answer: Vec::with_capacity(4096),
        }
    }

    /// Sends a request and reads its answer to the end; its status and its body.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.stream.write_all(request).await.expect("the request is sent");
        self.answer.clear();
        loop {
            let read = self
                .stream
                .read_buf(&mut self.answer)
                .await
                .expect("an answer comes");
            assert_ne!(read, 0, "the connection was closed");
            if let Some((status, body)) = whole(&self.answer) {
                return (status, &self.answer[body..]);
            }
        }
    }
}

/// A GET as bytes.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nIdentity: ada@example.com\r\n\r\n").into_bytes()
}

/// The status of an answer and where its body begins, once all of it is there.
fn whole(answer: &[u8]) -> Option<(u16, usize)> {
    let body = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..body]).expect("heads are text");
    let status = head.get(9..12).expect("a status").parse().expect("a number");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().expect("a number"))
    });
    (answer.len() - body >= length.expect("a length")).then_some((status, body))
}

//! An API server of which the test is the mind: what is asked of the kinds under test comes to the test, which answers;
//! all other kinds are empty and silent.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Nothing a test waits for takes longer, or it fails.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Server {
    url: String,
    asked: mpsc::UnboundedReceiver<Asked>,
}

/// One request that waits for its answer.
pub(super) struct Asked {
    stream: TcpStream,
    pub path: String,
    pub query: HashMap<String, String>,
}

/// A watch under way.
pub(super) struct Watch {
    stream: TcpStream,
}

impl Server {
    /// Serves; requests for these paths are the test's to answer.
    pub(super) async fn start(paths: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, asked) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, paths, sender.clone()));
            }
        });
        Self { url, asked }
    }

    pub(super) fn client(&self) -> kube::Client {
        let mut config = kube::Config::new(self.url.parse().unwrap());
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    pub(super) async fn asked(&mut self) -> Asked {
        within(self.asked.recv()).await.unwrap()
    }

    /// The next request, which has to be a list.
    pub(super) async fn list(&mut self) -> Asked {
        let asked = self.asked().await;
        assert!(
            !asked.is_watch(),
            "a watch of {} where a list was expected",
            asked.path
        );
        asked
    }

    /// The next request, which has to be a watch from that version; it is open from now on.
    pub(super) async fn watch(&mut self, version: &str) -> Watch {
        let asked = self.asked().await;
        assert!(
            asked.is_watch(),
            "a list of {} where a watch was expected",
            asked.path
        );
        assert_eq!(
            asked.query.get("resourceVersion").map(String::as_str),
            Some(version)
        );
        asked.open().await
    }
}

impl Asked {
    pub(super) fn is_watch(&self) -> bool {
        self.query.contains_key("watch")
    }

    /// Answers a whole list.
    pub(super) async fn answer_list(self, version: &str, objects: &[Value]) {
        self.answer_page(version, objects, "").await;
    }

    pub(super) async fn answer_page(self, version: &str, objects: &[Value], token: &str) {
        let list = json!({"metadata": {"resourceVersion": version, "continue": token}, "items": objects});
        self.answer("200 OK", "", &list.to_string()).await;
    }

    /// Answers with that status; `headers` each end in a line break.
    pub(super) async fn answer(mut self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
        self.stream.write_all(head.as_bytes()).await.unwrap();
        self.stream.write_all(body.as_bytes()).await.unwrap();
    }

    pub(super) async fn open(mut self) -> Watch {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
        self.stream.write_all(head.as_bytes()).await.unwrap();
        Watch { stream: self.stream }
    }
}

impl Watch {
    /// Sends lines, or parts of them.
    pub(super) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Waits until the client has hung up.
    pub(super) async fn hung_up(mut self) {
        let mut rest = [0; 16];
        // A reset is as good as an end.
        assert_eq!(within(self.stream.read(&mut rest)).await.unwrap_or(0), 0);
    }
}

/// Fails a test that waits for what does not come.
pub(super) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it never came")
}

async fn serve(mut stream: TcpStream, paths: &[&str], sender: mpsc::UnboundedSender<Asked>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text)
            .decode_utf8()
            .unwrap()
            .into_owned()
    };
    let query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), decoded(value)))
        .collect();
    let asked = Asked {
        stream,
        path: path.to_owned(),
        query,
    };
    if paths.contains(&path) {
        // A test that is over asks no more.
        drop(sender.send(asked));
    } else if asked.is_watch() {
        asked.open().await.hung_up_some_day().await;
    } else {
        asked.answer_list("1", &[]).await;
    }
}

impl Watch {
    async fn hung_up_some_day(mut self) {
        let mut rest = [0; 16];
        while matches!(self.stream.read(&mut rest).await, Ok(read) if read > 0) {}
    }
}

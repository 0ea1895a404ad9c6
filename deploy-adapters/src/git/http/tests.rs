//! The client against servers that are a few lines on a socket: what is sent, and what is made of each answer.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use deploy_testkit::fixture::tls::Authority;

use super::*;
use crate::git::GitBase;

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nTransfer-Encoding: \
                    chunked\r\n\r\n4\r\n0000\r\n0\r\n\r\n";

/// Gives each connection so many answers, then closes it. Ends when all were given; tells the heads of what was asked, by
/// connection.
fn server(listener: TcpListener, connections: Vec<Vec<String>>) -> thread::JoinHandle<Vec<Vec<String>>> {
    thread::spawn(move || {
        let answer = |stream: &mut BufReader<TcpStream>, text: &String| {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(stream.read_line(&mut head).unwrap() > 0, "it ends within: {head}");
            }
            stream.get_mut().write_all(text.as_bytes()).unwrap();
            head
        };
        let serve = |answers: &Vec<String>| {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            answers.iter().map(|text| answer(&mut stream, text)).collect()
        };
        connections.iter().map(serve).collect()
    })
}

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn known(port: u16) -> Arc<HttpServer> {
    known_by("http", port, None)
}

fn known_by(scheme: &str, port: u16, ca_file: Option<&Path>) -> Arc<HttpServer> {
    let Ok(GitBase::Remote(base)) = GitBase::parse(&format!("{scheme}://127.0.0.1:{port}/"), false) else {
        panic!("it is a server's");
    };
    Arc::new(HttpServer::open(base, ca_file, None).unwrap())
}

fn talk(server: &Arc<HttpServer>) -> Arc<Talk> {
    talk_within(server, Duration::from_secs(30))
}

fn talk_within(server: &Arc<HttpServer>, time: Duration) -> Arc<Talk> {
    Arc::new(Talk {
        server: Arc::clone(server),
        authorization: None,
        deadline: Instant::now() + time,
        verdict: Verdict::default(),
    })
}

/// Asks for the references of a repository and reads four bytes of them, as libgit2 does.
fn ask(talk: &Arc<Talk>, name: &str) {
    let mut stream = Stream::new(Arc::clone(talk), Exchange::references(&format!("/{name}")));
    let mut flush = [0; 4];
    stream.read_exact(&mut flush).unwrap();
    assert_eq!(&flush, FLUSH);
}

#[test]
fn a_connection_is_used_again_until_the_server_closes_it_by_other_conversations_and_threads_too() {
    let (listener, port) = listen();
    let good = || GOOD.to_owned();
    let running = server(listener, vec![vec![good(), good(), good()], vec![good()]]);
    let known = known(port);
    let first = talk(&known);
    ask(&first, "a");
    ask(&first, "b");
    let second = talk(&known);
    thread::spawn(move || ask(&second, "c")).join().unwrap();
    ask(&first, "d");
    let asked = running.join().unwrap();
    let lines: Vec<Vec<&str>> = asked
        .iter()
        .map(|heads| heads.iter().filter_map(|head| head.lines().next()).collect())
        .collect();
    let get = |name| format!("GET /{name}/info/refs?service=git-upload-pack HTTP/1.1");
    assert_eq!(lines, [vec![get("a"), get("b"), get("c")], vec![get("d")]]);
}

#[test]
fn a_request_holds_what_git_asks_for_and_no_more() {
    let (listener, port) = listen();
    let answer = GOOD.replace("advertisement", "result");
    let running = server(listener, vec![vec![answer]]);
    let talk = Arc::new(Talk {
        server: known(port),
        authorization: Some(Arc::new(Authorization::new("Basic x".to_owned()))),
        deadline: Instant::now() + Duration::from_secs(30),
        verdict: Verdict::default(),
    });
    let mut exchange = Exchange::objects("/t/d\u{e9}<mo>.git");
    exchange.sent = b"want".to_vec();
    let head = exchange.head(&talk.server.base, talk.authorization.as_deref());
    assert!(!format!("{head:?}").contains("Basic"), "{head:?}");
    let mut stream = Stream::new(talk, exchange);
    stream.read_exact(&mut [0; 4]).unwrap();
    let asked = running.join().unwrap().remove(0).remove(0);
    let mut lines: Vec<String> = asked.lines().map(str::to_lowercase).collect();
    let request_line = asked.lines().next().unwrap();
    assert_eq!(
        request_line,
        "POST /t/d%C3%A9%3Cmo%3E.git/git-upload-pack HTTP/1.1"
    );
    lines.retain(|line| !line.is_empty());
    lines.remove(0);
    lines.sort();
    assert_eq!(
        lines,
        [
            "accept: application/x-git-upload-pack-result",
            "authorization: basic x",
            "content-length: 4",
            "content-type: application/x-git-upload-pack-request",
            &format!("host: 127.0.0.1:{port}"),
            "user-agent: git/2.0 (deploy-api)",
        ]
    );
}

#[test]
fn an_answer_that_is_unclear_cut_short_or_without_bound_is_no_list_of_references() {
    const TYPE: &str = "Content-Type: application/x-git-upload-pack-advertisement";
    let long = format!("200 OK\r\n{TYPE}\r\nA: {}", "x".repeat(200 << 10));
    let many = format!("200 OK\r\n{TYPE}\r\n{}\r\n", "A: b\r\n".repeat(1000));
    let table = [
        (String::new(), "Unavailable"),
        ("200 OK\r\n".to_owned(), "Unavailable"),
        (
            format!("200 OK\r\n{TYPE}\r\nContent-Length: 3\r\n\r\nab"),
            "Unavailable",
        ),
        (
            format!("200 OK\r\n{TYPE}\r\nContent-Length: x\r\n\r\nabc"),
            "Answer",
        ),
        (
            format!("200 OK\r\n{TYPE}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
            "Answer",
        ),
        (
            format!("200 OK\r\n{TYPE}\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"),
            "Answer",
        ),
        (
            format!("200 OK\r\n{TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n"),
            "Answer",
        ),
        (
            format!("200 OK\r\n{TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na"),
            "Unavailable",
        ),
        (long, "Answer"),
        (many, "Answer"),
        ("2000 OK\r\n\r\n".to_owned(), "Answer"),
    ];
    for (answer, expected) in table {
        let (listener, port) = listen();
        let text = if answer.is_empty() {
            answer
        } else {
            format!("HTTP/1.1 {answer}")
        };
        let shown: String = text.chars().take(120).collect();
        // A line that breaks is tried once more.
        let both = vec![vec![text.clone()], vec![text]];
        let _running = server(listener, both);
        let talk = talk(&known(port));
        let mut stream = Stream::new(Arc::clone(&talk), Exchange::references("/a"));
        let read = stream.read_to_end(&mut Vec::new());
        assert!(read.is_err(), "{shown}: {read:?}");
        let failure = format!("{:?}", talk.verdict.take());
        assert!(
            failure.starts_with(&format!("Some({expected}")),
            "{shown}: {failure}"
        );
    }
}

#[test]
fn a_server_that_drips_its_answer_s_head_or_its_tls_is_cut_off() {
    let authority = Authority::new();
    let ca_file = authority.ca_file();
    // The head of a record of TLS, and that of an answer, as long as they can be.
    let (record, head) = (
        b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xff".as_slice(),
        b"HTTP/1.1 200 OK\r\nA: ".as_slice(),
    );
    for (scheme, ca_file, begin) in [("https", Some(ca_file.as_path()), record), ("http", None, head)] {
        let (listener, port) = listen();
        let (done, until_done) = mpsc::channel::<()>();
        let dripping = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            for byte in begin.iter().chain(std::iter::repeat(&b'x')) {
                let gone = stream.write_all(&[*byte]).is_err();
                let waited = until_done.recv_timeout(Duration::from_millis(20));
                if gone || waited != Err(mpsc::RecvTimeoutError::Timeout) {
                    break;
                }
            }
        });
        let began = Instant::now();
        let talk = talk_within(&known_by(scheme, port, ca_file), Duration::from_millis(400));
        let mut stream = Stream::new(Arc::clone(&talk), Exchange::references("/a"));
        assert!(stream.read(&mut [0; 4]).is_err(), "{scheme}");
        let failure = talk.verdict.take();
        assert!(matches!(failure, Some(Failure::Timeout)), "{scheme}: {failure:?}");
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{scheme}: {:?}",
            began.elapsed()
        );
        drop(done);
        dripping.join().unwrap();
    }
}

#[test]
fn a_type_has_no_parameters_and_a_redirect_is_told_without_its_path_and_user() {
    let mut headers = HeaderMap::new();
    assert_eq!(content_type(&headers), "");
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("Text/HTML; charset=x"),
    );
    assert_eq!(content_type(&headers), "text/html");
    for (location, expected) in [
        (
            "https://u:canary@h.example:1/canary?canary",
            "https://h.example:1",
        ),
        ("/canary", "another path of its own"),
        ("", "another path of its own"),
    ] {
        headers.insert(header::LOCATION, HeaderValue::from_static(location));
        assert_eq!(redirects_to(&headers), expected);
    }
}

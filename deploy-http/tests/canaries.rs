//! Secrets in every place a user may put one, the wrong ones above all, and a search for them in everything that comes
//! out: answers, log lines down to `trace`, what is said at the start, the rendering of the configuration. The one place a
//! secret comes back from is a document that was asked for.
//!
//! The walk over all routes by the real binary searches its own log in the same way: see tests/common/server.rs. These
//! tests have a process of their own because what is logged is captured for the whole of it: a subscriber of one thread
//! misses what another thread has met first.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "a test fails by panicking; what it shares with tests/hostile.rs is used there"
)]

#[path = "hostile/corpus.rs"]
mod corpus;
#[path = "hostile/requests.rs"]
mod requests;
#[path = "hostile/secret_documents.rs"]
mod secret_documents;
#[path = "hostile/server.rs"]
mod server;

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use deploy_http::config;
use deploy_http::routes::TABLE;
use hyper::Method;
use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::corpus::{Corpus, Part};
use crate::requests::{Draft, Encoding, Escaping};
use crate::secret_documents::documents;
use crate::server::Server;

/// It begins every secret; what follows says where it was put.
const CANARY: &str = "planted-canary";

/// Everything that was logged.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Captured {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Everything that was logged by this process since this was first asked for.
static LOG: LazyLock<Captured> = LazyLock::new(|| {
    let captured = Captured::default();
    let filter = EnvFilter::new("off,deploy_http=trace,deploy_core=trace,deploy_adapters=trace");
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter);
    subscriber.with_writer(captured.clone()).init();
    captured
});

/// Every good request with a secret in one place of it that is none of a document's.
fn requests(corpus: &Corpus, server: &Server) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for route in TABLE {
        let good = Draft::good(corpus, server, route);
        for (name, value) in [
            ("authorization", format!("Bearer {CANARY}-bearer")),
            ("authorization", format!("Basic {CANARY}-basic")),
            ("authorization", format!("{CANARY}-scheme")),
            ("cookie", format!("authtoken={CANARY}-cookie")),
            ("cookie", format!("session={CANARY}-session")),
            ("identity", format!("{CANARY}-identity")),
            ("identity", format!("ada:{CANARY}@example.com:x")),
            ("x-request-id", format!("{CANARY} request")),
            ("x-forwarded-for", format!("{CANARY}-proxy")),
            ("accept", format!("{CANARY}/accept")),
            ("if-none-match", format!("\"{CANARY}-tag\"")),
            ("content-type", format!("text/{CANARY}")),
            ("referer", format!("https://evil.example/?{CANARY}")),
            ("user-agent", format!("{CANARY}-agent")),
        ] {
            drafts.push(good.clone().with_header(name, value.as_bytes()));
        }
        for (part, name, _) in corpus.places_of(route).unwrap() {
            for value in [
                format!("{CANARY}\0"),
                format!("https://ada:{CANARY}@git.example/"),
            ] {
                let mut draft = good.clone();
                draft.put(route, (part, name), value.as_bytes(), Escaping::Needed);
                drafts.push(draft);
            }
        }
        for query in [
            format!("token={CANARY}"),
            format!("limit={CANARY}"),
            format!("x={CANARY}%zz"),
        ] {
            drafts.push(good.clone().with_query(&query));
        }
        for body in [
            format!("password={CANARY}"),
            format!("branch=a&branch={CANARY}"),
            format!("{CANARY}%zz=1"),
        ] {
            let mut posted = good.clone().with_body(body.into_bytes());
            posted.verb = Method::POST;
            drafts.push(posted.with_header("content-type", b"application/x-www-form-urlencoded"));
        }
    }
    drafts
}

#[tokio::test]
async fn no_secret_of_a_request_is_in_an_answer_or_a_log_line() {
    LazyLock::force(&LOG);
    let corpus = Corpus::read();
    let server = Server::start(Duration::from_secs(60)).await;
    let mut drafts = requests(&corpus, &server);
    for document in documents() {
        for route in TABLE
            .iter()
            .filter(|route| route.form.iter().any(|field| field.name == "configuration"))
        {
            for encoding in [Encoding::Urlencoded, Encoding::Multipart] {
                let mut draft = Draft::good(&corpus, &server, route);
                draft.encoding = encoding;
                draft.put(
                    route,
                    (Part::Form, "configuration"),
                    document.as_bytes(),
                    Escaping::Needed,
                );
                drafts.push(draft);
            }
        }
    }
    // What was accepted is read by every route that reads.
    drafts.extend(TABLE.iter().map(|route| Draft::good(&corpus, &server, route)));
    assert!(drafts.len() > 1000, "{}", drafts.len());
    let mut leaks = Vec::new();
    for draft in &drafts {
        let answer = server.answer(draft.request()).await;
        let all = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
        if all.contains(CANARY) {
            leaks.push(format!(
                "{} {}: {} {all:.400}",
                draft.verb,
                draft.path(),
                answer.status
            ));
        }
        assert!(answer.status < 500, "{answer:?}");
    }
    server.settle().await;
    assert!(leaks.is_empty(), "{} answers:\n{}", leaks.len(), leaks.join("\n"));
    let log = LOG.text();
    assert!(log.lines().count() > drafts.len() / 2, "the log was not captured");
    let leaks: Vec<&str> = log.lines().filter(|line| line.contains(CANARY)).collect();
    assert!(
        leaks.is_empty(),
        "{} log lines:\n{}",
        leaks.len(),
        leaks.join("\n")
    );
}

#[tokio::test]
async fn a_document_that_is_asked_for_comes_with_what_is_in_it() {
    let corpus = Corpus::read();
    let server = Server::start(Duration::from_secs(60)).await;
    let secret = format!("{CANARY}-template");
    let document = json!({"name": "ok", "env": [{"name": "A", "value": secret}]}).to_string();
    server.put_template("secret.json", document.as_bytes());
    let route = TABLE
        .iter()
        .find(|route| route.path == "/v2/task/get/template")
        .unwrap();
    let mut draft = Draft::good(&corpus, &server, route);
    draft.put(
        route,
        (Part::Form, "template_path"),
        b"secret.json",
        Escaping::Needed,
    );
    let answer = server.answer(draft.request()).await;
    assert!(
        String::from_utf8_lossy(&answer.body).contains(&secret),
        "{answer:?}"
    );
}

/// Command lines that hold a secret in the wrong place. `{file}` is a file with one in it.
const ARGUMENTS: &[&[&str]] = &[
    &["--git-base-url", "https://ada:planted-canary@git.example/x/"],
    &["--git-base-url", "https://planted-canary@git.example/x/"],
    &["--git-base-url", "https://git.example/x/?token=planted-canary"],
    &["--git-base-url", "https://git.example/x/#planted-canary"],
    &["--git-base-url", "ftp://ada:planted-canary@git.example/x/"],
    &["--git-base-url", "http://git.example/planted-canary/"],
    &["--git-base-url", "file://planted-canary"],
    &["--database", "postgres://ada:planted-canary@db.example/deploy"],
    &["--database", "mysql://ada:planted-canary@db.example/deploy"],
    &["--database", "planted-canary"],
    &["--listen", "ada:planted-canary@127.0.0.1:0"],
    &["--trust-identity", "planted-canary"],
    &["--git-timeout", "planted-canary"],
    &["--max-body", "planted-canary"],
    &["--max-connections", "planted-canary"],
    &["--default-branch", "planted-canary.."],
    &["--log", "deploy_http=planted-canary"],
    &["--log", "[{planted-canary"],
    &["--log-format", "planted-canary"],
    &["https://ada:planted-canary@git.example/x/"],
    &["check", "x", "https://ada:planted-canary@git.example/x/"],
    &["--policy", "{file}"],
    &["--allowed-origin", "https://ada:planted-canary@app.example"],
    &["--allowed-origin", "planted-canary"],
    &["--external-prefix", "planted-canary"],
    &["--listen-external", "ada:planted-canary@127.0.0.1:0"],
    &["--jwt-leeway", "planted-canary"],
    &["--jwt-secret-file", "{file}"],
    &[
        "--jwt-jwks",
        "{file}",
        "--jwt-issuer",
        "https://id.example",
        "--jwt-audience",
        "deploy",
    ],
    &["--jwt-jwks", "https://ada:planted-canary@id.example/keys"],
    &[
        "--git-base-url",
        "https://git.example/x/",
        "--git-credentials-file",
        "{file}",
    ],
    &[
        "--git-base-url",
        "ssh://git@git.example/x/",
        "--git-ssh-key",
        "{file}",
        "--git-known-hosts",
        "{file}",
    ],
    &["--git-base-url", "ssh://git:planted-canary@git.example/x/"],
    &[
        "--git-base-url",
        "https://git.example/x/",
        "--git-ca-file",
        "{file}",
    ],
];

/// Files with a secret where something else should stand.
const FILES: &[&str] = &[
    "planted-canary",
    r#"{"rules": [{"effect": "allow", "actions": ["planted-canary"]}]}"#,
    r#"{"rules": [{"effect": "planted-canary"}]}"#,
    r#"{"rules": [{"effect": "allow", "identities": "planted-canary"}]}"#,
    r#"{"rules": "planted-canary"}"#,
    r#"{"rules": ["#,
    "{\"rules\": [{\"effect\": \"allow\", \"identities\": [\"planted-canary\0",
    r#"{"rules": [], "rules": ["planted-canary"]}"#,
    r#"{"keys": [{"kty": "oct", "k": "planted-canary"}]}"#,
    r#"{"keys": [{"kty": "RSA", "kid": "1", "n": "planted-canary", "e": "AQAB", "d": "planted-canary"}]}"#,
    "https://ada:planted-canary@other.example",
    "https://ada:planted-canary@git.example\nada planted-canary",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nplanted-canary\n-----END OPENSSH PRIVATE KEY-----\n",
    "-----BEGIN CERTIFICATE-----\nplanted-canary\n-----END CERTIFICATE-----\n",
    "git.example ssh-ed25519 planted-canary",
];

/// A variable of the environment, and what is in it.
type Variable<'a> = (&'a str, &'a str);

#[test]
fn no_secret_of_the_command_line_or_the_environment_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines: Vec<(Vec<String>, Option<Variable<'_>>)> = Vec::new();
    for (line, arguments) in ARGUMENTS.iter().enumerate() {
        let files = if arguments.contains(&"{file}") {
            FILES
        } else {
            &FILES[..1]
        };
        for (index, content) in files.iter().enumerate() {
            let file = folder.path().join(format!("{line}-{index}"));
            std::fs::write(&file, content).unwrap();
            let line = arguments
                .iter()
                .map(|word| word.replace("{file}", file.to_str().unwrap()));
            lines.push((line.collect(), None));
        }
    }
    for variable in [
        ("DEPLOY_GIT_BASE_URL", "https://ada:planted-canary@git.example/x/"),
        (
            "DEPLOY_DATABASE",
            "postgres://ada:planted-canary@db.example/deploy",
        ),
        ("DEPLOY_MAX_BODY", "planted-canary"),
    ] {
        lines.push((Vec::new(), Some(variable)));
        for help in [
            &["--help"][..],
            &["-h"],
            &["demo", "--help"],
            &["serve", "--help"],
        ] {
            lines.push((
                help.iter().map(|word| (*word).to_owned()).collect(),
                Some(variable),
            ));
        }
    }
    let said = lines.iter().map(|(arguments, variable)| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deploy-http"));
        command
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null());
        // Nothing else that is configured here is its business, and whatever is right with it must not keep it running: a
        // database that cannot be opened ends it, after everything else was read.
        command
            .env_clear()
            .env("DEPLOY_LISTEN", "127.0.0.1:0")
            .env("DEPLOY_DATA_DIR", folder.path().join("data"))
            .env("DEPLOY_DATABASE", "sqlite:/dev/null/none")
            .envs(*variable);
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (arguments, String::from_utf8_lossy(&said).into_owned())
    });
    for (arguments, said) in said {
        assert!(!said.is_empty(), "{arguments:?}: it ended without a word");
        assert!(!said.contains(CANARY), "{arguments:?}: {said}");
    }
}

#[test]
fn no_secret_is_in_the_rendering_of_a_configuration_that_is_refused_or_taken() {
    for arguments in ARGUMENTS {
        let line = std::iter::once("deploy-http").chain(arguments.iter().copied());
        let parsed = format!(
            "{:?}",
            config::parse(line.map(Into::into)).map_err(|stop| stop.text)
        );
        // The log's filter is read later; a filter, right or wrong, is no secret's place.
        assert!(
            arguments[0] == "--log" || !parsed.contains(CANARY),
            "{arguments:?}: {parsed}"
        );
    }
}

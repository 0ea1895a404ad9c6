//! Every parser of the edge: whatever bytes come in, it answers; what it writes it reads; and what it refuses, it never
//! repeats. The parsers of this crate, so that none is forgotten:
//!
//! - by themselves: `Query::parse`, `Form::read` in both encodings, `percent_decoded`, `urlencoded`, `shown`, the cursors
//!   of the five lists, the router with `normalized` and `segment`, `GitBase`, and `config::parse` with the values of its
//!   flags: durations, sizes, addresses, the database, the log's filter;
//! - through the whole edge, in edge_properties.rs, because what matters is what becomes of the request: `Accept`, `If-None-Match`, the cookie,
//!   `Authorization`, `Identity`, `Host`, `X-Request-Id`, `Content-Type`, `Content-Encoding`, and the path.
//!
//! Those of the core are listed in deploy-core/tests/name_properties.rs.

use std::ffi::OsString;
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use deploy_core::names::{Namespace, PipelineId, TemplatePath};
use deploy_core::ports::TaskCursor;
use deploy_core::workload::Kind;
use deploy_http::config::{self, GitBase};
use deploy_http::cursor::{Cursor, PodCursor, RunCursor, decode, encode};
use deploy_http::forms::{BodyLimits, Form};
use deploy_http::problem::Problem;
use deploy_http::query::Query;
use deploy_http::router::{find, normalized, segment};
use deploy_http::routes::{Field, TABLE};
use deploy_http::text::{percent_decoded, shown, urlencoded};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::runtime::Runtime;

use crate::requests::encoded;

/// What stands in what is refused, and must stand in no reason.
const CANARY: &str = "c4n4ry";
const FIELDS: &[Field] = &[
    Field {
        name: "branch",
        required: false,
    },
    Field {
        name: "name",
        required: true,
    },
];
const LIMITS: BodyLimits = BodyLimits {
    bytes: 4096,
    time: Duration::from_secs(60),
};

/// One that needs no thread of its own.
pub fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// A reason that may leave the server.
fn harmless(problem: &Problem) {
    let words = problem.detail();
    assert!(problem.code.status().is_client_error(), "{problem:?}");
    assert!(
        words.len() < 400 && !words.contains(char::is_control),
        "{words:?}"
    );
}

/// Bytes that mean something to a parser of queries, forms or paths more often than chance would have it.
pub fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = select(vec![
        "branch",
        "name",
        "limit",
        "replace",
        "true",
        "=",
        "&",
        "%",
        "%2",
        "%2f",
        "%2F",
        "%00",
        "%ff",
        "%0d%0a",
        "+",
        ";",
        "/",
        "//",
        "-",
        "..",
        "\r\n",
        "--b",
        "--b--",
        "--b\r\n",
        "\r\n\r\n",
        "Content-Disposition: form-data; name=\"",
        "\"",
        "filename=\"",
        "Content-Type: ",
        "\0",
        "é",
        "\u{202e}",
        "v1",
        "task",
        "deploy",
        "list",
        "demo",
    ]);
    let piece = prop_oneof![
        3 => piece.prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..8),
    ];
    vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

fn form(runtime: &Runtime, content_type: &str, body: &[u8]) -> Result<Form, Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    let body = Full::new(Bytes::copy_from_slice(body));
    runtime.block_on(Form::read(&headers, body, FIELDS, LIMITS))
}

const URLENCODED: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=b";

fn comes_back<C: Cursor + PartialEq + Debug>(cursor: &C) {
    assert_eq!(decode::<C>(&encode(cursor)).ok().as_ref(), Some(cursor));
}

/// A cursor that any text may be, or its refusal.
fn is_read<C: Cursor>(text: &str) {
    match decode::<C>(text) {
        Ok(cursor) => assert_eq!(encode(&cursor), text.to_ascii_lowercase()),
        Err(problem) => {
            harmless(&problem);
            assert!(!problem.detail().contains(CANARY));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_query_is_read_or_refused(bytes in pieces()) {
        let text = String::from_utf8_lossy(&bytes);
        match Query::parse(&text, &["limit", "replace"]) {
            Ok(query) => {
                for refused in [query.switch("replace").err(), query.number("limit", 1..=9).err()].iter().flatten() {
                    harmless(refused);
                }
            }
            Err(problem) => harmless(&problem),
        }
    }

    #[test]
    fn a_query_is_read_as_it_was_written(value in "\\PC{0,40}") {
        let written = format!("limit={}", encoded(value.as_bytes(), false));
        let query = Query::parse(&written, &["limit"]).unwrap();
        prop_assert_eq!(query.get("limit"), Some(value.as_str()));
    }

    #[test]
    fn no_reason_repeats_the_value_of_a_parameter_or_a_field(before in "\\PC{0,5}", after in "\\PC{0,5}") {
        let value = encoded(format!("{before}\0{CANARY}{after}").as_bytes(), false);
        let query = Query::parse(&format!("limit={value}&replace={value}"), &["limit", "replace"]).unwrap();
        let reasons = [query.switch("replace").err(), query.number("limit", 1..=9).err()];
        let form = form(&runtime(), URLENCODED, format!("name={value}").as_bytes()).unwrap();
        let namespace = form.parsed::<Namespace>("name").err();
        for reason in reasons.into_iter().chain([namespace]) {
            let reason = reason.unwrap();
            prop_assert!(!reason.detail().contains(CANARY));
            harmless(&reason);
        }
    }

    #[test]
    fn any_bytes_are_a_form_or_none(bytes in pieces()) {
        let runtime = runtime();
        for content_type in [URLENCODED, MULTIPART] {
            if let Err(problem) = form(&runtime, content_type, &bytes) {
                harmless(&problem);
            }
        }
    }

    #[test]
    fn any_type_of_a_body_is_a_form_or_none(content_type in "(multipart/form-data|application/x-www-form-urlencoded|)[;, =\"a-z\\PC]{0,40}") {
        if let Ok(content_type) = HeaderValue::from_str(&content_type) {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, content_type);
            let read = runtime().block_on(Form::read(&headers, Full::new(Bytes::from_static(b"name=x")), FIELDS, LIMITS));
            if let Err(problem) = read {
                harmless(&problem);
            }
        }
    }

    #[test]
    fn both_encodings_of_a_form_are_read_alike(value in vec(any::<u8>(), 1..60)) {
        // A line end and the boundary would end the part.
        prop_assume!(!value.windows(3).any(|part| part == b"\r\n-"));
        let runtime = runtime();
        let urlencoded = form(&runtime, URLENCODED, format!("name={}", encoded(&value, false)).as_bytes()).unwrap();
        let head: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n";
        let multipart = form(&runtime, MULTIPART, &[head, &value, b"\r\n--b--\r\n"].concat()).unwrap();
        prop_assert_eq!(urlencoded.bytes("name").map(|bytes| bytes.to_vec()), Some(value));
        prop_assert_eq!(urlencoded.bytes("name"), multipart.bytes("name"));
    }

    #[test]
    fn what_is_percent_encoded_is_decoded_to_what_it_was(bytes in vec(any::<u8>(), 0..80), all in any::<bool>()) {
        let text = encoded(&bytes, all);
        prop_assert_eq!(percent_decoded(text.as_bytes()).unwrap().into_owned(), bytes.clone());
        let pair: Vec<_> = urlencoded(format!("{text}={text}").as_bytes()).map(Option::unwrap).collect();
        prop_assert_eq!(pair, [(bytes.clone(), bytes)]);
    }

    #[test]
    fn any_bytes_are_decoded_or_refused_and_shown_in_print(bytes in pieces()) {
        if let Some(decoded) = percent_decoded(&bytes) {
            prop_assert!(decoded.len() <= bytes.len());
        }
        let shown = shown(&String::from_utf8_lossy(&bytes));
        prop_assert!(shown.len() <= 43 && shown.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
    }

    #[test]
    fn any_text_is_a_cursor_or_none(text in "[0-9a-fA-F]{0,80}|.{0,40}", plain in "(tasks|pods|namespaces|templates|pipelines)( [a-zA-Z0-9./*-]{0,12}){0,4}") {
        let hex: String = plain.bytes().map(|b| format!("{b:02x}")).collect();
        for text in [text, hex, CANARY.to_owned()] {
            is_read::<TaskCursor>(&text);
            is_read::<PodCursor>(&text);
            is_read::<Namespace>(&text);
            is_read::<TemplatePath>(&text);
            is_read::<RunCursor>(&text);
        }
    }

    #[test]
    fn every_cursor_is_read_as_it_was_written(
        namespace in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", id in any::<u128>(),
        kind in select(vec![Kind::Job, Kind::CronJob, Kind::Deployment, Kind::Service]),
    ) {
        let of: Namespace = namespace.parse().unwrap();
        comes_back(&of);
        comes_back(&TaskCursor { kind, namespace: of, name: name.clone() });
        comes_back::<PodCursor>(&(namespace, format!("{name}.x")));
        comes_back::<TemplatePath>(&format!("{name}/x.json").parse().unwrap());
        comes_back(&RunCursor::from(PipelineId::from_uuid(uuid::Uuid::from_u128(id))));
    }

    #[test]
    fn any_path_is_a_route_or_none(bytes in pieces()) {
        let path = format!("/{}", String::from_utf8_lossy(&bytes));
        let path = normalized(&path);
        if let Some(route) = find(&path) {
            for placeholder in route.placeholders() {
                prop_assert!(segment(route, &path, placeholder).is_some_and(|text| !text.contains('/')));
            }
        }
        for route in TABLE {
            // Never a panic, whatever path it is asked about.
            let _ = segment(route, &path, "namespace").is_some();
        }
    }

    #[test]
    fn a_base_holds_no_secret_and_is_written_as_it_was_read(text in "(https?|file|ssh|)(:|)(//|)([a-z0-9.@:\\[\\]]{0,20})(/|)[\\PC]{0,20}") {
        if let Ok(base) = text.parse::<GitBase>() {
            let written = base.to_string();
            prop_assert!(written == text || written == format!("{text}/"), "{written} {text}");
            if !text.starts_with("file://") {
                let authority = text.split('/').nth(2).unwrap_or_default();
                // A user has a place in ssh alone, and a password in none.
                let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
                prop_assert!(user.is_empty() || text.starts_with("ssh://") && !user.contains(':'), "{text}");
                prop_assert!(!text.contains(['?', '#']), "{text}");
            }
        }
    }
}

proptest! {
    // Each builds the whole command line.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_value_of_any_flag_is_taken_or_refused_in_one_line(
        flag in select(vec![
            "--listen", "--trust-identity", "--protect-reads", "--git-base-url", "--git-timeout", "--git-max-bytes",
            "--default-branch", "--database", "--cluster", "--job-retention", "--max-body", "--max-connections",
            "--header-timeout", "--body-timeout", "--drain", "--log", "--log-format",
            "--listen-external", "--external-prefix", "--allowed-origin", "--jwt-leeway",
        ]),
        value in "(|[0-9]{1,25}(ms|s|m|h|d|B|KiB|MiB|GiB|)|sqlite:[a-z]{0,3}|127.0.0.1:[0-9]{0,6}|https://[a-z@:]{0,12}/|\\PC{0,20})",
    ) {
        let arguments = ["deploy-http", &format!("{flag}={value}")].map(OsString::from);
        if let Err(stop) = config::parse(arguments) {
            prop_assert_eq!(stop.code, 2);
            prop_assert!(!stop.text.is_empty() && !stop.text.contains('\n'), "{}", stop.text);
        }
    }

    #[test]
    fn any_arguments_are_taken_or_refused(arguments in vec("(serve|demo|check|--[a-z-]{0,12}|-[a-z]|\\PC{0,12})", 0..4)) {
        let arguments = std::iter::once("deploy-http".to_owned()).chain(arguments).map(OsString::from);
        if let Err(stop) = config::parse(arguments) {
            prop_assert!(matches!(stop.code, 0 | 2));
        }
    }
}

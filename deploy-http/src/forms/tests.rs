//! Forms as bytes on the wire, and what becomes of them.

use std::convert::Infallible;

use deploy_core::names::Branch;
use http_body_util::{Empty, Full, StreamBody};
use hyper::body::Frame;

use super::*;

const FIELDS: &[Field] = &[
    Field {
        name: "configuration",
        required: true,
    },
    Field {
        name: "branch",
        required: false,
    },
];
const LIMITS: BodyLimits = BodyLimits {
    bytes: 1000,
    time: Duration::from_secs(30),
};
const URLENCODED: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=X";

fn headers(content_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !content_type.is_empty() {
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
    }
    headers
}

/// A part of a multipart form, as a text or as a file.
fn part(disposition: &str, value: &str) -> String {
    format!("--X\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
}

async fn read(content_type: &str, body: impl Into<Bytes>) -> String {
    let body = Full::new(body.into());
    match Form::read(&headers(content_type), body, FIELDS, LIMITS).await {
        Ok(form) => {
            let text = |name| {
                form.bytes(name)
                    .map_or("-".into(), |v| String::from_utf8_lossy(v).into_owned())
            };
            format!("{} {}", text("configuration"), text("branch"))
        }
        Err(problem) => format!("{} {}", problem.code.as_str(), problem.detail()),
    }
}

#[tokio::test]
async fn both_encodings_and_files_mean_the_same() {
    let text = part("name=\"configuration\"", "{}") + &part("name=\"branch\"", "main") + "--X--\r\n";
    let file = part("name=\"configuration\"; filename=\"manifest.json\"", "{}")
        + &part("name=\"branch\"", "main")
        + "--X--\r\n";
    for (content_type, body) in [
        (URLENCODED, "configuration=%7B%7D&branch=main"),
        (
            "Application/X-WWW-Form-Urlencoded; charset=utf-8",
            "branch=main&configuration={}",
        ),
        (MULTIPART, &text),
        ("Multipart/Form-Data; boundary=\"X\"", &file),
    ] {
        assert_eq!(
            read(content_type, body.to_owned()).await,
            "{} main",
            "{content_type}"
        );
    }
    assert_eq!(read(URLENCODED, "configuration={}&branch=").await, "{} -");
}

#[tokio::test]
async fn what_is_wrong_with_a_form_is_named() {
    let twice = part("name=\"branch\"", "a") + &part("name=\"branch\"", "") + "--X--\r\n";
    let unknown = part("name=\"brunch\"", "a") + "--X--\r\n";
    let nameless = part("filename=\"x\"", "a") + "--X--\r\n";
    let cases: &[(&str, &str, &str)] = &[
        (
            URLENCODED,
            "configuration=1&configuration=",
            "invalid-form the form has the field `configuration` twice",
        ),
        (
            URLENCODED,
            "a%0d%0ab=1",
            "invalid-form the form has an unknown field `a??b`; this route takes configuration, branch",
        ),
        (
            URLENCODED,
            "branch=1",
            "invalid-form the form has no field `configuration`",
        ),
        (
            URLENCODED,
            "configuration=",
            "invalid-form the form has no field `configuration`",
        ),
        (
            URLENCODED,
            "configuration=%",
            "invalid-form the form is not percent-encoded",
        ),
        (
            URLENCODED,
            "",
            "invalid-form the form has no field `configuration`",
        ),
        (
            MULTIPART,
            &twice,
            "invalid-form the form has the field `branch` twice",
        ),
        (
            MULTIPART,
            &unknown,
            "invalid-form the form has an unknown field `brunch`",
        ),
        (
            MULTIPART,
            &nameless,
            "invalid-form a part of the form has no name",
        ),
        (
            MULTIPART,
            "--X\r\nbroken",
            "invalid-form the form is not well-formed",
        ),
        (
            MULTIPART,
            "",
            "invalid-form the form has no field `configuration`",
        ),
        ("application/json", "{}", "not-a-form"),
        ("multipart/form-data", "--X--", "not-a-form"),
        ("", "configuration=1", "not-a-form"),
        ("application/json", "", "invalid-form the form has no field"),
    ];
    for (content_type, body, expected) in cases {
        let answer = read(content_type, body.to_string()).await;
        assert!(answer.starts_with(expected), "{content_type} {body:?}: {answer}");
    }
}

#[tokio::test]
async fn a_compressed_form_is_not_read() {
    let mut headers = headers(URLENCODED);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let refused = Form::read(&headers, Full::new(Bytes::from("branch=1")), FIELDS, LIMITS)
        .await
        .unwrap_err();
    assert_eq!(refused.code.as_str(), "not-a-form");
}

#[tokio::test]
async fn a_hundred_thousand_parts_are_refused_at_the_second() {
    let limits = BodyLimits {
        bytes: 20 << 20,
        ..LIMITS
    };
    let many = part("name=\"branch\"", "a").repeat(100_000) + "--X--\r\n";
    let refused = Form::read(&headers(MULTIPART), Full::new(Bytes::from(many)), FIELDS, limits)
        .await
        .unwrap_err();
    assert!(
        refused.detail().contains("`branch` twice"),
        "{}",
        refused.detail()
    );
}

#[tokio::test]
async fn an_optional_form_may_be_absent_altogether() {
    let form = Form::read(&headers(""), Empty::<Bytes>::new(), &FIELDS[1..], LIMITS)
        .await
        .unwrap();
    assert!(form.bytes("branch").is_none());
}

#[tokio::test]
async fn a_value_is_parsed_and_a_nul_refused() {
    let cases = [
        (
            "configuration=1&branch=feature%2Fx",
            "Ok(Some(Branch(\"feature/x\")))",
        ),
        ("configuration=1", "Ok(None)"),
        (
            "configuration=1&branch=a..b",
            "`branch` in the form: not a branch: ",
        ),
        ("configuration=1&branch=a%00", "`branch` in the form: a NUL"),
        ("configuration=1&branch=%ff", "`branch` in the form: not UTF-8"),
    ];
    for (body, expected) in cases {
        let form = Form::read(&headers(URLENCODED), Full::new(Bytes::from(body)), FIELDS, LIMITS)
            .await
            .unwrap();
        let parsed = form.parsed::<Branch>("branch");
        let text = parsed.map_or_else(
            |problem| problem.detail().to_owned(),
            |value| format!("Ok({value:?})"),
        );
        assert!(text.starts_with(expected), "{body}: {text}");
    }
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused_without_being_kept() {
    let answer = read(URLENCODED, format!("branch={}", "x".repeat(1000))).await;
    assert!(
        answer.starts_with("body-too-large the body is larger than 1000 bytes"),
        "{answer}"
    );

    // Not announced: 64 frames of 64 KiB, of which none but the first may be looked at for long.
    let frames = (0..64).map(|_| Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 65536]))));
    let body = StreamBody::new(futures::stream::iter(frames));
    let refused = Form::read(&headers(URLENCODED), body, FIELDS, LIMITS)
        .await
        .unwrap_err();
    assert_eq!(refused.code.as_str(), "body-too-large");
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let limits = BodyLimits {
        time: Duration::from_millis(1),
        ..LIMITS
    };
    let body = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let refused = Form::read(&headers(URLENCODED), body, FIELDS, limits)
        .await
        .unwrap_err();
    assert_eq!(refused.code.as_str(), "body-timeout");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"branch="))),
        Err(std::io::Error::other("reset")),
    ];
    let body = StreamBody::new(futures::stream::iter(frames));
    let refused = Form::read(&headers(URLENCODED), body, FIELDS, LIMITS)
        .await
        .unwrap_err();
    assert_eq!(refused.detail(), "the body broke off");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(body: Vec<u8>, multipart: bool) {
        let content_type = if multipart { MULTIPART } else { URLENCODED };
        let body = if multipart { [b"--X\r\n".to_vec(), body].concat() } else { body };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let answer = runtime.block_on(read(content_type, body));
        proptest::prop_assert!(!answer.is_empty());
    }
}

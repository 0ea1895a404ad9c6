//! Every way to write the path of a protected route a little differently, by every verb, on a real connection: none of
//! them is another way in. What is protected is read from the route table.

use std::collections::BTreeSet;

use deploy_http::router::{find, normalized};
use deploy_http::routes::{Route, TABLE};

use crate::corpus::Corpus;
use crate::raw::{Listening, statuses};
use crate::requests::Draft;

const VERBS: [&str; 11] = [
    "GET", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "get", "Delete", "PURGE",
];

const ADA: &str = "Identity: ada@example.com\r\n";

fn protected() -> impl Iterator<Item = &'static Route> {
    TABLE.iter().filter(|route| route.access.changes())
}

/// Other ways to write a path. None of them is empty, none the path itself.
fn variants(path: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for behind in [
        "/",
        "//",
        "/.",
        "/..",
        "%2f",
        "%2F",
        "/%2e",
        "%00",
        "%20",
        "%0d%0a",
        ";x",
        ";jsessionid=1",
        ".json",
        "%3f",
        "?",
        "?x",
        "#x",
        "%23",
        "\\",
        "%5c",
        "/-",
        "~",
        ",",
        "%09",
        "/x/..",
        "/x/%2e%2e",
    ] {
        found.insert(format!("{path}{behind}"));
    }
    for before in [
        "/",
        "/.",
        "/..",
        "/%2e%2e",
        "/x/..",
        "/%2f",
        "/\\",
        "/apps/deploy-api",
        "/apps/deploy-api/..",
        "/v1/..",
        ".",
        "%2f",
        "/;x",
        "/healthz/..",
        "/healthz/%2e%2e",
        "/healthz;",
    ] {
        found.insert(format!("{before}{path}"));
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for at in 0..segments.len() {
        let with = |written: String| {
            let mut all: Vec<String> = segments.iter().map(|segment| (*segment).to_owned()).collect();
            all[at] = written;
            format!("/{}", all.join("/"))
        };
        let segment = segments[at];
        let first = segment.as_bytes()[0];
        for written in [
            format!("/{segment}"),
            format!("./{segment}"),
            format!("x/../{segment}"),
            format!("%2e/{segment}"),
            format!("x/%2e%2e/{segment}"),
            format!("..;/{segment}"),
            format!("{segment};x"),
            format!("{segment}%00"),
            format!("%{first:02x}{}", &segment[1..]),
            format!("%25{first:02x}{}", &segment[1..]),
            segment.to_ascii_uppercase(),
            format!("{segment}%20"),
            String::new(),
        ] {
            found.insert(with(written));
        }
        let (front, back) = (segments[..=at].join("/"), segments[at + 1..].join("/"));
        if !back.is_empty() {
            for slash in [
                "%2f",
                "%2F",
                "%252f",
                "\\",
                "%5c",
                "//",
                "/./",
                "/%2e/",
                "%c0%af",
                "/\u{2215}",
            ] {
                found.insert(format!("/{front}{slash}{back}"));
            }
        }
    }
    found.insert(format!("http://localhost{path}"));
    found.insert(format!("http://localhost/{path}"));
    found.insert(format!("http://evil.example{path}"));
    found.insert(path.trim_start_matches('/').to_owned());
    found.remove(path);
    found
}

fn written(verb: &str, path: &str, headers: &str) -> Vec<u8> {
    format!("{verb} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

#[tokio::test]
async fn no_variant_of_a_protected_path_is_a_way_in_without_an_identity() {
    let corpus = Corpus::read();
    let listening = Listening::start().await;
    let before = listening.server.calls();
    let mut all = Vec::new();
    for route in protected() {
        let path = Draft::good(&corpus, &listening.server, route).path().to_owned();
        all.extend(VERBS.iter().map(|verb| written(verb, &path, "")));
        for variant in variants(&path) {
            all.extend(["GET", "POST"].map(|verb| written(verb, &variant, "")));
        }
    }
    assert!(all.len() > 3000, "{}", all.len());
    let answers = listening.exchange_all(&all).await;
    let mut failures = Vec::new();
    for (request, answer) in all.iter().zip(answers) {
        let found = answer.map(|answer| statuses(&answer));
        if !found.as_ref().is_ok_and(|found| matches!(found[..], [400..=499])) {
            failures.push(format!("{:.80}: {found:?}", String::from_utf8_lossy(request)));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        all.len(),
        failures.join("\n")
    );
    let server = listening.end().await;
    assert_eq!(server.calls(), before, "something outside was asked");
    println!("{} requests", all.len());
}

#[tokio::test]
async fn a_variant_with_an_identity_is_its_own_route_or_none() {
    let corpus = Corpus::read();
    let listening = Listening::start().await;
    let before = listening.server.calls();
    let mut all = Vec::new();
    for route in protected() {
        let path = Draft::good(&corpus, &listening.server, route).path().to_owned();
        let verbs = VERBS
            .iter()
            .filter(|verb| !route.methods().iter().any(|known| known.as_str() == **verb));
        all.extend(verbs.map(|verb| written(verb, &path, ADA)));
        // What the router takes for a route, by design or because a value is written otherwise, does what that route does.
        let strays = variants(&path).into_iter().filter(|variant| {
            let path = variant.strip_prefix("http://localhost").unwrap_or(variant);
            let path = path.split(['?', '#']).next().unwrap_or_default();
            let path = path.strip_prefix("/apps/deploy-api").unwrap_or(path);
            find(&normalized(path)).is_none()
        });
        all.extend(strays.map(|variant| written("GET", &variant, ADA)));
    }
    assert!(all.len() > 1500, "{}", all.len());
    let answers = listening.exchange_all(&all).await;
    let mut failures = Vec::new();
    for (request, answer) in all.iter().zip(answers) {
        let found = answer.map(|answer| statuses(&answer));
        if !found.as_ref().is_ok_and(|found| matches!(found[..], [400..=499])) {
            failures.push(format!("{:.80}: {found:?}", String::from_utf8_lossy(request)));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        all.len(),
        failures.join("\n")
    );
    let server = listening.end().await;
    assert_eq!(server.calls(), before, "something outside was asked");
    println!("{} requests", all.len());
}

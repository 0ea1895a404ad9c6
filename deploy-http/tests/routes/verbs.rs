//! What the route table says about verbs and identities, asked of the running server for every row.

use deploy_http::routes::{Access, Field, Route, TABLE};

use crate::api::Api;
use crate::curl::Curl;
use crate::started::{nothing_has_begun, start};

#[test]
fn a_verb_that_a_row_does_not_have_is_a_405_that_names_those_it_has() {
    let api = start(&[]);
    for route in TABLE {
        let has: Vec<&str> = route.methods().iter().map(|method| method.as_str()).collect();
        for verb in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            if has.contains(&verb) {
                continue;
            }
            let answer = api.request(verb, &path(route)).send();
            assert_eq!(answer.status, 405, "{verb} {}", route.path);
            assert_eq!(answer.header("allow"), has.join(", "), "{verb} {}", route.path);
        }
    }
    nothing_has_begun(&api);
}

#[test]
fn a_row_that_changes_something_needs_an_identity_by_every_verb() {
    let api = start(&[]);
    for route in TABLE.iter().filter(|route| route.access.changes()) {
        for verb in route.methods() {
            let answer = anonymous(&api, verb.as_str(), route).send();
            answer.problem(401, "identity-required");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    nothing_has_begun(&api);
}

#[test]
fn a_read_needs_an_identity_where_reads_are_protected_and_a_probe_never_does() {
    let api = start(&["--protect-reads", "all"]);
    for route in TABLE {
        for verb in route.methods() {
            let answer = anonymous(&api, verb.as_str(), route).send();
            let expected = if route.access == Access::Open { 200 } else { 401 };
            assert_eq!(answer.status, expected, "{verb} {}", route.path);
        }
    }
}

/// A request that would do something, were it let in.
fn anonymous(api: &Api, verb: &str, route: &Route) -> Curl {
    let curl = Curl::new(verb, &format!("{}{}", api.server.url(), path(route)));
    let fields: Vec<(&str, &str)> = route
        .form
        .iter()
        .filter(|field| field.required)
        .map(|Field { name, .. }| (*name, "demo"))
        .collect();
    if verb == "POST" {
        curl.urlencoded(&fields)
    } else {
        curl
    }
}

/// The path of a row, on what the scene has where it has it.
fn path(route: &Route) -> String {
    let segments = route.path.split('/').map(|segment| match segment {
        ":repository" | ":namespace" => "demo",
        ":directory" => "ok",
        ":id" | ":work_id" => "019b2c4e-7d1a-7c3e-9a52-0c5f8f3d6e11",
        other if other.starts_with(':') => "x",
        other => other,
    });
    segments.collect::<Vec<_>>().join("/")
}

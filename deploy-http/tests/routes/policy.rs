//! The real binary under a policy, with its reads protected: two teams in one namespace, and an outsider.

use std::fs;

use serde_json::Value;

use crate::api::{Api, each, text};
use crate::curl::{Answer, Curl};
use crate::started::start;

const POLICY: &str = r#"{"rules": [
    {"effect": "allow", "identities": ["ada@*"], "repositories": ["demo"]},
    {"effect": "allow", "identities": ["bob@*"], "repositories": ["Other_Repo"]}
]}"#;

#[test]
fn two_teams_share_a_namespace_and_neither_sees_or_touches_what_is_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.json");
    fs::write(&policy, POLICY).unwrap();
    let flags = ["--policy", policy.to_str().unwrap(), "--protect-reads", "all"];
    let api = start(&flags);
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| As(&api, name));

    let task = ada.post("/v1/task/deployinas/demo/ok/shared/of-ada").json(202);
    bob.post("/v1/task/deployinas/Other_Repo/ok/shared/of-bob")
        .json(202);
    let state = format!("/v1/task/state/{}", text(&task, "id"));
    ada.get(&format!("{state}?wait=60")).json(200);
    for other in [&bob, &eve] {
        other.get(&state).problem(404, "task-not-found");
    }
    let listed = |who: &As<'_>| -> Vec<String> {
        let list: Value = who.get("/v1/list/tasks").json(200);
        assert!(list["continue"].is_null());
        each(&list["jobs"], "name")
    };
    assert_eq!(listed(&ada), ["of-ada"]);
    assert_eq!(listed(&bob), ["of-bob"]);
    assert!(listed(&eve).is_empty());

    let denied = bob
        .post("/v1/task/deployinas/demo/ok/shared/mine")
        .problem(403, "denied");
    assert!(denied["violations"].as_array().is_none_or(Vec::is_empty));
    bob.post("/v1/task/deployinas/Other_Repo/ok/shared/of-ada?replace=true")
        .problem(403, "denied");
    // Not theirs and not there are one answer.
    let not_theirs = bob
        .post("/v1/delete/job/shared/of-ada")
        .problem(404, "object-not-found");
    let not_there = bob
        .post("/v1/delete/job/shared/absent")
        .problem(404, "object-not-found");
    assert_eq!(not_theirs["detail"], not_there["detail"]);
    eve.post("/v1/delete/job/shared/of-ada").problem(403, "denied");
    eve.post("/v1/delete/job/kube-system/x")
        .problem(403, "namespace-reserved");
    ada.post("/v1/delete/job/shared/of-ada").json(200);
    assert_eq!(listed(&bob), ["of-bob"]);
}

/// Requests of one person.
struct As<'a>(&'a Api, &'static str);

impl As<'_> {
    fn get(&self, path: &str) -> Answer {
        self.send("GET", path)
    }

    fn post(&self, path: &str) -> Answer {
        self.send("POST", path)
    }

    fn send(&self, verb: &str, path: &str) -> Answer {
        let curl = Curl::new(verb, &format!("{}{path}", self.0.server.url()));
        curl.header(&format!("Identity: {}@example.com", self.1)).send()
    }
}

//! What is no resource: the version, health, and which resources there are.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::handle::Answer;
use super::kinds::{HTTP_ROUTES, KINDS, Kind};
use super::store::State;

/// The answer to a path that is no resource; `None` = there is none.
pub(super) fn answer(state: &State, path: &str) -> Option<Answer> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let known = KINDS
        .iter()
        .filter(|kind| state.settings.gateway_api || kind.plural != HTTP_ROUTES);
    let body = match parts.as_slice() {
        ["version"] => json!({
            "major": "1",
            "minor": "34",
            "gitVersion": "v1.34.0",
            "platform": "linux/amd64",
        }),
        ["readyz" | "livez" | "healthz"] => return Some(Answer::Text("ok".to_owned())),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"]}),
        ["apis"] => {
            let groups: BTreeMap<&str, &str> = known
                .filter(|kind| !kind.group.is_empty())
                .map(|kind| (kind.group, kind.version))
                .collect();
            let groups: Vec<Value> = groups.into_iter().map(group).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["api", version] => resources(known.filter(|kind| (kind.group, kind.version) == ("", version)))?,
        ["apis", group, version] => {
            resources(known.filter(|kind| (kind.group, kind.version) == (*group, *version)))?
        }
        _ => return None,
    };
    Some(Answer::Json(body))
}

fn group((name, version): (&str, &str)) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn resources<'a>(kinds: impl Iterator<Item = &'a Kind>) -> Option<Value> {
    let kinds: Vec<&Kind> = kinds.collect();
    let version = kinds.first()?.api_version();
    let resources: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            json!({
                "name": kind.plural,
                "singularName": kind.kind.to_lowercase(),
                "namespaced": kind.namespaced,
                "kind": kind.kind,
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            })
        })
        .collect();
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}),
    )
}

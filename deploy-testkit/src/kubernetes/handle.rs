//! One request on the objects, from what it asks to what is answered. It runs under the lock of the state: requests are
//! one after the other, as etcd makes them.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::delete::{self, Deleted, Options};
use super::kinds::{HTTP_ROUTES, Kind, PODS, SERVICES};
use super::list;
use super::object::{Key, Object};
use super::request::{Asked, Verb};
use super::select::Selector;
use super::status::Refusal;
use super::store::State;
use super::write;

/// How a change is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patch {
    /// RFC 7386.
    Merge,
    /// Server-side apply.
    Apply,
}

/// What is answered.
pub(super) enum Answer {
    Object(u16, Arc<Object>),
    Json(Value),
    Bytes(Bytes),
    Text(String),
}

/// Answers everything but a watch.
pub(super) fn handle(
    state: &mut State,
    asked: &Asked,
    patch: Option<Patch>,
    body: &[u8],
) -> Result<Answer, Refusal> {
    let kind = asked.kind.ok_or_else(Refusal::no_such_path)?;
    if kind.plural == HTTP_ROUTES && !state.settings.gateway_api {
        return Err(Refusal::no_such_path());
    }
    if asked.subresource == "log" && kind.plural == PODS {
        return super::logs::read(state, asked).map(Answer::Text);
    }
    if !matches!(asked.subresource.as_str(), "" | "status" | "finalize") {
        return Err(Refusal::no_such_path());
    }
    match asked.verb {
        Verb::Get => Ok(Answer::Object(200, existing(state, kind, asked)?)),
        Verb::List => {
            let selector = selector(kind, asked)?;
            list::list(state, kind, asked, &selector).map(Answer::Bytes)
        }
        Verb::Create => write::create(state, kind, asked, parse(body)?),
        Verb::Update => write::update(state, kind, asked, parse(body)?),
        Verb::Patch => match patch {
            Some(Patch::Merge) => write::merge(state, kind, asked, &parse(body)?),
            Some(Patch::Apply) => write::apply(state, kind, asked, &parse(body)?),
            None => Err(Refusal::new(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: \
                 application/merge-patch+json, application/apply-patch+yaml",
            )),
        },
        Verb::Delete => {
            let options = delete_options(asked, body)?;
            let object = existing(state, kind, asked)?;
            Ok(match delete::delete(state, &object, &options)? {
                Deleted::Going(object) => Answer::Object(200, object),
                Deleted::Gone(object) if matches!(kind.plural, PODS | SERVICES) => {
                    Answer::Object(200, object)
                }
                Deleted::Gone(object) => Answer::Json(success(&object)),
            })
        }
        Verb::DeleteCollection => {
            let options = delete_options(asked, body)?;
            let selector = selector(kind, asked)?;
            let chosen: Vec<Arc<Object>> = state
                .all(kind.plural, &asked.namespace)
                .filter(|object| selector.takes(object))
                .cloned()
                .collect();
            for object in chosen {
                delete::delete(state, &object, &options)?;
            }
            Ok(Answer::Json(json!({
                "kind": format!("{}List", kind.kind),
                "apiVersion": kind.api_version(),
                "metadata": {"resourceVersion": state.revision().to_string()},
                "items": [],
            })))
        }
        Verb::Watch | Verb::Other => Err(Refusal::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )),
    }
}

/// The selectors of a request; one name in the path is a selector as well.
pub(super) fn selector(kind: &Kind, asked: &Asked) -> Result<Selector, Refusal> {
    let mut fields = asked.get("fieldSelector").to_owned();
    if !asked.name.is_empty() {
        fields = format!("metadata.name={},{fields}", asked.name);
    }
    Selector::new(kind, &asked.namespace, asked.get("labelSelector"), &fields).map_err(Refusal::bad_request)
}

pub(super) fn existing(state: &State, kind: &Kind, asked: &Asked) -> Result<Arc<Object>, Refusal> {
    let key = Key::new(kind.plural, &asked.namespace, &asked.name);
    state
        .get(&key)
        .cloned()
        .ok_or_else(|| Refusal::not_found(kind, &asked.name))
}

fn parse(body: &[u8]) -> Result<Value, Refusal> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        Refusal::bad_request(format!("the body is no JSON, the one format read here: {error}"))
    })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Refusal::bad_request("the body is no object"))
    }
}

fn delete_options(asked: &Asked, body: &[u8]) -> Result<Options, Refusal> {
    let body = if body.is_empty() {
        Value::Null
    } else {
        parse(body)?
    };
    Ok(Options::read(&body, |name| asked.get(name).to_owned()))
}

fn success(object: &Object) -> Value {
    let mut details = json!({"name": object.name(), "kind": object.kind.plural, "uid": object.uid()});
    if !object.kind.group.is_empty() {
        details["group"] = json!(object.kind.group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

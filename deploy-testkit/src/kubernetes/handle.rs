//! One request on the objects, from what it asks to what is answered. It runs under the lock of the state: requests are
//! one after the other, as etcd makes them.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::apply::Application;
use super::defaults;
use super::delete::{self, Deleted, Options};
use super::kinds::{HTTP_ROUTES, JOBS, Kind, NAMESPACES, PODS};
use super::list;
use super::object::{Key, Object, map, set, text};
use super::request::{Asked, Verb};
use super::select::Selector;
use super::status::Refusal;
use super::store::State;
use super::validate;

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
            let selector = selector(asked)?;
            list::list(state, kind, asked, &selector).map(Answer::Bytes)
        }
        Verb::Create => create(state, kind, asked, parse(body)?),
        Verb::Update => update(state, kind, asked, parse(body)?),
        Verb::Patch => match patch {
            Some(Patch::Merge) => merge(state, kind, asked, &parse(body)?),
            Some(Patch::Apply) => apply(state, kind, asked, &parse(body)?),
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
                Deleted::Gone(object) if kind.plural == PODS => Answer::Object(200, object),
                Deleted::Gone(object) => Answer::Json(success(&object)),
            })
        }
        Verb::DeleteCollection => {
            let options = delete_options(asked, body)?;
            let selector = selector(asked)?;
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
pub(super) fn selector(asked: &Asked) -> Result<Selector, Refusal> {
    let mut fields = asked.get("fieldSelector").to_owned();
    if !asked.name.is_empty() {
        fields = format!("metadata.name={},{fields}", asked.name);
    }
    Selector::new(&asked.namespace, asked.get("labelSelector"), &fields).map_err(Refusal::bad_request)
}

fn existing(state: &State, kind: &Kind, asked: &Asked) -> Result<Arc<Object>, Refusal> {
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

fn create(state: &mut State, kind: &'static Kind, asked: &Asked, body: Value) -> Result<Answer, Refusal> {
    if text(&body, "/metadata/name").is_empty() && text(&body, "/metadata/generateName").is_empty() {
        let message = "Required value: name or generateName is required";
        return Err(Refusal::invalid(
            kind,
            "",
            "metadata.name",
            "FieldValueRequired",
            message,
        ));
    }
    let mut body = known(kind, asked, body)?;
    super::object::unset(&mut body, "/metadata/managedFields");
    insert(state, kind, asked, body).map(|object| Answer::Object(201, object))
}

/// Creates an object out of a body whose fields are known.
fn insert(
    state: &mut State,
    kind: &'static Kind,
    asked: &Asked,
    mut value: Value,
) -> Result<Arc<Object>, Refusal> {
    let metadata = map(&mut value, "/metadata");
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
    ] {
        metadata.remove(field);
    }
    if metadata.get("name").is_none_or(|name| name == "") {
        let prefix = metadata
            .get("generateName")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let name = format!("{prefix}{}", state.suffix());
        set(&mut value, "/metadata/name", json!(name));
    }
    let name = text(&value, "/metadata/name").to_owned();
    let namespace = if kind.namespaced {
        namespace_of(kind, asked, &value)?
    } else {
        String::new()
    };
    if kind.namespaced {
        set(&mut value, "/metadata/namespace", json!(namespace));
        takes_new(state, kind, &namespace, &name)?;
    }
    if kind.status
        && let Some(fields) = value.as_object_mut()
    {
        // An ordinary write does not reach the status.
        fields.remove("status");
    }
    defaults::fill(kind, &mut value, state);
    validate::check(kind, &value)?;
    if state.get(&Key::new(kind.plural, &namespace, &name)).is_some() {
        return Err(Refusal::already_exists(kind, &name));
    }
    if kind.plural == PODS {
        super::controllers::quota(state, &namespace, &name)?;
        set(
            &mut value,
            "/status",
            json!({"phase": "Pending", "qosClass": "BestEffort"}),
        );
    }
    if asked.get("dryRun") == "All" {
        return Ok(Arc::new(Object::new(kind, state.revision(), value)));
    }
    if kind.plural == JOBS {
        let uid = state.uid();
        set(&mut value, "/metadata/uid", json!(uid));
        defaults::fill_job_selector(&mut value);
    }
    Ok(state.insert(kind, value))
}

fn namespace_of(kind: &Kind, asked: &Asked, value: &Value) -> Result<String, Refusal> {
    let said = text(value, "/metadata/namespace");
    if !said.is_empty() && said != asked.namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Refusal::bad_request(message));
    }
    if asked.namespace.is_empty() {
        return Err(Refusal::bad_request(format!("{} are in namespaces", kind.plural)));
    }
    Ok(asked.namespace.clone())
}

/// Whether something can be created in a namespace.
fn takes_new(state: &State, kind: &Kind, namespace: &str, name: &str) -> Result<(), Refusal> {
    let Some(found) = state.get(&Key::new(NAMESPACES, "", namespace)) else {
        let namespaces = super::kinds::by_plural(NAMESPACES).ok_or_else(Refusal::no_such_path)?;
        return Err(Refusal::not_found(namespaces, namespace));
    };
    if found.is_going() {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let message = format!("namespace {namespace} is being terminated");
        return Err(Refusal::forbidden(kind, name, &why).because(
            "NamespaceTerminating",
            &message,
            Some("metadata.namespace"),
        ));
    }
    Ok(())
}

fn update(state: &mut State, kind: &'static Kind, asked: &Asked, body: Value) -> Result<Answer, Refusal> {
    let before = existing(state, kind, asked)?;
    let value = known(kind, asked, body)?;
    if text(&value, "/metadata/name") != asked.name {
        let message = "the name of the object does not match the name on the URL";
        return Err(Refusal::bad_request(message));
    }
    replace(state, asked, &before, value).map(|object| Answer::Object(200, object))
}

fn merge(state: &mut State, kind: &'static Kind, asked: &Asked, patch: &Value) -> Result<Answer, Refusal> {
    let before = existing(state, kind, asked)?;
    let mut value = before.value.clone();
    merge_patch(&mut value, patch);
    let value = known(kind, asked, value)?;
    replace(state, asked, &before, value).map(|object| Answer::Object(200, object))
}

fn apply(state: &mut State, kind: &'static Kind, asked: &Asked, config: &Value) -> Result<Answer, Refusal> {
    let manager = asked.get("fieldManager");
    if manager.is_empty() {
        let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        return Err(Refusal::new(422, "Invalid", message));
    }
    if !super::object::list(config, "/metadata/managedFields").is_empty() {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    if (config["kind"].as_str(), config["apiVersion"].as_str())
        != (Some(kind.kind), Some(&*kind.api_version()))
    {
        return Err(Refusal::bad_request(
            "the kind and apiVersion of the body are not those of the URL",
        ));
    }
    let said = text(config, "/metadata/name");
    if !said.is_empty() && said != asked.name {
        return Err(Refusal::bad_request(
            "the name of the object does not match the name on the URL",
        ));
    }
    let config = validate::decode(kind, config.clone(), true)?;
    let before = state
        .get(&Key::new(kind.plural, &asked.namespace, &asked.name))
        .cloned();
    let now = state.stamp();
    let application = Application {
        kind,
        manager,
        force: asked.is_set("force"),
        now: &now,
    };
    let live = before
        .as_ref()
        .map_or_else(|| json!({}), |before| before.value.clone());
    let merged = application
        .merge(&live, &config)
        .map_err(|conflicts| in_conflict(&conflicts));
    let Some(before) = before else {
        let uid = text(&config, "/metadata/uid");
        if !uid.is_empty() {
            let why = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(Refusal::conflict(kind, &asked.name, &why));
        }
        let mut value = merged?;
        set(&mut value, "/metadata/name", json!(asked.name));
        return insert(state, kind, asked, value).map(|object| Answer::Object(201, object));
    };
    let mut value = merged?;
    for field in ["uid", "resourceVersion"] {
        if let Some(wanted) = config["metadata"].get(field) {
            value["metadata"][field] = wanted.clone();
        }
    }
    replace(state, asked, &before, value).map(|object| Answer::Object(200, object))
}

fn in_conflict(conflicts: &[(String, String)]) -> Refusal {
    let parts: Vec<String> = conflicts
        .iter()
        .map(|(manager, field)| format!("conflict with \"{manager}\": {field}"))
        .collect();
    let count = if parts.len() == 1 {
        "1 conflict".to_owned()
    } else {
        format!("{} conflicts", parts.len())
    };
    let message = format!("Apply failed with {count}: {}", parts.join(", "));
    let cause = parts.first().map_or("", String::as_str);
    Refusal::new(409, "Conflict", message).because("FieldManagerConflict", cause, None)
}

/// A new version of an object, as a client wants it: what is the server's own stays, and so does the status, or, where the
/// status is asked for, all the rest.
fn replace(
    state: &mut State,
    asked: &Asked,
    before: &Arc<Object>,
    mut value: Value,
) -> Result<Arc<Object>, Refusal> {
    let kind = before.kind;
    let uid = text(&value, "/metadata/uid").to_owned();
    if !uid.is_empty() && uid != before.uid() {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            before.uid()
        );
        return Err(Refusal::conflict(kind, before.name(), &why));
    }
    let version = text(&value, "/metadata/resourceVersion");
    if !version.is_empty() && version != before.revision.to_string() {
        return Err(Refusal::modified(kind, before.name()));
    }
    for (field, own) in server_fields(before) {
        let metadata = map(&mut value, "/metadata");
        match own {
            Some(own) => metadata.insert(field.to_owned(), own),
            None => metadata.remove(field),
        };
    }
    if asked.subresource == "status" {
        let status = value.get("status").cloned().unwrap_or_else(|| json!({}));
        value = before.value.clone();
        set(&mut value, "/status", status);
    } else if kind.status
        && let (Some(fields), status) = (value.as_object_mut(), before.value.get("status"))
    {
        match status {
            Some(status) => fields.insert("status".to_owned(), status.clone()),
            None => fields.remove("status"),
        };
    }
    defaults::fill(kind, &mut value, state);
    validate::check(kind, &value)?;
    validate::check_change(kind, &before.value, &value)?;
    if asked.get("dryRun") == "All" {
        return Ok(Arc::new(Object::new(kind, before.revision, value)));
    }
    Ok(state.update(before, value).object)
}

/// The metadata that no client writes.
fn server_fields(before: &Object) -> impl Iterator<Item = (&'static str, Option<Value>)> + '_ {
    const FIELDS: [&str; 7] = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    FIELDS
        .into_iter()
        .map(|field| (field, before.value["metadata"].get(field).cloned()))
}

/// The body with the fields that its kind knows, and without the kind.
fn known(kind: &Kind, asked: &Asked, mut body: Value) -> Result<Value, Refusal> {
    for (field, wanted) in [("kind", kind.kind), ("apiVersion", &kind.api_version())] {
        let said = body.get(field).and_then(Value::as_str).unwrap_or(wanted);
        if said != wanted {
            return Err(Refusal::bad_request(format!(
                "the {field} of the body is {said:?}, expected {wanted:?}"
            )));
        }
        body[field] = json!(wanted);
    }
    let mut body = validate::decode(kind, body, asked.get("fieldValidation") == "Strict")?;
    if let Some(fields) = body.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    Ok(body)
}

/// RFC 7386.
fn merge_patch(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (key, change) in patch {
        match value.as_object_mut() {
            Some(fields) if change.is_null() => {
                fields.remove(key);
            }
            Some(fields) => merge_patch(fields.entry(key).or_insert(Value::Null), change),
            None => {}
        }
    }
}

//! Writes: what a client's body becomes before it is kept. Creates and updates, merge patches and applies all end in
//! [`insert`] or [`replace`], where what is the server's own is put back.

use std::sync::Arc;

use serde_json::{Value, json};

use super::apply::Application;
use super::defaults;
use super::handle::{Answer, existing};
use super::kinds::{JOBS, Kind, NAMESPACES, PODS};
use super::object::{Key, Object, list, map, set, text, unset};
use super::request::Asked;
use super::status::Refusal;
use super::store::State;
use super::validate;

pub(super) fn create(
    state: &mut State,
    kind: &'static Kind,
    asked: &Asked,
    body: Value,
) -> Result<Answer, Refusal> {
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
    unset(&mut body, "/metadata/managedFields");
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
    if let Some(found) = state.get(&Key::new(kind.plural, &namespace, &name)) {
        return Err(Refusal::already_exists(kind, &name, found.is_going()));
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

pub(super) fn update(
    state: &mut State,
    kind: &'static Kind,
    asked: &Asked,
    body: Value,
) -> Result<Answer, Refusal> {
    let before = existing(state, kind, asked)?;
    let value = known(kind, asked, body)?;
    names_the_url(asked, &value)?;
    replace(state, asked, &before, value).map(|object| Answer::Object(200, object))
}

/// A body may leave its name out, where the URL says it; it cannot say another.
fn names_the_url(asked: &Asked, body: &Value) -> Result<(), Refusal> {
    let said = text(body, "/metadata/name");
    if said.is_empty() || said == asked.name {
        return Ok(());
    }
    let url = &asked.name;
    let message = format!("the name of the object ({said}) does not match the name on the URL ({url})");
    Err(Refusal::bad_request(message))
}

pub(super) fn merge(
    state: &mut State,
    kind: &'static Kind,
    asked: &Asked,
    patch: &Value,
) -> Result<Answer, Refusal> {
    let before = existing(state, kind, asked)?;
    let mut value = before.value.clone();
    merge_patch(&mut value, patch);
    let value = known(kind, asked, value)?;
    replace(state, asked, &before, value).map(|object| Answer::Object(200, object))
}

pub(super) fn apply(
    state: &mut State,
    kind: &'static Kind,
    asked: &Asked,
    config: &Value,
) -> Result<Answer, Refusal> {
    let manager = asked.get("fieldManager");
    if manager.is_empty() {
        let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        return Err(Refusal::new(422, "Invalid", message));
    }
    if !list(config, "/metadata/managedFields").is_empty() {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    if (config["kind"].as_str(), config["apiVersion"].as_str())
        != (Some(kind.kind), Some(&*kind.api_version()))
    {
        let said = format!("{}, Kind={}", text(config, "/apiVersion"), text(config, "/kind"));
        return Err(Refusal::bad_request(format!("invalid object type: {said}")));
    }
    names_the_url(asked, config)?;
    let config = validate::decode_applied(kind, config)?;
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
    let with = |manager: &str| format!("conflict with \"{manager}\"");
    let parts: Vec<String> = conflicts
        .iter()
        .map(|(manager, field)| format!("{}: {field}", with(manager)))
        .collect();
    let count = match parts.len() {
        1 => "1 conflict".to_owned(),
        more => format!("{more} conflicts"),
    };
    let message = format!("Apply failed with {count}: {}", parts.join(", "));
    let refusal = Refusal::new(409, "Conflict", message);
    match conflicts.first() {
        Some((manager, field)) => refusal.because("FieldManagerConflict", &with(manager), Some(field)),
        None => refusal,
    }
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
        return Err(Refusal::other_incarnation(kind, before.name(), &uid));
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

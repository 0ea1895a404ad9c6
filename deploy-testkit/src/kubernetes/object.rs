//! One version of one object: its fields, and its text, made once however many watches send it. Also the small steps by
//! which everything here reads and writes fields.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::kinds::Kind;

/// A version of an object, never changed. Its value is without `kind` and `apiVersion`: lists leave them out.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) kind: &'static Kind,
    pub(super) revision: u64,
    pub(super) value: Value,
    text: OnceLock<Bytes>,
}

impl Object {
    pub(super) fn new(kind: &'static Kind, revision: u64, value: Value) -> Self {
        Self {
            kind,
            revision,
            value,
            text: OnceLock::new(),
        }
    }

    /// As an item of a list.
    pub(super) fn item(&self) -> &Bytes {
        // A map of strings and values has a text: only keys that are no strings have none.
        self.text
            .get_or_init(|| serde_json::to_vec(&self.value).unwrap_or_default().into())
    }

    /// As it is answered and watched: with its kind.
    pub(super) fn document(&self, into: &mut Vec<u8>) {
        let head = format!(
            "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",",
            self.kind.kind,
            self.kind.api_version()
        );
        into.extend_from_slice(head.as_bytes());
        into.extend_from_slice(self.item().get(1..).unwrap_or_default());
    }

    /// The fields with its kind, for people and for apply.
    pub(super) fn full(&self) -> Value {
        let mut all = Map::new();
        all.insert("kind".to_owned(), json!(self.kind.kind));
        all.insert("apiVersion".to_owned(), json!(self.kind.api_version()));
        if let Value::Object(fields) = &self.value {
            all.extend(fields.clone());
        }
        Value::Object(all)
    }

    pub(super) fn name(&self) -> &str {
        text(&self.value, "/metadata/name")
    }

    pub(super) fn namespace(&self) -> &str {
        text(&self.value, "/metadata/namespace")
    }

    pub(super) fn uid(&self) -> &str {
        text(&self.value, "/metadata/uid")
    }

    pub(super) fn is_going(&self) -> bool {
        self.value.pointer("/metadata/deletionTimestamp").is_some()
    }

    pub(super) fn key(&self) -> Key {
        Key {
            plural: self.kind.plural,
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
        }
    }

    /// The owner that controls it.
    pub(super) fn controller(&self) -> Option<&Value> {
        list(&self.value, "/metadata/ownerReferences")
            .iter()
            .find(|owner| owner["controller"] == json!(true))
    }
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) plural: &'static str,
    /// Empty for what is in no namespace.
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(plural: &'static str, namespace: &str, name: &str) -> Self {
        Self {
            plural,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// The text there; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number there; `otherwise` where there is none.
pub(super) fn number(value: &Value, pointer: &str, otherwise: i64) -> i64 {
    value
        .pointer(pointer)
        .and_then(Value::as_i64)
        .unwrap_or(otherwise)
}

/// Whether it says true there.
pub(super) fn is_set(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer) == Some(&Value::Bool(true))
}

/// The list there; empty where there is none.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Changes the map there, which is made where it is missing or something else.
pub(super) fn map<'a>(value: &'a mut Value, pointer: &str) -> &'a mut Map<String, Value> {
    let mut at = entries(value);
    for key in pointer.split('/').skip(1) {
        at = entries(at.entry(key).or_insert(Value::Null));
    }
    at
}

/// Writes a field; the maps above it are made.
pub(super) fn set(value: &mut Value, pointer: &str, field: Value) {
    if let Some((above, key)) = pointer.rsplit_once('/') {
        map(value, above).insert(key.to_owned(), field);
    }
}

/// Writes a field that is not there.
pub(super) fn default(value: &mut Value, pointer: &str, field: Value) {
    if value.pointer(pointer).is_none_or(Value::is_null) {
        set(value, pointer, field);
    }
}

/// Takes a field away; maps that are then empty stay.
pub(super) fn unset(value: &mut Value, pointer: &str) -> Option<Value> {
    let (above, key) = pointer.rsplit_once('/')?;
    value.pointer_mut(above)?.as_object_mut()?.remove(key)
}

fn entries(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        // It was made one above.
        _ => unreachable!("an object is an object"),
    }
}

/// The condition of that type.
pub(super) fn condition<'a>(value: &'a Value, kind: &str) -> Option<&'a Value> {
    list(value, "/status/conditions")
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// Whether the condition of that type holds.
pub(super) fn holds(value: &Value, kind: &str) -> bool {
    condition(value, kind).is_some_and(|condition| condition["status"] == "True")
}

/// What a condition says, beside its type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) holds: bool,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

/// Writes a condition; its transition time moves only with its status. `times` are the names of further times of it that
/// are set to `now` whenever it changes at all.
pub(super) fn say(value: &mut Value, kind: &str, said: Said<'_>, now: &str, times: &[&str]) {
    let status = if said.holds { "True" } else { "False" };
    let mut written = json!({"type": kind, "status": status, "lastTransitionTime": now});
    if !said.reason.is_empty() {
        written["reason"] = json!(said.reason);
    }
    if !said.message.is_empty() {
        written["message"] = json!(said.message);
    }
    for time in times {
        written[*time] = json!(now);
    }
    let conditions = map(value, "/status")
        .entry("conditions")
        .or_insert_with(|| json!([]));
    let Some(conditions) = conditions.as_array_mut() else {
        return;
    };
    let Some(old) = conditions.iter_mut().find(|condition| condition["type"] == kind) else {
        conditions.push(written);
        return;
    };
    let same = |field: &str| old.get(field) == written.get(field);
    if same("status") && same("reason") && same("message") {
        return;
    }
    if same("status") {
        written["lastTransitionTime"] = old["lastTransitionTime"].clone();
    }
    *old = written;
}

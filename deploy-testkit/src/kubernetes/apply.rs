//! Server-side apply on plain values: what a manager applies becomes its own, what it leaves out next time goes, what
//! others own stays. Ownership is kept as the real server keeps it: as `fieldsV1` in `metadata.managedFields`.
//!
//! Only managers that apply are recorded. One that updates owns nothing here, so no apply conflicts with it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::kinds::{HTTP_ROUTES, Kind};
use super::object::{list, set};

/// One manager's application to an object.
pub(super) struct Application<'a> {
    pub(super) kind: &'a Kind,
    pub(super) manager: &'a str,
    pub(super) force: bool,
    pub(super) now: &'a str,
}

impl Application<'_> {
    /// The object after it; the manager and the field of every conflict where it is not forced.
    pub(super) fn merge(&self, live: &Value, config: &Value) -> Result<Value, Vec<(String, String)>> {
        let lists = if self.kind.plural == HTTP_ROUTES {
            Lists::Atomic
        } else {
            Lists::Keyed
        };
        let config = without_nulls(config);
        let mut owners = owners(live);
        let old = owners.remove(self.manager).unwrap_or_else(|| json!({}));
        let new = owned_by_config(&config, lists);
        let mut conflicts = Vec::new();
        for (other, fields) in &mut owners {
            let mut found = Vec::new();
            give_up(fields, &new, live, &config, "", &mut found);
            conflicts.extend(found.into_iter().map(|field| (other.clone(), field)));
        }
        if !conflicts.is_empty() && !self.force {
            return Err(conflicts);
        }
        let mut merged = live.clone();
        merge(&mut merged, &applied_part(&config), lists);
        let kept: Vec<&Value> = owners.values().chain([&new]).collect();
        prune(&mut merged, &old, &kept);
        owners.insert(self.manager.to_owned(), new);
        self.record(live, &mut merged, owners);
        Ok(merged)
    }

    /// An entry that owns what it owned keeps its time: an apply that changes nothing is no write.
    fn record(&self, live: &Value, merged: &mut Value, owners: BTreeMap<String, Value>) {
        let before = list(live, "/metadata/managedFields");
        let entry = |(manager, fields): (String, Value)| {
            let same = before
                .iter()
                .find(|entry| entry["manager"] == manager && entry["fieldsV1"] == fields);
            let time = same.map_or_else(|| json!(self.now), |entry| entry["time"].clone());
            json!({
                "manager": manager,
                "operation": "Apply",
                "apiVersion": self.kind.api_version(),
                "time": time,
                "fieldsType": "FieldsV1",
                "fieldsV1": fields,
            })
        };
        let entries: Vec<Value> = owners
            .into_iter()
            .filter(|(_, fields)| *fields != json!({}))
            .map(entry)
            .collect();
        set(merged, "/metadata/managedFields", json!(entries));
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Lists {
    Keyed,
    Atomic,
}

/// What tells the elements of a list apart; `None` = the list is one value.
fn merge_keys(name: &str, item: &Value) -> Option<&'static [&'static str]> {
    Some(match name {
        "containers" | "initContainers" | "env" | "volumes" | "imagePullSecrets" | "secrets" => &["name"],
        "volumeMounts" => &["mountPath"],
        "ports" if item.get("containerPort").is_some() => &["containerPort", "protocol"],
        "ports" if item.get("port").is_some() => &["port", "protocol"],
        "ownerReferences" => &["uid"],
        "conditions" => &["type"],
        _ => return None,
    })
}

/// Maps that are one value.
fn is_atomic(name: &str) -> bool {
    matches!(
        name,
        "selector" | "nodeSelector" | "secretKeyRef" | "configMapKeyRef" | "fieldRef" | "labelSelector"
    )
}

/// The name of an element in `fieldsV1`; an absent protocol is TCP.
fn element_key(name: &str, item: &Value) -> Option<String> {
    if name == "finalizers" {
        return Some(format!("v:{item}"));
    }
    let keys = merge_keys(name, item)?;
    let key = |key: &&str| {
        let value = item.get(*key).cloned();
        let value = value.unwrap_or_else(|| {
            if *key == "protocol" {
                json!("TCP")
            } else {
                Value::Null
            }
        });
        ((*key).to_owned(), value)
    };
    let keys: BTreeMap<String, Value> = keys.iter().map(key).collect();
    Some(format!("k:{}", json!(keys)))
}

fn owned_by_config(config: &Value, lists: Lists) -> Value {
    owned("", &applied_part(config), lists)
}

/// A configuration without what says which object it is.
fn applied_part(config: &Value) -> Value {
    let mut part = config.clone();
    if let Value::Object(fields) = &mut part {
        for key in ["apiVersion", "kind", "status"] {
            fields.remove(key);
        }
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            for key in [
                "name",
                "namespace",
                "uid",
                "resourceVersion",
                "generation",
                "creationTimestamp",
                "managedFields",
            ] {
                metadata.remove(key);
            }
            if metadata.is_empty() {
                fields.remove("metadata");
            }
        }
    }
    part
}

fn owned(name: &str, value: &Value, lists: Lists) -> Value {
    match value {
        Value::Object(fields) if !is_atomic(name) => fields
            .iter()
            .map(|(key, value)| (format!("f:{key}"), owned(key, value, lists)))
            .collect(),
        Value::Array(items) if lists == Lists::Keyed => {
            let keys: Option<Vec<String>> = items.iter().map(|item| element_key(name, item)).collect();
            let Some(keys) = keys else { return json!({}) };
            let elements = keys.into_iter().zip(items).map(|(key, item)| {
                let mut fields = Map::new();
                if key.starts_with("k:") {
                    fields.insert(".".to_owned(), json!({}));
                    if let Value::Object(of_item) = owned("", item, lists) {
                        fields.extend(of_item);
                    }
                }
                (key, Value::Object(fields))
            });
            elements.collect()
        }
        _ => json!({}),
    }
}

/// Takes from `theirs` what `new` owns and changes, and tells those fields.
fn give_up(
    theirs: &mut Value,
    new: &Value,
    live: &Value,
    config: &Value,
    path: &str,
    found: &mut Vec<String>,
) {
    let (Value::Object(fields), Value::Object(new)) = (theirs, new) else {
        return;
    };
    let shared: Vec<String> = fields
        .keys()
        .filter(|key| new.contains_key(*key) && *key != ".")
        .cloned()
        .collect();
    for key in shared {
        let child = |value: &Value| -> Value { child(value, path, &key).cloned().unwrap_or_default() };
        let (live, config) = (child(live), child(config));
        let name = key
            .strip_prefix("f:")
            .map_or_else(|| format!("[{}]", &key[2..]), |name| format!(".{name}"));
        let at = format!("{path}{name}");
        let is_leaf = fields.get(&key).is_some_and(|below| *below == json!({}));
        if is_leaf && live != config {
            fields.remove(&key);
            found.push(at);
        } else if !is_leaf && let (Some(below), Some(new)) = (fields.get_mut(&key), new.get(&key)) {
            give_up(below, new, &live, &config, &at, found);
            // Nothing below it is theirs any more.
            if *below == json!({}) {
                fields.remove(&key);
            }
        }
    }
}

/// The field or element of that `fieldsV1` key.
fn child<'a>(value: &'a Value, path: &str, key: &str) -> Option<&'a Value> {
    if let Some(name) = key.strip_prefix("f:") {
        return value.get(name);
    }
    let name = path.rsplit('.').next().unwrap_or_default();
    value
        .as_array()?
        .iter()
        .find(|item| element_key(name, item).as_deref() == Some(key))
}

fn merge(live: &mut Value, config: &Value, lists: Lists) {
    merge_named("", live, config, lists);
}

fn merge_named(name: &str, live: &mut Value, config: &Value, lists: Lists) {
    match (live, config) {
        (Value::Object(live), Value::Object(config)) if !is_atomic(name) => {
            for (key, value) in config {
                match live.get_mut(key) {
                    Some(field) => merge_named(key, field, value, lists),
                    None => {
                        live.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (live @ Value::Array(_), Value::Array(config))
            if lists == Lists::Keyed && config.iter().all(|item| element_key(name, item).is_some()) =>
        {
            *live = merge_elements(name, live, config, lists);
        }
        (live, config) => *live = config.clone(),
    }
}

/// In the order of the configuration; what is not in it comes behind.
fn merge_elements(name: &str, live: &Value, config: &[Value], lists: Lists) -> Value {
    let mut rest: Vec<(Option<String>, Value)> = live
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| (element_key(name, item), item.clone()))
        .collect();
    let mut merged = Vec::new();
    for item in config {
        let key = element_key(name, item);
        let mut element = match rest.iter().position(|(found, _)| *found == key) {
            Some(at) => rest.remove(at).1,
            None => item.clone(),
        };
        merge_named("", &mut element, item, lists);
        merged.push(element);
    }
    merged.extend(rest.into_iter().map(|(_, item)| item));
    Value::Array(merged)
}

/// Takes away what `old` owned and no one in `kept` owns.
fn prune(value: &mut Value, old: &Value, kept: &[&Value]) {
    prune_named("", value, old, kept);
}

fn prune_named(name: &str, value: &mut Value, old: &Value, kept: &[&Value]) {
    let Value::Object(old) = old else { return };
    for (key, below) in old.iter().filter(|(key, _)| *key != ".") {
        let kept: Vec<&Value> = kept.iter().filter_map(|fields| fields.get(key)).collect();
        // Owned as a whole by someone: nothing below it is to go.
        if kept.iter().any(|fields| **fields == json!({})) {
            continue;
        }
        let gone = kept.is_empty();
        if let Some(field) = key.strip_prefix("f:") {
            let Value::Object(fields) = &mut *value else {
                continue;
            };
            let Some(found) = fields.get_mut(field) else {
                continue;
            };
            if *below != json!({}) {
                prune_named(field, found, below, &kept);
            }
            let is_empty = matches!(found, Value::Object(rest) if rest.is_empty())
                || matches!(found, Value::Array(rest) if rest.is_empty());
            if gone && (*below == json!({}) || is_empty) {
                fields.remove(field);
            }
        } else if let Value::Array(items) = &mut *value {
            if gone {
                items.retain(|item| element_key(name, item).as_deref() != Some(key));
            } else if let Some(item) = items
                .iter_mut()
                .find(|item| element_key(name, item).as_deref() == Some(key))
            {
                prune_named("", item, below, &kept);
            }
        }
    }
}

fn owners(live: &Value) -> BTreeMap<String, Value> {
    list(live, "/metadata/managedFields")
        .iter()
        .filter_map(|entry| Some((entry["manager"].as_str()?.to_owned(), entry["fieldsV1"].clone())))
        .collect()
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_nulls(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::kinds;

    fn apply(
        live: &Value,
        manager: &str,
        config: Value,
        force: bool,
    ) -> Result<Value, Vec<(String, String)>> {
        let kind = kinds::by_plural("deployments").expect("deployments are known");
        let application = Application {
            kind,
            manager,
            force,
            now: "2026-01-01T00:00:00Z",
        };
        application.merge(live, &config)
    }

    fn spec(containers: Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": containers}}}})
    }

    #[test]
    fn a_field_that_its_manager_drops_goes_and_one_of_others_stays() {
        let live = apply(
            &json!({}),
            "us",
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}}),
            true,
        );
        let mut live = live.expect("there is no conflict");
        live["metadata"]["labels"]["hand"] = json!("3");
        let after = apply(&live, "us", json!({"metadata": {"labels": {"a": "1"}}}), true);
        let after = after.expect("there is no conflict");
        assert_eq!(after["metadata"]["labels"], json!({"a": "1", "hand": "3"}));
    }

    #[test]
    fn elements_are_merged_by_their_keys_and_dropped_with_them() {
        let first = spec(
            json!([{"name": "main", "image": "a", "env": [{"name": "A", "value": "1"}, {"name": "B"}]}]),
        );
        let mut live = apply(&json!({}), "us", first, true).expect("there is no conflict");
        live["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
        let second = spec(json!([{"name": "main", "image": "b", "env": [{"name": "A", "value": "2"}]}]));
        let after = apply(&live, "us", second, true).expect("there is no conflict");
        assert_eq!(
            after["spec"]["template"]["spec"]["containers"],
            json!([{"name": "main", "image": "b", "env": [{"name": "A", "value": "2"}], "imagePullPolicy": "Always"}])
        );
        let third = spec(json!([{"name": "other", "image": "c"}]));
        let after = apply(&after, "us", third, true).expect("there is no conflict");
        assert_eq!(
            after["spec"]["template"]["spec"]["containers"],
            json!([{"name": "other", "image": "c"}])
        );
    }

    #[test]
    fn what_another_manager_applied_is_a_conflict_unless_it_is_forced() {
        let config = |replicas: u32| json!({"spec": {"replicas": replicas}});
        let live = apply(&json!({}), "them", config(1), false).expect("there is no conflict");
        let refused = apply(&live, "us", config(2), false).expect_err("they own it");
        assert_eq!(refused, [("them".to_owned(), ".spec.replicas".to_owned())]);
        assert!(apply(&live, "us", config(1), false).is_ok());
        let forced = apply(&live, "us", config(2), true).expect("it is forced");
        assert_eq!(forced["spec"]["replicas"], json!(2));
        assert_eq!(list(&forced, "/metadata/managedFields").len(), 1);
    }

    #[test]
    fn an_apply_that_changes_nothing_is_no_change() {
        let config = spec(json!([{"name": "main", "ports": [{"containerPort": 80}]}]));
        let live = apply(&json!({}), "us", config.clone(), true).expect("there is no conflict");
        assert_eq!(
            apply(&live, "us", config, true).expect("there is no conflict"),
            live
        );
    }
}

//! Labels, by Kubernetes' rules for them. What is reserved is refused: nobody may put a mark on an object by which
//! Kubernetes, or this server, knows its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::{Violations, member, quoted, string, unexpected};
use crate::names::ResourceName;

/// Labels, keys and values by Kubernetes' rules, none of them reserved.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The labels of a task whose manifest names none: `app:<name>`.
    #[must_use]
    pub fn of_app(name: &ResourceName) -> Self {
        Self([("app".to_owned(), name.to_string())].into())
    }

    /// In the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads `"key:value,key:value"` or an object of strings.
    pub(super) fn read(value: &Value, pointer: &str, out: &mut Violations) -> Self {
        let mut labels = Self::default();
        match value {
            Value::String(text) => {
                for part in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
                    match part.split_once(':') {
                        Some((key, value)) => labels.add(key.trim(), value.trim(), pointer, out),
                        None => out.push(pointer, "expected \"key:value\", several separated by ','"),
                    }
                }
            }
            Value::Object(members) => {
                for (key, value) in members {
                    let pointer = member(pointer, key);
                    if let Some(value) = string(value, &pointer, out) {
                        labels.add(key, value, &pointer, out);
                    }
                }
            }
            _ => out.push(
                pointer,
                unexpected(value, "a string \"key:value\" or an object of strings"),
            ),
        }
        labels
    }

    fn add(&mut self, key: &str, value: &str, pointer: &str, out: &mut Violations) {
        let (prefix, name) = match key.split_once('/') {
            Some((prefix, name)) => (Some(prefix), name),
            None => (None, key),
        };
        let shown = quoted(key);
        if !is_label_text(name) || prefix.is_some_and(|prefix| !is_dns_1123_subdomain(prefix)) {
            out.push(
                pointer,
                format!(
                    "not a label key: {shown}; expected 1 to 63 of letters, digits, '-', '_' and '.', beginning and ending \
                     with a letter or digit, with or without a DNS name and '/' before it"
                ),
            );
        } else if let Some(reserved) = prefix.and_then(reserved_by) {
            out.push(
                pointer,
                format!("the label key {shown} is reserved: no key may begin with {reserved}/"),
            );
        } else if !value.is_empty() && !is_label_text(value) {
            out.push(
                pointer,
                format!(
                    "not a label value, for {shown}; expected at most 63 of letters, digits, '-', '_' and '.', beginning and \
                     ending with a letter or digit"
                ),
            );
        } else if self.0.insert(key.to_owned(), value.to_owned()).is_some() {
            out.push(pointer, format!("the label key {shown} stands here twice"));
        }
    }
}

/// Prefixes that are Kubernetes' or ours, with all below them (app.kubernetes.io marks what is managed by whom).
const RESERVED: [&str; 3] = ["kubernetes.io", "k8s.io", "deploy-api"];

fn reserved_by(prefix: &str) -> Option<&'static str> {
    let is_below = |reserved: &&str| {
        let rest = prefix.strip_suffix(reserved);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    RESERVED.into_iter().find(is_below)
}

/// Kubernetes' "qualified name" part and its label value alike.
fn is_label_text(text: &str) -> bool {
    let outer = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    text.len() <= 63 && outer(text.bytes().next()) && outer(text.bytes().last()) && text.bytes().all(inner)
}

/// RFC 1123 subdomain: labels separated by dots, 253 bytes at most.
pub(super) fn is_dns_1123_subdomain(text: &str) -> bool {
    let is_label = |label: &str| label.parse::<ResourceName>().is_ok();
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<String, String> {
        let mut out = Violations::default();
        let labels = Labels::read(value, "/labels", &mut out);
        let violations = out.into_list();
        if violations.is_empty() {
            Ok(labels
                .iter()
                .map(|(key, value)| format!("{key}={value};"))
                .collect())
        } else {
            Err(violations
                .iter()
                .map(|v| format!("{} {}\n", v.pointer, v.message))
                .collect())
        }
    }

    #[test]
    fn labels_are_read_from_a_string_or_an_object() {
        for (value, expected) in [
            (json!("app:x"), "app=x;"),
            (json!("b:2, a : 1"), "a=1;b=2;"),
            (json!("example.com/team:data"), "example.com/team=data;"),
            (json!("app:"), "app=;"),
            (json!(""), ""),
            (json!({}), ""),
            (json!({"app": "x", "tier": "web"}), "app=x;tier=web;"),
            // Only the prefix is reserved, not the letters.
            (json!("notk8s.io/x:1"), "notk8s.io/x=1;"),
        ] {
            assert_eq!(read(&value).as_deref(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn bad_and_reserved_labels_are_refused() {
        let long = "a".repeat(64);
        for (value, expected) in [
            (json!(1), "/labels found a number"),
            (json!("app"), "/labels expected \"key:value\""),
            (json!("app:x,"), "/labels expected \"key:value\""),
            (json!("app:x:y"), "/labels not a label value, for \"app\""),
            (
                json!("app:x,app:y"),
                "/labels the label key \"app\" stands here twice",
            ),
            (json!(":x"), "/labels not a label key"),
            (json!("-a:x"), "/labels not a label key"),
            (json!("a/b/c:x"), "/labels not a label key"),
            (json!("UPPER.com/a:x"), "/labels not a label key"),
            (json!({"a b": "x"}), "/labels/a b not a label key"),
            (json!({"a": "x y"}), "/labels/a not a label value"),
            (json!({"a": 1}), "/labels/a found a number, expected a string"),
            (json!({"a": long}), "/labels/a not a label value"),
            (json!({long.clone(): "x"}), "/labels/aaaa"),
            (
                json!("kubernetes.io/x:1"),
                "reserved: no key may begin with kubernetes.io/",
            ),
            (
                json!("app.kubernetes.io/managed-by:me"),
                "reserved: no key may begin with kubernetes.io/",
            ),
            (json!("x.k8s.io/x:1"), "reserved: no key may begin with k8s.io/"),
            (
                json!({"deploy-api/workload": "x"}),
                "/labels/deploy-api~1workload the label key",
            ),
        ] {
            let error = read(&value).unwrap_err();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }
}

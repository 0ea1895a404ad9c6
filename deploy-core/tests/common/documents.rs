//! Manifests to try rules on, and what became of them; shared by the tests of manifest.json.

use deploy_core::manifest::{Manifest, Violation};
use serde_json::{Value, json};

/// The least that each type asks for, with `changes` put over it; null takes a key away.
pub(crate) fn document(kind: &str, changes: Value) -> Value {
    let mut document = json!({"name": "x", "type": kind, "image": "registry.example/x:1"});
    if kind == "service" {
        document["container-port"] = json!(8080);
    }
    if let (Value::Object(document), Value::Object(changes)) = (&mut document, changes) {
        for (key, value) in changes {
            document.insert(key.clone(), value.clone());
            if value.is_null() {
                document.remove(&key);
            }
        }
    }
    document
}

pub(crate) fn parse(document: &Value) -> Result<Manifest, Vec<Violation>> {
    Manifest::parse(document.to_string().as_bytes())
}

/// Every violation, as `pointer: message`.
pub(crate) fn violations(result: Result<Manifest, Vec<Violation>>) -> Vec<String> {
    let line = |v: Violation| format!("{}: {}", v.pointer, v.message);
    result.err().unwrap_or_default().into_iter().map(line).collect()
}

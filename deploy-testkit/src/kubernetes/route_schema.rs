//! The fields of an HTTPRoute (Gateway API v1, standard channel), as far as the stand-in looks into them: k8s-openapi
//! has no types for custom resources. Unknown fields are found as for the other kinds, by being left out.

use serde_json::{Map, Value};

/// What an object may hold; a list stands for its elements.
enum Shape {
    Any,
    Fields(&'static [(&'static str, Shape)]),
}

use Shape::{Any, Fields};

const REFERENCE: Shape = Fields(&[
    ("group", Any),
    ("kind", Any),
    ("namespace", Any),
    ("name", Any),
    ("sectionName", Any),
    ("port", Any),
]);

const HEADERS: Shape = Fields(&[("set", Any), ("add", Any), ("remove", Any)]);

const PATH: Shape = Fields(&[
    ("type", Any),
    ("replaceFullPath", Any),
    ("replacePrefixMatch", Any),
]);

const FILTER: Shape = Fields(&[
    ("type", Any),
    ("requestHeaderModifier", HEADERS),
    ("responseHeaderModifier", HEADERS),
    ("requestMirror", Any),
    (
        "requestRedirect",
        Fields(&[
            ("scheme", Any),
            ("hostname", Any),
            ("path", PATH),
            ("port", Any),
            ("statusCode", Any),
        ]),
    ),
    ("urlRewrite", Fields(&[("hostname", Any), ("path", PATH)])),
    (
        "extensionRef",
        Fields(&[("group", Any), ("kind", Any), ("name", Any)]),
    ),
    ("cors", Any),
]);

const RULE: Shape = Fields(&[
    ("name", Any),
    (
        "matches",
        Fields(&[
            ("path", Fields(&[("type", Any), ("value", Any)])),
            ("headers", Fields(&[("type", Any), ("name", Any), ("value", Any)])),
            (
                "queryParams",
                Fields(&[("type", Any), ("name", Any), ("value", Any)]),
            ),
            ("method", Any),
        ]),
    ),
    ("filters", FILTER),
    (
        "backendRefs",
        Fields(&[
            ("group", Any),
            ("kind", Any),
            ("namespace", Any),
            ("name", Any),
            ("port", Any),
            ("weight", Any),
            ("filters", FILTER),
        ]),
    ),
    ("timeouts", Fields(&[("request", Any), ("backendRequest", Any)])),
]);

const ROUTE: Shape = Fields(&[
    ("apiVersion", Any),
    ("kind", Any),
    ("metadata", Any),
    (
        "spec",
        Fields(&[("parentRefs", REFERENCE), ("hostnames", Any), ("rules", RULE)]),
    ),
    ("status", Any),
]);

/// The body without the fields that an HTTPRoute has not.
pub(super) fn check(body: &Value) -> Result<Value, String> {
    for (pointer, what) in [("/spec/rules", "rules"), ("/spec/parentRefs", "parentRefs")] {
        if body.pointer(pointer).is_some_and(|value| !value.is_array()) {
            return Err(format!("spec.{what} in body must be of type array"));
        }
    }
    Ok(keep(body, &ROUTE))
}

fn keep(value: &Value, shape: &Shape) -> Value {
    match (value, shape) {
        (Value::Object(found), Fields(fields)) => {
            let kept: Map<String, Value> = found
                .iter()
                .filter_map(|(key, value)| {
                    let (_, shape) = fields.iter().find(|(name, _)| name == key)?;
                    Some((key.clone(), keep(value, shape)))
                })
                .collect();
            Value::Object(kept)
        }
        (Value::Array(items), _) => items.iter().map(|item| keep(item, shape)).collect(),
        _ => value.clone(),
    }
}

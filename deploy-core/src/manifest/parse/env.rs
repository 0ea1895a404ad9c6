//! The `env` list, of manifests and of a pipeline's steps. A value may be a password: no message ever holds one.

use std::collections::HashMap;

use serde_json::Value;

use crate::manifest::fields::{Fields, Violations, array, quoted};
use crate::manifest::labels::is_dns_1123_subdomain;
use crate::manifest::{EnvValue, EnvVar};

/// The variables of `fields`' member `env`; what is wrong is left out and recorded.
pub(crate) fn read(fields: &Fields<'_>, out: &mut Violations) -> Vec<EnvVar> {
    let Some(value) = fields.get("env") else {
        return Vec::new();
    };
    let expected = "an array of {\"name\", \"value\"}";
    let Some(elements) = array(value, &fields.at("env"), expected, out) else {
        return Vec::new();
    };
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut variables = Vec::new();
    for (index, (pointer, element)) in elements.into_iter().enumerate() {
        let Some(fields) = Fields::of(element, &pointer, &["name", "value", "secret"], out) else {
            continue;
        };
        let value = env_value(&fields, out);
        fields.require("name", "the variable's name", out);
        let Some(name) = fields.string("name", out) else {
            continue;
        };
        if !is_c_identifier(name) {
            out.push(
                fields.at("name"),
                "not a variable's name: expected 1 to 255 letters, digits and '_', not beginning with a digit",
            );
        } else if let Some(first) = seen.get(name) {
            let message = format!(
                "{} is there twice: first in element {first} of \"env\"",
                quoted(name)
            );
            out.push(fields.at("name"), message);
        } else {
            seen.insert(name, index);
            variables.extend(value.map(|value| EnvVar {
                name: name.to_owned(),
                value,
            }));
        }
    }
    variables
}

fn env_value(fields: &Fields<'_>, out: &mut Violations) -> Option<EnvValue> {
    match (fields.has("value"), fields.get("secret")) {
        (true, None) => {
            let value = fields.string("value", out)?;
            if value.contains('\0') {
                out.push(fields.at("value"), "no variable holds a NUL character");
                return None;
            }
            Some(EnvValue::Literal(value.to_owned()))
        }
        (false, Some(secret)) => env_secret(secret, &fields.at("secret"), out),
        (true, Some(_)) => {
            out.push(
                fields.at("secret"),
                "\"value\" and \"secret\" are both there: keep one",
            );
            None
        }
        (false, None) => {
            out.push(fields.at("value"), "missing: expected \"value\" or \"secret\"");
            None
        }
    }
}

fn env_secret(value: &Value, pointer: &str, out: &mut Violations) -> Option<EnvValue> {
    let fields = Fields::of(value, pointer, &["name", "key"], out)?;
    fields.require("name", "the Secret's name", out);
    fields.require("key", "the key in the Secret", out);
    let name = fields.string("name", out);
    let key = fields.string("key", out);
    if name.is_some_and(|name| !is_dns_1123_subdomain(name)) {
        out.push(
            fields.at("name"),
            "not a Secret's name: expected a DNS name in lower case (RFC 1123 subdomain)",
        );
    }
    if key.is_some_and(|key| !is_secret_key(key)) {
        out.push(
            fields.at("key"),
            "not a key of a Secret: expected 1 to 253 letters, digits, '-', '_' and '.', neither \"..\" nor beginning so",
        );
    }
    Some(EnvValue::Secret {
        name: name?.to_owned(),
        key: key?.to_owned(),
    })
}

fn is_c_identifier(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=255).contains(&text.len())
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(is_inner)
}

/// Kubernetes' "config map key".
fn is_secret_key(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=253).contains(&text.len()) && text != "." && !text.starts_with("..") && text.bytes().all(is_inner)
}

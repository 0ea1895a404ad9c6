//! `published`: how a service is exposed. Whether it may be, with the access it names, is a use case's to decide.

use crate::manifest::Published;
use crate::manifest::fields::{Fields, Violations};
use serde_json::Value;

const KEYS: [&str; 6] = [
    "access",
    "prefix",
    "rewrite",
    "timeout_ms",
    "sticky_sessions",
    "bypass_auth",
];

/// An hour: a proxy keeps a connection for as long as this.
const MAX_TIMEOUT_MS: u32 = 3_600_000;

/// Reads `published`; an empty object is as good as none.
pub(super) fn read(value: &Value, pointer: &str, out: &mut Violations) -> Option<Published> {
    let fields = Fields::of(value, pointer, &KEYS, out)?;
    if is_empty_object(value) {
        return None;
    }
    fields.require(
        "prefix",
        "the URL prefix to serve it under, such as \"/name/\"",
        out,
    );
    let access = fields.string("access", out);
    if access.is_some_and(|access| !is_group(access)) {
        out.push(
            fields.at("access"),
            "not a group: expected 1 to 253 characters without control characters",
        );
    }
    let prefix = fields.string("prefix", out);
    if prefix.is_some_and(|prefix| !prefix.ends_with('/') || !is_url_path(prefix)) {
        let message = format!("expected a path that begins and ends in '/', {PATH_RULE}");
        out.push(fields.at("prefix"), message);
    }
    let rewrite = fields.string("rewrite", out);
    if rewrite.is_some_and(|rewrite| !is_url_path(rewrite)) {
        out.push(
            fields.at("rewrite"),
            format!("expected a path that begins with '/', {PATH_RULE}"),
        );
    }
    let timeout_ms = fields.integer("timeout_ms", 1..=MAX_TIMEOUT_MS, out);
    let sticky_sessions = fields.bool("sticky_sessions", out);
    let bypass_auth = fields.bool("bypass_auth", out);
    Some(Published {
        access: access.map(str::to_owned),
        prefix: prefix?.to_owned(),
        rewrite: rewrite.unwrap_or("/").to_owned(),
        timeout_ms: timeout_ms.unwrap_or(6000),
        sticky_sessions: sticky_sessions.unwrap_or(false),
        bypass_auth: bypass_auth.unwrap_or(false),
    })
}

pub(super) fn is_empty_object(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

const PATH_RULE: &str = "its parts of letters, digits, '-', '_', '.' and '~', none of them \".\" or \"..\"";

/// A path of plain parts. Ingress controllers read some other characters as a pattern, so none is let through.
fn is_url_path(path: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    let is_part = |part: &str| !part.is_empty() && !matches!(part, "." | "..") && part.bytes().all(is_plain);
    let Some(path_without_root) = path.strip_prefix('/') else {
        return false;
    };
    let parts = path_without_root.strip_suffix('/').unwrap_or(path_without_root);
    path.len() <= 255 && (path_without_root.is_empty() || parts.split('/').all(is_part))
}

fn is_group(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 253 && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_served() {
        for path in ["/", "/a", "/a/", "/a-b_c.d~1/e/"] {
            assert!(is_url_path(path), "refused: {path}");
        }
        let long = format!("/{}", "a".repeat(255));
        for path in [
            "", "a", "//", "/a//", "/../", "/a/./", "/a b/", "/a(.*)/", "/%2e/", "/a?b/", "/é/", "/a\n/",
            &long,
        ] {
            assert!(!is_url_path(path), "accepted: {path}");
        }
    }
}

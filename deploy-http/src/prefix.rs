//! The path that an ingress puts before every route, as in `/apps/deploy-api/v1/list/tasks`.

use std::fmt;
use std::str::FromStr;

/// A path without a slash at its end; empty = none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// What follows the prefix in a path; `None` where the path does not begin with it, whole segment for segment.
    #[must_use]
    pub fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(self.0.as_str())
            .filter(|rest| rest.starts_with('/'))
    }

    /// The text, for putting it before a path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str =
            "a prefix is / or a path of letters, digits, '-', '_' and '.', as in /apps/deploy-api";
        let segments = text.strip_prefix('/').ok_or(RULE)?;
        let segments = match segments.strip_suffix('/') {
            Some("") => return Err(RULE),
            Some(segments) => segments,
            None => segments,
        };
        let plain = |segment: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
        };
        if segments.is_empty() {
            Ok(Self(String::new()))
        } else if text.len() <= 200 && segments.split('/').all(plain) {
            Ok(Self(format!("/{segments}")))
        } else {
            Err(RULE)
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_plain_path() {
        for (text, written) in [
            ("/apps/deploy-api", "/apps/deploy-api"),
            ("/apps/deploy-api/", "/apps/deploy-api"),
            ("/", ""),
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap().as_str(), written);
        }
        for text in [
            "", "apps", "//", "/a//b", "/a/..", "/./a", "/a b", "/a%20b", "/a?b", "/:x", "/{x}",
        ] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn it_is_stripped_as_whole_segments() {
        let prefix: Prefix = "/apps/api".parse().unwrap();
        assert_eq!(prefix.strip("/apps/api/v1/x"), Some("/v1/x"));
        assert_eq!(prefix.strip("/apps/api/"), Some("/"));
        assert_eq!(prefix.strip("/apps/api//v1"), Some("//v1"));
        for path in [
            "/apps/api",
            "/apps/apis/v1",
            "/v1/x",
            "/Apps/api/v1",
            "/apps%2Fapi/v1",
            "",
            "*",
        ] {
            assert_eq!(prefix.strip(path), None, "{path}");
        }
        let none: Prefix = "/".parse().unwrap();
        assert_eq!(none.strip("/v1/x"), Some("/v1/x"));
    }
}

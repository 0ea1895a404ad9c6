//! What a request asks, read from its line: the verb as Kubernetes counts verbs, the resource and the query.

use std::collections::BTreeMap;
use std::fmt;

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::kinds::{KINDS, Kind};

/// What is done to a resource, in the words of Kubernetes' RBAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// One object is read, or one pod's log.
    Get,
    /// Objects are listed.
    List,
    /// Changes are followed.
    Watch,
    /// An object is created.
    Create,
    /// An object is replaced.
    Update,
    /// An object is changed: by a merge patch or by an apply.
    Patch,
    /// An object is deleted.
    Delete,
    /// All objects of a selection are deleted.
    DeleteCollection,
    /// Anything that is no resource: the version, health, discovery.
    Other,
}

impl Verb {
    /// As RBAC writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Other => "other",
        }
    }

    /// Whether it can change anything.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Update | Self::Patch | Self::Delete | Self::DeleteCollection
        )
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request as far as its line tells.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) verb: Verb,
    /// `None` where the path is no resource that is known.
    pub(super) kind: Option<&'static Kind>,
    pub(super) path: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) subresource: String,
    query: BTreeMap<String, String>,
}

impl Asked {
    pub(super) fn new(method: &Method, path: &str, query: &str) -> Self {
        let mut asked = Self {
            verb: Verb::Other,
            kind: None,
            path: path.to_owned(),
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
            query: query.split('&').filter_map(pair).collect(),
        };
        asked.read_path();
        if asked.kind.is_some() {
            asked.verb = asked.verb_of(method);
        }
        asked
    }

    /// A parameter of the query; empty where it is not given.
    pub(super) fn get(&self, parameter: &str) -> &str {
        self.query.get(parameter).map_or("", String::as_str)
    }

    pub(super) fn is_set(&self, parameter: &str) -> bool {
        matches!(self.get(parameter), "true" | "1")
    }

    /// The group and the version of a path below /api or /apis, and what follows.
    fn read_path(&mut self) {
        let parts: Vec<String> = self
            .path
            .split('/')
            .skip(1)
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return,
        };
        let (namespace, plural, rest) = match rest {
            ["namespaces", name] => ("", "namespaces", [*name].to_vec()),
            ["namespaces", name, sub @ ("status" | "finalize")] => ("", "namespaces", [*name, *sub].to_vec()),
            ["namespaces", namespace, plural, rest @ ..] => (*namespace, *plural, rest.to_vec()),
            [plural, rest @ ..] => ("", *plural, rest.to_vec()),
            [] => return,
        };
        self.kind = KINDS
            .iter()
            .find(|kind| (kind.group, kind.version, kind.plural) == (group, version, plural));
        self.namespace = namespace.to_owned();
        let mut rest = rest.into_iter();
        self.name = rest.next().unwrap_or_default().to_owned();
        self.subresource = rest.collect::<Vec<&str>>().join("/");
    }

    fn verb_of(&self, method: &Method) -> Verb {
        match (method.as_str(), self.name.is_empty()) {
            ("GET", _) if self.is_set("watch") => Verb::Watch,
            ("GET", true) => Verb::List,
            ("GET", false) => Verb::Get,
            ("POST", _) => Verb::Create,
            ("PUT", false) => Verb::Update,
            ("PATCH", false) => Verb::Patch,
            ("DELETE", false) => Verb::Delete,
            ("DELETE", true) => Verb::DeleteCollection,
            _ => Verb::Other,
        }
    }
}

fn pair(text: &str) -> Option<(String, String)> {
    if text.is_empty() {
        return None;
    }
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    Some((decoded(key), decoded(value)))
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_tells_the_verb_and_the_resource() {
        let check = |method: Method, path: &str, query: &str, wanted: (&str, &str, &str, &str, &str)| {
            let asked = Asked::new(&method, path, query);
            let plural = asked.kind.map_or("", |kind| kind.plural);
            let found = (
                asked.verb.as_str(),
                plural,
                &*asked.namespace,
                &*asked.name,
                &*asked.subresource,
            );
            assert_eq!(found, wanted, "{method} {path}?{query}");
        };
        check(Method::GET, "/api/v1/pods", "", ("list", "pods", "", "", ""));
        check(
            Method::GET,
            "/api/v1/pods",
            "watch=true",
            ("watch", "pods", "", "", ""),
        );
        check(
            Method::GET,
            "/api/v1/namespaces/a",
            "",
            ("get", "namespaces", "", "a", ""),
        );
        check(
            Method::PUT,
            "/api/v1/namespaces/a/finalize",
            "",
            ("update", "namespaces", "", "a", "finalize"),
        );
        check(
            Method::GET,
            "/api/v1/namespaces/a/pods/b/log",
            "",
            ("get", "pods", "a", "b", "log"),
        );
        check(
            Method::POST,
            "/apis/batch/v1/namespaces/a/jobs",
            "",
            ("create", "jobs", "a", "", ""),
        );
        check(
            Method::DELETE,
            "/apis/batch/v1/namespaces/a/jobs",
            "",
            ("deletecollection", "jobs", "a", "", ""),
        );
        check(
            Method::PATCH,
            "/apis/apps/v1/namespaces/a/deployments/b",
            "",
            ("patch", "deployments", "a", "b", ""),
        );
        check(Method::GET, "/version", "", ("other", "", "", "", ""));
        check(
            Method::GET,
            "/apis/batch/v1beta1/jobs",
            "",
            ("other", "", "", "", ""),
        );
        let asked = Asked::new(&Method::GET, "/api/v1/pods", "labelSelector=a%3Db%2Cc&limit=5");
        assert_eq!(
            (
                asked.get("labelSelector"),
                asked.get("limit"),
                asked.get("continue")
            ),
            ("a=b,c", "5", "")
        );
    }
}

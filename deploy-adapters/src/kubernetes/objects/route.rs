//! `published` as a Gateway API HTTPRoute (<https://gateway-api.sigs.k8s.io/reference/spec/>, the standard channel from
//! version 1.2 on, which has `timeouts`). The few fields that we set are written out here; the API's types are in no
//! dependency.
//!
//! What the API has no field for is an annotation, for whoever enforces it in front of the gateway: `deploy-api/auth` (who
//! does), `deploy-api/access` (the group), `deploy-api/bypass-auth` and `deploy-api/sticky-sessions`. A
//! `sessionPersistence` is not written: it is in the experimental channel alone, and server-side apply answers a field
//! that it does not know with an error.

use std::borrow::Cow;
use std::collections::BTreeMap;

use deploy_core::manifest::Published;
use deploy_core::workload::{Uid, Workload};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{Translator, service};
use crate::kubernetes::rules::Gateway;

const GROUP: &str = "gateway.networking.k8s.io";
const VERSION: &str = "v1";
const KIND: &str = "HTTPRoute";

/// The name of what enforces access.
pub(in crate::kubernetes) const AUTH: &str = "deploy-api/auth";
/// The group that may open it.
pub(in crate::kubernetes) const ACCESS: &str = "deploy-api/access";
/// `true` where nobody is asked to log in.
pub(in crate::kubernetes) const BYPASS_AUTH: &str = "deploy-api/bypass-auth";
/// `true` where a user is to be kept on one pod.
pub(in crate::kubernetes) const STICKY_SESSIONS: &str = "deploy-api/sticky-sessions";

/// A route, as far as we say anything of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kubernetes) struct HttpRoute {
    api_version: String,
    kind: String,
    pub(in crate::kubernetes) metadata: ObjectMeta,
    spec: Spec,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    parent_refs: Vec<ParentRef>,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ParentRef {
    group: String,
    kind: String,
    namespace: String,
    name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    matches: Vec<Match>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    filters: Vec<Filter>,
    backend_refs: Vec<BackendRef>,
    timeouts: Timeouts,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Match {
    path: PathMatch,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PathMatch {
    #[serde(rename = "type")]
    type_: String,
    value: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    #[serde(rename = "type")]
    type_: String,
    url_rewrite: UrlRewrite,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct UrlRewrite {
    path: PathModifier,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PathModifier {
    #[serde(rename = "type")]
    type_: String,
    replace_prefix_match: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct BackendRef {
    name: String,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Timeouts {
    request: String,
}

impl kube::Resource for HttpRoute {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "httproutes".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Translator {
    pub(super) fn route_to(
        &self,
        workload: &Workload,
        published: &Published,
        gateway: &Gateway,
        owner: &Uid,
    ) -> HttpRoute {
        HttpRoute {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: KIND.to_owned(),
            metadata: self.owned_metadata(workload, owner, annotations(published, gateway)),
            spec: Spec {
                parent_refs: vec![ParentRef {
                    group: GROUP.to_owned(),
                    kind: "Gateway".to_owned(),
                    namespace: gateway.namespace.to_string(),
                    name: gateway.name.to_string(),
                }],
                rules: vec![Rule {
                    matches: vec![Match {
                        path: PathMatch {
                            type_: "PathPrefix".to_owned(),
                            value: without_last_slash(&published.prefix).to_owned(),
                        },
                    }],
                    filters: rewrite(published).into_iter().collect(),
                    backend_refs: vec![BackendRef {
                        name: workload.name.to_string(),
                        port: service::PORT,
                    }],
                    timeouts: Timeouts {
                        request: duration(published.timeout_ms),
                    },
                }],
            },
        }
    }
}

fn annotations(published: &Published, gateway: &Gateway) -> BTreeMap<String, String> {
    let bypass = published.bypass_auth.to_string();
    let sticky = published.sticky_sessions.to_string();
    [
        (AUTH, gateway.auth.as_deref()),
        (ACCESS, published.access.as_deref()),
        (BYPASS_AUTH, Some(bypass.as_str())),
        (STICKY_SESSIONS, Some(sticky.as_str())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
    .collect()
}

/// `None` where the prefix stays as it is.
fn rewrite(published: &Published) -> Option<Filter> {
    let replacement = without_last_slash(&published.rewrite);
    (replacement != without_last_slash(&published.prefix)).then(|| Filter {
        type_: "URLRewrite".to_owned(),
        url_rewrite: UrlRewrite {
            path: PathModifier {
                type_: "ReplacePrefixMatch".to_owned(),
                replace_prefix_match: replacement.to_owned(),
            },
        },
    })
}

/// A prefix is matched part by part, so `/a/` and `/a` mean the same to the API; gateways differ in how well they know
/// it, and all of them know the shorter one.
fn without_last_slash(path: &str) -> &str {
    match path.strip_suffix('/') {
        Some("") | None => path,
        Some(shorter) => shorter,
    }
}

/// A duration of GEP-2257, which has at most five digits a unit.
fn duration(milliseconds: u32) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    match (seconds, rest) {
        (0, rest) => format!("{rest}ms"),
        (seconds, 0) => format!("{seconds}s"),
        (seconds, rest) => format!("{seconds}s{rest}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_no_unit_of_more_than_five_digits() {
        for (milliseconds, written) in [
            (1, "1ms"),
            (999, "999ms"),
            (6000, "6s"),
            (1500, "1s500ms"),
            (3_600_000, "3600s"),
            (3_599_999, "3599s999ms"),
        ] {
            assert_eq!(duration(milliseconds), written);
        }
    }

    #[test]
    fn a_path_ends_without_a_slash_but_for_the_root() {
        for (path, shorter) in [("/", "/"), ("/a/", "/a"), ("/a", "/a"), ("/a/b/", "/a/b")] {
            assert_eq!(without_last_slash(path), shorter);
        }
    }
}

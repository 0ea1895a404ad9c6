//! That every rendered object is one that Kubernetes knows: read through its type and written back, nothing is lost and
//! nothing is added. A misspelt field would be dropped on the way, and be missed here.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::helm::{binaries, rendered, samples};

/// The object as its type writes it back.
fn through_its_type(object: &Value) -> Value {
    fn by<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
        let read: T =
            serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error}: {object:#}"));
        serde_json::to_value(read).unwrap()
    }
    let text = |key: &str| {
        object[key]
            .as_str()
            .unwrap_or_else(|| panic!("no {key}: {object:#}"))
    };
    match (text("apiVersion"), text("kind")) {
        ("apps/v1", "Deployment") => by::<Deployment>(object),
        ("v1", "ConfigMap") => by::<ConfigMap>(object),
        ("v1", "PersistentVolumeClaim") => by::<PersistentVolumeClaim>(object),
        ("v1", "Service") => by::<Service>(object),
        ("v1", "ServiceAccount") => by::<ServiceAccount>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => by::<NetworkPolicy>(object),
        ("policy/v1", "PodDisruptionBudget") => by::<PodDisruptionBudget>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => by::<ClusterRole>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => by::<ClusterRoleBinding>(object),
        ("rbac.authorization.k8s.io/v1", "Role") => by::<Role>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => by::<RoleBinding>(object),
        ("gateway.networking.k8s.io/v1", "HTTPRoute") => {
            // Gateway API has no Rust types here; these are its keys, as far as the chart may use them.
            for path in paths(&object["spec"], "") {
                assert!(ROUTE_KEYS.contains(&path.as_str()), "HTTPRoute has {path}");
            }
            object.clone()
        }
        other => panic!("an object nobody expects: {other:?}"),
    }
}

const ROUTE_KEYS: &[&str] = &[
    "parentRefs.group",
    "parentRefs.kind",
    "parentRefs.name",
    "parentRefs.namespace",
    "parentRefs.sectionName",
    "parentRefs.port",
    "hostnames",
    "rules.matches.path.type",
    "rules.matches.path.value",
    "rules.backendRefs.name",
    "rules.backendRefs.port",
    "rules.timeouts.request",
];

/// The paths to all leaves, lists left out of them.
fn paths(value: &Value, at: &str) -> BTreeSet<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| paths(value, format!("{at}.{key}").trim_start_matches('.')))
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| paths(item, at)).collect(),
        _ => BTreeSet::from([at.to_owned()]),
    }
}

#[test]
fn every_object_is_read_through_its_type_and_written_back_equal() {
    for helm in binaries() {
        let mut kinds = BTreeSet::new();
        for values in samples() {
            for object in rendered(&helm, &values, &[]) {
                assert_eq!(through_its_type(&object), object, "{}", values.display());
                kinds.insert(object["kind"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(kinds.len(), 12, "the samples leave some kind out: {kinds:?}");
    }
}

#[test]
fn every_object_names_its_release_and_its_namespace() {
    for helm in binaries() {
        for values in samples() {
            for object in rendered(&helm, &values, &[]) {
                let (kind, metadata) = (object["kind"].as_str().unwrap(), &object["metadata"]);
                assert_eq!(
                    metadata["labels"]["app.kubernetes.io/instance"],
                    super::helm::RELEASE,
                    "{kind}"
                );
                assert_eq!(
                    metadata["namespace"].is_null(),
                    kind.starts_with("Cluster"),
                    "{object:#}"
                );
            }
        }
    }
}

#[test]
fn what_selects_a_pod_selects_the_servers_pod() {
    for helm in binaries() {
        for values in samples() {
            let objects = rendered(&helm, &values, &[]);
            let labels = &super::helm::deployment(&objects)["spec"]["template"]["metadata"]["labels"];
            let selectors = [
                ("Service", "/spec/selector"),
                ("NetworkPolicy", "/spec/podSelector/matchLabels"),
                ("PodDisruptionBudget", "/spec/selector/matchLabels"),
                ("Deployment", "/spec/selector/matchLabels"),
            ];
            for (kind, place) in selectors {
                for object in super::helm::of_kind(&objects, kind) {
                    let selector = object.pointer(place).and_then(Value::as_object).unwrap();
                    assert!(!selector.is_empty(), "{kind} selects everything");
                    for (key, value) in selector {
                        assert_eq!(&labels[key], value, "{kind} selects another {key}");
                        assert_ne!(
                            key, "app.kubernetes.io/version",
                            "{kind} loses the pod at an upgrade"
                        );
                    }
                }
            }
        }
    }
}

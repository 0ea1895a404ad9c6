//! The kinds that the stand-in knows, as one table: where they are found, what is bumped, and how they are checked.
//! A body is checked by decoding it into its k8s-openapi type, as the real server decodes it into Go's.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    ConfigMap, Event, Namespace, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::route_schema;

/// A kind of object.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    /// Also its key: no two kinds here share one.
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
    /// Whether `metadata.generation` counts the changes of its spec.
    pub(super) generation: bool,
    /// Whether it has a status that ordinary writes do not reach.
    pub(super) status: bool,
    /// Decodes and encodes again; an error says why it cannot be decoded. A key that is gone afterwards is unknown.
    pub(super) check: fn(&Value) -> Result<Value, String>,
}

pub(super) const NAMESPACES: &str = "namespaces";
pub(super) const PODS: &str = "pods";
pub(super) const SERVICES: &str = "services";
pub(super) const EVENTS: &str = "events";
pub(super) const JOBS: &str = "jobs";
pub(super) const CRON_JOBS: &str = "cronjobs";
pub(super) const DEPLOYMENTS: &str = "deployments";
pub(super) const REPLICA_SETS: &str = "replicasets";
pub(super) const HTTP_ROUTES: &str = "httproutes";

const NAMESPACED: bool = true;

/// Every kind. Beyond those that have a controller here are the ones that a chart brings: they are kept, nothing acts.
pub(super) static KINDS: &[Kind] = &[
    kind::<Namespace>("", "v1", NAMESPACES, "Namespace", false).with_status(),
    kind::<Pod>("", "v1", PODS, "Pod", NAMESPACED)
        .with_status()
        .with_generation(),
    kind::<Service>("", "v1", SERVICES, "Service", NAMESPACED).with_status(),
    kind::<Event>("", "v1", EVENTS, "Event", NAMESPACED),
    kind::<ConfigMap>("", "v1", "configmaps", "ConfigMap", NAMESPACED),
    kind::<Secret>("", "v1", "secrets", "Secret", NAMESPACED),
    kind::<ServiceAccount>("", "v1", "serviceaccounts", "ServiceAccount", NAMESPACED),
    kind::<PersistentVolumeClaim>(
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        NAMESPACED,
    )
    .with_status(),
    kind::<Job>("batch", "v1", JOBS, "Job", NAMESPACED)
        .with_status()
        .with_generation(),
    kind::<CronJob>("batch", "v1", CRON_JOBS, "CronJob", NAMESPACED)
        .with_status()
        .with_generation(),
    kind::<Deployment>("apps", "v1", DEPLOYMENTS, "Deployment", NAMESPACED)
        .with_status()
        .with_generation(),
    kind::<ReplicaSet>("apps", "v1", REPLICA_SETS, "ReplicaSet", NAMESPACED)
        .with_status()
        .with_generation(),
    kind::<Ingress>("networking.k8s.io", "v1", "ingresses", "Ingress", NAMESPACED)
        .with_status()
        .with_generation(),
    kind::<NetworkPolicy>(
        "networking.k8s.io",
        "v1",
        "networkpolicies",
        "NetworkPolicy",
        NAMESPACED,
    )
    .with_generation(),
    kind::<PodDisruptionBudget>(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        NAMESPACED,
    )
    .with_status()
    .with_generation(),
    kind::<Role>("rbac.authorization.k8s.io", "v1", "roles", "Role", NAMESPACED),
    kind::<RoleBinding>(
        "rbac.authorization.k8s.io",
        "v1",
        "rolebindings",
        "RoleBinding",
        NAMESPACED,
    ),
    kind::<ClusterRole>(
        "rbac.authorization.k8s.io",
        "v1",
        "clusterroles",
        "ClusterRole",
        false,
    ),
    kind::<ClusterRoleBinding>(
        "rbac.authorization.k8s.io",
        "v1",
        "clusterrolebindings",
        "ClusterRoleBinding",
        false,
    ),
    Kind {
        group: "gateway.networking.k8s.io",
        version: "v1",
        plural: HTTP_ROUTES,
        kind: "HTTPRoute",
        namespaced: true,
        generation: true,
        status: true,
        check: route_schema::check,
    },
];

impl Kind {
    const fn with_generation(mut self) -> Self {
        self.generation = true;
        self
    }

    const fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    /// As objects write it.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether it comes from a CustomResourceDefinition: the items of its lists keep their kind.
    pub(super) fn is_custom(&self) -> bool {
        self.plural == HTTP_ROUTES
    }

    /// As messages name it: `jobs.batch`.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}

/// The kind of that plural.
pub(super) fn by_plural(plural: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.plural == plural)
}

/// The kind of that name, `Job` say.
pub(super) fn by_kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.kind == name)
}

const fn kind<T: DeserializeOwned + Serialize>(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
) -> Kind {
    Kind {
        group,
        version,
        plural,
        kind,
        namespaced,
        generation: false,
        status: false,
        check: typed::<T>,
    }
}

fn typed<T: DeserializeOwned + Serialize>(body: &Value) -> Result<Value, String> {
    let object = T::deserialize(body).map_err(|error| error.to_string())?;
    serde_json::to_value(object).map_err(|error| error.to_string())
}

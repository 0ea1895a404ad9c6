//! What the chart's roles grant, as single permissions, and how they compare with what is needed: sufficient and minimal.
//! It reads the roles as Kubernetes' authorizer does (a rule grants every verb on every resource of every group it names).

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value, json};

use super::helm::{binaries, of_kind, rendered, samples};

/// One verb on one resource; a subresource is written `pods/log`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Permission {
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) verb: String,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{} {}{dot}{}", self.verb, self.resource, self.group)
    }
}

/// A permission from its words: `get jobs.batch`, `list pods`.
fn permission(text: &str) -> Permission {
    let (verb, of) = text.split_once(' ').unwrap_or_else(|| panic!("{text}"));
    let (resource, group) = of.split_once('.').unwrap_or((of, ""));
    Permission {
        group: group.to_owned(),
        resource: resource.to_owned(),
        verb: verb.to_owned(),
    }
}

/// What the rules of a Role or ClusterRole grant.
///
/// # Panics
/// On a rule that grants by wildcard, or on a path: neither can be compared.
pub(crate) fn granted_by(role: &Value) -> BTreeSet<Permission> {
    let rules: Vec<PolicyRule> = serde_json::from_value(role["rules"].clone()).unwrap();
    let mut granted = BTreeSet::new();
    for rule in rules {
        assert_eq!(rule.non_resource_urls, None, "a path is granted");
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    assert!(
                        [group, resource, verb].iter().all(|word| *word != "*"),
                        "a wildcard is granted"
                    );
                    granted.insert(Permission {
                        group: group.clone(),
                        resource: resource.clone(),
                        verb: verb.clone(),
                    });
                }
            }
        }
    }
    granted
}

/// What all roles among the objects grant, wherever.
pub(crate) fn granted(objects: &[Value]) -> BTreeSet<Permission> {
    ["ClusterRole", "Role"]
        .into_iter()
        .flat_map(|kind| of_kind(objects, kind))
        .flat_map(granted_by)
        .collect()
}

/// What is needed and not granted, and what is granted and not needed, in words.
pub(crate) fn difference(granted: &BTreeSet<Permission>, needed: &BTreeSet<Permission>) -> Vec<String> {
    let missing = needed.difference(granted).map(|one| format!("missing: {one}"));
    let unused = granted.difference(needed).map(|one| format!("unused: {one}"));
    missing.chain(unused).collect()
}

/// The permissions that docs/kubernetes.md explains: the rows of its table, each `| verbs | resources | why |`.
fn documented() -> BTreeSet<Permission> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kubernetes.md");
    let document = std::fs::read_to_string(document).unwrap();
    let table = document
        .lines()
        .skip_while(|line| *line != "| may | on | why |")
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let words =
        |cell: &str| -> Vec<String> { cell.split(',').map(|word| word.trim().replace('`', "")).collect() };
    let mut found = BTreeSet::new();
    for line in table {
        let cells: Vec<&str> = line.split('|').collect();
        for verb in words(cells[1]) {
            found.extend(
                words(cells[2])
                    .iter()
                    .map(|resource| permission(&format!("{verb} {resource}"))),
            );
        }
    }
    assert!(!found.is_empty(), "the table was not found");
    found
}

#[test]
fn every_permission_is_explained_in_the_document_and_no_other() {
    for helm in binaries() {
        let granted = granted(&rendered(&helm, &published(), &[]));
        let found = difference(&granted, &documented());
        assert!(
            found.is_empty(),
            "the document against the chart: {}",
            found.join(", ")
        );
    }
}

#[test]
fn no_permission_opens_more_than_it_says() {
    let never = [
        "secrets",
        "pods/exec",
        "pods/attach",
        "pods/portforward",
        "nodes",
        "serviceaccounts/token",
    ];
    for helm in binaries() {
        for values in samples() {
            for one in granted(&rendered(&helm, &values, &[])) {
                assert!(!never.contains(&one.resource.as_str()), "{one}");
                assert!(!one.group.starts_with("rbac."), "{one}");
                let verbs = ["get", "list", "watch", "create", "patch", "delete"];
                assert!(verbs.contains(&one.verb.as_str()), "{one}");
            }
        }
    }
}

#[test]
fn routes_are_granted_only_where_services_are_published() {
    for helm in binaries() {
        let granted = granted(&rendered(&helm, &samples()[1], &[]));
        assert!(
            granted.iter().all(|one| one.resource != "httproutes"),
            "{granted:?}"
        );
        assert!(granted.contains(&permission("create jobs.batch")));
    }
}

#[test]
fn the_right_to_be_waited_for_is_granted_only_where_it_is_asked_for() {
    for helm in binaries() {
        let with = |set: &[&str]| granted(&rendered(&helm, &samples()[1], set));
        let asked = with(&["rbac.finalizers=true"]);
        assert_eq!(
            difference(&with(&[]), &asked),
            ["missing: update deployments/finalizers.apps"]
        );
    }
}

#[test]
fn a_confined_installation_creates_no_namespace_and_writes_only_where_it_was_told() {
    for helm in binaries() {
        let objects = rendered(&helm, &sample("confined"), &[]);
        let granted = granted(&objects);
        assert!(!granted.contains(&permission("create namespaces")), "{granted:?}");
        for binding in of_kind(&objects, "ClusterRoleBinding") {
            let role = of_kind(&objects, "ClusterRole")
                .into_iter()
                .find(|role| role["metadata"]["name"] == binding["roleRef"]["name"])
                .unwrap();
            for one in granted_by(role) {
                let read = ["list", "watch"].contains(&one.verb.as_str());
                assert!(read || one.resource == "namespaces", "everywhere: {one}");
            }
            for rule in role["rules"].as_array().unwrap() {
                let reads = rule["verbs"] == json!(["list", "watch"]);
                assert!(
                    reads || rule["resourceNames"] == json!(["data-team", "etl"]),
                    "{rule}"
                );
            }
        }
        let places: BTreeSet<&str> = of_kind(&objects, "RoleBinding")
            .iter()
            .map(|binding| binding["metadata"]["namespace"].as_str().unwrap())
            .collect();
        assert_eq!(places, BTreeSet::from(["builds", "data-team", "etl"]));
    }
}

#[test]
fn every_role_is_bound_to_the_servers_account_and_every_binding_has_its_role() {
    for helm in binaries() {
        for values in samples() {
            let objects = rendered(&helm, &values, &[]);
            let pod = &super::helm::deployment(&objects)["spec"]["template"]["spec"];
            let mut bound = BTreeSet::new();
            for kind in ["ClusterRoleBinding", "RoleBinding"] {
                for binding in of_kind(&objects, kind) {
                    let account = json!([{
                        "kind": "ServiceAccount",
                        "name": pod["serviceAccountName"],
                        "namespace": super::helm::NAMESPACE,
                    }]);
                    assert_eq!(binding["subjects"], account);
                    bound.insert(binding["roleRef"]["name"].as_str().unwrap().to_owned());
                }
            }
            let roles: BTreeSet<String> = ["ClusterRole", "Role"]
                .into_iter()
                .flat_map(|kind| of_kind(&objects, kind))
                .map(|role| role["metadata"]["name"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(bound, roles, "{}", values.display());
        }
    }
}

#[test]
fn a_difference_names_what_is_missing_and_what_is_unused() {
    let role = json!({"rules": [
        {"apiGroups": ["", "batch"], "resources": ["jobs", "pods/log"], "verbs": ["get"]},
    ]});
    let granted = granted_by(&role);
    let all = ["get jobs", "get jobs.batch", "get pods/log", "get pods/log.batch"].map(permission);
    assert_eq!(granted, BTreeSet::from(all));
    let needed = BTreeSet::from(["get jobs.batch", "create jobs.batch"].map(permission));
    assert_eq!(
        difference(&granted, &needed),
        [
            "missing: create jobs.batch",
            "unused: get jobs",
            "unused: get pods/log",
            "unused: get pods/log.batch"
        ]
    );
    assert_eq!(difference(&granted, &granted), [""; 0]);
}

#[test]
#[should_panic(expected = "a wildcard is granted")]
fn a_wildcard_is_never_taken_for_a_name() {
    granted_by(&json!({"rules": [{"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}]}));
}

/// The sample with everything in it.
pub(crate) fn published() -> std::path::PathBuf {
    sample("published")
}

/// The sample of that name.
pub(crate) fn sample(name: &str) -> std::path::PathBuf {
    super::helm::chart()
        .join("ci")
        .join(format!("{name}-values.yaml"))
}

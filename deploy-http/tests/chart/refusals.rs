//! Values that break the schema, or contradict one another, are refused before anything is installed, with their place.

use super::helm::{binaries, render, samples};

/// What is set on top of the plainest sample, and what has to be in the answer.
const REFUSED: &[(&[&str], &[&str])] = &[
    // The schema: unknown keys, wrong types, values with no meaning. Both helms name the place, each in its own words.
    (&["replicaCount=2"], &["replicaCount"]),
    (&["database.urlSecret=x"], &["database"]),
    (&["git.baseURL=https://git.example/"], &["baseURL"]),
    (&["internal.trustIdentity=loopback"], &["trustIdentity"]),
    (&["internal.protectReads=some"], &["protectReads"]),
    (&["limits.drain=20"], &["drain"]),
    (&["limits.maxConnections=many"], &["maxConnections"]),
    (&["limits.maxBody=1MB"], &["maxBody"]),
    (&["exposure.gateway=public"], &["gateway"]),
    (&["rbac.namespaces={Data}"], &["namespaces"]),
    (&["persistence.accessMode=ReadWriteMany"], &["accessMode"]),
    (&["instance=Data_Team"], &["instance"]),
    (&["external.prefix=apps"], &["prefix"]),
    (&["policy.document.rules[0].efect=allow"], &["efect"]),
    (
        &["podLabels.app\\.kubernetes\\.io/name=x"],
        &["app.kubernetes.io/name"],
    ),
    (&["podDisruptionBudget.enabled=maybe"], &["enabled"]),
    // What no single value can tell.
    (
        &["image.repository="],
        &["image.repository", "docs/kubernetes.md"],
    ),
    (
        &["tokens.jwks.configMap=a", "tokens.secret.name=b"],
        &["jwks.configMap and secret.name"],
    ),
    (&["tokens.jwks.configMap=a"], &["issuer and audience"]),
    (&["tokens.issuer=https://login.example"], &["no key"]),
    (
        &["external.enabled=true"],
        &["external.enabled", "internal.protectReads"],
    ),
    (&["external.route.enabled=true"], &["external.route.enabled"]),
    (
        &[
            "external.enabled=true",
            "internal.protectReads=none",
            "external.route.enabled=true",
        ],
        &["external.route.parentRefs"],
    ),
    (&["git.baseUrl=ssh://git@git.example/"], &["sshKey.secret"]),
    (&["git.baseUrl=http://git.example/"], &["allowHttp"]),
    (&["git.credentials.secret=x"], &["https://"]),
    (&["git.sshKey.secret=x"], &["ssh://"]),
    (
        &["policy.configMap=x", "policy.document.rules[0].effect=allow"],
        &["policy: document and configMap"],
    ),
    (&["exposure.auth=x"], &["exposure.gateway"]),
    (&["build.pushSecret=x"], &["build.namespace"]),
    (&["build.namespace=builds"], &["git.baseUrl"]),
    (
        &["build.namespace=apps", "git.baseUrl=https://git.example/"],
        &["a namespace of their own"],
    ),
];

#[test]
fn values_that_make_no_sense_are_refused_with_their_place() {
    for helm in binaries() {
        for (set, words) in REFUSED {
            let said = match render(&helm, &samples()[1], set) {
                Err(said) => said,
                Ok(_) => panic!("{} takes {set:?}", helm.display()),
            };
            for word in *words {
                assert!(said.contains(word), "{set:?} without {word:?}: {said}");
            }
        }
    }
}

#[test]
fn an_instance_is_never_cut_to_fit() {
    for helm in binaries() {
        let name = "a".repeat(63);
        let fits = format!("instance={name}");
        render(&helm, &samples()[1], &[&fits]).unwrap();
        let said = render(&helm, &samples()[1], &[&format!("{fits}a")]).unwrap_err();
        assert!(said.contains("instance"), "{said}");
    }
}

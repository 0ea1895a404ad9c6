//! That the server's pod is taken by a namespace that enforces Pod Security `restricted`
//! (kubernetes.io/docs/concepts/security/pod-security-standards), and that a policy stands before its listeners.

use serde_json::{Value, json};

use super::helm::{binaries, deployment, of_kind, rendered, samples};

#[test]
fn the_pod_keeps_to_the_restricted_standard() {
    for helm in binaries() {
        for values in samples() {
            let objects = rendered(&helm, &values, &[]);
            let pod = &deployment(&objects)["spec"]["template"]["spec"];
            for key in [
                "hostNetwork",
                "hostPID",
                "hostIPC",
                "initContainers",
                "ephemeralContainers",
            ] {
                assert!(pod[key].is_null(), "{key}");
            }
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(
                pod["securityContext"]["seccompProfile"],
                json!({"type": "RuntimeDefault"})
            );
            for volume in pod["volumes"].as_array().unwrap() {
                let kinds: Vec<&String> = volume
                    .as_object()
                    .unwrap()
                    .keys()
                    .filter(|key| *key != "name")
                    .collect();
                let allowed = ["configMap", "emptyDir", "persistentVolumeClaim", "secret"];
                assert!(
                    kinds.iter().all(|kind| allowed.contains(&kind.as_str())),
                    "{volume}"
                );
            }
            for container in pod["containers"].as_array().unwrap() {
                assert_eq!(
                    container["securityContext"],
                    json!({
                        "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]},
                    })
                );
            }
        }
    }
}

#[test]
fn secrets_are_mounted_as_folders_that_the_server_alone_reads() {
    for helm in binaries() {
        for values in samples() {
            let objects = rendered(&helm, &values, &[]);
            let pod = &deployment(&objects)["spec"]["template"]["spec"];
            assert_eq!(pod["containers"][0]["envFrom"], Value::Null);
            for variable in pod["containers"][0]["env"].as_array().unwrap() {
                assert!(
                    variable["valueFrom"].is_null(),
                    "a secret in a variable: {variable}"
                );
            }
            for volume in pod["volumes"].as_array().unwrap() {
                if let Some(secret) = volume.get("secret") {
                    assert_eq!(secret["defaultMode"], 0o440, "{volume}");
                }
            }
            for mount in pod["containers"][0]["volumeMounts"].as_array().unwrap() {
                assert!(mount["subPath"].is_null(), "never replaced: {mount}");
                let below_etc = mount["mountPath"].as_str().unwrap().starts_with("/etc/");
                assert_eq!(
                    mount["readOnly"] == true,
                    below_etc || mount["name"] == "templates",
                    "{mount}"
                );
            }
        }
    }
}

#[test]
fn every_mount_has_its_volume_and_every_volume_its_mount() {
    for helm in binaries() {
        for values in samples() {
            let objects = rendered(&helm, &values, &[]);
            let pod = &deployment(&objects)["spec"]["template"]["spec"];
            let names = |list: &Value| -> Vec<String> {
                let mut names: Vec<String> = list
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|entry| entry["name"].as_str().unwrap().to_owned())
                    .collect();
                names.sort();
                names
            };
            assert_eq!(
                names(&pod["volumes"]),
                names(&pod["containers"][0]["volumeMounts"])
            );
        }
    }
}

#[test]
fn only_one_server_ever_has_the_volume_and_it_has_the_time_to_drain() {
    for helm in binaries() {
        for (drain, grace) in [("20s", 30), ("1m", 70), ("1500ms", 12), ("0s", 10)] {
            let objects = rendered(&helm, &samples()[0], &[&format!("limits.drain={drain}")]);
            let spec = &deployment(&objects)["spec"];
            assert_eq!(spec["replicas"], 1);
            assert_eq!(spec["strategy"], json!({"type": "Recreate"}));
            assert_eq!(
                spec["template"]["spec"]["terminationGracePeriodSeconds"], grace,
                "{drain}"
            );
        }
    }
}

#[test]
fn the_internal_listener_is_reached_from_where_the_values_say_and_by_no_service_from_outside() {
    for helm in binaries() {
        for values in samples() {
            let objects = rendered(&helm, &values, &[]);
            for service in of_kind(&objects, "Service") {
                let spec = &service["spec"];
                let internal = spec["ports"][0]["targetPort"] == "internal";
                assert!(!internal || spec["type"] == "ClusterIP", "{service:#}");
                assert_eq!(spec["ports"].as_array().map(Vec::len), Some(1), "{service:#}");
            }
            for route in of_kind(&objects, "HTTPRoute") {
                let backend = route["spec"]["rules"][0]["backendRefs"][0]["name"]
                    .as_str()
                    .unwrap();
                assert!(backend.ends_with("-external"), "{route:#}");
            }
            for policy in of_kind(&objects, "NetworkPolicy") {
                let first = &policy["spec"]["ingress"][0];
                assert_eq!(first["ports"][0]["port"], "internal");
                assert!(
                    first["from"].as_array().is_some_and(|from| !from.is_empty()),
                    "{policy:#}"
                );
            }
        }
    }
}

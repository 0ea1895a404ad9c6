//! Whatever a workload says, its pods have no field but those listed here, and pass Pod Security.

use std::collections::BTreeSet;

use deploy_core::manifest::{
    ConcurrencyPolicy, EnvValue, EnvVar, Image, Labels, Published, PullPolicy, Resources,
};
use deploy_core::workload::{Container, Shape, Workload};
use deploy_testkit::builders::{task_id, workload};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{owner, parsed, rules, top, translator};
use crate::kubernetes::marks;
use crate::kubernetes::rules::Rules;

/// Every field that a pod of ours can have. `[]` is any element; what `*` stands for is a name of the user's.
const FIELDS: [&str; 31] = [
    "metadata.labels.*",
    "spec.automountServiceAccountToken",
    "spec.containers[].command[]",
    "spec.containers[].env[].name",
    "spec.containers[].env[].value",
    "spec.containers[].env[].valueFrom.secretKeyRef.key",
    "spec.containers[].env[].valueFrom.secretKeyRef.name",
    "spec.containers[].image",
    "spec.containers[].imagePullPolicy",
    "spec.containers[].name",
    "spec.containers[].ports[].containerPort",
    "spec.containers[].ports[].protocol",
    "spec.containers[].readinessProbe.failureThreshold",
    "spec.containers[].readinessProbe.periodSeconds",
    "spec.containers[].readinessProbe.tcpSocket.port",
    "spec.containers[].readinessProbe.timeoutSeconds",
    "spec.containers[].resources",
    "spec.containers[].resources.limits.cpu",
    "spec.containers[].resources.limits.memory",
    "spec.containers[].resources.requests.cpu",
    "spec.containers[].resources.requests.memory",
    "spec.containers[].securityContext.allowPrivilegeEscalation",
    "spec.containers[].securityContext.capabilities.drop[]",
    "spec.containers[].terminationMessagePolicy",
    "spec.containers[].command",
    "spec.enableServiceLinks",
    "spec.imagePullSecrets[].name",
    "spec.restartPolicy",
    "spec.securityContext.runAsNonRoot",
    "spec.securityContext.seccompProfile.type",
    "spec.terminationGracePeriodSeconds",
];

/// The paths of all leaves; an empty list or object is one.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                let key = if path == "metadata.labels" { "*" } else { key };
                let dot = if path.is_empty() { "" } else { "." };
                leaves(member, &format!("{path}{dot}{key}"), found);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for element in elements {
                leaves(element, &format!("{path}[]"), found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

/// The standard's controls, from its text and not from what we set.
fn breaks_restricted(pod: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let mut check = |holds: bool, control: &str| {
        if !holds {
            broken.push(control.to_owned());
        }
    };
    let unset_or_false = |value: &Value| value.is_null() || value == &json!(false);
    for namespace in ["hostNetwork", "hostPID", "hostIPC"] {
        check(unset_or_false(&pod[namespace]), namespace);
    }
    check(pod["volumes"].is_null(), "volume types");
    let shared = &pod["securityContext"];
    check(shared["sysctls"].is_null(), "sysctls");
    let containers = ["containers", "initContainers", "ephemeralContainers"];
    let containers = containers
        .iter()
        .filter_map(|list| pod[list].as_array())
        .flatten();
    for container in containers {
        let own = &container["securityContext"];
        check(unset_or_false(&own["privileged"]), "privileged");
        check(
            own["allowPrivilegeEscalation"] == json!(false),
            "privilege escalation",
        );
        let capabilities = &own["capabilities"];
        let drops_all = capabilities["drop"]
            .as_array()
            .is_some_and(|drop| drop.contains(&json!("ALL")));
        check(drops_all && capabilities["add"].is_null(), "capabilities");
        check(
            own["procMount"].is_null() || own["procMount"] == "Default",
            "proc mount",
        );
        let ports = container["ports"].as_array().into_iter().flatten();
        check(ports.clone().all(|port| port["hostPort"].is_null()), "host ports");
        let effective = |field: &str| {
            if own[field].is_null() {
                shared[field].clone()
            } else {
                own[field].clone()
            }
        };
        check(effective("runAsNonRoot") == json!(true), "running as non-root");
        check(effective("runAsUser") != json!(0), "running as non-root user");
        let seccomp = effective("seccompProfile");
        check(seccomp["type"] == "RuntimeDefault", "seccomp");
        for field in ["seLinuxOptions", "appArmorProfile", "windowsOptions"] {
            check(effective(field).is_null(), field);
        }
    }
    broken
}

/// The pods of any object of ours.
fn template(object: &Value) -> &Value {
    let spec = &object["spec"];
    let of_job = &spec["jobTemplate"]["spec"]["template"];
    if of_job.is_null() {
        &spec["template"]
    } else {
        of_job
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("privileged: true".to_owned()),
        Just("hostPath".to_owned())
    ]
}

/// Labels that the manifest's check would not let in, too: a record may be older than a rule.
fn any_labels() -> impl Strategy<Value = Labels> {
    let ours = vec![
        marks::MANAGED_BY,
        marks::INSTANCE,
        marks::WORKLOAD,
        marks::KIND,
        marks::TASK,
        marks::PIPELINE,
    ];
    let key = prop_oneof![text(), proptest::sample::select(ours).prop_map(str::to_owned)];
    btree_map(key, text(), 0..6).prop_map(|labels| serde_json::from_value(json!(labels)).unwrap())
}

fn any_container() -> impl Strategy<Value = Container> {
    let value = prop_oneof![
        text().prop_map(EnvValue::Literal),
        (text(), text()).prop_map(|(name, key)| EnvValue::Secret { name, key }),
    ];
    let env = (text(), value).prop_map(|(name, value)| EnvVar { name, value });
    let amount = || option::of((1_u32..1000).prop_map(|n| n.to_string().parse().unwrap()));
    let resources = (amount(), amount(), amount(), amount()).prop_map(
        |(cpu_request, cpu_limit, memory_request, memory_limit)| Resources {
            cpu_request,
            cpu_limit,
            memory_request,
            memory_limit,
        },
    );
    let policy = option::of(proptest::sample::select(vec![
        PullPolicy::Always,
        PullPolicy::IfNotPresent,
        PullPolicy::Never,
    ]));
    (
        text(),
        policy,
        option::of(vec(text(), 0..4)),
        vec(env, 0..4),
        resources,
    )
        .prop_map(|(image, pull_policy, command, env, resources)| Container {
            image: Image::Pulled(image),
            pull_policy,
            command,
            env,
            resources,
        })
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let published = option::of(
        (option::of(text()), text(), text(), any::<u32>(), any::<bool>()).prop_map(
            |(access, prefix, rewrite, timeout_ms, flag)| Published {
                access,
                prefix,
                rewrite,
                timeout_ms,
                sticky_sessions: flag,
                bypass_auth: !flag,
            },
        ),
    );
    let times = (any::<u8>(), option::of(any::<u32>()));
    prop_oneof![
        times.clone().prop_map(|(retries, timeout_seconds)| Shape::Job {
            retries,
            timeout_seconds
        }),
        times.prop_map(|(retries, timeout_seconds)| Shape::CronJob {
            schedule: parsed("@daily"),
            timezone: parsed("Asia/Tokyo"),
            concurrency: ConcurrencyPolicy::Allow,
            retries,
            timeout_seconds,
        }),
        any::<u32>().prop_map(|replicas| Shape::Deployment { replicas }),
        (any::<u32>(), any::<u16>(), published).prop_map(|(replicas, port, published)| Shape::Service {
            replicas,
            port,
            published
        }),
    ]
}

fn any_workload() -> impl Strategy<Value = Workload> {
    (any_labels(), any_container(), any_shape()).prop_map(|(labels, container, shape)| {
        let mut workload = workload().task(task_id(3)).shape(shape).build();
        workload.labels = labels;
        workload.container = container;
        workload
    })
}

proptest! {
    #[test]
    fn no_workload_puts_another_field_into_a_pod(workload in any_workload(), strict in any::<bool>()) {
        let rules = Rules { require_non_root: strict, ..rules() };
        let object = top(&translator(rules), &workload);
        let template = template(&object);
        prop_assert!(!template.is_null());
        let mut found = BTreeSet::new();
        leaves(template, "", &mut found);
        let unlisted: Vec<_> = found.iter().filter(|path| !FIELDS.contains(&path.as_str())).collect();
        prop_assert!(unlisted.is_empty(), "{unlisted:?}");
        let broken = breaks_restricted(&template["spec"]);
        let wanted: &[&str] = if strict { &[] } else { &["running as non-root"] };
        prop_assert_eq!(broken, wanted);
    }

    #[test]
    fn a_users_label_never_takes_the_place_of_ours(workload in any_workload()) {
        let translator = translator(rules());
        let object = top(&translator, &workload);
        let slot = workload.kind().slot();
        let ours = translator.marks.ours().into_iter().chain(marks::pods_of(slot, &workload.name));
        for (key, value) in ours {
            prop_assert_eq!(&object["metadata"]["labels"][&key], &json!(value));
            prop_assert_eq!(&template(&object)["metadata"]["labels"][&key], &json!(value));
        }
        prop_assert_eq!(&object["metadata"]["labels"][marks::TASK], &json!(workload.task));
        if let Some(service) = translator.service(&workload, &owner()) {
            let service = serde_json::to_value(service).unwrap();
            prop_assert_eq!(&service["metadata"]["labels"], &object["metadata"]["labels"]);
            prop_assert_eq!(&service["spec"]["selector"], &object["spec"]["selector"]["matchLabels"]);
        }
    }
}

#[test]
fn every_listed_field_is_one_that_some_workload_sets() {
    let rules = Rules {
        require_non_root: true,
        ..rules()
    };
    let mut found = BTreeSet::new();
    for workload in super::every_shape() {
        leaves(
            template(&top(&translator(rules.clone()), &workload)),
            "",
            &mut found,
        );
    }
    let mut least = workload().build();
    least.container.command = Some(Vec::new());
    leaves(template(&top(&translator(rules), &least)), "", &mut found);
    let listed: BTreeSet<String> = FIELDS.iter().map(|&path| path.to_owned()).collect();
    assert_eq!(found, listed);
}

//! The pod of every kind: one container, hardened. What is not set here no pod of ours has: no host namespace, no volume,
//! no service account, no added capability, no second container.
//! The fields are those of Pod Security's "restricted", but for non-root, which many images cannot do and is asked for
//! by the installation or the namespace (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>).

use std::collections::BTreeMap;

use deploy_core::manifest::{self, EnvValue, PullPolicy};
use deploy_core::workload::{Container, Workload};
use k8s_openapi::api::core::v1::{
    Capabilities, Container as PodContainer, ContainerPort, EnvVar, EnvVarSource, LocalObjectReference,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile,
    SecretKeySelector, SecurityContext, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Translator;

/// The name of the one container.
const CONTAINER: &str = "task";

/// Seconds from the first signal to the last. A kill is over 10 s after that (promises: grace + 10 s).
pub(in crate::kubernetes) const GRACE_SECONDS: i64 = 10;

/// What a kind of workload asks of its pods.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Jobs: never. What is kept running: always, which is unsaid.
    pub(super) restart: Restart,
    /// The port on which it answers when it is ready.
    pub(super) port: Option<u16>,
    /// Whether the namespace accepts no other.
    pub(super) non_root: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    Always,
    Never,
}

impl Translator {
    /// Neither task nor identity is in it: an unchanged redeploy has the same pods, and restarts none.
    pub(super) fn pods(&self, workload: &Workload, manner: Manner) -> PodTemplateSpec {
        PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(self.marks.of_pod(workload)),
                ..ObjectMeta::default()
            }),
            spec: Some(self.pod(workload, manner)),
        }
    }

    fn pod(&self, workload: &Workload, manner: Manner) -> PodSpec {
        let non_root = manner.non_root || self.rules.require_non_root;
        PodSpec {
            containers: vec![container(&workload.container, manner.port)],
            restart_policy: Some(
                match manner.restart {
                    Restart::Always => "Always",
                    Restart::Never => "Never",
                }
                .to_owned(),
            ),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            automount_service_account_token: Some(false),
            // Otherwise every Service of the namespace is in the environment, and may be mistaken for the task's own.
            enable_service_links: Some(false),
            security_context: Some(PodSecurityContext {
                run_as_non_root: non_root.then_some(true),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    localhost_profile: None,
                }),
                ..PodSecurityContext::default()
            }),
            image_pull_secrets: self.rules.image_pull_secret.as_ref().map(|name| {
                vec![LocalObjectReference {
                    name: name.to_string(),
                }]
            }),
            ..PodSpec::default()
        }
    }
}

fn container(container: &Container, port: Option<u16>) -> PodContainer {
    PodContainer {
        name: CONTAINER.to_owned(),
        image: Some(container.image.reference().to_owned()),
        image_pull_policy: container.pull_policy.map(|policy| pull_policy(policy).to_owned()),
        command: container.command.clone(),
        env: some_where_any(container.env.iter().map(variable).collect()),
        resources: Some(resources(&container.resources)),
        ports: port.map(|port| {
            vec![ContainerPort {
                container_port: i32::from(port),
                // Told, not left to the default: server-side apply knows a port by both.
                protocol: Some("TCP".to_owned()),
                ..ContainerPort::default()
            }]
        }),
        readiness_probe: port.map(answers_on),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            ..SecurityContext::default()
        }),
        // The kubelet keeps the log's end where a failure is read anyway; no log has to be asked for.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..PodContainer::default()
    }
}

/// Ready is when it takes connections. Without it a new version would get traffic before it listens.
fn answers_on(port: u16) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction {
            port: IntOrString::Int(i32::from(port)),
            host: None,
        }),
        period_seconds: Some(2),
        timeout_seconds: Some(2),
        failure_threshold: Some(3),
        ..Probe::default()
    }
}

const fn pull_policy(policy: PullPolicy) -> &'static str {
    match policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    }
}

fn variable(variable: &manifest::EnvVar) -> EnvVar {
    let (value, source) = match &variable.value {
        EnvValue::Literal(value) => (Some(value.clone()), None),
        EnvValue::Secret { name, key } => {
            let key = SecretKeySelector {
                name: name.clone(),
                key: key.clone(),
                optional: None,
            };
            let source = EnvVarSource {
                secret_key_ref: Some(key),
                ..EnvVarSource::default()
            };
            (None, Some(source))
        }
    };
    EnvVar {
        name: variable.name.clone(),
        value,
        value_from: source,
    }
}

/// The amounts as they were written: Kubernetes reads them as the manifest's check did.
pub(in crate::kubernetes) fn resources(resources: &manifest::Resources) -> ResourceRequirements {
    let amounts = |cpu: &Option<manifest::Quantity>, memory: &Option<manifest::Quantity>| {
        let amounts: BTreeMap<String, Quantity> = [("cpu", cpu), ("memory", memory)]
            .into_iter()
            .filter_map(|(name, amount)| Some((name.to_owned(), Quantity(amount.as_ref()?.to_string()))))
            .collect();
        (!amounts.is_empty()).then_some(amounts)
    };
    ResourceRequirements {
        requests: amounts(&resources.cpu_request, &resources.memory_request),
        limits: amounts(&resources.cpu_limit, &resources.memory_limit),
        claims: None,
    }
}

fn some_where_any<T>(all: Vec<T>) -> Option<Vec<T>> {
    (!all.is_empty()).then_some(all)
}

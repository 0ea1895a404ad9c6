//! A Deployment: pods that are kept running, and replaced one by one without losing any capacity.

use deploy_core::workload::{SlotKind, Workload};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Translator;
use super::pod::{Manner, Restart};
use crate::kubernetes::marks;

/// Seconds without progress after which Kubernetes calls a rollout failed; what a step of a pipeline waits by default.
const PROGRESS_DEADLINE_SECONDS: i32 = 600;

impl Translator {
    /// With a `port`, a pod is ready when it takes connections there.
    pub(super) fn deployment(
        &self,
        workload: &Workload,
        replicas: u32,
        port: Option<u16>,
        non_root: bool,
    ) -> Deployment {
        let manner = Manner {
            restart: Restart::Always,
            port,
            non_root,
        };
        Deployment {
            metadata: self.metadata(workload),
            spec: Some(DeploymentSpec {
                replicas: Some(i32::try_from(replicas).unwrap_or(i32::MAX)),
                selector: LabelSelector {
                    match_labels: Some(marks::pods_of(SlotKind::Deployment, &workload.name)),
                    match_expressions: None,
                },
                strategy: Some(DeploymentStrategy {
                    type_: Some("RollingUpdate".to_owned()),
                    rolling_update: Some(RollingUpdateDeployment {
                        max_surge: Some(IntOrString::Int(1)),
                        max_unavailable: Some(IntOrString::Int(0)),
                    }),
                }),
                progress_deadline_seconds: Some(PROGRESS_DEADLINE_SECONDS),
                // Going back is deploying the older version again; two are for who does it by hand.
                revision_history_limit: Some(2),
                // Said, so that a rollout which was paused by hand goes on when it is deployed again.
                paused: Some(false),
                template: self.pods(workload, manner),
                ..DeploymentSpec::default()
            }),
            status: None,
        }
    }
}

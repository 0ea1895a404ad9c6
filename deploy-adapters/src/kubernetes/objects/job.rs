//! A Job: one pod that runs to its end, and is tried again only as often as the manifest says.

use deploy_core::workload::{Shape, Workload};
use k8s_openapi::api::batch::v1::{Job, JobSpec};

use super::Translator;
use super::pod::{Manner, Restart};

impl Translator {
    /// A Job that runs, or, `suspended`, one that holds its name and never runs.
    pub(in crate::kubernetes) fn job(&self, workload: &Workload, suspended: bool, non_root: bool) -> Job {
        let mut spec = self.run_once(workload, non_root);
        spec.suspend = suspended.then_some(true);
        Job {
            metadata: self.metadata(workload),
            spec: Some(spec),
            status: None,
        }
    }

    /// No pod failure policy: it would start a pod again that was evicted, and with no retries nothing is ever started
    /// twice. No TTL: the name stays taken until the outcome is stored.
    pub(super) fn run_once(&self, workload: &Workload, non_root: bool) -> JobSpec {
        let (retries, timeout_seconds) = match &workload.shape {
            Shape::Job {
                retries,
                timeout_seconds,
            }
            | Shape::CronJob {
                retries,
                timeout_seconds,
                ..
            } => (*retries, *timeout_seconds),
            Shape::Deployment { .. } | Shape::Service { .. } => (0, None),
        };
        let manner = Manner {
            restart: Restart::Never,
            port: None,
            non_root,
        };
        JobSpec {
            backoff_limit: Some(i32::from(retries)),
            active_deadline_seconds: timeout_seconds.map(i64::from),
            completions: Some(1),
            parallelism: Some(1),
            // The next try begins when the last one has ended, never beside it.
            pod_replacement_policy: Some("Failed".to_owned()),
            template: self.pods(workload, manner),
            ..JobSpec::default()
        }
    }
}

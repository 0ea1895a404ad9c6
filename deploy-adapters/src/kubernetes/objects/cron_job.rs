//! A CronJob: Jobs on a schedule, in a time zone that is always said.

use deploy_core::manifest::{ConcurrencyPolicy, Schedule};
use deploy_core::workload::Workload;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, JobTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Translator;

/// How late a start may be, seconds. One that was missed by more (no control plane, or the last job still ran) is left out; of
/// several that were missed within it, one is made up. An hour outlasts an upgrade of the control plane, and has 60 starts
/// at most: the CronJob controller complains from 100 on.
const STARTING_DEADLINE_SECONDS: i64 = 3600;

/// How many finished Jobs of each outcome are kept to be looked at.
const HISTORY: i32 = 3;

/// When it starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times<'a> {
    pub(super) schedule: &'a Schedule,
    pub(super) timezone: &'a str,
    pub(super) concurrency: ConcurrencyPolicy,
}

impl Translator {
    pub(super) fn cron_job(&self, workload: &Workload, times: Times<'_>, non_root: bool) -> CronJob {
        CronJob {
            metadata: self.metadata(workload),
            spec: Some(CronJobSpec {
                schedule: times.schedule.to_string(),
                time_zone: Some(times.timezone.to_owned()),
                concurrency_policy: Some(concurrency_policy(times.concurrency).to_owned()),
                starting_deadline_seconds: Some(STARTING_DEADLINE_SECONDS),
                successful_jobs_history_limit: Some(HISTORY),
                failed_jobs_history_limit: Some(HISTORY),
                // Said, so that one which was suspended by hand runs again when it is deployed again.
                suspend: Some(false),
                job_template: JobTemplateSpec {
                    metadata: Some(ObjectMeta {
                        labels: Some(self.marks.of_pod(workload)),
                        ..ObjectMeta::default()
                    }),
                    spec: Some(self.run_once(workload, non_root)),
                },
            }),
            status: None,
        }
    }
}

const fn concurrency_policy(policy: ConcurrencyPolicy) -> &'static str {
    match policy {
        ConcurrencyPolicy::Allow => "Allow",
        ConcurrencyPolicy::Forbid => "Forbid",
        ConcurrencyPolicy::Replace => "Replace",
    }
}

//! Jobs: made once under their name, and stopped so that the name stays burnt. A create that may have been done is looked
//! for by its name, once, and never sent again.

use deploy_core::ports::ClusterError;
use deploy_core::workload::{Applied, Condition, ObjectRef, Workload};
use k8s_openapi::api::batch::v1::Job;
use serde_json::json;

use super::{TRIES, applied, place, uid};
use crate::kubernetes::KubernetesCluster;
use crate::kubernetes::call::Budget;
use crate::kubernetes::failure::{Access, Failure};
use crate::kubernetes::seen::SeenJob;

impl KubernetesCluster {
    /// Makes a job, or finds that it is there.
    pub(super) async fn create_job(
        &self,
        workload: &Workload,
        job: &Job,
        budget: Budget,
    ) -> Result<Applied, ClusterError> {
        let at = place::<Job>(&workload.object());
        for attempt in 0..TRIES {
            let answer = self.calls.create(&at, job, budget).await;
            let made = answer.and_then(|answer| self.note::<SeenJob>(Access::Write, &answer));
            match made {
                Ok(made) => return Ok(applied(&made.meta, true)),
                Err(Failure::AlreadyExists) => {
                    if let Some(found) = self.fetch::<SeenJob>(&at, budget).await? {
                        return Ok(applied(&adopted(&found, workload)?.meta, false));
                    }
                    // It went between the two calls, and this create was surely not done.
                }
                // A quota was counted by two at once; nothing was made.
                Err(Failure::Conflict(_)) => {}
                Err(Failure::Unknown(lost)) => {
                    return match self.fetch::<SeenJob>(&at, budget).await {
                        Ok(Some(found)) => Ok(applied(&adopted(&found, workload)?.meta, true)),
                        // It may still come.
                        Ok(None) | Err(_) => Err(ClusterError::Ambiguous(lost)),
                    };
                }
                Err(failure) => return Err(failure.into()),
            }
            self.pause(attempt).await;
        }
        Err(Failure::Conflict("the cluster was busy with this name".to_owned()).into())
    }

    /// Suspends a job, or makes one that is suspended, so that a late create meets it.
    pub(super) async fn stop_job(
        &self,
        workload: &Workload,
        budget: Budget,
    ) -> Result<Applied, ClusterError> {
        let object = workload.object();
        let at = place::<Job>(&object);
        let mut known = self
            .seen
            .job(&workload.namespace, &workload.name)
            .map(|job| (*job).clone());
        for attempt in 0..TRIES {
            let found = match known.take() {
                Some(found) => Some(found),
                None => self.fetch::<SeenJob>(&at, budget).await?,
            };
            let Some(found) = found else {
                let burnt = self.translator.job(workload, true, self.non_root(workload));
                let made = self.create_job(workload, &burnt, budget).await?;
                if made.created {
                    return Ok(made);
                }
                // A late create was first.
                continue;
            };
            let found = adopted(&found, workload)?;
            if found.is_suspended || self.has_ended(&object) {
                return Ok(applied(&found.meta, false));
            }
            let patch = json!({"metadata": {"uid": uid(&found.meta).0}, "spec": {"suspend": true}});
            let answer = self.calls.patch(&at, &patch, budget).await;
            let stopped = answer.and_then(|answer| self.note::<SeenJob>(Access::Write, &answer));
            match stopped {
                Ok(stopped) => return Ok(applied(&stopped.meta, false)),
                Err(Failure::Conflict(_) | Failure::Absent(_)) => self.pause(attempt).await,
                Err(Failure::Unknown(lost)) => {
                    return match self.fetch::<SeenJob>(&at, budget).await {
                        Ok(Some(found)) if found.is_suspended => {
                            Ok(applied(&adopted(&found, workload)?.meta, false))
                        }
                        Ok(_) | Err(_) => Err(ClusterError::Ambiguous(lost)),
                    };
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(Failure::Conflict("the cluster was busy with this name".to_owned()).into())
    }

    fn has_ended(&self, object: &ObjectRef) -> bool {
        self.seen
            .observed(object)
            .is_some_and(|observed| matches!(observed.condition, Condition::Ended(_)))
    }
}

/// The job, if it is this task's.
fn adopted<'a>(found: &'a SeenJob, workload: &Workload) -> Result<&'a SeenJob, ClusterError> {
    if !found.meta.is_ours || found.meta.owner_is_cron_job {
        return Err(ClusterError::NotOurs);
    }
    if found.meta.task == Some(workload.task) {
        Ok(found)
    } else {
        Err(ClusterError::Exists {
            task: found.meta.task,
            uid: uid(&found.meta),
        })
    }
}

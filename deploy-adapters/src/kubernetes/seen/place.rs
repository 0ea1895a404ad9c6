//! Whose state each kind bears on: a job's pod on its job, a service on the deployment of its name.

use deploy_core::workload::{Slot, SlotKind};

use super::meta::Meta;
use super::pods::SeenPod;
use super::shared::Shared;
use super::tops::SeenJob;

/// The place of a top object: its own name. A name that is none of ours has none.
pub(super) fn own(kind: SlotKind, meta: &Meta) -> Option<Slot> {
    Some(Slot {
        kind,
        namespace: meta.namespace.parse().ok()?,
        name: meta.name.parse().ok()?,
    })
}

/// A job's own, unless a cron job made it.
pub(super) fn of_job(job: &SeenJob) -> Option<Slot> {
    if job.meta.owner_is_cron_job {
        return None;
    }
    own(SlotKind::Job, &job.meta)
}

/// The job that has this uid.
pub(super) fn of_owner(shared: &Shared, uid: Option<&str>) -> Option<Slot> {
    let jobs = shared.jobs.read();
    of_job(jobs.by_uid(uid?)?)
}

/// The job that owns a pod; else the cron job or deployment whose labels it carries.
pub(super) fn of_pod(shared: &Shared, pod: &SeenPod) -> Option<Slot> {
    of_owner(shared, pod.meta.owner.as_deref()).or_else(|| {
        let (kind, name) = pod.meta.slot.as_ref()?;
        if *kind == SlotKind::Job {
            return None;
        }
        Some(Slot {
            kind: *kind,
            namespace: pod.meta.namespace.parse().ok()?,
            name: name.parse().ok()?,
        })
    })
}

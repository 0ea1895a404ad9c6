//! From a manifest to a workload: pure.

use uuid::Uuid;

use crate::manifest::{EnvVar, Image, Manifest, ManifestKind, Schedule, Violation};
use crate::names::{Identity, Namespace, PipelineId, ResourceName, StepName, TaskId};
use crate::workload::{Code, Container, Shape, Workload};

/// Where and as what a manifest is deployed.
pub(super) struct Placement {
    pub(super) task: TaskId,
    pub(super) identity: Identity,
    pub(super) run: Option<PipelineId>,
    pub(super) namespace: Namespace,
    /// `None` = the manifest's.
    pub(super) name: Option<ResourceName>,
    pub(super) code: Option<Code>,
}

/// What a request may override.
pub(super) enum Override {
    /// Nothing, or the schedule.
    Deploy(Option<Schedule>),
    /// A step ignores the schedule, and adds to the environment.
    Step(Vec<EnvVar>),
}

/// The workload a manifest becomes.
///
/// # Errors
/// What makes the two not fit together.
pub(super) fn workload(
    manifest: Manifest,
    placement: Placement,
    overriding: Override,
) -> Result<Workload, Vec<Violation>> {
    let mut env = manifest.env;
    let is_step = matches!(overriding, Override::Step(_));
    let schedule_given = match overriding {
        Override::Deploy(schedule) => schedule,
        Override::Step(overrides) => {
            override_env(&mut env, overrides);
            None
        }
    };
    let shape = match manifest.kind {
        ManifestKind::Job {
            schedule,
            timezone,
            concurrency,
            retries,
            timeout_seconds,
        } => match schedule_given.or(schedule).filter(|_| !is_step) {
            Some(schedule) => Shape::CronJob {
                schedule,
                timezone,
                concurrency,
                retries,
                timeout_seconds,
            },
            None => Shape::Job {
                retries,
                timeout_seconds,
            },
        },
        ManifestKind::Deployment { .. } | ManifestKind::Service { .. } if schedule_given.is_some() => {
            let message =
                "a schedule was given with the request, and only a job can have one; this is no job";
            return Err(vec![Violation::new("/type", message)]);
        }
        ManifestKind::Deployment { replicas, .. } => Shape::Deployment { replicas },
        ManifestKind::Service {
            replicas,
            port,
            published,
            ..
        } => Shape::Service {
            replicas,
            port,
            published,
        },
    };
    let workload = Workload {
        task: placement.task,
        identity: placement.identity,
        run: placement.run,
        namespace: placement.namespace,
        name: placement.name.unwrap_or(manifest.name),
        labels: manifest.labels,
        container: Container {
            image: manifest.image,
            pull_policy: manifest.pull_policy,
            command: manifest.command,
            env,
            resources: manifest.resources,
        },
        code: placement.code,
        shape,
    };
    match workload.kind().accepts_name(&workload.name) {
        Ok(()) => Ok(workload),
        Err(rule) => Err(vec![Violation::new("/name", rule)]),
    }
}

/// The name of a step's job: the step's, and ten characters of a hash of run and step, so that it is the same however
/// often it is made, and no other run's. UUIDv5 is SHA-1 over both; ten of base 32 are 50 bits of it.
pub(super) fn step_job_name(
    run: PipelineId,
    step: &StepName,
) -> Result<ResourceName, crate::names::NameError> {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = Uuid::new_v5(&run.uuid(), step.as_str().as_bytes()).as_u128();
    // The version and variant bits of a UUID are not hash; both lie outside its lowest 62 bits.
    let digit = |place: u32| {
        let index = usize::try_from((hash >> (5 * place)) & 31).unwrap_or_default();
        char::from(DIGITS[index])
    };
    let suffix: String = (0..10).map(digit).collect();
    format!("{}-{suffix}", step.slug()).parse()
}

/// Whether the image may have to be built.
pub(super) const fn wants_build(workload: &Workload) -> bool {
    matches!(workload.container.image, Image::Built(_)) && workload.code.is_some()
}

/// Seconds a step's rollout may take.
pub(super) fn rollout_seconds(kind: &ManifestKind) -> u32 {
    const DEFAULT: u32 = 600;
    match kind {
        ManifestKind::Job { .. } => DEFAULT,
        ManifestKind::Deployment { timeout_seconds, .. } | ManifestKind::Service { timeout_seconds, .. } => {
            timeout_seconds.unwrap_or(DEFAULT)
        }
    }
}

/// Whether a manifest has a schedule, which a step ignores.
pub(super) const fn has_schedule(kind: &ManifestKind) -> bool {
    matches!(
        kind,
        ManifestKind::Job {
            schedule: Some(_),
            ..
        }
    )
}

/// Whether a kind is a job's, so that a step's name is made for it.
pub(super) const fn is_job(kind: &ManifestKind) -> bool {
    matches!(kind, ManifestKind::Job { .. })
}

fn override_env(env: &mut Vec<EnvVar>, overrides: Vec<EnvVar>) {
    for variable in overrides {
        match env.iter_mut().find(|present| present.name == variable.name) {
            Some(present) => *present = variable,
            None => env.push(variable),
        }
    }
}

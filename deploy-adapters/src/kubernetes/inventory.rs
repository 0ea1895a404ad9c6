//! Lists out of the caches: no call, whatever is asked. They go on while the cluster is away, and say their age.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::names::{Namespace, TaskId};
use deploy_core::ports::{InventoryError, Listed, NamespaceError};
use deploy_core::workload::{NamespaceView, Pod};

use super::seen::{Seen, SeenNamespace, SeenPod};
use super::state;

/// The age of what was seen.
///
/// # Errors
/// Nothing was seen yet.
pub(super) fn age(seen: &Seen) -> Result<Duration, InventoryError> {
    seen.age()
        .ok_or_else(|| InventoryError::Unavailable(NotSeenYet.into()))
}

/// At most `limit` pods after `after`, by namespace and name.
///
/// # Errors
/// Nothing was seen yet.
pub(super) fn pods(
    seen: &Seen,
    namespace: Option<&Namespace>,
    after: Option<&(String, String)>,
    limit: usize,
) -> Result<Listed<Pod>, InventoryError> {
    let age = age(seen)?;
    let after = after.map(|(namespace, name)| (namespace.as_str(), name.as_str()));
    let found = seen.pods_after(namespace, after, limit);
    Ok(Listed {
        items: found.iter().filter_map(|found| pod(seen, found)).collect(),
        age,
    })
}

/// The pods of one task, by namespace and name.
///
/// # Errors
/// Nothing was seen yet.
pub(super) fn pods_of(seen: &Seen, task: TaskId) -> Result<Vec<Pod>, InventoryError> {
    age(seen)?;
    let slots = seen.slots_of(task);
    let mut found: Vec<Arc<SeenPod>> = slots.iter().flat_map(|slot| seen.pods_of(slot)).collect();
    found.sort_by(|a, b| (&a.meta.namespace, &a.meta.name).cmp(&(&b.meta.namespace, &b.meta.name)));
    Ok(found.iter().filter_map(|found| pod(seen, found)).collect())
}

/// At most `limit` namespaces after `after`, by name.
///
/// # Errors
/// Nothing was seen yet.
pub(super) fn namespaces(
    seen: &Seen,
    after: Option<&Namespace>,
    limit: usize,
) -> Result<Listed<NamespaceView>, NamespaceError> {
    let age = seen
        .age()
        .ok_or_else(|| NamespaceError::Unavailable(NotSeenYet.into()))?;
    let found = seen.namespaces_after(after);
    let views = found.iter().filter_map(|found| view(found));
    Ok(Listed {
        items: views.take(limit).collect(),
        age,
    })
}

/// The cluster has not been listed once.
#[derive(Debug, thiserror::Error)]
#[error("the first lists of the cluster are still under way")]
pub(super) struct NotSeenYet;

/// As the lists show it; a namespace's name is always a label, so none is left out.
fn pod(seen: &Seen, pod: &SeenPod) -> Option<Pod> {
    Some(Pod {
        name: (*pod.meta.name).to_owned(),
        namespace: pod.meta.namespace.parse().ok()?,
        task_id: seen.task_of(pod),
        phase: state::pod_phase(pod).to_owned(),
        reason: state::pod_reason(pod),
        restarts: pod.restarts,
        node: pod.node.as_deref().map(str::to_owned),
        started_at: pod.started_at,
    })
}

fn view(namespace: &SeenNamespace) -> Option<NamespaceView> {
    let meta = &namespace.meta;
    Some(NamespaceView {
        name: meta.name.parse().ok()?,
        // A claim that was edited into nonsense is nobody's in a list; who asks for the namespace is still refused.
        repository: meta.claim.as_deref().and_then(|claim| claim.parse().ok()),
        created_at: meta.created_at.unwrap_or_default(),
    })
}

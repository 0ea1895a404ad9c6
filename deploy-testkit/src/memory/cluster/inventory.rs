//! The lists, namespaces and logs of the cluster in memory.

use std::time::Duration;

use async_trait::async_trait;
use deploy_core::names::{Namespace, RepositoryName, TaskId};
use deploy_core::ports::{Inventory, InventoryError, Listed, Logs, LogsError, NamespaceError, Namespaces};
use deploy_core::workload::{Condition, NamespaceView, ObjectRef, Pod, Shape, Timestamp};

use super::{MemoryCluster, NamespaceEntry, Object, slot_of};

#[async_trait]
impl Inventory for MemoryCluster {
    async fn pods<'a>(
        &self,
        namespace: Option<&'a Namespace>,
        after: Option<&'a (String, String)>,
        limit: usize,
    ) -> Result<Listed<Pod>, InventoryError> {
        let place = |pod: &Pod| (pod.namespace.to_string(), pod.name.clone());
        let mut items: Vec<Pod> = self.state().objects.values().flat_map(pods).collect();
        items.retain(|pod| {
            namespace.is_none_or(|namespace| *namespace == pod.namespace)
                && after.is_none_or(|after| place(pod) > *after)
        });
        items.sort_by_cached_key(place);
        items.truncate(limit);
        Ok(Listed {
            items,
            age: Duration::ZERO,
        })
    }

    async fn pods_of(&self, task: TaskId) -> Result<Vec<Pod>, InventoryError> {
        let state = self.state();
        let object = state.places.get(&task).and_then(|slot| state.objects.get(slot));
        Ok(object.map(pods).unwrap_or_default())
    }

    async fn age(&self) -> Result<Duration, InventoryError> {
        Ok(Duration::ZERO)
    }
}

#[async_trait]
impl Namespaces for MemoryCluster {
    async fn ensure<'a>(
        &self,
        namespace: &'a Namespace,
        claim: Option<&'a RepositoryName>,
    ) -> Result<(), NamespaceError> {
        let created_at = self.inner.clock.now();
        let mut state = self.state();
        let entry = state
            .namespaces
            .entry(namespace.clone())
            .or_insert(NamespaceEntry {
                repository: None,
                created_at,
                is_foreign: false,
            });
        if entry.is_foreign {
            return Err(NamespaceError::Foreign);
        }
        match (&entry.repository, claim) {
            (Some(owner), Some(repository)) if owner != repository => Err(NamespaceError::Claimed),
            (None, Some(repository)) => {
                entry.repository = Some(repository.clone());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn list<'a>(
        &self,
        after: Option<&'a Namespace>,
        limit: usize,
    ) -> Result<Listed<NamespaceView>, NamespaceError> {
        let state = self.state();
        let ours = state.namespaces.iter().filter(|(_, entry)| !entry.is_foreign);
        let items = ours
            .filter(|(name, _)| after.is_none_or(|after| *name > after))
            .take(limit)
            .map(|(name, entry)| NamespaceView {
                name: name.clone(),
                repository: entry.repository.clone(),
                created_at: entry.created_at,
            });
        Ok(Listed {
            items: items.collect(),
            age: Duration::ZERO,
        })
    }
}

#[async_trait]
impl Logs for MemoryCluster {
    async fn tail(&self, object: &ObjectRef, task: TaskId, lines: usize) -> Result<String, LogsError> {
        let state = self.state();
        let slot = slot_of(object);
        if state.places.get(&task) != Some(&slot) {
            return Err(LogsError::NotFound);
        }
        let text = state.logs.get(&slot).ok_or(LogsError::NotFound)?;
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        Ok(all[all.len().saturating_sub(lines)..].concat())
    }
}

/// As many pods as the object's condition says there are.
fn pods(object: &Object) -> Vec<Pod> {
    let (count, phase, since): (u32, &str, Option<Timestamp>) = match &object.condition {
        Condition::Running { since } => (1, "Running", Some(*since)),
        Condition::Ended(ended) if ended.failure.is_some() => (1, "Failed", ended.started_at),
        Condition::Ended(ended) => (1, "Succeeded", ended.started_at),
        Condition::Ready { since } => match object.workload.shape {
            Shape::Deployment { replicas } | Shape::Service { replicas, .. } => {
                (replicas, "Running", Some(*since))
            }
            Shape::Job { .. } | Shape::CronJob { .. } => (0, "Running", None),
        },
        _ => (0, "Pending", None),
    };
    let pod = |index: u32| Pod {
        name: format!("{}-{index:05}", object.workload.name),
        namespace: object.workload.namespace.clone(),
        task_id: object.task,
        phase: phase.to_owned(),
        reason: None,
        restarts: 0,
        node: None,
        started_at: since,
    };
    (0..count).map(pod).collect()
}

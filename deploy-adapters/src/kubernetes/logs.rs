//! The end of what a task's containers wrote: asked of the kubelets through the API server, nothing is kept here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::error::BoxError;
use deploy_core::names::{Namespace, TaskId};
use deploy_core::ports::{Inventory, InventoryError, Listed, Logs, LogsError};
use deploy_core::workload::{Kind, ObjectRef, Pod};
use futures::stream::{self, StreamExt};
use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::api::LogParams;

use super::call::Place;
use super::failure::Failure;
use super::marks::CONTAINER;
use super::seen::SeenPod;
use super::{KubernetesCluster, inventory};

/// Of how many pods the logs are read; the newest count.
const PODS: usize = 10;
/// How many are read side by side.
const PODS_AT_ONCE: usize = 4;
/// How long the pod of a job is waited for.
const LATE: Duration = Duration::from_secs(2);
/// How much of one pod's log is read, bytes.
const LARGEST: i64 = 1 << 20;

#[async_trait]
impl Logs for KubernetesCluster {
    async fn tail(&self, object: &ObjectRef, task: TaskId, lines: usize) -> Result<String, LogsError> {
        if self.task_on(object) != Some(task) {
            return Err(LogsError::NotFound);
        }
        let mut pods = self.pods_to_read(object).await;
        pods.sort_by_key(|pod| (pod.meta.created_at, Arc::clone(&pod.meta.name)));
        let newest = pods.split_off(pods.len().saturating_sub(PODS));
        let budget = self.calls.budget();
        let parameters = LogParams {
            container: Some(CONTAINER.to_owned()),
            tail_lines: Some(i64::try_from(lines).unwrap_or(i64::MAX)),
            limit_bytes: Some(LARGEST),
            ..LogParams::default()
        };
        let texts: Vec<_> = stream::iter(newest)
            .map(|pod| {
                let parameters = &parameters;
                async move { self.log_of(&pod, parameters, budget).await }
            })
            .buffered(PODS_AT_ONCE)
            .collect()
            .await;
        let mut found = None::<String>;
        for text in texts {
            if let Some(text) = text? {
                found.get_or_insert_default().push_str(&text);
            }
        }
        found
            .map(|text| last_lines(&text, lines))
            .ok_or(LogsError::NotFound)
    }
}

#[async_trait]
impl Inventory for KubernetesCluster {
    async fn pods<'a>(
        &self,
        namespace: Option<&'a Namespace>,
        after: Option<&'a (String, String)>,
        limit: usize,
    ) -> Result<Listed<Pod>, InventoryError> {
        inventory::pods(&self.seen, namespace, after, limit)
    }

    async fn pods_of(&self, task: TaskId) -> Result<Vec<Pod>, InventoryError> {
        inventory::pods_of(&self.seen, task)
    }

    async fn age(&self) -> Result<Duration, InventoryError> {
        inventory::age(&self.seen)
    }
}

impl KubernetesCluster {
    /// The pods of an object. A job's end may be seen before its pod is, as each kind has a watch of its own.
    async fn pods_to_read(&self, object: &ObjectRef) -> Vec<Arc<SeenPod>> {
        let slot = object.slot();
        let seen = || Some(self.seen.pods_of(&slot)).filter(|pods| !pods.is_empty());
        if object.kind != Kind::Job {
            return seen().unwrap_or_default();
        }
        tokio::select! {
            biased;
            pods = self.seen.until(seen) => pods,
            () = self.clock.sleep(LATE) => Vec::new(),
        }
    }

    /// The task that is written on an object.
    fn task_on(&self, object: &ObjectRef) -> Option<TaskId> {
        let (namespace, name) = (&object.namespace, &object.name);
        match object.kind {
            Kind::Job => self.seen.job(namespace, name)?.meta.task,
            Kind::CronJob => self.seen.cron_job(namespace, name)?.meta.task,
            Kind::Deployment | Kind::Service => self.seen.deployment(namespace, name)?.meta.task,
        }
    }

    /// One pod's log; `None` where it has none yet, or none any more.
    async fn log_of(
        &self,
        pod: &SeenPod,
        parameters: &LogParams,
        budget: super::call::Budget,
    ) -> Result<Option<String>, LogsError> {
        let Ok(namespace) = pod.meta.namespace.parse::<Namespace>() else {
            return Ok(None);
        };
        let at = Place::of::<PodObject>(Some(&namespace), &pod.meta.name);
        match self.calls.log(&at, parameters, budget).await {
            Ok(mut text) => {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                Ok(Some(text))
            }
            // 404: the pod has gone; 400: its container has not started.
            Err(Failure::Absent(_) | Failure::Refused(_)) => Ok(None),
            Err(failure) => Err(LogsError::Unavailable(BoxError::from(failure))),
        }
    }
}

fn last_lines(text: &str, lines: usize) -> String {
    let all = text.split_inclusive('\n');
    let surplus = all.clone().count().saturating_sub(lines);
    all.skip(surplus).collect()
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines_are_whole_and_in_their_order() {
        let table = [
            ("", 3, ""),
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\n", 5, "a\n"),
            ("a\nb\n", 0, ""),
        ];
        for (text, lines, wanted) in table {
            assert_eq!(last_lines(text, lines), wanted, "{text:?} {lines}");
        }
    }
}

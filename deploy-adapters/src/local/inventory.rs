//! What runs, and what it wrote: answered from the records and the logs of this machine, which are never behind.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::error::BoxError;
use deploy_core::names::{Namespace, TaskId};
use deploy_core::ports::{Inventory, InventoryError, Listed, Logs, LogsError};
use deploy_core::workload::{ObjectRef, Pod};

use super::LocalCluster;
use super::code::blocking;
use super::logs;
use super::record::Record;

/// What pods say they run on.
const NODE: &str = "local";

#[async_trait]
impl Inventory for LocalCluster {
    async fn pods<'a>(
        &self,
        namespace: Option<&'a Namespace>,
        after: Option<&'a (String, String)>,
        limit: usize,
    ) -> Result<Listed<Pod>, InventoryError> {
        let mut items = Vec::new();
        for object in self.node.all() {
            if namespace.is_none_or(|namespace| *namespace == object.slot.namespace) {
                object.read(|record| items.extend(pods(record)));
            }
        }
        let place = |pod: &Pod| (pod.namespace.to_string(), pod.name.clone());
        items.retain(|pod| after.is_none_or(|after| place(pod) > *after));
        items.sort_by_cached_key(place);
        items.truncate(limit);
        Ok(Listed {
            items,
            age: Duration::ZERO,
        })
    }

    async fn pods_of(&self, task: TaskId) -> Result<Vec<Pod>, InventoryError> {
        let mut found = Vec::new();
        for object in self.node.all() {
            object.read(|record| {
                if record.workload.task == task {
                    found.extend(pods(record));
                }
            });
        }
        Ok(found)
    }

    async fn age(&self) -> Result<Duration, InventoryError> {
        Ok(Duration::ZERO)
    }
}

#[async_trait]
impl Logs for LocalCluster {
    /// One pod's log as it is; of several, each under a line with its name, as tail(1) shows several files.
    async fn tail(&self, object: &ObjectRef, task: TaskId, lines: usize) -> Result<String, LogsError> {
        let slot = object.slot();
        let Some(found) = self.node.object(&slot) else {
            return Err(LogsError::NotFound);
        };
        let pods: Vec<(String, PathBuf)> = found.read(|record| {
            let is_asked = record.workload.task == task && record.workload.kind() == object.kind;
            let pods = record.pods.iter().filter(|_| is_asked);
            pods.map(|pod| (pod.name.clone(), found.log(&self.node, &pod.name)))
                .collect()
        });
        let read = move || -> io::Result<Option<String>> {
            let mut texts = Vec::new();
            for (pod, log) in pods {
                if let Some(text) = logs::tail(&log, lines)? {
                    texts.push((pod, text));
                }
            }
            Ok(join(texts))
        };
        match blocking(read).await {
            Ok(Some(text)) => Ok(text),
            Ok(None) => Err(LogsError::NotFound),
            Err(error) => Err(LogsError::Unavailable(BoxError::from(error))),
        }
    }
}

fn join(mut texts: Vec<(String, String)>) -> Option<String> {
    if texts.len() <= 1 {
        return texts.pop().map(|(_, text)| text);
    }
    let titled = texts
        .into_iter()
        .map(|(pod, text)| format!("==> {pod} <==\n{text}"));
    Some(titled.collect::<Vec<_>>().join("\n"))
}

fn pods(record: &Record) -> impl Iterator<Item = Pod> {
    record.pods.iter().map(|pod| Pod {
        name: pod.name.clone(),
        namespace: record.workload.namespace.clone(),
        task_id: Some(record.workload.task),
        phase: pod.phase.as_str().to_owned(),
        reason: pod.reason.clone(),
        restarts: pod.restarts,
        node: Some(NODE.to_owned()),
        started_at: pod.started_at,
    })
}

//! The JSON of every answer, in the shapes of docs/api.md and nowhere else. It shows no environment, no command and no
//! annotation of anything, and it decides nothing: absent is null, and a time is RFC 3339, UTC, with milliseconds.

mod list;
mod run;
mod task;
mod work;

use deploy_core::names::{Branch, CommitId, Directory, RepositoryName};
use deploy_core::task::Source;
use deploy_core::workload::{Pod, Reason, Timestamp};
use serde::{Serialize, Serializer};

pub use list::{Continued, DeletedJson, Namespaces, Pods, Runs, Tasks, Templates};
pub use run::{RunItem, RunJson};
pub use task::{TaskItem, TaskJson};
pub use work::{TemplateJson, WorkJson};

/// Where in git a document was read.
#[derive(Debug, Serialize)]
struct SourceJson<'a> {
    repository: &'a RepositoryName,
    directory: &'a Directory,
    branch: &'a Branch,
    commit: &'a CommitId,
}

impl<'a> From<&'a Source> for SourceJson<'a> {
    fn from(source: &'a Source) -> Self {
        let Source {
            repository,
            directory,
            branch,
            commit,
        } = source;
        Self {
            repository,
            directory,
            branch,
            commit,
        }
    }
}

/// One pod.
#[derive(Debug, Serialize)]
struct PodJson<'a> {
    name: &'a str,
    namespace: &'a str,
    task_id: Option<String>,
    phase: &'a str,
    reason: Option<&'a Reason>,
    restarts: u32,
    node: Option<&'a str>,
    started_at: Option<Time>,
}

impl<'a> From<&'a Pod> for PodJson<'a> {
    fn from(pod: &'a Pod) -> Self {
        Self {
            name: &pod.name,
            namespace: pod.namespace.as_str(),
            task_id: pod.task_id.map(|id| id.to_string()),
            phase: &pod.phase,
            reason: pod.reason.as_ref(),
            restarts: pod.restarts,
            node: pod.node.as_deref(),
            started_at: pod.started_at.map(Time),
        }
    }
}

/// A time as it is written.
#[derive(Debug, Clone, Copy)]
struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

#[cfg(test)]
mod tests;

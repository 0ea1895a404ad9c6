//! What is in the cluster, for lists: from caches, with their age, never a call per request.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::BoxError;
use crate::names::{Namespace, RepositoryName, TaskId};
use crate::workload::{NamespaceView, ObjectRef, Pod};

/// A list and how old it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The items, sorted by namespace and name.
    pub items: Vec<T>,
    /// How long ago the cluster was last heard of.
    pub age: Duration,
}

/// Lists of what runs.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Inventory: Send + Sync {
    /// Pods of ours, in one namespace or all of them; at most `limit` of those after `after` = (namespace, name).
    async fn pods<'a>(
        &self,
        namespace: Option<&'a Namespace>,
        after: Option<&'a (String, String)>,
        limit: usize,
    ) -> Result<Listed<Pod>, InventoryError>;

    /// The pods of one task.
    async fn pods_of(&self, task: TaskId) -> Result<Vec<Pod>, InventoryError>;

    /// How long ago the cluster was last heard of.
    async fn age(&self) -> Result<Duration, InventoryError>;
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// Nothing was seen of the cluster yet.
    #[error("the cluster has not been seen yet")]
    Unavailable(#[source] BoxError),
}

/// Namespaces that tasks may be deployed into.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Namespaces: Send + Sync {
    /// Makes sure that the namespace exists and is ours, creating it on first use; with `claim`, that no other
    /// repository has derived it, and that this one has. A known namespace costs no call.
    async fn ensure<'a>(
        &self,
        namespace: &'a Namespace,
        claim: Option<&'a RepositoryName>,
    ) -> Result<(), NamespaceError>;

    /// The namespaces of ours, sorted by name; at most `limit` of those after `after`.
    async fn list<'a>(
        &self,
        after: Option<&'a Namespace>,
        limit: usize,
    ) -> Result<Listed<NamespaceView>, NamespaceError>;
}

/// Why a namespace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// It exists and was not created through this API.
    #[error("the namespace was not created through this API")]
    Foreign,
    /// Another repository claims it.
    #[error("the namespace belongs to another repository")]
    Claimed,
    /// It is being deleted.
    #[error("the namespace is being deleted")]
    Terminating,
    /// The cluster looked at it and said no.
    #[error("the cluster refused the namespace: {message}")]
    Refused {
        /// The cluster's own words.
        message: String,
    },
    /// It cannot be told now.
    #[error("the cluster cannot be reached")]
    Unavailable(#[source] BoxError),
}

/// The logs of tasks.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Logs: Send + Sync {
    /// The last `lines` lines of what the object's containers wrote.
    async fn tail(&self, object: &ObjectRef, task: TaskId, lines: usize) -> Result<String, LogsError>;
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// Nothing of that task has run, or its log is gone with its object.
    #[error("there is no log of that task")]
    NotFound,
    /// It cannot be read now.
    #[error("the log cannot be read")]
    Unavailable(#[source] BoxError),
}

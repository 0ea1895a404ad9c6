//! A cluster that runs workloads.

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::error::BoxError;
use crate::names::TaskId;
use crate::workload::{Applied, Deleted, ObjectRef, Observed, Review, Uid, Workload};

/// Applies, stops, deletes and observes objects. Everything is by name and safe to repeat: an engine that crashed
/// between recording and acting does it again.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Cluster: Send + Sync {
    /// What this cluster makes of a workload, before anything is stored. Pure.
    fn review(&self, workload: &Workload) -> Review;

    /// Creates the object, or updates it in place where the kind allows it. A job that exists under this name and
    /// carries this task's id is adopted; one that carries another's is [`ClusterError::Exists`].
    async fn apply(&self, workload: &Workload) -> Result<Applied, ClusterError>;

    /// Stops what runs, first gracefully, then by force, and leaves the name burnt: a job stays, suspended, or comes
    /// into being suspended, so that a late create meets it. Answers when the stop is accepted; that nothing runs any
    /// more is observed as [`crate::workload::Condition::Stopped`], or as its end where it ended first.
    async fn stop(&self, workload: &Workload) -> Result<Applied, ClusterError>;

    /// Removes the object and all that belongs to it, if it still is the incarnation `uid` (`None` = whichever is
    /// ours), and answers what was removed when it is gone. Empty where nothing of ours was there.
    async fn delete<'a>(
        &self,
        object: &'a ObjectRef,
        uid: Option<&'a Uid>,
    ) -> Result<Vec<Deleted>, ClusterError>;

    /// One look at an object; `None` where there is none of ours.
    async fn observe(
        &self,
        object: &ObjectRef,
        freshness: Freshness,
    ) -> Result<Option<Observed>, ClusterError>;

    /// Changes as they are seen, from now on; one stream, which never ends. Events may be lost, repeated or late: the
    /// engine also looks for itself. An object that is gone is not an event's but [`Cluster::observe`]'s to tell.
    fn watch(&self) -> BoxStream<'static, Observed>;
}

/// How a look at an object may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// From what was seen last.
    Cached,
    /// By asking now.
    Confirmed,
}

/// Why the cluster did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// An object of this name exists that is not ours. Final.
    #[error("an object of this name exists that was not created here")]
    NotOurs,
    /// A job of ours exists under this name, of another task.
    #[error("a job of another task exists under this name")]
    Exists {
        /// The task written on it, where readable.
        task: Option<TaskId>,
        /// Its incarnation.
        uid: Uid,
    },
    /// The cluster looked at it and said no. Final.
    #[error("the cluster refused: {message}")]
    Refused {
        /// The cluster's own words.
        message: String,
    },
    /// It was not done, and may be later.
    #[error("the cluster cannot be reached")]
    Unavailable {
        /// When to try again, where the cluster said so.
        retry_after: Option<std::time::Duration>,
        /// What lies below.
        #[source]
        source: BoxError,
    },
    /// It may or may not have been done: the connection broke, or the time was up, after it was sent.
    #[error("the cluster did not say whether it was done")]
    Ambiguous(#[source] BoxError),
}

//! Builds an image from a task's `code/`.

use async_trait::async_trait;

use crate::error::BoxError;
use crate::names::TaskId;
use crate::workload::Code;

/// Builds images.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ImageBuilder: Send + Sync {
    /// Builds `code` and pushes it to `destination`, or finds that this code is there already; answers the reference
    /// that pins what was built. Safe to repeat: the same code and destination are built once.
    async fn build(&self, task: TaskId, code: &Code, destination: &str) -> Result<String, BuildError>;
}

/// Why an image was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The build ran and failed. Final.
    #[error("the image could not be built: {message}")]
    Failed {
        /// The end of the build's log.
        message: String,
    },
    /// It was not done, and may be later.
    #[error("the image builder cannot be reached")]
    Unavailable(#[source] BoxError),
}

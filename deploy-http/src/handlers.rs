//! The handlers: each parses, calls one use case, renders. What none of them does: decide, retry, or look at anything
//! the gate has already checked.

pub mod deletes;
pub mod lists;
pub mod pipelines;
pub mod system;
pub mod tasks;
pub mod templates;
pub mod works;

use deploy_core::Deployer;
use tokio_util::sync::CancellationToken;

/// What handlers work with.
pub struct Services {
    /// The use cases.
    pub deployer: Deployer,
    /// Cancelled when the server drains: whoever waits is answered at once.
    pub drain: CancellationToken,
}

#[cfg(test)]
mod tests;

//! What users ask for, one file a use case. Each parses nothing (values come parsed), decides who may, asks the ports,
//! and leaves everything that lasts to the engine.

pub mod delete_task;
pub mod deploy_task;
pub mod kill_pipeline;
mod list;
pub mod load_configuration;
mod plan;
pub mod read;
pub mod run_pipeline;
mod sift;
mod sight;
mod source;
pub mod templates;

use crate::authz::{self, Action, Caller, Decision, Target};
use crate::deployer::Deployer;
use crate::error::{Error, ErrorCode};
use crate::names::{Namespace, RepositoryName};
use crate::ports::NamespaceError;

impl Deployer {
    /// Whether the caller may do this here.
    fn authorize(
        &self,
        caller: &Caller,
        action: Action,
        namespace: &Namespace,
        repository: Option<&RepositoryName>,
    ) -> Result<(), Error> {
        let target = Target {
            namespace: Some(namespace),
            repository,
        };
        match authz::decide(&self.policy, caller, action, target) {
            Decision::Allowed => Ok(()),
            Decision::Denied => Err(denied(action)),
            Decision::Reserved => Err(reserved()),
        }
    }

    /// Makes sure the namespace can be deployed into; with `claim`, that it is that repository's.
    async fn ensure_namespace(
        &self,
        namespace: &Namespace,
        claim: Option<&RepositoryName>,
    ) -> Result<(), Error> {
        self.ports.namespaces.ensure(namespace, claim).await.map_err(|error| match error {
            NamespaceError::Foreign => Error::new(
                ErrorCode::NamespaceForeign,
                "this namespace was not created through this API; an administrator can label it to hand it over",
            ),
            NamespaceError::Claimed => Error::new(
                ErrorCode::NamespaceClaimed,
                "another repository already deploys into the namespace that this repository's name gives; \
                 name a namespace explicitly, as in /v1/task/deployinas",
            ),
            NamespaceError::Terminating => {
                Error::new(ErrorCode::NamespaceTerminating, "the namespace is being deleted; try again when it is gone")
            }
            NamespaceError::Refused { message } => Error::new(ErrorCode::ClusterRefused, message),
            NamespaceError::Unavailable(source) => cluster_unavailable(source),
        })
    }
}

/// The namespace a repository deploys into when none is given.
fn default_namespace(repository: &RepositoryName) -> Result<Namespace, Error> {
    repository.default_namespace().ok_or_else(|| {
        Error::new(
            ErrorCode::NoDefaultNamespace,
            "this repository's name gives no namespace; name one, as in /v1/task/deployinas or /v1/pipeline/runinas",
        )
    })
}

fn denied(action: Action) -> Error {
    let detail = format!("the policy does not let you {} here", action.as_str());
    Error::new(ErrorCode::Denied, detail)
}

fn reserved() -> Error {
    Error::new(
        ErrorCode::NamespaceReserved,
        "this namespace is reserved; deploy into another one, as in /v1/task/deployinas",
    )
}

fn cluster_unavailable(source: impl Into<crate::error::BoxError>) -> Error {
    Error::new(
        ErrorCode::ClusterUnavailable,
        "the cluster cannot be reached now; nothing was done",
    )
    .retry_after(std::time::Duration::from_secs(5))
    .because(source)
}

//! What a reader sees: what they may not read is for them not there.

use crate::authz::{Action, Decision, Reader, Standing, Target};
use crate::deployer::Deployer;
use crate::names::{Namespace, RepositoryName};
use crate::pipeline::Run;
use crate::task::Task;

/// What one reader may read, found out once per request.
#[derive(Clone)]
pub(super) enum Sight<'p> {
    /// Reads are not protected.
    Everything,
    /// What the policy lets somebody read.
    Of(Standing<'p>),
}

impl Deployer {
    pub(super) fn sight(&self, reader: Reader<'_>) -> Sight<'_> {
        match reader {
            Reader::Anyone => Sight::Everything,
            Reader::Caller(caller) => Sight::Of(self.policy.standing(caller, Action::Read)),
        }
    }
}

impl Sight<'_> {
    /// Whether something of that namespace and repository may be read. Where it may not with a part left out, nothing may
    /// be read that has such a part.
    pub(super) fn shows(&self, namespace: Option<&Namespace>, repository: Option<&RepositoryName>) -> bool {
        match self {
            Self::Everything => true,
            Self::Of(standing) => {
                let target = Target {
                    namespace,
                    repository,
                };
                standing.on(target) == Decision::Allowed
            }
        }
    }

    /// Whether something of that repository may be read whichever its namespace.
    pub(super) fn shows_in_every_namespace(&self, repository: &RepositoryName) -> bool {
        match self {
            Self::Everything => true,
            Self::Of(standing) => standing.in_every_namespace(repository),
        }
    }

    pub(super) fn shows_task(&self, task: &Task) -> bool {
        let Target {
            namespace,
            repository,
        } = target_of(task);
        self.shows(namespace, repository)
    }

    pub(super) fn shows_run(&self, run: &Run) -> bool {
        let repository = run.source.as_ref().map(|source| &source.repository);
        self.shows(Some(&run.namespace), repository)
    }

    /// Whether what is in a namespace may be read, where that does not depend on the repository.
    pub(super) fn whatever_repository(&self, namespace: &Namespace) -> Option<bool> {
        match self {
            Self::Everything => Some(true),
            Self::Of(standing) => standing
                .whatever_repository(namespace)
                .map(|decision| decision == Decision::Allowed),
        }
    }
}

/// What is decided on where a task is concerned.
pub(super) fn target_of(task: &Task) -> Target<'_> {
    Target {
        namespace: Some(&task.workload.namespace),
        repository: task.source.as_ref().map(|source| &source.repository),
    }
}

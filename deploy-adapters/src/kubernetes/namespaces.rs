//! Namespaces: made on first use with our marks, never taken over from anybody. A repository's claim is a label, written
//! over the version that was read, so that of two who claim at once one is told.

use async_trait::async_trait;
use deploy_core::names::{Namespace, RepositoryName};
use deploy_core::ports::{Listed, NamespaceError, Namespaces};
use deploy_core::workload::NamespaceView;
use k8s_openapi::api::core::v1::Namespace as NamespaceObject;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::call::{Budget, Place};
use super::failure::{Access, Failure};
use super::marks::REPOSITORY;
use super::seen::SeenNamespace;
use super::{KubernetesCluster, inventory};

/// How often it is looked again where others make or claim the same namespace.
const TRIES: u32 = 6;

#[async_trait]
impl Namespaces for KubernetesCluster {
    async fn ensure<'a>(
        &self,
        namespace: &'a Namespace,
        claim: Option<&'a RepositoryName>,
    ) -> Result<(), NamespaceError> {
        let budget = self.calls.budget();
        let at = Place::of::<NamespaceObject>(None, namespace.as_str());
        let mut known = self.seen.namespace(namespace).map(|found| (*found).clone());
        for attempt in 0..TRIES {
            let found = match known.take() {
                Some(found) => Some(found),
                None => self.look_at_namespace(&at, budget).await?,
            };
            let done = match found {
                None => self.make(&at, namespace, claim, budget).await,
                Some(found) => match standing(&found, claim)? {
                    Standing::Settled => return Ok(()),
                    Standing::Unclaimed => self.claim(&at, &found, namespace, claim, budget).await,
                },
            };
            match done {
                Ok(()) => return Ok(()),
                // Somebody was first: what they made decides.
                Err(Failure::AlreadyExists | Failure::Conflict(_)) => self.pause(attempt).await,
                // Whether it was done is read, once.
                Err(Failure::Unknown(_)) if attempt == 0 => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(Failure::Conflict("others kept changing the namespace".to_owned()).into())
    }

    async fn list<'a>(
        &self,
        after: Option<&'a Namespace>,
        limit: usize,
    ) -> Result<Listed<NamespaceView>, NamespaceError> {
        inventory::namespaces(&self.seen, after, limit)
    }
}

/// What is left to do of a namespace of ours.
enum Standing {
    Settled,
    Unclaimed,
}

fn standing(found: &SeenNamespace, claim: Option<&RepositoryName>) -> Result<Standing, NamespaceError> {
    if !found.meta.is_ours {
        return Err(NamespaceError::Foreign);
    }
    if found.is_terminating {
        return Err(NamespaceError::Terminating);
    }
    match (found.meta.claim.as_deref(), claim) {
        (_, None) => Ok(Standing::Settled),
        (None, Some(_)) => Ok(Standing::Unclaimed),
        (Some(owner), Some(claim)) if owner == claim.as_str() => Ok(Standing::Settled),
        (Some(_), Some(_)) => Err(NamespaceError::Claimed),
    }
}

impl KubernetesCluster {
    async fn look_at_namespace(&self, at: &Place, budget: Budget) -> Result<Option<SeenNamespace>, Failure> {
        self.fetch::<SeenNamespace>(at, budget).await
    }

    async fn make(
        &self,
        at: &Place,
        namespace: &Namespace,
        claim: Option<&RepositoryName>,
        budget: Budget,
    ) -> Result<(), Failure> {
        let object = self.namespace_object(namespace, claim);
        let answer = self.calls.create(at, &object, budget).await?;
        self.note::<SeenNamespace>(Access::Write, &answer).map(|_| ())
    }

    async fn claim(
        &self,
        at: &Place,
        found: &SeenNamespace,
        namespace: &Namespace,
        claim: Option<&RepositoryName>,
        budget: Budget,
    ) -> Result<(), Failure> {
        let mut object = self.namespace_object(namespace, claim);
        object.metadata.uid = Some((*found.meta.uid).to_owned());
        object.metadata.resource_version = found.meta.version.map(|version| version.to_string());
        let answer = self.calls.apply(at, &object, budget).await?;
        self.note::<SeenNamespace>(Access::Write, &answer).map(|_| ())
    }

    fn namespace_object(&self, namespace: &Namespace, claim: Option<&RepositoryName>) -> NamespaceObject {
        let mut labels = self.marks.ours();
        // A claim comes with a derived namespace, whose name is the repository's: it always fits into a label.
        labels.extend(claim.map(|claim| (REPOSITORY.to_owned(), claim.to_string())));
        NamespaceObject {
            metadata: ObjectMeta {
                name: Some(namespace.to_string()),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            ..NamespaceObject::default()
        }
    }
}

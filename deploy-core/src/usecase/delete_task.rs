//! Deletes an object by its name, and for deployments and services their records too. Who may is decided on the repository
//! of whatever holds the name; what holds it is read once, in the engine, at the moment it counts.

use std::sync::Arc;

use crate::authz::{Action, Caller, Decision, Reader, Target};
use crate::deployer::Deployer;
use crate::engine::{Command, Objection};
use crate::error::{Error, ErrorCode};
use crate::names::{Namespace, ResourceName};
use crate::ports::ClusterError;
use crate::workload::{Deleted, Kind, ObjectRef};

use super::sight::target_of;
use super::{cluster_unavailable, denied, reserved};

/// When to ask again what the cluster has not said yet.
const SOON: std::time::Duration = std::time::Duration::from_secs(5);

impl Deployer {
    /// Deletes an object of ours, with all that belongs to it. Answers when it is gone. `reader` is what the caller may see:
    /// what they may neither delete nor read is for them not there.
    ///
    /// # Errors
    /// No such object or record; a deployment that belongs to a service; what the policy or the cluster say against it.
    pub async fn delete_task(
        &self,
        caller: &Caller,
        reader: Reader<'_>,
        kind: Kind,
        namespace: Namespace,
        name: ResourceName,
    ) -> Result<Vec<Deleted>, Error> {
        let standing = self.policy.standing(caller, Action::Delete);
        // Of what is not recorded the repository is not known: only who may delete whatever it is may delete that.
        let whatever = standing.on(Target {
            namespace: Some(&namespace),
            repository: None,
        });
        match whatever {
            Decision::Allowed => {}
            Decision::Reserved => return Err(reserved()),
            // Whatever is or is not there, the answer is the same.
            Decision::Denied if !standing.for_some_repository(&namespace) => {
                return Err(denied(Action::Delete));
            }
            Decision::Denied => {}
        }
        let object = ObjectRef {
            kind,
            namespace,
            name,
        };
        let asked = object.clone();
        let objection = self.objection_to_deleting(caller, reader, kind);
        match self
            .inbox
            .ask(|answer| Command::Delete {
                object: asked,
                objection,
                answer,
            })
            .await?
        {
            Some(deleted) if !deleted.is_empty() => Ok(deleted),
            // A record held the place, and its object had gone before.
            Some(_) => Ok(vec![record_of(&object)]),
            None if whatever == Decision::Allowed => self.delete_unrecorded(object).await,
            None => Err(not_found(kind)),
        }
    }

    fn objection_to_deleting(&self, caller: &Caller, reader: Reader<'_>, kind: Kind) -> Objection {
        let (policy, caller) = (Arc::clone(&self.policy), caller.clone());
        let reader = match reader {
            Reader::Anyone => None,
            Reader::Caller(reader) => Some(reader.clone()),
        };
        Box::new(move |holder| {
            let may = |who: &Caller, action| {
                policy.standing(who, action).on(target_of(holder)) == Decision::Allowed
            };
            if may(&caller, Action::Delete) {
                Ok(())
            } else if reader.as_ref().is_none_or(|reader| may(reader, Action::Read)) {
                Err(denied(Action::Delete))
            } else {
                Err(not_found(kind))
            }
        })
    }

    /// Nothing is recorded as holding the name: removes what is of ours under it, and the records that are left.
    async fn delete_unrecorded(&self, object: ObjectRef) -> Result<Vec<Deleted>, Error> {
        let slot = object.slot();
        let deleted = match self.ports.cluster.delete(&object, None).await {
            Ok(deleted) => deleted,
            Err(ClusterError::NotOurs) => Vec::new(),
            Err(ClusterError::Refused { message }) => {
                return Err(Error::new(ErrorCode::ClusterRefused, message));
            }
            Err(ClusterError::Ambiguous(source)) => {
                let detail = "the cluster has not said whether it is gone; ask again";
                return Err(Error::new(ErrorCode::ClusterUnavailable, detail)
                    .retry_after(SOON)
                    .because(source));
            }
            Err(error) => return Err(cluster_unavailable(error)),
        };
        let keeps_records = matches!(object.kind, Kind::Job | Kind::CronJob);
        let recorded = !keeps_records && self.ports.tasks.is_recorded(&slot).await?;
        if recorded {
            self.inbox.ask(|answer| Command::Forget { slot, answer }).await?;
        }
        match (deleted.is_empty(), recorded) {
            (false, _) => Ok(deleted),
            (true, true) => Ok(vec![record_of(&object)]),
            (true, false) => Err(not_found(object.kind)),
        }
    }
}

fn not_found(kind: Kind) -> Error {
    let detail = format!("there is no {kind} of this name that was created here");
    Error::new(ErrorCode::ObjectNotFound, detail)
}

fn record_of(object: &ObjectRef) -> Deleted {
    let ObjectRef {
        kind,
        namespace,
        name,
    } = object.clone();
    Deleted {
        kind,
        namespace,
        name,
        uid: None,
    }
}

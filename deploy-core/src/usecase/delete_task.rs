//! Deletes an object by its name, and for deployments and services their records too.

use crate::authz::{Action, Caller};
use crate::deployer::Deployer;
use crate::engine::Command;
use crate::error::{Error, ErrorCode};
use crate::names::{Namespace, ResourceName};
use crate::ports::ClusterError;
use crate::workload::{Deleted, Kind, ObjectRef};

use super::cluster_unavailable;

impl Deployer {
    /// Deletes an object of ours, with all that belongs to it. Answers when it is gone.
    ///
    /// # Errors
    /// No such object or record; a deployment that belongs to a service; what the policy or the cluster say against it.
    pub async fn delete_task(
        &self,
        caller: &Caller,
        kind: Kind,
        namespace: Namespace,
        name: ResourceName,
    ) -> Result<Vec<Deleted>, Error> {
        self.authorize(caller, Action::Delete, &namespace, None)?;
        let object = ObjectRef {
            kind,
            namespace,
            name,
        };
        let asked = object.clone();
        match self
            .inbox
            .ask(|answer| Command::Delete {
                object: asked,
                answer,
            })
            .await?
        {
            Some(deleted) if !deleted.is_empty() => Ok(deleted),
            // A record held the place, and its object had gone before.
            Some(_) => Ok(vec![record_of(&object)]),
            None => self.delete_unrecorded(object).await,
        }
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
            (true, false) => {
                let detail = format!("there is no {} of this name that was created here", object.kind);
                Err(Error::new(ErrorCode::ObjectNotFound, detail))
            }
        }
    }
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

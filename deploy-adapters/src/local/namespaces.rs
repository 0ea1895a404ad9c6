//! The namespaces of the local cluster: one file, and every namespace in it is ours. None is ever foreign, none
//! terminates.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::error::BoxError;
use deploy_core::names::{Namespace, RepositoryName};
use deploy_core::ports::{Listed, NamespaceError, Namespaces};
use deploy_core::workload::{NamespaceView, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::code::blocking;
use super::{LocalCluster, LocalError, store};

/// The namespaces of one data folder.
pub(super) struct NamespaceFile {
    path: PathBuf,
    known: Mutex<BTreeMap<Namespace, Claim>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claim {
    repository: Option<RepositoryName>,
    created_at: Timestamp,
}

impl NamespaceFile {
    /// Reads the file; none is the same as an empty one. Blocks.
    pub(super) fn open(path: PathBuf) -> Result<Self, LocalError> {
        let known = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => return Err(LocalError::Folder { path, source }),
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(known) => known,
                Err(error) => {
                    return Err(LocalError::Damaged {
                        path,
                        source: BoxError::from(error),
                    });
                }
            },
        };
        Ok(Self {
            path,
            known: Mutex::new(known),
        })
    }

    async fn ensure(
        &self,
        namespace: &Namespace,
        claim: Option<&RepositoryName>,
        now: Timestamp,
    ) -> Result<(), NamespaceError> {
        let mut known = self.known.lock().await;
        let mut entry = known.get(namespace).cloned();
        match (entry.as_ref().map(|entry| entry.repository.as_ref()), claim) {
            (Some(Some(owner)), Some(repository)) if owner != repository => {
                return Err(NamespaceError::Claimed);
            }
            (Some(Some(_)), _) | (Some(None), None) => return Ok(()),
            _ => {}
        }
        let entry = entry.get_or_insert(Claim {
            repository: None,
            created_at: now,
        });
        if claim.is_some() {
            entry.repository = claim.cloned();
        }
        let mut next = known.clone();
        next.insert(namespace.clone(), entry.clone());
        let (path, stored) = (self.path.clone(), next.clone());
        blocking(move || store::replace(&path, &serde_json::to_vec_pretty(&stored)?))
            .await
            .map_err(|error| NamespaceError::Unavailable(BoxError::from(error)))?;
        *known = next;
        Ok(())
    }
}

#[async_trait]
impl Namespaces for LocalCluster {
    async fn ensure<'a>(
        &self,
        namespace: &'a Namespace,
        claim: Option<&'a RepositoryName>,
    ) -> Result<(), NamespaceError> {
        let now = self.node.clock.now();
        self.node.namespaces.ensure(namespace, claim, now).await
    }

    async fn list<'a>(
        &self,
        after: Option<&'a Namespace>,
        limit: usize,
    ) -> Result<Listed<NamespaceView>, NamespaceError> {
        let known = self.node.namespaces.known.lock().await;
        let items = known
            .iter()
            .filter(|(name, _)| after.is_none_or(|after| *name > after))
            .take(limit)
            .map(|(name, claim)| NamespaceView {
                name: name.clone(),
                repository: claim.repository.clone(),
                created_at: claim.created_at,
            })
            .collect();
        Ok(Listed {
            items,
            age: Duration::ZERO,
        })
    }
}

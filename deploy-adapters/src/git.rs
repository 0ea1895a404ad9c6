//! Repositories read through libgit2: a folder in place, or a server over http(s) or ssh with one bare cache a
//! repository.
//!
//! Files are read out of the object database. It refuses to check out, to run a hook or filter, to follow a symbolic
//! link or submodule of a tree, to follow a redirect, and to show credentials to any server but the base URL's.
//!
//! What it cannot do: libgit2 can be neither interrupted nor bounded in memory from inside its process. A caller always
//! gets its answer in time, but over ssh the thread of a server that drips bytes stays until the server lets go, and a
//! crafted pack can make it allocate a gigabyte. Against servers that are not ours it belongs in a process of its own.

mod access;
mod base;
mod cache;
mod credentials;
mod export;
mod failure;
mod fetch;
mod flights;
mod http;
mod known_hosts;
mod publish;
mod settings;
mod ssh;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deploy_core::error::BoxError;
use deploy_core::names::{Branch, CommitId, Directory, RepositoryName};
use deploy_core::ports::{Resolved, SourceError, SourceRepository};
use git2::{ErrorCode, Oid, Repository};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

pub use access::{AccessError, Flaw, GitAccess};
pub use base::{BaseError, GitBase, RemoteBase};
pub use publish::{PublishError, publish};

use access::Access;
use cache::Cache;
use failure::Failure;
use fetch::{Errand, Want, choose};
use flights::{Doors, Flights};

/// What [`GitRepositories`] is made from.
#[derive(Debug, Clone)]
pub struct GitConfig {
    /// Where repositories are.
    pub base: GitBase,
    /// What opens the server, where it is one.
    pub access: GitAccess,
    /// The branch when none is given.
    pub default_branch: Branch,
    /// Where caches are kept; of one process alone. Not touched for a base that is a folder.
    pub cache: PathBuf,
    /// How much and how long.
    pub limits: GitLimits,
}

/// Bounds on what git may cost.
#[derive(Debug, Clone, Copy)]
pub struct GitLimits {
    /// The longest a call takes, waiting for its turn included. Exports alone are bounded by size instead.
    pub timeout: Duration,
    /// The most one fetch receives, bytes.
    pub max_bytes: usize,
    /// A cache of more packs is begun anew at the next fetch (libgit2 has no gc).
    pub max_packs: usize,
    /// A cache of more bytes is begun anew at the next fetch.
    pub max_cache_bytes: u64,
    /// The most one export writes, bytes.
    pub max_export_bytes: u64,
    /// How many repositories are asked at once.
    pub connections: usize,
    /// How many reads and exports run at once.
    pub readers: usize,
}

impl Default for GitLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_bytes: 256 << 20,
            max_packs: 50,
            max_cache_bytes: 1 << 30,
            max_export_bytes: 128 << 20,
            connections: 8,
            readers: 8,
        }
    }
}

/// Why git cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum GitConfigError {
    /// The cache folder cannot be used.
    #[error("the git cache folder cannot be used")]
    Cache(#[source] std::io::Error),
    /// The cache folder is another process's.
    #[error("the git cache folder is in use by another process")]
    CacheInUse,
    /// What should open the server does not.
    #[error("the git server cannot be opened")]
    Access(#[source] AccessError),
    /// libgit2 does not take its settings.
    #[error("libgit2 refuses its settings")]
    Settings(#[source] BoxError),
}

/// [`SourceRepository`] over libgit2. Needs a tokio runtime; its time limits are libgit2's, hence the process's: those of
/// the first instance are taken.
#[derive(Debug)]
pub struct GitRepositories {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    default_branch: Branch,
    limits: GitLimits,
    /// Bounds threads on the network, so that slow servers never hold up a read.
    connections: Arc<Semaphore>,
    /// Bounds threads on the disk.
    readers: Arc<Semaphore>,
    flights: Flights<(RepositoryName, Want), Result<Resolved, Failure>>,
}

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Remote {
        base: RemoteBase,
        access: Access,
        cache: Cache,
    },
}

impl GitRepositories {
    /// Opens the cache. Blocks on the disk for a moment.
    pub fn new(config: GitConfig) -> Result<Self, GitConfigError> {
        let GitConfig {
            base,
            access,
            default_branch,
            cache,
            limits,
        } = config;
        settings::isolate()
            .and_then(|()| settings::limit_time(limits.timeout))
            .map_err(|e| GitConfigError::Settings(e.into()))?;
        let place = match base {
            GitBase::Folder(folder) => Place::Folder(folder),
            GitBase::Remote(base) => {
                let opened = Cache::open(cache.clone())?;
                Place::Remote {
                    access: Access::open(base.clone(), &access, &cache).map_err(GitConfigError::Access)?,
                    base,
                    cache: opened,
                }
            }
        };
        let shared = Shared {
            place,
            default_branch,
            limits,
            connections: Arc::new(Semaphore::new(limits.connections.max(1))),
            readers: Arc::new(Semaphore::new(limits.readers.max(1))),
            flights: Flights::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Runs `work` at a commit, in a thread of its own; fetches the commit first where the cache has lost it.
    async fn at<T: Send + 'static>(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        work: impl Fn(&Repository, Oid) -> Result<T, Failure> + Send + Sync + 'static,
    ) -> Result<T, Failure> {
        let oid = Oid::from_str(commit.as_str()).map_err(Failure::answer)?;
        let work = Arc::new(work);
        let (base, cache) = match &self.shared.place {
            Place::Folder(folder) => {
                let (folder, repository) = (folder.clone(), repository.clone());
                return self
                    .reading(move || work(&base::open_in(&folder, &repository)?, oid))
                    .await;
            }
            Place::Remote { base, cache, .. } => (base, cache),
        };
        let slot = cache.slot(&base.url_of(repository), repository);
        let again = (Arc::clone(&slot), Arc::clone(&work));
        match self.reading(move || slot.at(oid, &*work)).await {
            Err(Failure::CommitAbsent | Failure::Corrupt(_)) => {
                self.landed(repository, Want::Commit(commit.clone())).await?;
                let (slot, work) = again;
                self.reading(move || slot.at(oid, &*work)).await
            }
            answer => answer,
        }
    }

    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let permit = Arc::clone(&self.shared.readers).acquire_owned().await;
        blocking(permit.map_err(Failure::unavailable)?, work).await
    }

    /// The answer of the flight for `want`, joined or begun.
    async fn landed(&self, repository: &RepositoryName, want: Want) -> Result<Resolved, Failure> {
        let shared = Arc::clone(&self.shared);
        let key = (repository.clone(), want);
        let flight = self.shared.flights.join(key, |(repository, want), doors| {
            shared.fly(repository, want, doors)
        });
        self.in_time(flight).await
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let timed = tokio::time::timeout(self.shared.limits.timeout, answer).await;
        timed.unwrap_or(Err(Failure::Timeout))
    }
}

impl Shared {
    /// One look at the remote. The repository's turn is taken before a connection is, so that a server that does not let
    /// go of one repository costs the others one connection at most.
    async fn fly(
        self: Arc<Self>,
        repository: RepositoryName,
        want: Want,
        doors: Doors<(RepositoryName, Want), Result<Resolved, Failure>>,
    ) -> Result<Resolved, Failure> {
        let Place::Remote { base, cache, .. } = &self.place else {
            return Err(Failure::CommitAbsent);
        };
        let url = base.url_of(&repository);
        let slot = cache.slot(&url, &repository);
        let turn = slot.turn().await;
        let permit = Arc::clone(&self.connections).acquire_owned().await;
        let permit = permit.map_err(Failure::unavailable)?;
        // Who comes from here on may ask about a push that this look no longer sees.
        drop(doors);
        let deadline = Instant::now() + self.limits.timeout;
        let held: (OwnedMutexGuard<()>, OwnedSemaphorePermit) = (turn, permit);
        let shared = Arc::clone(&self);
        blocking(held, move || {
            let Place::Remote { access, .. } = &shared.place else {
                return Err(Failure::CommitAbsent);
            };
            let errand = Errand {
                url: &url,
                access,
                want: &want,
                default: &shared.default_branch,
                limits: &shared.limits,
                deadline,
            };
            fetch::look(&slot, &errand)
        })
        .await
    }
}

/// Runs `work` where it may block, holding `held` until it ends, even when nobody waits for it any more.
async fn blocking<T: Send + 'static>(
    held: impl Send + 'static,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let ended = tokio::task::spawn_blocking(move || {
        let answer = work();
        drop(held);
        answer
    });
    // A panic in libgit2's binding, or a runtime that shuts down.
    ended.await.map_err(Failure::unavailable)?
}

/// A branch of a repository on disk.
fn resolve_in_place(repository: &Repository, want: &Want, default: &Branch) -> Result<Resolved, Failure> {
    let wanted = match want {
        Want::Branch(branch) => branch,
        Want::Default | Want::Commit(_) => default,
    };
    let wanted = format!("refs/heads/{wanted}");
    let commit_of = |name: &str| match repository.find_reference(name) {
        Ok(reference) => reference.peel_to_commit().map(|commit| Some(commit.id())),
        Err(error) => Err(error),
    };
    let commit_of = |name| match commit_of(name) {
        Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::UnbornBranch) => Ok(None),
        found => found.map_err(Failure::answer),
    };
    let head = repository.find_reference("HEAD").map_err(Failure::answer)?;
    let symbolic = head.symbolic_target().ok().flatten();
    let head = commit_of("HEAD")?.map(|oid| fetch::Head {
        name: "HEAD",
        oid,
        symbolic,
    });
    let branch = commit_of(&wanted)?.map(|oid| fetch::Head {
        name: &wanted,
        oid,
        symbolic: None,
    });
    let chosen = choose(head.into_iter().chain(branch), want, default)?;
    chosen.resolved().ok_or(Failure::BranchNotFound)
}

#[async_trait]
impl SourceRepository for GitRepositories {
    async fn resolve<'a>(
        &self,
        repository: &'a RepositoryName,
        branch: Option<&'a Branch>,
    ) -> Result<Resolved, SourceError> {
        let want = branch.map_or(Want::Default, |branch| Want::Branch(branch.clone()));
        let answer = match &self.shared.place {
            Place::Remote { .. } => self.landed(repository, want).await,
            Place::Folder(folder) => {
                let (folder, repository) = (folder.clone(), repository.clone());
                let default = self.shared.default_branch.clone();
                let look = move || resolve_in_place(&base::open_in(&folder, &repository)?, &want, &default);
                self.in_time(self.reading(look)).await
            }
        };
        Ok(answer?)
    }

    async fn read(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        directory: &Directory,
        path: &str,
        limit: usize,
    ) -> Result<Vec<u8>, SourceError> {
        let path = tree::below(directory, path);
        let work = move |repository: &Repository, commit| tree::read(repository, commit, &path, limit as u64);
        Ok(self.in_time(self.at(repository, commit, work)).await?)
    }

    async fn tree_hash(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        directory: &Directory,
        path: &str,
    ) -> Result<String, SourceError> {
        let path = tree::below(directory, path);
        let work = move |repository: &Repository, commit| tree::hash(repository, commit, &path);
        Ok(self.in_time(self.at(repository, commit, work)).await?)
    }

    async fn export(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        directory: &Directory,
        path: &str,
        to: &Path,
    ) -> Result<(), SourceError> {
        let (path, to) = (tree::below(directory, path), to.to_owned());
        let limit = self.shared.limits.max_export_bytes;
        let work =
            move |repository: &Repository, commit| export::write(repository, commit, &path, limit, &to);
        Ok(self.at(repository, commit, work).await?)
    }
}

//! Repositories in memory, with git's meaning and none of its machinery: no objects, no history, no network. Failures
//! are scripted per operation, calls are logged.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use deploy_core::names::{Branch, CommitId, Directory, RepositoryName};
use deploy_core::ports::{Resolved, SourceError, SourceRepository};
use uuid::Uuid;

use crate::contract::source_repository::Publisher;
use crate::fixture::tree::{Content, Entry};

/// [`SourceRepository`] in memory.
#[derive(Debug)]
pub struct MemorySourceRepository {
    default_branch: Branch,
    state: Mutex<State>,
}

/// The operations of the port, to script failures by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceOperation {
    /// [`SourceRepository::resolve`]
    Resolve,
    /// [`SourceRepository::read`]
    Read,
    /// [`SourceRepository::tree_hash`]
    TreeHash,
    /// [`SourceRepository::export`]
    Export,
}

/// A call as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCall {
    /// What was called.
    pub operation: SourceOperation,
    /// On which repository.
    pub repository: RepositoryName,
    /// The branch of a resolve that named one, the path below the repository of everything else.
    pub what: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    repositories: BTreeMap<RepositoryName, Repository>,
    failures: HashMap<SourceOperation, VecDeque<SourceError>>,
    calls: Vec<SourceCall>,
}

#[derive(Debug)]
struct Repository {
    head: Option<Branch>,
    branches: BTreeMap<Branch, CommitId>,
    commits: BTreeMap<CommitId, Arc<Vec<Entry>>>,
}

/// What is at a path of a commit.
enum Found<'a> {
    File(&'a [u8]),
    Folder(Vec<(&'a str, &'a Content)>),
}

impl MemorySourceRepository {
    /// No repositories; `default_branch` is the branch when none is given.
    #[must_use]
    pub fn new(default_branch: Branch) -> Self {
        Self {
            default_branch,
            state: Mutex::default(),
        }
    }

    /// The next call of `operation` fails with `error`; several are used up in the order given.
    pub fn fail_next(&self, operation: SourceOperation, error: SourceError) {
        let mut state = self.lock();
        state.failures.entry(operation).or_default().push_back(error);
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<SourceCall> {
        self.lock().calls.clone()
    }

    /// Removes a branch; its commits stay.
    pub fn delete_branch(&self, repository: &RepositoryName, branch: &Branch) {
        if let Some(found) = self.lock().repositories.get_mut(repository) {
            found.branches.remove(branch);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries of a commit, after the call is logged and unless it is to fail.
    fn commit(
        &self,
        operation: SourceOperation,
        repository: &RepositoryName,
        commit: &CommitId,
        path: &str,
    ) -> Result<Arc<Vec<Entry>>, SourceError> {
        let mut state = self.lock();
        state.begin(operation, repository, Some(path.to_owned()))?;
        let repository = state
            .repositories
            .get(repository)
            .ok_or(SourceError::RepositoryNotFound)?;
        let entries = repository.commits.get(commit);
        entries
            .cloned()
            .ok_or_else(|| SourceError::Unavailable("no such commit".into()))
    }
}

impl State {
    fn begin(
        &mut self,
        operation: SourceOperation,
        repository: &RepositoryName,
        what: Option<String>,
    ) -> Result<(), SourceError> {
        self.calls.push(SourceCall {
            operation,
            repository: repository.clone(),
            what,
        });
        let scripted = self.failures.get_mut(&operation).and_then(VecDeque::pop_front);
        scripted.map_or(Ok(()), Err)
    }
}

impl Publisher for MemorySourceRepository {
    fn init(&self, repository: &RepositoryName) {
        self.lock()
            .repositories
            .entry(repository.clone())
            .or_insert_with(|| Repository {
                head: None,
                branches: BTreeMap::new(),
                commits: BTreeMap::new(),
            });
    }

    fn publish(&self, repository: &RepositoryName, branch: &Branch, entries: &[Entry]) -> CommitId {
        self.init(repository);
        let mut state = self.lock();
        let count: usize = state.repositories.values().map(|r| r.commits.len()).sum();
        #[allow(clippy::expect_used, reason = "forty hexadecimal digits are a commit")]
        let commit: CommitId = format!("{count:040x}")
            .parse()
            .expect("invariant: forty hexadecimal digits");
        if let Some(repository) = state.repositories.get_mut(repository) {
            let entries = Arc::new(entries.to_vec());
            repository.commits.insert(commit.clone(), entries);
            repository.branches.insert(branch.clone(), commit.clone());
        }
        commit
    }

    fn set_head(&self, repository: &RepositoryName, branch: &Branch) {
        if let Some(found) = self.lock().repositories.get_mut(repository) {
            found.head = Some(branch.clone());
        }
    }

    /// Tags are never looked at: a branch is a branch.
    fn tag(&self, _repository: &RepositoryName, _tag: &Branch, _commit: &CommitId) {}
}

#[async_trait]
impl SourceRepository for MemorySourceRepository {
    async fn resolve<'a>(
        &self,
        repository: &'a RepositoryName,
        branch: Option<&'a Branch>,
    ) -> Result<Resolved, SourceError> {
        let mut state = self.lock();
        let what = branch.map(Branch::to_string);
        state.begin(SourceOperation::Resolve, repository, what)?;
        let found = state
            .repositories
            .get(repository)
            .ok_or(SourceError::RepositoryNotFound)?;
        let wanted = branch.unwrap_or(&self.default_branch);
        let resolved = |branch: &Branch, absent_default: Option<&Branch>| {
            let commit = found.branches.get(branch)?.clone();
            Some(Resolved {
                branch: branch.clone(),
                commit,
                absent_default: absent_default.cloned(),
            })
        };
        let head = || resolved(found.head.as_ref()?, Some(&self.default_branch));
        resolved(wanted, None)
            .or_else(|| branch.is_none().then(head).flatten())
            .ok_or(SourceError::BranchNotFound)
    }

    async fn read(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        directory: &Directory,
        path: &str,
        limit: usize,
    ) -> Result<Vec<u8>, SourceError> {
        let path = below(directory, path);
        let entries = self.commit(SourceOperation::Read, repository, commit, &path)?;
        match find(&entries, &path)? {
            Found::File(bytes) if bytes.len() > limit => Err(SourceError::TooLarge { limit: limit as u64 }),
            Found::File(bytes) => Ok(bytes.to_vec()),
            Found::Folder(_) => Err(SourceError::NotAFile { found: "a folder" }),
        }
    }

    async fn tree_hash(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        directory: &Directory,
        path: &str,
    ) -> Result<String, SourceError> {
        let path = below(directory, path);
        let entries = self.commit(SourceOperation::TreeHash, repository, commit, &path)?;
        let content = match find(&entries, &path)? {
            Found::File(bytes) => format!("{bytes:?}"),
            Found::Folder(entries) => format!("{entries:?}"),
        };
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, content.as_bytes());
        Ok(hash.simple().to_string())
    }

    async fn export(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        directory: &Directory,
        path: &str,
        to: &Path,
    ) -> Result<(), SourceError> {
        let path = below(directory, path);
        let entries = self.commit(SourceOperation::Export, repository, commit, &path)?;
        let Found::Folder(entries) = find(&entries, &path)? else {
            return Err(SourceError::NotAFile { found: "a file" });
        };
        for (path, content) in entries {
            if let Content::File { bytes, executable } = content {
                write(&to.join(path), bytes, *executable).map_err(|e| SourceError::Unavailable(e.into()))?;
            }
        }
        Ok(())
    }
}

fn below(directory: &Directory, path: &str) -> String {
    if path.is_empty() {
        directory.to_string()
    } else {
        format!("{directory}/{path}")
    }
}

fn find<'a>(entries: &'a [Entry], path: &str) -> Result<Found<'a>, SourceError> {
    let on_the_way = |entry: &&Entry| {
        path.strip_prefix(&entry.path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if let Some(entry) = entries.iter().find(on_the_way) {
        return match &entry.content {
            Content::Symlink(_) => Err(SourceError::NotAFile {
                found: "a symbolic link",
            }),
            Content::Submodule => Err(SourceError::NotAFile { found: "a submodule" }),
            Content::File { .. } if entry.path != path => Err(SourceError::NotAFile {
                found: "a file in place of a folder",
            }),
            Content::File { bytes, .. } => Ok(Found::File(bytes)),
        };
    }
    let folder = format!("{path}/");
    let mut inside: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some((entry.path.strip_prefix(&folder)?, &entry.content)))
        .collect();
    inside.sort_by_key(|(path, _)| *path);
    if inside.is_empty() {
        return Err(SourceError::PathNotFound);
    }
    Ok(Found::Folder(inside))
}

fn write(path: &Path, bytes: &[u8], executable: bool) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mode = if executable { 0o755 } else { 0o644 };
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;
    use crate::fixture::tree::file;

    #[tokio::test]
    async fn it_keeps_the_contract() {
        let memory = MemorySourceRepository::new("master".parse().unwrap());
        contract::source_repository::check(&memory, &memory).await;
    }

    #[tokio::test]
    async fn a_scripted_failure_is_used_once_and_calls_are_logged() {
        let memory = MemorySourceRepository::new("master".parse().unwrap());
        let repository = "demo".parse().unwrap();
        memory.publish(&repository, &"master".parse().unwrap(), &[file("a/b", "x")]);
        memory.fail_next(SourceOperation::Resolve, SourceError::Timeout);

        let first = memory.resolve(&repository, None).await;
        assert!(matches!(first, Err(SourceError::Timeout)), "{first:?}");
        assert!(memory.resolve(&repository, None).await.is_ok());

        let call = SourceCall {
            operation: SourceOperation::Resolve,
            repository,
            what: None,
        };
        assert_eq!(memory.calls(), [call.clone(), call]);
    }
}

//! Bare repositories kept between fetches: one folder a remote repository, and in it numbered generations.
//!
//! libgit2 never tidies a repository, so one that has grown past its limits is not mended but succeeded: the next fetch
//! goes into a new generation, the one before it is still read, and older ones are removed when no reader is in them. A
//! broken generation is dropped in the same way. What was fetched is thus readable for at least as long as it takes to
//! fill another generation. It refuses to be shared: a lock keeps the folder to one process.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deploy_core::names::RepositoryName;
use git2::{ErrorCode, ObjectType, Oid, Repository, RepositoryInitOptions};
use tokio::sync::OwnedMutexGuard;

use super::failure::{Cause, Failure};
use super::{GitConfigError, GitLimits};

/// How many generations are read.
const LIVE: usize = 2;
/// Above this many slots, those without a generation are forgotten: names that no repository has.
const SLOTS: usize = 1024;

/// All caches.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    /// Held, not read.
    lock: File,
}

impl Drop for Cache {
    /// Closing would not do: a child of this process has the file open between its fork and its exec.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the git cache folder could not be unlocked");
        }
    }
}

/// The cache of one remote repository.
#[derive(Debug)]
pub(super) struct Slot {
    folder: PathBuf,
    turn: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<Option<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Newest first.
    live: Vec<Arc<Generation>>,
    /// To be removed once no reader is in them.
    retired: Vec<Arc<Generation>>,
    next: u64,
}

/// One bare repository.
#[derive(Debug)]
pub(super) struct Generation {
    path: PathBuf,
    number: u64,
    /// Nothing was fetched into it yet.
    empty: AtomicBool,
}

impl Cache {
    pub(super) fn open(folder: PathBuf) -> Result<Self, GitConfigError> {
        // For its owner alone: what is in it may be nobody else's to read.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(GitConfigError::Cache)?;
        let lock = File::create(folder.join("lock")).map_err(GitConfigError::Cache)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => GitConfigError::CacheInUse,
            TryLockError::Error(error) => GitConfigError::Cache(error),
        })?;
        Ok(Self {
            folder,
            slots: Mutex::default(),
            lock,
        })
    }

    pub(super) fn slot(&self, url: &str, repository: &RepositoryName) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() > SLOTS {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || !slot.is_empty());
        }
        let name = folder_name(url, repository);
        let slot = slots
            .entry(name)
            .or_insert_with_key(|name| Arc::new(Slot::new(self.folder.join(name))));
        Arc::clone(slot)
    }
}

impl Slot {
    fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            turn: Arc::default(),
            state: Mutex::default(),
        }
    }

    /// One conversation with the remote at a time: they write to the same repository.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Runs `work` on a repository that has `commit`; a generation that turns out broken is dropped.
    pub(super) fn at<T>(
        &self,
        commit: Oid,
        work: &dyn Fn(&Repository, Oid) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut answer = Err(Failure::CommitAbsent);
        for generation in self.live()? {
            let found = generation.open().and_then(|repository| {
                if has(&repository, commit)? {
                    work(&repository, commit)
                } else {
                    Err(Failure::CommitAbsent)
                }
            });
            match found {
                Err(Failure::CommitAbsent) => {}
                Err(Failure::Corrupt(cause)) => {
                    self.drop_broken(&generation, &cause)?;
                    answer = Err(Failure::Corrupt(cause));
                }
                found => return found,
            }
        }
        answer
    }

    /// Whether a read at `commit` would find it. [`Failure::Corrupt`] where looking for it has shown that `current` is
    /// broken.
    pub(super) fn holds(&self, commit: Oid, current: &Generation) -> Result<bool, Failure> {
        match self.at(commit, &|_, _| Ok(())) {
            Ok(()) => Ok(true),
            Err(Failure::Corrupt(cause)) if !self.is_live(current)? => Err(Failure::Corrupt(cause)),
            Err(Failure::CommitAbsent | Failure::Corrupt(_)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// The generation to fetch into, made where there is none or the newest has grown too large. For the holder of the
    /// turn.
    pub(super) fn begin(&self, limits: &GitLimits) -> Result<Arc<Generation>, Failure> {
        let newest = self.live()?.into_iter().next();
        if let Some(generation) = newest
            && !generation.is_over(limits).map_err(Failure::unavailable)?
        {
            return Ok(generation);
        }
        let number = self.state()?.next;
        let generation = Arc::new(Generation::create(&self.folder, number)?);
        let mut state = self.state()?;
        state.next = number + 1;
        state.live.insert(0, Arc::clone(&generation));
        let keep = LIVE.min(state.live.len());
        let old = state.live.split_off(keep);
        state.retired.extend(old);
        Ok(generation)
    }

    /// Drops a generation: at once from the readers to come, from the disk when the ones in it have left.
    pub(super) fn retire(&self, generation: &Generation) -> Result<(), Failure> {
        let mut state = self.state()?;
        let (retired, live): (Vec<_>, _) = std::mem::take(&mut state.live)
            .into_iter()
            .partition(|other| other.number == generation.number);
        state.live = live;
        state.retired.extend(retired);
        Ok(())
    }

    /// Drops a generation that is broken, unless another has done so.
    pub(super) fn drop_broken(&self, generation: &Generation, cause: &Cause) -> Result<(), Failure> {
        if !self.is_live(generation)? {
            return Ok(());
        }
        tracing::warn!(
            path = %generation.path.display(),
            error = %cause,
            "a cached git repository is broken and will be fetched again"
        );
        self.retire(generation)
    }

    fn is_live(&self, generation: &Generation) -> Result<bool, Failure> {
        let number = generation.number;
        Ok(self.state()?.live.iter().any(|live| live.number == number))
    }

    /// Removes what is retired and not read. For the holder of the turn.
    pub(super) fn sweep(&self) -> Result<(), Failure> {
        let mut state = self.state()?;
        let (idle, busy): (Vec<_>, _) = std::mem::take(&mut state.retired)
            .into_iter()
            .partition(|generation| Arc::strong_count(generation) == 1);
        state.retired = busy;
        let nothing_left = state.live.is_empty() && state.retired.is_empty();
        drop(state);
        for generation in idle {
            remove(&generation.path);
        }
        if nothing_left && let Err(error) = fs::remove_dir(&self.folder) {
            let expected = matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            );
            if !expected {
                tracing::warn!(path = %self.folder.display(), %error, "a git cache folder cannot be removed");
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .as_ref()
            .is_none_or(|state| state.live.is_empty() && state.retired.is_empty())
    }

    fn live(&self) -> Result<Vec<Arc<Generation>>, Failure> {
        Ok(self.state()?.live.clone())
    }

    /// The state, at the first call found on disk.
    fn state(&self) -> Result<StateGuard<'_>, Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_none() {
            *state = Some(State::found_in(&self.folder).map_err(Failure::unavailable)?);
        }
        Ok(StateGuard(state))
    }
}

/// A lock on a state that is there.
struct StateGuard<'a>(MutexGuard<'a, Option<State>>);

impl std::ops::Deref for StateGuard<'_> {
    type Target = State;

    #[allow(clippy::expect_used, reason = "made by `Slot::state` alone, which fills it")]
    fn deref(&self) -> &State {
        self.0.as_ref().expect("invariant: the state was found")
    }
}

impl std::ops::DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.0.get_or_insert_default()
    }
}

impl State {
    fn found_in(folder: &Path) -> io::Result<Self> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                let path = entry.path();
                remove_leftovers(&path);
                let empty = AtomicBool::new(false);
                found.push(Arc::new(Generation { path, number, empty }));
            }
        }
        found.sort_by_key(|generation| std::cmp::Reverse(generation.number));
        let next = found
            .first()
            .map_or(0, |generation| generation.number.saturating_add(1));
        let retired = found.split_off(LIVE.min(found.len()));
        Ok(Self {
            live: found,
            retired,
            next,
        })
    }
}

impl Generation {
    fn create(folder: &Path, number: u64) -> Result<Self, Failure> {
        let path = folder.join(number.to_string());
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false).mkpath(true);
        Repository::init_opts(&path, &options).map_err(Failure::unavailable)?;
        let empty = AtomicBool::new(true);
        Ok(Self { path, number, empty })
    }

    /// Opens it; anything amiss is [`Failure::Corrupt`].
    pub(super) fn open(&self) -> Result<Repository, Failure> {
        Repository::open_bare(&self.path).map_err(Failure::corrupt)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.empty.load(Ordering::Relaxed)
    }

    /// Something was fetched into it.
    pub(super) fn filled(&self) {
        self.empty.store(false, Ordering::Relaxed);
    }

    fn is_over(&self, limits: &GitLimits) -> io::Result<bool> {
        let (mut packs, mut bytes) = (0, 0);
        for file in pack_files(&self.path)? {
            bytes += file.metadata()?.len();
            packs += usize::from(file.path().extension().is_some_and(|e| e == "pack"));
        }
        Ok(packs > limits.max_packs || bytes > limits.max_cache_bytes)
    }
}

/// Whether `repository` has a commit and the tree it points to.
fn has(repository: &Repository, commit: Oid) -> Result<bool, Failure> {
    match repository.find_commit(commit) {
        Ok(commit) => commit.tree().map(|_| true).map_err(Failure::corrupt),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
        Err(error) => Err(Failure::corrupt(error)),
    }
}

/// A name for any repository of any server on any file system: the readable part may collide, fold or be cut, the hash of
/// the URL does not.
fn folder_name(url: &str, repository: &RepositoryName) -> String {
    let readable: String = repository
        .as_str()
        .chars()
        .take(40)
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    // Hashing bytes in memory fails for lack of memory alone.
    let hash = Oid::hash_object(ObjectType::Blob, url.as_bytes()).unwrap_or(Oid::ZERO_SHA1);
    format!("{readable}-{hash}")
}

fn pack_files(repository: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(repository.join("objects/pack")) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Packs that a killed process was receiving.
fn remove_leftovers(repository: &Path) {
    let files = match pack_files(repository) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(path = %repository.display(), %error, "a git cache cannot be tidied");
            return;
        }
    };
    for file in files {
        let path = file.path();
        let kept = path.extension().is_some_and(|e| e == "pack" || e == "idx");
        if !kept {
            remove(&path);
        }
    }
}

fn remove(path: &Path) {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "a part of the git cache cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_are_safe_and_apart_on_a_file_system_that_folds_case() {
        let name = |url: &str, repository: &str| folder_name(url, &repository.parse().unwrap());
        let names = [
            name("https://h/Demo.git", "Demo"),
            name("https://h/demo.git", "demo"),
            name("https://other/demo.git", "demo"),
            name("https://h/a.b.git", "a.b"),
            name("https://h/a_b.git", "a_b"),
            name("https://h/x.git", &"x".repeat(100)),
        ];
        for (i, name) in names.iter().enumerate() {
            assert!(
                name.len() < 100
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b)),
                "{name}"
            );
            assert!(!names[..i].contains(name), "{name}");
        }
    }

    #[test]
    fn a_cache_is_of_one_process_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = Cache::open(folder.path().into()).unwrap();
        let second = Cache::open(folder.path().into());
        assert!(matches!(second, Err(GitConfigError::CacheInUse)), "{second:?}");
        drop(first);
        assert!(Cache::open(folder.path().into()).is_ok());
    }
}

//! Exported code trees. One export per repository and tree hash is kept and never run in; every start of a pod gets a
//! copy of its own, because a task may write beside its code, as it may in a container, and must neither see what another
//! wrote nor what it wrote itself before it crashed. Exports that nothing uses are removed, the longest unused first.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use deploy_core::error::BoxError;
use deploy_core::ports::{SourceError, SourceRepository};
use deploy_core::workload::Code;

use super::keyed::KeyedLocks;
use super::store;

/// How many exports that nothing uses are kept for the next deploy of the same code.
const KEPT: usize = 16;

/// The part of a task's directory that is run.
const CODE: &str = "code";

/// The exports of one data folder. Cheap to clone.
#[derive(Clone)]
pub(super) struct CodeCache {
    root: PathBuf,
    uses: Arc<Mutex<Uses>>,
    exporting: Arc<KeyedLocks<String>>,
}

#[derive(Default)]
struct Uses {
    /// By folder: how many hold it, and when it was taken last.
    exports: HashMap<String, (usize, u64)>,
    takes: u64,
}

/// A promise that an export stays while this lives.
pub(super) struct Held {
    folder: String,
    uses: Arc<Mutex<Uses>>,
}

impl Held {
    /// The export's folder in the cache.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((holders, _)) = uses.exports.get_mut(&self.folder) {
            *holders = holders.saturating_sub(1);
        }
    }
}

impl CodeCache {
    /// The exports below `root`; what an interrupted export left is removed. Blocks.
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        store::create_private(&root)?;
        let mut uses = Uses::default();
        for entry in fs::read_dir(&root)? {
            let entry = entry?;
            match entry.file_name().into_string() {
                Ok(name) if !name.starts_with(UNFINISHED) => {
                    uses.exports.insert(name, (0, 0));
                }
                _ => fs::remove_dir_all(entry.path())?,
            }
        }
        Ok(Self {
            root,
            uses: Arc::new(Mutex::new(uses)),
            exporting: Arc::default(),
        })
    }

    /// The export of a task's code, made now where it is not there; `None` where the task has none.
    pub(super) async fn obtain(
        &self,
        source: &dyn SourceRepository,
        code: &Code,
    ) -> Result<Option<Held>, SourceError> {
        let hash = source.tree_hash(&code.repository, &code.commit, &code.directory, CODE);
        let hash = match hash.await {
            Err(SourceError::PathNotFound) => return Ok(None),
            hash => hash?,
        };
        if hash.is_empty() || !hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(SourceError::Answer("a tree's hash is not a word".into()));
        }
        let folder = format!("{}@{hash}", code.repository);
        let _alone = self.exporting.lock(folder.clone()).await;
        if let Some(held) = self.hold(&folder) {
            return Ok(Some(held));
        }
        self.export(source, code, &folder).await?;
        let held = self.insert(folder);
        self.evict().await;
        Ok(Some(held))
    }

    /// Holds an export that is there.
    pub(super) fn hold(&self, folder: &str) -> Option<Held> {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.takes += 1;
        let now = uses.takes;
        let (holders, taken) = uses.exports.get_mut(folder)?;
        *holders += 1;
        *taken = now;
        Some(Held {
            folder: folder.to_owned(),
            uses: self.uses.clone(),
        })
    }

    /// A copy of an export for one pod, in the new folder `to`. Blocks.
    pub(super) fn copy(&self, folder: &str, to: &Path) -> io::Result<()> {
        copy_tree(&self.root.join(folder), to)
    }

    fn insert(&self, folder: String) -> Held {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.takes += 1;
        let now = uses.takes;
        uses.exports.insert(folder.clone(), (1, now));
        Held {
            folder,
            uses: self.uses.clone(),
        }
    }

    async fn export(
        &self,
        source: &dyn SourceRepository,
        code: &Code,
        folder: &str,
    ) -> Result<(), SourceError> {
        let unfinished = self.root.join(format!("{UNFINISHED}{}", uuid::Uuid::now_v7()));
        tokio::fs::create_dir(&unfinished).await.map_err(unavailable)?;
        let result = match source
            .export(&code.repository, &code.commit, &code.directory, CODE, &unfinished)
            .await
        {
            Ok(()) => self.publish(&unfinished, folder).await.map_err(unavailable),
            Err(error) => Err(error),
        };
        if result.is_err()
            && let Err(error) = tokio::fs::remove_dir_all(&unfinished).await
        {
            // The next start removes it.
            tracing::warn!(%error, "an unfinished export could not be removed");
        }
        result
    }

    async fn publish(&self, unfinished: &Path, folder: &str) -> io::Result<()> {
        let (from, root, to) = (unfinished.to_owned(), self.root.clone(), self.root.join(folder));
        blocking(move || {
            // An export that is there is taken for whole, also after a power cut.
            sync_tree(&from)?;
            fs::rename(&from, to)?;
            store::sync_folder(&root)
        })
        .await
    }

    /// Removes what nothing uses, but for the last few. Failing to is no reason to refuse a deploy.
    async fn evict(&self) {
        let surplus: Vec<PathBuf> = {
            let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
            let mut unused: Vec<(u64, String)> = uses
                .exports
                .iter()
                .filter(|(_, (holders, _))| *holders == 0)
                .map(|(folder, (_, taken))| (*taken, folder.clone()))
                .collect();
            unused.sort();
            let surplus = unused.len().saturating_sub(KEPT);
            unused.truncate(surplus);
            let mut paths = Vec::new();
            for (_, folder) in unused {
                // Renamed while nobody can take it: a new export of the same tree finds its place free.
                let doomed = self.root.join(format!("{UNFINISHED}{}", uuid::Uuid::now_v7()));
                if let Err(error) = fs::rename(self.root.join(&folder), &doomed) {
                    tracing::warn!(%error, "an unused export could not be removed");
                }
                uses.exports.remove(&folder);
                paths.push(doomed);
            }
            paths
        };
        for path in surplus {
            if let Err(error) = tokio::fs::remove_dir_all(path).await {
                tracing::warn!(%error, "an unused export could not be removed");
            }
        }
    }
}

/// Folders that are not, or no longer, exports. No repository's name begins so.
const UNFINISHED: &str = ".unfinished-";

/// Runs file system work where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

fn unavailable(error: io::Error) -> SourceError {
    SourceError::Unavailable(BoxError::from(error))
}

/// Files and folders alone, as exports hold nothing else.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            fs::File::open(entry.path())?.sync_all()?;
        }
    }
    store::sync_folder(folder)
}

//! The objects on disk: `objects/<kind>/<namespace>/<name>/object.json`, beside the object's logs and the folders of
//! its pods. A record is replaced whole or not at all; a folder without one is what a delete or a create left behind, and is
//! cleared away. It refuses to start on a record it cannot read: guessing would start or lose somebody's task.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use deploy_core::error::BoxError;
use deploy_core::workload::{Slot, SlotKind};

use super::LocalError;
use super::record::Record;

const RECORD: &str = "object.json";

/// The folder of objects.
#[derive(Debug, Clone)]
pub(super) struct Store {
    root: PathBuf,
}

impl Store {
    /// The store below `root`, which is made if it is not there.
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        create_private(&root)?;
        Ok(Self { root })
    }

    /// Where everything of one object is.
    pub(super) fn folder(&self, slot: &Slot) -> PathBuf {
        self.root
            .join(slot.kind.as_str())
            .join(slot.namespace.as_str())
            .join(slot.name.as_str())
    }

    /// Every record; folders without one are removed.
    pub(super) fn load(&self) -> Result<Vec<Record>, LocalError> {
        let mut records = Vec::new();
        for kind in [SlotKind::Job, SlotKind::CronJob, SlotKind::Deployment] {
            for namespace in folders(&self.root.join(kind.as_str()))? {
                for folder in folders(&namespace)? {
                    let file = folder.join(RECORD);
                    match fs::read(&file) {
                        Ok(bytes) => records.push(decode(&file, &bytes)?),
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {
                            fs::remove_dir_all(&folder)
                                .map_err(|source| LocalError::Folder { path: folder, source })?;
                        }
                        Err(source) => return Err(LocalError::Folder { path: file, source }),
                    }
                }
            }
        }
        Ok(records)
    }

    /// Stores a record, durably. Blocks.
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        let folder = self.folder(&record.workload.slot());
        let is_new = !folder.join(RECORD).exists();
        create_private(&folder)?;
        let bytes = serde_json::to_vec_pretty(record)?;
        replace(&folder.join(RECORD), &bytes)?;
        if is_new {
            // The names of the folders themselves have to survive a power cut too.
            for parent in folder.ancestors().skip(1).take(3) {
                sync_folder(parent)?;
            }
        }
        Ok(())
    }

    /// Forgets an object and all its files. Blocks. The record goes first: it is what makes the object exist.
    pub(super) fn remove(&self, slot: &Slot) -> io::Result<()> {
        let folder = self.folder(slot);
        match fs::remove_file(folder.join(RECORD)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match sync_folder(&folder).and_then(|()| fs::remove_dir_all(&folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The lock of a data folder.
#[derive(Debug)]
pub(super) struct FolderLock(File);

impl FolderLock {
    /// Takes the lock, or says at once that somebody has it.
    pub(super) fn take(path: PathBuf) -> Result<Self, LocalError> {
        let unusable = |source| LocalError::Folder {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(LocalError::InUse { path }),
            Err(TryLockError::Error(source)) => Err(LocalError::Folder { path, source }),
        }
    }
}

impl Drop for FolderLock {
    /// Closing would not do: a child between its fork and its exec still has the file open.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "a data folder could not be unlocked");
        }
    }
}

/// Makes a folder, and those above it, for this user alone: records hold environments, and those hold passwords.
pub(super) fn create_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Replaces a file whole: after a crash it is the old one or the new one. Blocks.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = file.with_extension("new");
    let mut writer = File::create(&fresh)?;
    writer.write_all(bytes)?;
    writer.sync_all()?;
    fs::rename(&fresh, file)?;
    file.parent().map_or(Ok(()), sync_folder)
}

/// Makes the names in a folder durable. Blocks.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn decode(file: &Path, bytes: &[u8]) -> Result<Record, LocalError> {
    serde_json::from_slice(bytes).map_err(|error| LocalError::Damaged {
        path: file.to_owned(),
        source: BoxError::from(error),
    })
}

/// The folders in a folder, sorted; none where it is not there.
fn folders(parent: &Path) -> Result<Vec<PathBuf>, LocalError> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(parent) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    };
    list().map_err(|source| LocalError::Folder {
        path: parent.to_owned(),
        source,
    })
}

//! The journal and the records on SQLite: one adapter behind [`Journal`], [`Tasks`], [`Runs`] and [`Works`].
//!
//! Durable first: write-ahead log with `synchronous=FULL`, so a commit that was answered survives a power cut. One
//! connection writes, a few read beside it. It refuses to guess: a file that is damaged or that a newer version wrote
//! is not opened, and what cannot be decoded is an error, never an absent record.
//!
//! Queries and migrations keep to what PostgreSQL takes as well (`$n`, `ON CONFLICT`, `RETURNING`, partial indexes,
//! row values), in a database whose collation is `C`; what a second driver has to replace is how a pool is opened
//! (`open.rs`) and how a writing transaction begins (`journal.rs`).
//!
//! [`Journal`]: deploy_core::ports::Journal
//! [`Tasks`]: deploy_core::ports::Tasks
//! [`Runs`]: deploy_core::ports::Runs
//! [`Works`]: deploy_core::ports::Works

mod journal;
mod open;
mod records;
mod rows;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use deploy_core::error::BoxError;
use sqlx::SqlitePool;

/// Everything that is recorded, in one SQLite file. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SqlStore {
    /// One connection: SQLite has one writer at a time, and a queue here is fairer than its lock.
    writer: SqlitePool,
    readers: SqlitePool,
}

/// How the file is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// How long a commit waits for another process that has the file locked.
    pub busy_timeout: Duration,
    /// How many reads go on side by side.
    pub readers: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            readers: 4,
        }
    }
}

impl SqlStore {
    /// Opens the database at `url` (`sqlite:FILE`), creating it, readable by its owner alone, where there is none.
    ///
    /// # Errors
    /// [`StorageError`]; each says what to do about it.
    pub async fn open(url: &str) -> Result<Self, StorageError> {
        let path = url
            .strip_prefix("sqlite:")
            .map(|rest| rest.strip_prefix("//").unwrap_or(rest))
            .filter(|path| !path.is_empty())
            .ok_or(StorageError::Unsupported)?;
        Self::open_file(Path::new(path), Tuning::default()).await
    }

    /// Opens the database in the file at `path`, creating it and its folder, readable by their owner alone, where there
    /// are none.
    ///
    /// # Errors
    /// [`StorageError`]; each says what to do about it.
    pub async fn open_file(path: &Path, tuning: Tuning) -> Result<Self, StorageError> {
        open::open(path, tuning).await
    }

    /// Closes it once everything under way is done, leaving one tidy file.
    pub async fn close(&self) {
        // The last connection to go folds the log into the file, and only the writer may write.
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Why a database was not opened: the cause and the cure.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The URL is of no database that this build knows.
    #[error("this build stores in SQLite alone: give the database as sqlite:FILE")]
    Unsupported,
    /// What is in the file is no sound database.
    #[error(
        "the database {path} is damaged ({reason}): restore it from a backup, or move it away to begin with an empty one"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite says of it.
        reason: String,
    },
    /// A newer version of this server has written it.
    #[error(
        "the database {path} has schema {found}, and this version knows it up to {known}: start the version that wrote it, or restore a backup of before the upgrade"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema it has.
        found: i64,
        /// The newest schema this version knows.
        known: i64,
    },
    /// It cannot be reached, locked or migrated now.
    #[error(
        "the database {path} cannot be opened: check that its folder is on a local disk with room, that this user may write there, and that no other server uses it"
    )]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// What lies below.
        #[source]
        source: BoxError,
    },
}

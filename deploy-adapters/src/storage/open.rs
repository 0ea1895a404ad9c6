//! Opens a database file: its permissions, its connections, its soundness and its schema. Knows nothing of what is
//! stored in it.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Error};

use super::{SqlStore, StorageError, Tuning};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Opens `path`, or says why not; a file that is refused is left as it was.
pub(super) async fn open(path: &Path, tuning: Tuning) -> Result<SqlStore, StorageError> {
    prepare(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(tuning.busy_timeout)
        .foreign_keys(true)
        .disable_statement_logging();
    let writer = pool(tuning, 1)
        .connect_with(
            options
                .clone()
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full),
        )
        .await
        .map_err(|error| refused(path, error))?;
    let opened = async {
        check(path, &writer).await?;
        migrate(path, &writer).await?;
        pool(tuning, tuning.readers.max(1))
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(|error| refused(path, error))
    };
    match opened.await {
        Ok(readers) => Ok(SqlStore { writer, readers }),
        Err(error) => {
            writer.close().await;
            Err(error)
        }
    }
}

fn pool(tuning: Tuning, connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        // Long enough for the one in front to give up on a locked file.
        .acquire_timeout((tuning.busy_timeout * 2).max(std::time::Duration::from_secs(5)))
        // A file does not hang up: connections neither age nor need to be asked whether they live.
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// The file and its folder, for their owner alone. SQLite gives its log files the permissions of the file.
fn prepare(path: &Path) -> Result<(), StorageError> {
    let unavailable = |source: io::Error| StorageError::Unavailable {
        path: path.to_owned(),
        source: source.into(),
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(unavailable)?;
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(unavailable)?;
    let empty = file.metadata().map_err(unavailable)?.len() == 0;
    if empty && log_of(path).metadata().is_ok_and(|log| log.len() > 0) {
        // SQLite would take the file for a new one, and throw away the log with what was committed.
        return Err(StorageError::Corrupt {
            path: path.to_owned(),
            reason: "the file is empty and its write-ahead log is not".to_owned(),
        });
    }
    Ok(())
}

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Reads the whole structure once: better refused at the start than found out in the middle of a run.
async fn check(path: &Path, writer: &SqlitePool) -> Result<(), StorageError> {
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(writer)
        .await
        .map_err(|error| refused(path, error))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(StorageError::Corrupt {
            path: path.to_owned(),
            reason: verdict,
        })
    }
}

async fn migrate(path: &Path, writer: &SqlitePool) -> Result<(), StorageError> {
    MIGRATIONS.run(writer).await.map_err(|error| match error {
        MigrateError::VersionMissing(found) => StorageError::Newer {
            path: path.to_owned(),
            found,
            known: MIGRATIONS
                .iter()
                .map(|migration| migration.version)
                .max()
                .unwrap_or(0),
        },
        MigrateError::Execute(error) => refused(path, error),
        other => StorageError::Unavailable {
            path: path.to_owned(),
            source: other.into(),
        },
    })
}

/// SQLITE_CORRUPT and SQLITE_NOTADB, and their extended codes, are verdicts on the file; all else may pass.
fn refused(path: &Path, error: Error) -> StorageError {
    let code = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<i32>().ok());
    match (code.map(|code| code & 0xff), &error) {
        (Some(11 | 26), Error::Database(reason)) => StorageError::Corrupt {
            path: path.to_owned(),
            reason: reason.message().to_owned(),
        },
        _ => StorageError::Unavailable {
            path: path.to_owned(),
            source: error.into(),
        },
    }
}

//! The store on SQLite keeps the contract, and what only a file can do to it: see the files below this one.

mod faults;
mod opening;
mod plans;

use deploy_core::ports::{Change, Generation, Journal, Tasks};
use deploy_core::task::Task;
use deploy_testkit::builders;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tempfile::TempDir;

use super::*;

deploy_testkit::journal_contract!(fresh);

async fn fresh() -> (SqlStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (reopen(&folder).await, folder)
}

/// The database of that folder, in which no one waits for a lock.
async fn reopen(folder: &TempDir) -> SqlStore {
    let tuning = Tuning {
        busy_timeout: Duration::ZERO,
        ..Tuning::default()
    };
    SqlStore::open_file(&file(folder), tuning).await.unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("deploy.db")
}

/// A connection of someone else to the same file.
async fn stranger(folder: &TempDir) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(file(folder))
        .connect()
        .await
        .unwrap()
}

/// A task whose manifest is as large as they get.
fn large_task(number: u64) -> Task {
    let text = "x".repeat(200_000);
    let name = format!("large-{number}");
    builders::task()
        .number(number)
        .name(&name)
        .workload(|workload| workload.env("TEXT", &text))
        .build()
}

fn put(task: &Task) -> [Change; 1] {
    [Change::PutTask(Box::new(task.clone()))]
}

async fn is_stored(store: &SqlStore, task: &Task) -> bool {
    Tasks::get(store, task.id()).await.unwrap().as_ref() == Some(task)
}

/// The whole chain of causes, as the edge prints it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

async fn lead(store: &SqlStore) -> Generation {
    store.lead().await.unwrap()
}

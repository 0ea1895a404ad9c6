//! What is opened, and what is refused with its reason.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sqlx::Connection;

use super::*;

async fn refusal(folder: &TempDir) -> StorageError {
    let before = fs::read(file(folder)).unwrap();
    let error = SqlStore::open_file(&file(folder), Tuning::default())
        .await
        .expect_err("it is refused");
    assert_eq!(
        fs::read(file(folder)).unwrap(),
        before,
        "a refused file is left as it was"
    );
    error
}

/// A database of a few hundred pages, closed.
async fn filled() -> TempDir {
    let (store, folder) = fresh().await;
    let generation = lead(&store).await;
    for number in 1..=10 {
        store.commit(&put(&large_task(number)), generation).await.unwrap();
    }
    store.close().await;
    folder
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let (store, folder) = fresh().await;
    let generation = lead(&store).await;
    let task = builders::task().holds().build();
    store.commit(&put(&task), generation).await.unwrap();
    let before = store.recover().await.unwrap();
    store.close().await;

    let store = reopen(&folder).await;
    assert_eq!(store.recover().await.unwrap(), before);
    assert_eq!(lead(&store).await, Generation(generation.0 + 1));
}

/// A process that is killed leaves the files as they are in the middle of its work: here, copied under its feet.
#[tokio::test]
async fn what_was_committed_is_there_after_a_kill() {
    let (store, folder) = fresh().await;
    let generation = lead(&store).await;
    let after_kill = tempfile::tempdir().unwrap();
    for number in 1..=5 {
        store.commit(&put(&large_task(number)), generation).await.unwrap();
        for name in ["deploy.db", "deploy.db-wal"] {
            fs::copy(folder.path().join(name), after_kill.path().join(name)).unwrap();
        }
        let restarted = reopen(&after_kill).await;
        for committed in 1..=number {
            assert!(is_stored(&restarted, &large_task(committed)).await);
        }
        restarted.close().await;
    }
}

#[tokio::test]
async fn a_new_file_and_its_folder_are_for_their_owner_alone() {
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().join("a/b/deploy.db");
    let url = format!("sqlite:{}", path.display());
    let store = SqlStore::open(&url).await.unwrap();
    lead(&store).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in ["a", "a/b"] {
        assert_eq!(mode(&outside.path().join(folder)), 0o700, "{folder}");
    }
    for name in ["deploy.db", "deploy.db-wal", "deploy.db-shm"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn every_commit_reaches_the_disk_before_it_is_answered() {
    let (store, _folder) = fresh().await;
    let pragma = async |name: &'static str| -> String {
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "SELECT CAST((SELECT * FROM pragma_{name}) AS TEXT)"
        )))
        .fetch_one(&store.writer)
        .await
        .unwrap()
    };
    assert_eq!(pragma("journal_mode").await, "wal");
    assert_eq!(pragma("synchronous").await, "2", "FULL");
}

#[tokio::test]
async fn a_url_of_another_database_is_refused() {
    for url in ["postgres://host/deploy", "sqlite:", "sqlite://", "deploy.db", ""] {
        let error = SqlStore::open(url).await.err();
        assert!(
            matches!(error, Some(StorageError::Unsupported)),
            "{url}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        file(&folder),
        "not a database, whatever its name says\n".repeat(100),
    )
    .unwrap();
    let error = refusal(&folder).await;
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("file is not a database"), "{text}");
    assert!(text.contains("deploy.db") && text.contains("backup"), "{text}");
}

#[tokio::test]
async fn a_truncated_file_is_refused_with_the_reason() {
    let folder = filled().await;
    let length = fs::metadata(file(&folder)).unwrap().len();
    for left in [length / 2, 4096, 100] {
        let whole = fs::read(file(&folder)).unwrap();
        fs::OpenOptions::new()
            .write(true)
            .open(file(&folder))
            .unwrap()
            .set_len(left)
            .unwrap();
        let error = refusal(&folder).await;
        assert!(matches!(error, StorageError::Corrupt { .. }), "{left}: {error:?}");
        fs::write(file(&folder), whole).unwrap();
    }
    reopen(&folder).await;
}

/// One that nothing reads at the start, so that it would be found out only in the middle of a run.
#[tokio::test]
async fn a_file_with_a_torn_page_is_refused_with_the_reason() {
    let folder = filled().await;
    let mut stranger = stranger(&folder).await;
    let page: i64 = sqlx::query_scalar("SELECT rootpage FROM sqlite_master WHERE name = 'run_of_namespace'")
        .fetch_one(&mut stranger)
        .await
        .unwrap();
    stranger.close().await.unwrap();
    let mut bytes = fs::read(file(&folder)).unwrap();
    let page = usize::try_from(page).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0xA5);
    fs::write(file(&folder), bytes).unwrap();
    let error = refusal(&folder).await;
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("page {page}")), "{error}");
}

/// SQLite would take it for a new one and throw the log away.
#[tokio::test]
async fn an_empty_file_beside_a_full_log_is_refused() {
    let (store, folder) = fresh().await;
    lead(&store).await;
    let broken = tempfile::tempdir().unwrap();
    let log = "deploy.db-wal";
    fs::copy(folder.path().join(log), broken.path().join(log)).unwrap();
    fs::write(file(&broken), "").unwrap();
    let error = refusal(&broken).await;
    assert!(error.to_string().contains("write-ahead log"), "{error}");
    assert!(fs::metadata(broken.path().join(log)).unwrap().len() > 0);
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused_with_the_cure() {
    let (store, folder) = fresh().await;
    store.close().await;
    let mut stranger = stranger(&folder).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (7, 'of the future', TRUE, x'00', 0)",
    )
    .execute(&mut stranger)
    .await
    .unwrap();
    let error = SqlStore::open_file(&file(&folder), Tuning::default())
        .await
        .expect_err("it is refused");
    assert!(
        matches!(
            error,
            StorageError::Newer {
                found: 7,
                known: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("start the version that wrote it"),
        "{error}"
    );
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in-the-way"), "").unwrap();
    let path = folder.path().join("in-the-way/deploy.db");
    let error = SqlStore::open_file(&path, Tuning::default())
        .await
        .expect_err("it is refused");
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("in-the-way"), "{error}");
}

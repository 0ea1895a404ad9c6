//! A database that is locked, full or damaged while it is in use: nothing is accepted that is not stored, and it works
//! again without a restart.

use deploy_core::ports::{JournalError, RecordsError, Runs, Works};
use futures::FutureExt;
use sqlx::Connection;

use super::*;

#[tokio::test]
async fn a_locked_file_refuses_commits_serves_reads_and_works_again() {
    let (store, folder) = fresh().await;
    let generation = lead(&store).await;
    let (before, during) = (large_task(1), large_task(2));
    store.commit(&put(&before), generation).await.unwrap();

    let mut stranger = stranger(&folder).await;
    let lock = stranger.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for _ in 0..3 {
        let refused = store.commit(&put(&during), generation).await;
        assert!(
            matches!(refused, Err(JournalError::Unavailable(_))),
            "{refused:?}"
        );
        let text = chain(&refused.unwrap_err());
        assert!(text.contains("database is locked"), "{text}");
        assert!(store.lead().await.is_err());
        assert!(is_stored(&store, &before).await);
        assert!(!is_stored(&store, &during).await);
    }
    lock.rollback().await.unwrap();
    store.commit(&put(&during), generation).await.unwrap();
    assert!(is_stored(&store, &during).await);
}

/// Lets the database grow by no page more, as a full disk does.
async fn fill_the_disk(store: &SqlStore) {
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
        .fetch_one(&store.writer)
        .await
        .unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}")))
        .execute(&store.writer)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_commits_keeps_nothing_of_them_and_works_again() {
    let (store, _folder) = fresh().await;
    let generation = lead(&store).await;
    let small = builders::task().number(1).name("small").build();
    let large = large_task(2);
    for _ in 0..3 {
        // The limit is the connection's, and the store takes a new one after a failure: each time there is room again.
        fill_the_disk(&store).await;
        let commit = [put(&small), put(&large)].concat();
        let refused = store.commit(&commit, generation).await;
        assert!(
            matches!(refused, Err(JournalError::Unavailable(_))),
            "{refused:?}"
        );
        let text = chain(&refused.unwrap_err());
        assert!(text.contains("database or disk is full"), "{text}");
        assert!(text.contains(&large.id().to_string()), "{text}");
        assert!(!is_stored(&store, &small).await);
        assert!(!is_stored(&store, &large).await);
    }
    let commit = [put(&small), put(&large)].concat();
    store.commit(&commit, generation).await.unwrap();
    assert!(is_stored(&store, &small).await && is_stored(&store, &large).await);
}

/// A request that is given up: its commit is whole or not there, and the next one finds a sound connection.
#[tokio::test]
async fn a_commit_that_is_dropped_halfway_leaves_nothing_behind() {
    let (store, _folder) = fresh().await;
    let generation = lead(&store).await;
    let changes: Vec<Change> = (1..=20).flat_map(|number| put(&large_task(number))).collect();
    for _ in 0..5 {
        // Begun, and dropped at its first await.
        assert!(store.commit(&changes, generation).now_or_never().is_none());
    }
    let mut halfway = store.commit(&changes, generation);
    for _ in 0..7 {
        assert!(futures::poll!(halfway.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    drop(halfway);

    let after = builders::task().number(99).name("after").build();
    store.commit(&put(&after), generation).await.unwrap();
    assert_eq!(store.recover().await.unwrap().tasks, [after]);
}

#[tokio::test]
async fn a_record_that_does_not_decode_is_damaged_not_absent() {
    let (store, folder) = fresh().await;
    let generation = lead(&store).await;
    let (task, other) = (
        builders::task().number(1).holds().build(),
        builders::task().number(2).name("other").holds().build(),
    );
    let run = builders::run().build();
    let work = builders::work().build();
    let mut changes = [put(&task), put(&other)].concat();
    changes.push(Change::PutRun(Box::new(run.clone())));
    changes.push(Change::PutWork(Box::new(work.clone())));
    store.commit(&changes, generation).await.unwrap();

    let mut stranger = stranger(&folder).await;
    for damage in [
        "UPDATE task SET status = '{' WHERE name = 'task'",
        "UPDATE run SET spec = '{}'",
        "UPDATE work SET body = x'ff'",
    ] {
        sqlx::query(damage).execute(&mut stranger).await.unwrap();
    }
    let damaged = |error: Option<RecordsError>| match error {
        Some(RecordsError::Damaged(source)) => chain(&*source),
        other => panic!("{other:?}"),
    };
    let text = damaged(Tasks::get(&store, task.id()).await.err());
    assert!(text.contains(&task.id().to_string()), "{text}");
    damaged(store.holder(&task.slot()).await.err());
    damaged(Tasks::page(&store, None, None, 9).await.err());
    damaged(Runs::get(&store, run.id).await.err());
    damaged(Runs::page(&store, None, None, 9).await.err());
    damaged(Works::get(&store, work.id).await.err());
    assert!(store.recover().await.is_err());
    assert!(is_stored(&store, &other).await, "sound records are unaffected");
}

#[tokio::test]
async fn readers_cannot_write() {
    let (store, _folder) = fresh().await;
    let refused = sqlx::query("UPDATE leader SET generation = 9")
        .execute(&store.readers)
        .await;
    assert!(refused.is_err());
}

/// Writers queue for one connection, and readers go on beside them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commits_and_reads_at_once_all_succeed() {
    let (store, _folder) = fresh().await;
    let generation = lead(&store).await;
    let commits = (1..=64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let name = format!("task-{number}");
            let task = builders::task().number(number).name(&name).holds().build();
            store.commit(&put(&task), generation).await.unwrap();
            assert!(
                is_stored(&store, &task).await,
                "a commit is seen by the next read"
            );
        })
    });
    for commit in futures::future::join_all(commits).await {
        commit.unwrap();
    }
    let page = Tasks::page(&store, None, None, 100).await.unwrap();
    assert_eq!(page.items.len(), 64);
}

/// SQLite writes a row as a whole: what never changes is kept in another.
#[tokio::test]
async fn a_change_of_status_does_not_write_the_manifest_again() {
    let (store, folder) = fresh().await;
    let generation = lead(&store).await;
    let mut task = large_task(1);
    store.commit(&put(&task), generation).await.unwrap();
    let log = || {
        std::fs::metadata(folder.path().join("deploy.db-wal"))
            .unwrap()
            .len()
    };
    let before = log();
    task.status.revision = 1;
    let change = Change::SetStatus {
        task: task.id(),
        status: Box::new(task.status.clone()),
        live: true,
    };
    store.commit(&[change], generation).await.unwrap();
    assert!(is_stored(&store, &task).await);
    let pages = (log() - before) / 4096;
    assert!(pages <= 3, "{pages} pages for one status");
}

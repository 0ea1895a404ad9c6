//! What SQLite makes of the queries: everything through an index, nothing sorted, nothing read that is not returned.

use deploy_core::ports::Runs;
use deploy_core::workload::Kind;
use sqlx::AssertSqlSafe;

use super::super::{journal, records};
use super::*;

#[tokio::test]
async fn every_query_goes_through_its_index() {
    let (store, _folder) = fresh().await;
    for (query, index) in [
        (records::TASK, "sqlite_autoindex_task_1 (id=?)"),
        (
            records::RECORDED,
            "task_place (slot=? AND namespace=? AND name=?)",
        ),
        (records::HOLDER, "task_holder (slot=? AND namespace=? AND name=?)"),
        (records::TASKS, "task_list ((kind,namespace,name)>(?,?,?))"),
        (
            records::TASKS_OF_NAMESPACE,
            "task_list_of_namespace (namespace=? AND (kind,name)>(?,?))",
        ),
        (records::FINISHED_JOBS, "task_finished (kind=? AND finished_ms<?)"),
        (records::STEPS, "task_step (run_id=?)"),
        (records::RUN, "sqlite_autoindex_run_1 (id=?)"),
        (records::RUNS, "sqlite_autoindex_run_1 (id<?)"),
        (
            records::RUNS_OF_NAMESPACE,
            "run_of_namespace (namespace=? AND id<?)",
        ),
        (records::WORK, "sqlite_autoindex_work_1 (id=?)"),
        // These read all that is live or open, and nothing else.
        (journal::LIVE_TASKS, "task_live (live=?)"),
        (journal::OPEN_RUNS, "run_open (open=?)"),
        (journal::OPEN_STEPS, "run_open (open=?)"),
        (journal::OPEN_EVENTS, "run_open (open=?)"),
        (journal::LOADING_WORKS, "work_loading (loading=?)"),
        (
            journal::REMOVE_TASKS,
            "task_place (slot=? AND namespace=? AND name=?)",
        ),
        (journal::REMOVE_WORKS, "work_age (created_ms<?)"),
    ] {
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}")))
                .fetch_all(&store.readers)
                .await
                .unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(.., detail)| detail).collect();
        assert!(plan.iter().any(|line| line.contains(index)), "{query}\n{plan:#?}");
        for line in &plan {
            let sound = !line.contains("SCAN") && !line.contains("TEMP B-TREE");
            assert!(sound, "{query}\n{plan:#?}");
        }
    }
}

/// Counted in SQLite's own instructions, which depend on no clock and no load.
#[tokio::test]
async fn a_page_costs_the_same_however_much_is_stored() {
    let few = steps_of_pages(1_000).await;
    let many = steps_of_pages(100_000).await;
    for ((what, few), (_, many)) in few.into_iter().zip(many) {
        assert!(
            few > 0 && many <= few + few / 10,
            "{what}: {few} with 1,000, {many} with 100,000"
        );
    }
}

/// Instructions for each page over that many runs and tasks.
async fn steps_of_pages(count: i64) -> Vec<(&'static str, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let tuning = Tuning {
        readers: 1,
        ..Tuning::default()
    };
    let store = SqlStore::open_file(&file(&folder), tuning).await.unwrap();
    let generation = lead(&store).await;
    let task = builders::task().holds().succeeded_at(builders::time(1)).build();
    let run = Change::PutRun(Box::new(builders::run().build()));
    store
        .commit(&[put(&task).to_vec(), vec![run]].concat(), generation)
        .await
        .unwrap();
    // Copies of the two, with ids, names and times of their own.
    for copy in [
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
         INSERT INTO run (id, namespace, open, spec, status)
         SELECT printf('%08x', i) || substr(id, 9), namespace, open, spec, status FROM n, run",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
         INSERT INTO task (id, slot, namespace, name, kind, live, holds, finished_ms, status)
         SELECT printf('%08x', i) || substr(id, 9), slot, namespace, name || i, kind, live, holds, finished_ms + i, status
         FROM n, task",
        "INSERT INTO task_spec (task_id, spec)
         SELECT t.id, s.spec FROM task t, task_spec s WHERE t.id <> s.task_id AND $1 > 0",
    ] {
        sqlx::query(copy).bind(count).execute(&store.writer).await.unwrap();
    }

    let steps = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = std::sync::Arc::clone(&steps);
    let mut reader = store.readers.acquire().await.unwrap();
    reader
        .lock_handle()
        .await
        .unwrap()
        .set_progress_handler(1, move || {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            true
        });
    drop(reader);
    let counted = |what| (what, steps.swap(0, std::sync::atomic::Ordering::Relaxed));

    let namespace = "demo".parse().unwrap();
    let slot = builders::slot(Kind::Job, "demo", "task500");
    let mut all = Vec::new();
    for namespace in [None, Some(&namespace)] {
        assert_eq!(
            Runs::page(&store, namespace, None, 50).await.unwrap().items.len(),
            50
        );
        all.push(counted("runs"));
        assert_eq!(
            Tasks::page(&store, namespace, None, 50)
                .await
                .unwrap()
                .items
                .len(),
            50
        );
        all.push(counted("tasks"));
    }
    let before = builders::time(1_000_000);
    assert_eq!(store.finished_jobs(before, 50).await.unwrap().len(), 50);
    all.push(counted("finished jobs"));
    assert!(store.holder(&slot).await.unwrap().is_some());
    all.push(counted("holder"));
    all
}

//! The store in memory keeps the contract, and fails as it is told to.

use futures::FutureExt;

use super::*;
use crate::builders;

crate::journal_contract!(fresh);

async fn fresh() -> (MemoryStore, ()) {
    (MemoryStore::new(), ())
}

fn change() -> [Change; 1] {
    [Change::PutTask(Box::new(builders::task().build()))]
}

/// One commit with that fate: whether it was answered, and how, and whether it is recorded.
async fn outcome(fate: Fate) -> (Option<bool>, bool) {
    let store = MemoryStore::new();
    let generation = store.lead().await.unwrap();
    store.script([fate]);
    let answer = store.commit(&change(), generation).now_or_never();
    let recorded = store.records().task(builders::task_id(1)).is_some();
    assert_eq!(
        store.calls().last(),
        Some(&Call::Commit {
            changes: change().to_vec(),
            recorded
        })
    );
    (answer.map(|answer| answer.is_ok()), recorded)
}

#[tokio::test]
async fn a_commit_meets_its_fate() {
    assert_eq!(outcome(Fate::Recorded).await, (Some(true), true));
    assert_eq!(outcome(Fate::Refused).await, (Some(false), false));
    assert_eq!(outcome(Fate::AnswerLost).await, (Some(false), true));
    assert_eq!(outcome(Fate::DiesBefore).await, (None, false));
    assert_eq!(outcome(Fate::DiesAfter).await, (None, true));
}

#[tokio::test]
async fn a_process_that_died_commits_nothing_more_and_the_next_one_does() {
    let store = MemoryStore::new();
    let died = store.lead().await.unwrap();
    store.script([Fate::DiesBefore]);
    assert!(store.commit(&[], died).now_or_never().is_none());
    assert!(store.commit(&change(), died).now_or_never().is_none());
    assert!(store.until_dead().now_or_never().is_some());

    let next = store.lead().await.unwrap();
    assert!(store.until_dead().now_or_never().is_none());
    assert!(store.commit(&change(), died).now_or_never().is_none());
    assert_eq!(store.recover().await.unwrap(), Recovery::default());
    store.commit(&change(), next).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_down_refuses_everything_until_it_is_mended() {
    let store = MemoryStore::new();
    let generation = store.lead().await.unwrap();
    store.break_down();
    assert!(store.lead().await.is_err());
    assert!(store.commit(&change(), generation).await.is_err());
    assert!(store.recover().await.is_err());
    assert!(Tasks::get(&store, builders::task_id(1)).await.is_err());
    store.mend();
    store.commit(&change(), generation).await.unwrap();
    assert!(Tasks::get(&store, builders::task_id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_test_waits_for_a_record_by_event() {
    let store = MemoryStore::new();
    let generation = store.lead().await.unwrap();
    let seen = store.until(|records| records.tasks().next().map(Task::id));
    let change = change();
    let commit = store.commit(&change, generation);
    let (seen, committed) = futures::join!(seen, commit);
    committed.unwrap();
    assert_eq!(seen, builders::task_id(1));
}

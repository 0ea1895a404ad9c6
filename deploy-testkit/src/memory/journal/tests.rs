//! The store in memory keeps the contract, and fails as it is told to.

use deploy_core::pipeline::{RunEvent, RunState, StepEnd};
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

#[tokio::test]
async fn a_commit_that_fails_at_its_last_change_leaves_everything_as_it_was() {
    let store = MemoryStore::new();
    let generation = store.lead().await.unwrap();
    let task = |number: u64| builders::task().number(number).holds();
    let step = task(2).name("step").step(builders::pipeline_id(1), 0).build();
    let ended = |seq: u64, step: u32| Change::AppendEvent {
        run: builders::pipeline_id(1),
        seq,
        event: RunEvent::StepEnded {
            step,
            end: StepEnd::Succeeded,
        },
    };
    let known = [
        Change::PutRun(Box::new(builders::run().build())),
        ended(0, 0),
        Change::PutTask(Box::new(task(1).build())),
        Change::PutTask(Box::new(step.clone())),
        Change::PutWork(Box::new(builders::work().build())),
    ];
    store.commit(&known, generation).await.unwrap();
    let before = store.records();

    let gone = builders::task().build().status;
    let changes = [
        Change::RemoveTasks(step.slot()),
        Change::SetStatus {
            task: builders::task_id(1),
            status: Box::new(gone),
            live: false,
        },
        Change::PutTask(Box::new(task(3).build())),
        Change::RemoveTasks(task(3).build().slot()),
        Change::PutRun(Box::new(builders::run().number(2).build())),
        Change::AppendEvent {
            run: builders::pipeline_id(2),
            seq: 0,
            event: RunEvent::Kill { cleanup: false },
        },
        Change::SetRun {
            run: builders::pipeline_id(1),
            status: builders::run().state(RunState::Failed).build().status,
        },
        ended(1, 1),
        ended(2, 2),
        Change::RemoveWorksBefore(builders::time(60)),
        Change::PutWork(Box::new(builders::work().number(2).build())),
        // The one before it is missing.
        ended(9, 9),
    ];
    assert!(store.commit(&changes, generation).await.is_err());
    assert_eq!(store.records(), before);

    let (_, sound) = changes.split_last().unwrap();
    store.commit(sound, generation).await.unwrap();
    assert_ne!(store.records(), before);
}

#[tokio::test]
async fn a_place_taken_by_a_second_task_is_refused_and_stays_the_first_ones() {
    let store = MemoryStore::new();
    let generation = store.lead().await.unwrap();
    let put = |number: u64| Change::PutTask(Box::new(builders::task().number(number).holds().build()));
    store.commit(&[put(1)], generation).await.unwrap();
    assert!(store.commit(&[put(2)], generation).await.is_err());
    let slot = builders::task().build().slot();
    assert_eq!(
        store.records().holder(&slot).map(Task::id),
        Some(builders::task_id(1))
    );
    assert_eq!(store.records().tasks().count(), 1);
}

//! What is recorded, and what is not.

use deploy_core::error::ErrorCode;
use deploy_core::pipeline::{RunEvent, RunState, RunStatus, StepCounts, StepEnd, StepState};
use deploy_core::ports::{Change, JournalError, Runs, Tasks, Works};
use deploy_core::task::{Intent, State, Task};
use deploy_core::workload::{Kind, ReasonCode, Uid, Warning, WarningCode};
use serde_json::json;

use super::{Store, put, put_task, set_status};
use crate::builders::{self, pipeline_id, task_id, time, work_id};

/// Every kind, and every field that may be absent, present.
pub async fn a_task_is_read_back_as_it_was_put(store: &dyn Store) {
    let task = |number: u64, name: &str| builders::task().number(number).name(name).holds();
    let full = task(5, "full")
        .builds()
        .from_git()
        .step(pipeline_id(1), 3)
        .after(&[0, 2])
        .warning(WarningCode::ScheduleIgnored, "the schedule is ignored")
        .workload(|workload| workload.command(&["echo", "größe \u{0}"]).env("KEY", "value"))
        .intent(Intent::Replace {
            old: task_id(1),
            uid: Uid("uid-0".to_owned()),
        })
        .reason(ReasonCode::ExitCode, "exit code 3")
        .succeeded_at(time(20))
        .status(|status| {
            status.exit_code = Some(3);
            status.revision = u64::MAX;
            status.superseded_by = Some(task_id(9));
            status.step = Some(StepState::Failed);
            status.warnings = vec![Warning::new(WarningCode::RolloutLeft, "left")];
        })
        .build();
    let tasks = [
        task(1, "a").job().build(),
        task(2, "a").cronjob().build(),
        task(3, "a").deployment().build(),
        task(4, "b").service().build(),
        full,
    ];
    put(store, &tasks.each_ref().map(put_task)).await;
    for task in &tasks {
        let got = Tasks::get(store, task.id()).await.expect("readable");
        assert_eq!(got.as_ref(), Some(task));
        let holder = store.holder(&task.slot()).await.expect("readable");
        assert_eq!(holder.as_ref(), Some(task));
    }
}

/// With every field, and as it moves on.
pub async fn a_run_is_read_back_as_it_was_put(store: &dyn Store) {
    let mut run = builders::run()
        .from_git()
        .warning(WarningCode::DefaultBranchAbsent, "HEAD was taken")
        .counts(StepCounts {
            waiting: 2,
            ..StepCounts::default()
        })
        .build();
    let generation = put(store, &[Change::PutRun(Box::new(run.clone()))]).await;
    let read = || async { Runs::get(store, run.id).await.expect("readable") };
    assert_eq!(read().await.as_ref(), Some(&run));

    let status = RunStatus {
        state: RunState::Failed,
        in_error: true,
        finished_at: Some(time(60)),
        counts: StepCounts {
            failed: 1,
            skipped: 1,
            ..StepCounts::default()
        },
    };
    let change = Change::SetRun {
        run: run.id,
        status: status.clone(),
    };
    store
        .commit(&[change], generation)
        .await
        .expect("these changes can be recorded");
    let moved_on = read().await;
    run.status = status;
    assert_eq!(moved_on, Some(run));
}

/// A work is put again and again, and its last word stays.
pub async fn a_work_is_read_back_as_it_moves_on(store: &dyn Store) {
    let work = builders::work;
    let configuration =
        json!({"name": "task", "env": [{"name": "A", "value": "ä"}], "replicas": 3, "cpu": 0.5});
    let generation = store.lead().await.expect("the lead is free");
    for work in [
        work().build(),
        work().failed(ErrorCode::GitTimeout, "git did not answer").build(),
        work().loaded(configuration).build(),
    ] {
        store
            .commit(&[Change::PutWork(Box::new(work.clone()))], generation)
            .await
            .expect("these changes can be recorded");
        let got = Works::get(store, work.id).await.expect("readable");
        assert_eq!(got, Some(work));
    }
}

/// Once another leads, nothing of the one before is recorded.
pub async fn a_commit_of_an_earlier_leader_is_refused(store: &dyn Store) {
    let first = store.lead().await.expect("the lead is free");
    let second = store.lead().await.expect("the lead can be taken");
    assert!(first < second);

    let task = builders::task().build();
    let refused = store.commit(&[put_task(&task)], first).await;
    assert!(matches!(refused, Err(JournalError::Superseded)), "{refused:?}");
    assert_eq!(Tasks::get(store, task.id()).await.expect("readable"), None);

    store
        .commit(&[put_task(&task)], second)
        .await
        .expect("the second leads");
    assert_eq!(Tasks::get(store, task.id()).await.expect("readable"), Some(task));
}

/// For a commit of every kind of change, and for a task that has moved on since.
pub async fn a_commit_that_is_sent_again_changes_nothing(store: &dyn Store) {
    let old = builders::task().number(1).name("load").holds().build();
    let new = builders::task().number(2).name("load").holds().build();
    let mut released = old.clone();
    released.status.holds = false;
    let run = builders::run().build();
    let commits = [
        vec![put_task(&old)],
        vec![put_task(&new), set_status(&released)],
        vec![
            Change::PutRun(Box::new(run.clone())),
            put_task(&builders::task().number(3).name("step").step(run.id, 0).build()),
            Change::AppendEvent {
                run: run.id,
                seq: 0,
                event: RunEvent::Kill { cleanup: true },
            },
            Change::SetRun {
                run: run.id,
                status: builders::run().state(RunState::Killing).build().status,
            },
        ],
        vec![
            Change::RemoveTasks(new.slot()),
            Change::RemoveWorksBefore(time(10)),
            Change::PutWork(Box::new(builders::work().created_at(time(10)).build())),
        ],
    ];
    let generation = store.lead().await.expect("the lead is free");
    for commit in &commits {
        let mut seen = Vec::new();
        for _ in 0..3 {
            store
                .commit(commit, generation)
                .await
                .expect("these changes can be recorded");
            seen.push((
                store.recover().await.expect("readable"),
                Tasks::page(store, None, None, 10).await.expect("readable"),
                Tasks::get(store, old.id()).await.expect("readable"),
            ));
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{commit:?}");
    }

    let task = builders::task().number(4).build();
    let moved_on = Task {
        status: builders::status(),
        ..builders::task().number(4).state(State::Running).build()
    };
    for change in [put_task(&task), set_status(&moved_on), put_task(&task)] {
        store
            .commit(&[change], generation)
            .await
            .expect("these changes can be recorded");
    }
    let got = Tasks::get(store, task.id()).await.expect("readable");
    assert_eq!(got, Some(moved_on));
}

/// Whatever came before it in the commit is not recorded either, and the next commit is none the worse for it.
pub async fn a_change_that_cannot_be_recorded_takes_the_whole_commit_with_it(store: &dyn Store) {
    let holder = builders::task().number(1).name("held").holds().build();
    let run = builders::run().build();
    let event = |run: u64, seq: u64, step: u32| Change::AppendEvent {
        run: pipeline_id(run),
        seq,
        event: RunEvent::StepEnded {
            step,
            end: StepEnd::Succeeded,
        },
    };
    let generation = put(
        store,
        &[
            put_task(&holder),
            Change::PutRun(Box::new(run.clone())),
            event(1, 0, 0),
        ],
    )
    .await;
    let before = store.recover().await.expect("readable");

    let rival = builders::task().number(2).name("held").holds().build();
    let mut late_rival = builders::task().number(3).name("held").build();
    let put_late_rival = put_task(&late_rival);
    late_rival.status.holds = true;
    let bad: [(&str, Vec<Change>); 6] = [
        ("an event of an unknown run", vec![event(7, 0, 0)]),
        ("another event at a place that is taken", vec![event(1, 0, 1)]),
        ("an event after a gap", vec![event(1, 3, 1)]),
        (
            "the status of an unknown run",
            vec![Change::SetRun {
                run: pipeline_id(7),
                status: run.status.clone(),
            }],
        ),
        ("a second holder of a place", vec![put_task(&rival)]),
        (
            "a task that becomes a second holder",
            vec![put_late_rival, set_status(&late_rival)],
        ),
    ];
    for (what, changes) in bad {
        let good = [
            put_task(&builders::task().number(10).name("other").holds().build()),
            Change::PutRun(Box::new(builders::run().number(10).build())),
            event(1, 1, 1),
            Change::SetRun {
                run: run.id,
                status: builders::run().state(RunState::Failed).build().status,
            },
            Change::PutWork(Box::new(builders::work().build())),
        ];
        let commit = [&good[..], &changes[..]].concat();
        let refused = store.commit(&commit, generation).await;
        assert!(
            matches!(refused, Err(JournalError::Unavailable(_))),
            "{what}: {refused:?}"
        );
        assert_eq!(store.recover().await.expect("readable"), before, "{what}");
        assert_eq!(
            Works::get(store, work_id(1)).await.expect("readable"),
            None,
            "{what}"
        );
    }
    store
        .commit(&[event(1, 1, 1)], generation)
        .await
        .expect("these changes can be recorded");
}

/// The one that lets go may come before or after the one that takes, in one commit.
pub async fn a_place_passes_from_task_to_task_in_either_order(store: &dyn Store) {
    let generation = store.lead().await.expect("the lead is free");
    let commit = |changes: Vec<Change>| async move {
        store
            .commit(&changes, generation)
            .await
            .expect("these changes can be recorded");
    };
    let holding = |number: u64| {
        builders::task()
            .number(number)
            .name("web")
            .deployment()
            .holds()
            .build()
    };
    let released = |number: u64| {
        let mut task = holding(number);
        task.status.holds = false;
        task.status.state = State::Superseded;
        task
    };
    let slot = builders::slot(Kind::Service, "demo", "web");
    let holder = || async { store.holder(&slot).await.expect("readable").map(|task| task.id()) };

    commit(vec![put_task(&holding(1))]).await;
    commit(vec![put_task(&holding(2)), set_status(&released(1))]).await;
    assert_eq!(holder().await, Some(task_id(2)));
    commit(vec![set_status(&released(2)), put_task(&holding(3))]).await;
    assert_eq!(holder().await, Some(task_id(3)));

    // By status alone, and back.
    commit(vec![put_task(&released(4))]).await;
    commit(vec![set_status(&holding(4)), set_status(&released(3))]).await;
    assert_eq!(holder().await, Some(task_id(4)));
    commit(vec![set_status(&released(4)), set_status(&holding(3))]).await;
    assert_eq!(holder().await, Some(task_id(3)));

    // Let go and taken again: the last word counts.
    commit(vec![set_status(&released(3)), set_status(&holding(3))]).await;
    assert_eq!(holder().await, Some(task_id(3)));
    commit(vec![Change::RemoveTasks(slot.clone()), put_task(&holding(5))]).await;
    assert_eq!(holder().await, Some(task_id(5)));
}

/// What was asked for is never written again.
pub async fn a_status_changes_nothing_but_the_status(store: &dyn Store) {
    let accepted = builders::task().from_git().builds().build();
    let other = builders::task().number(2).name("other").build();
    let generation = put(store, &[put_task(&accepted), put_task(&other)]).await;
    let ended = Task {
        status: builders::task().holds().succeeded_at(time(9)).build().status,
        ..accepted
    };
    store
        .commit(&[set_status(&ended)], generation)
        .await
        .expect("these changes can be recorded");
    let got = Tasks::get(store, ended.id()).await.expect("readable");
    assert_eq!(got, Some(ended));
    let got = Tasks::get(store, other.id()).await.expect("readable");
    assert_eq!(got, Some(other));
}

/// An observation that comes late, or a commit that is sent again after the removal.
pub async fn the_status_of_a_task_that_was_removed_is_let_go(store: &dyn Store) {
    let task = builders::task().holds().build();
    let generation = put(store, &[put_task(&task)]).await;
    let commit = [set_status(&task), Change::RemoveTasks(task.slot())];
    for _ in 0..2 {
        store
            .commit(&commit, generation)
            .await
            .expect("these changes can be recorded");
        assert_eq!(Tasks::get(store, task.id()).await.expect("readable"), None);
    }
}

/// Of the same name, other kinds that share it leave too, and nothing else does.
pub async fn removing_a_name_keeps_the_steps_of_runs(store: &dyn Store) {
    let web = |number: u64| builders::task().number(number).name("web").state(State::Ready);
    let step = web(3)
        .deployment()
        .step(pipeline_id(1), 0)
        .state(State::Ready)
        .holds()
        .build();
    let gone = [
        web(1).deployment().state(State::Superseded).build(),
        web(2).service().state(State::Superseded).build(),
    ];
    let kept = [
        web(4).deployment().name("web-2").holds().build(),
        web(5).deployment().namespace("other").holds().build(),
        web(6).job().holds().build(),
    ];
    let ended = builders::run().state(RunState::Succeeded).build();
    let mut changes = vec![Change::PutRun(Box::new(ended)), put_task(&step)];
    changes.extend(gone.iter().chain(&kept).map(put_task));
    let generation = put(store, &changes).await;
    assert!(store.is_recorded(&step.slot()).await.expect("readable"));

    store
        .commit(&[Change::RemoveTasks(step.slot())], generation)
        .await
        .expect("these changes can be recorded");
    assert!(
        !store.is_recorded(&step.slot()).await.expect("readable"),
        "a run's step is no record of the name"
    );
    for task in &gone {
        assert_eq!(Tasks::get(store, task.id()).await.expect("readable"), None);
    }
    for task in &kept {
        let got = Tasks::get(store, task.id()).await.expect("readable");
        assert_eq!(got.as_ref(), Some(task));
    }
    assert_eq!(store.holder(&step.slot()).await.expect("readable"), None);
    let mut let_go = step;
    let_go.status.holds = false;
    let steps = store.steps(pipeline_id(1)).await.expect("readable");
    assert_eq!(steps, [let_go]);
    let live = store.recover().await.expect("readable").tasks;
    assert_eq!(live, kept, "what no longer holds its place is not looked after");
}

/// One asked for at the very time stays.
pub async fn works_leave_by_the_time_they_were_asked_for(store: &dyn Store) {
    let work = |number: u64, seconds: i64| {
        let work = builders::work().number(number).created_at(time(seconds)).build();
        Change::PutWork(Box::new(work))
    };
    let changes = [
        work(1, 9),
        work(2, 10),
        work(3, 11),
        Change::RemoveWorksBefore(time(10)),
    ];
    put(store, &changes).await;
    let mut left = Vec::new();
    for number in 1..=3 {
        if let Some(work) = Works::get(store, work_id(number)).await.expect("readable") {
            left.push(work.id);
        }
    }
    assert_eq!(left, [work_id(2), work_id(3)]);
}

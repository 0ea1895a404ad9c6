//! What an engine finds when it takes the lead.

use deploy_core::pipeline::{Run, RunEvent, RunState, StepEnd};
use deploy_core::ports::{Change, OpenRun, Recovery};
use deploy_core::task::{Intent, State, Task};
use serde_json::json;

use super::{Store, put, put_task, set_status};
use crate::builders::{self, pipeline_id, time};

/// Nor has it anything to fail on.
pub async fn an_empty_store_has_nothing_to_recover(store: &dyn Store) {
    assert_eq!(store.recover().await.expect("readable"), Recovery::default());
}

/// Live tasks, open runs whole, and works that load, as they were put.
pub async fn recovery_finds_everything_that_is_not_finished(store: &dyn Store) {
    let expected = Recovery {
        tasks: vec![
            builders::task().number(1).name("pending").build(),
            builders::task()
                .number(2)
                .name("web")
                .deployment()
                .state(State::Ready)
                .holds()
                .build(),
            builders::task()
                .number(3)
                .name("to-delete")
                .succeeded_at(time(1))
                .intent(Intent::Delete)
                .build(),
        ],
        runs: vec![open_run(1, 3, 2), open_run(2, 1, 0), open_run(3, 12, 12)],
        works: [1, 2]
            .map(|number| builders::work().number(number).build())
            .into(),
    };
    let mut changes = Vec::new();
    changes.extend(expected.tasks.iter().rev().map(put_task));
    for open in expected.runs.iter().rev() {
        changes.push(put_run(&open.run));
        changes.extend(open.steps.iter().rev().map(put_task));
        changes.extend(
            open.events
                .iter()
                .zip(0..)
                .map(|(event, seq)| Change::AppendEvent {
                    run: open.run.id,
                    seq,
                    event: *event,
                }),
        );
    }
    changes.extend(
        expected
            .works
            .iter()
            .rev()
            .map(|work| Change::PutWork(Box::new(work.clone()))),
    );
    put(store, &changes).await;
    assert_eq!(store.recover().await.expect("readable"), expected);
}

/// Finished tasks, ended runs with their steps and events, works that are read. A deployment outlives its run.
pub async fn recovery_leaves_out_what_has_ended(store: &dyn Store) {
    let ended = open_run(1, 3, 3);
    let mut deployment = builders::task()
        .number(50)
        .name("web")
        .deployment()
        .step(pipeline_id(1), 3)
        .state(State::Ready)
        .holds()
        .build();
    let finished = builders::task().number(51).name("done").holds().build();
    let work = builders::work().build();
    let mut changes = vec![put_run(&ended.run), put_task(&deployment), put_task(&finished)];
    changes.extend(ended.steps.iter().map(put_task));
    changes.push(Change::PutWork(Box::new(work)));
    let generation = put(store, &changes).await;
    let before = store.recover().await.expect("readable");
    assert_eq!(before.tasks, std::slice::from_ref(&finished));
    assert_eq!(before.runs.len(), 1);
    assert_eq!(before.runs[0].steps.len(), 4);
    assert_eq!(before.works.len(), 1);

    let end = |task: &Task| {
        let mut task = task.clone();
        task.status = builders::task().holds().succeeded_at(time(9)).build().status;
        set_status(&task)
    };
    let mut changes = vec![
        end(&finished),
        Change::SetRun {
            run: ended.run.id,
            status: builders::run().state(RunState::Succeeded).build().status,
        },
        Change::PutWork(Box::new(builders::work().loaded(json!({})).build())),
    ];
    changes.extend(ended.steps.iter().map(end));
    store
        .commit(&changes, generation)
        .await
        .expect("these changes can be recorded");
    let mut expected = Recovery {
        tasks: vec![deployment.clone()],
        ..Recovery::default()
    };
    assert_eq!(store.recover().await.expect("readable"), expected);

    deployment.status.holds = false;
    deployment.status.state = State::Superseded;
    store
        .commit(&[set_status(&deployment)], generation)
        .await
        .expect("these changes can be recorded");
    expected.tasks.clear();
    assert_eq!(store.recover().await.expect("readable"), expected);
}

fn open_run(number: u64, steps: u32, events: u32) -> OpenRun {
    let run = builders::run().number(number).build();
    let step = |index: u32| {
        builders::task()
            .number(number * 100 + u64::from(index))
            .name(&format!("run-{number}-{index}"))
            .step(run.id, index)
            .build()
    };
    let event = |step: u32| RunEvent::StepEnded {
        step,
        end: StepEnd::Succeeded,
    };
    OpenRun {
        steps: (0..steps).map(step).collect(),
        events: (0..events).map(event).collect(),
        run,
    }
}

fn put_run(run: &Run) -> Change {
    Change::PutRun(Box::new(run.clone()))
}

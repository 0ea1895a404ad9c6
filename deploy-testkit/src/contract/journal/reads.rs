//! What is read of it.

use deploy_core::names::{Namespace, PipelineId, TaskId};
use deploy_core::pipeline::RunState;
use deploy_core::ports::{Change, Page, Runs, TaskCursor, Tasks, Works};
use deploy_core::task::Task;
use deploy_core::workload::Kind;

use super::{Store, put, put_task};
use crate::builders::{self, pipeline_id, task_id, time, work_id};

/// Not an error: nothing is there.
pub async fn what_was_never_put_is_absent(store: &dyn Store) {
    put(store, &[put_task(&builders::task().build())]).await;
    let slot = builders::slot(Kind::Job, "demo", "task");
    assert_eq!(Tasks::get(store, task_id(7)).await.expect("readable"), None);
    // It is there, but not in the cluster.
    assert_eq!(store.holder(&slot).await.expect("readable"), None);
    assert_eq!(Runs::get(store, pipeline_id(7)).await.expect("readable"), None);
    assert_eq!(store.steps(pipeline_id(7)).await.expect("readable"), []);
    assert_eq!(Works::get(store, work_id(7)).await.expect("readable"), None);
    let nothing = Page {
        items: Vec::new(),
        more: false,
    };
    assert_eq!(
        Tasks::page(store, None, None, 5).await.expect("readable"),
        nothing
    );
    let nothing = Page {
        items: Vec::new(),
        more: false,
    };
    assert_eq!(Runs::page(store, None, None, 5).await.expect("readable"), nothing);
    assert_eq!(store.finished_jobs(time(99), 5).await.expect("readable"), []);
}

/// By kind, namespace and name, whatever the size of a page; only those that hold their place.
pub async fn task_pages_are_in_order_and_complete(store: &dyn Store) {
    let expected = fill(store).await;
    let demo: Vec<TaskId> = in_namespace(&expected, "demo");
    let all: Vec<TaskId> = expected.iter().map(Task::id).collect();
    for limit in 1..=all.len() + 1 {
        assert_eq!(walk(store, None, limit).await, all, "pages of {limit}");
        let namespace = namespace("demo");
        assert_eq!(
            walk(store, Some(&namespace), limit).await,
            demo,
            "pages of {limit}"
        );
    }
    assert_eq!(walk(store, Some(&namespace("nowhere")), 3).await, []);
}

/// A list may be narrowed to a namespace between two pages.
pub async fn a_task_page_may_begin_after_a_place_in_another_namespace(store: &dyn Store) {
    let expected = fill(store).await;
    for task in &expected {
        let after = cursor(task);
        for text in ["a", "demo", "other", "z"] {
            let rest: Vec<Task> = expected
                .iter()
                .filter(|task| cursor(task) > after)
                .cloned()
                .collect();
            let page = Tasks::page(store, Some(&namespace(text)), Some(&after), 99)
                .await
                .expect("readable");
            let ids: Vec<TaskId> = page.items.iter().map(Task::id).collect();
            assert_eq!(ids, in_namespace(&rest, text), "{text} after {after:?}");
        }
    }
}

/// For a janitor: ended before that time, and the object still there.
pub async fn finished_jobs_come_oldest_first(store: &dyn Store) {
    let job = |number: u64, name: &str| builders::task().number(number).name(name);
    let tasks = [
        job(1, "late").holds().succeeded_at(time(30)).build(),
        job(2, "early").holds().succeeded_at(time(10)).build(),
        job(3, "same-time").holds().succeeded_at(time(10)).build(),
        job(4, "middle")
            .step(pipeline_id(1), 0)
            .holds()
            .succeeded_at(time(20))
            .build(),
        job(5, "at-the-time").holds().succeeded_at(time(40)).build(),
        job(6, "no-object").succeeded_at(time(5)).build(),
        job(7, "runs").holds().build(),
        job(8, "no-job")
            .deployment()
            .holds()
            .succeeded_at(time(5))
            .build(),
    ];
    put(store, &tasks.each_ref().map(put_task)).await;
    let finished = |limit: usize| async move {
        let found = store.finished_jobs(time(40), limit).await.expect("readable");
        found.iter().map(Task::id).collect::<Vec<_>>()
    };
    assert_eq!(finished(9).await, [2, 3, 4, 1].map(task_id));
    assert_eq!(finished(2).await, [2, 3].map(task_id));
}

/// In one namespace or all, whatever the size of a page.
pub async fn run_pages_are_newest_first_and_complete(store: &dyn Store) {
    let numbers = 1..=9_u64;
    let mut changes = Vec::new();
    for number in numbers.clone() {
        let namespace = if number % 3 == 0 { "other" } else { "demo" };
        let state = if number < 5 {
            RunState::Failed
        } else {
            RunState::Running
        };
        let run = builders::run().number(number).namespace(namespace).state(state);
        changes.push(Change::PutRun(Box::new(run.build())));
    }
    put(store, &changes).await;
    let all: Vec<PipelineId> = numbers.rev().map(pipeline_id).collect();
    let other = [9, 6, 3].map(pipeline_id);
    for limit in 1..=10 {
        assert_eq!(walk_runs(store, None, limit).await, all, "pages of {limit}");
        let namespace = namespace("other");
        assert_eq!(
            walk_runs(store, Some(&namespace), limit).await,
            other,
            "pages of {limit}"
        );
    }
}

/// In whatever order they were put.
pub async fn steps_come_in_the_order_of_the_definition(store: &dyn Store) {
    let step = |number: u64, run: u64, index: u32| {
        builders::task()
            .number(number)
            .name(&format!("s{number}"))
            .step(pipeline_id(run), index)
            .build()
    };
    let steps = [step(1, 1, 2), step(2, 1, 10), step(3, 1, 0), step(4, 2, 1)];
    let mut changes = vec![
        Change::PutRun(Box::new(builders::run().number(1).build())),
        Change::PutRun(Box::new(builders::run().number(2).build())),
    ];
    changes.extend(steps.iter().map(put_task));
    put(store, &changes).await;
    let found = store.steps(pipeline_id(1)).await.expect("readable");
    assert_eq!(found, [steps[2].clone(), steps[0].clone(), steps[1].clone()]);
}

/// Two names in two namespaces in every kind that can share them, put in no order; answers those that are listed, in the
/// order of the list.
async fn fill(store: &dyn Store) -> Vec<Task> {
    let mut tasks = Vec::new();
    let mut number = 0;
    for name in ["b", "a-1", "a"] {
        for namespace in ["other", "demo"] {
            for kind in [Kind::CronJob, Kind::Service, Kind::Job] {
                number += 1;
                let task = builders::task().number(number).name(name).namespace(namespace);
                let task = match kind {
                    Kind::CronJob => task.cronjob(),
                    // The names of services and deployments are one set.
                    Kind::Service if name == "a" => task.service(),
                    Kind::Service => task.deployment(),
                    _ => task.job(),
                };
                tasks.push(task.clone().holds().build());
                number += 1;
                // An earlier one of that name, which holds nothing.
                tasks.push(task.number(number).build());
            }
        }
    }
    put(store, &tasks.iter().map(put_task).collect::<Vec<_>>()).await;
    tasks.retain(|task| task.status.holds);
    tasks.sort_by_key(cursor);
    tasks
}

async fn walk(store: &dyn Store, namespace: Option<&Namespace>, limit: usize) -> Vec<TaskId> {
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = Tasks::page(store, namespace, after.as_ref(), limit)
            .await
            .expect("readable");
        assert!(page.items.len() <= limit);
        seen.extend(page.items.iter().map(Task::id));
        if !page.more {
            return seen;
        }
        after = page.items.last().map(cursor);
        assert!(after.is_some(), "more follows a page of nothing");
    }
}

async fn walk_runs(store: &dyn Store, namespace: Option<&Namespace>, limit: usize) -> Vec<PipelineId> {
    let mut seen: Vec<PipelineId> = Vec::new();
    loop {
        let page = Runs::page(store, namespace, seen.last().copied(), limit)
            .await
            .expect("readable");
        assert!(page.items.len() <= limit);
        assert!(
            !page.items.is_empty() || !page.more,
            "more follows a page of nothing"
        );
        seen.extend(page.items.iter().map(|run| run.id));
        if !page.more {
            return seen;
        }
    }
}

fn cursor(task: &Task) -> TaskCursor {
    TaskCursor {
        kind: task.kind(),
        namespace: task.workload.namespace.clone(),
        name: task.workload.name.to_string(),
    }
}

fn in_namespace(tasks: &[Task], namespace: &str) -> Vec<TaskId> {
    tasks
        .iter()
        .filter(|task| task.workload.namespace.as_str() == namespace)
        .map(Task::id)
        .collect()
}

fn namespace(text: &str) -> Namespace {
    text.parse().expect("a namespace")
}

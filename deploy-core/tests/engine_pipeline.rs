//! Runs through the engine: the order of their steps, errors, kills, and what a lost or repeated event does to them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "shared between the tests of the engine")]
#[path = "common/engine.rs"]
mod common;

use common::{Server, job, pass_until, settle, within};
use deploy_core::ErrorCode;
use deploy_core::deployer::Reader;
use deploy_core::names::PipelineId;
use deploy_core::pipeline::{RunState, StepState};
use deploy_core::task::{State, Task};
use deploy_core::workload::ReasonCode;
use deploy_testkit::World;
use deploy_testkit::builders;
use deploy_testkit::memory::Call;
use deploy_testkit::memory::cluster::Verb;

const DIAMOND: &str = r#"{"name": "diamond", "tasks": [
    {"name": "top", "namespacetask": "demo/job"},
    {"name": "left", "namespacetask": "demo/job", "dependance": ["top"]},
    {"name": "right", "namespacetask": "demo/job", "dependance": ["top"]},
    {"name": "bottom", "namespacetask": "demo/job", "dependance": ["left", "right"]},
    {"name": "clean", "namespacetask": "demo/job", "dependance": ["bottom"], "run-if-error": true}
]}"#;

/// A world with the diamond, a server, and its run.
async fn begin(world: &World) -> (Server, PipelineId) {
    world.put_manifest("demo", "job", job("job"));
    world.put_pipeline("demo", "all", DIAMOND);
    let server = Server::start(world);
    let run = server.run("all").await.unwrap().run.id;
    (server, run)
}

/// The step's job, once it is there and recorded.
async fn there(world: &World, run: PipelineId, step: &str) -> Task {
    world.until_step(run, step, |task| task.status.holds).await
}

async fn end(world: &World, run: PipelineId, step: &str, code: i32) {
    let task = there(world, run, step).await;
    world.cluster.end(&task.object(), code);
    world
        .until_step(run, step, |task| task.status.state.is_final())
        .await;
}

fn states(world: &World, run: PipelineId) -> String {
    let records = world.store.records();
    let steps = records.steps(run).into_iter().map(|task| {
        let name = task.step.as_ref().unwrap().name.to_string();
        format!("{name} {}", task.status.step.unwrap().as_str())
    });
    steps.collect::<Vec<_>>().join(", ")
}

async fn kill(server: &Server, run: PipelineId, cleanup: bool) -> (RunState, bool) {
    let caller = World::caller();
    let (view, had_ended) = server
        .deployer
        .kill_pipeline(&caller, Reader::Anyone, run, cleanup)
        .await
        .unwrap();
    (view.run.status.state, had_ended)
}

#[tokio::test]
async fn steps_start_when_their_dependances_are_finished_and_side_by_side() {
    within(async {
        let world = World::default();
        let (_server, run) = begin(&world).await;
        end(&world, run, "top", 0).await;
        there(&world, run, "left").await;
        end(&world, run, "right", 0).await;
        settle().await;
        assert_eq!(
            states(&world, run),
            "top succeeded, left running, right succeeded, bottom waiting, clean waiting"
        );
        assert_eq!(world.cluster.creations().len(), 3);
        for step in ["left", "bottom", "clean"] {
            end(&world, run, step, 0).await;
        }
        let ended = world.until_ended(run).await;
        assert_eq!(ended.status.state, RunState::Succeeded);
        assert!(!ended.status.in_error);
        assert_eq!(ended.status.counts.succeeded, 5);
    })
    .await;
}

#[tokio::test]
async fn after_an_error_running_steps_go_on_and_only_cleanup_starts() {
    within(async {
        let world = World::default();
        let (_server, run) = begin(&world).await;
        end(&world, run, "top", 0).await;
        there(&world, run, "right").await;
        end(&world, run, "left", 2).await;
        settle().await;
        assert_eq!(
            states(&world, run),
            "top succeeded, left failed, right running, bottom skipped, clean running"
        );
        end(&world, run, "clean", 0).await;
        end(&world, run, "right", 0).await;
        let ended = world.until_ended(run).await;
        assert_eq!(ended.status.state, RunState::Failed);
        assert!(ended.status.in_error);
        let left = there(&world, run, "left").await;
        assert_eq!(left.status.exit_code, Some(2));
        assert_eq!(world.cluster.creations().len(), 4);
    })
    .await;
}

#[tokio::test]
async fn a_kill_stops_what_runs_and_nothing_starts_after_it() {
    within(async {
        let world = World::default();
        let (server, run) = begin(&world).await;
        end(&world, run, "top", 0).await;
        for step in ["left", "right"] {
            world.cluster.start(&there(&world, run, step).await.object());
        }
        let is_running = |task: &Task| task.status.state == State::Running;
        world.until_step(run, "left", is_running).await;
        world.until_step(run, "right", is_running).await;
        world.cluster.stop_slowly();

        assert_eq!(kill(&server, run, false).await, (RunState::Killing, false));
        world.cluster.until_called(Verb::Stop, 2).await;
        settle().await;

        // Something of it still runs.
        assert_eq!(kill(&server, run, false).await, (RunState::Killing, false));
        for step in ["left", "right"] {
            world
                .cluster
                .finish_stop(&there(&world, run, step).await.object());
        }
        let ended = world.until_ended(run).await;
        assert_eq!(ended.status.state, RunState::Killed);
        assert_eq!(
            states(&world, run),
            "top succeeded, left killed, right killed, bottom killed, clean killed"
        );
        assert_eq!(kill(&server, run, false).await, (RunState::Killed, true));
        assert_eq!(world.cluster.creations().len(), 3);
        assert!(world.cluster.alive().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_step_that_ended_before_the_kill_reached_it_keeps_its_end() {
    within(async {
        let world = World::default();
        let (server, run) = begin(&world).await;
        let top = there(&world, run, "top").await;
        world.cluster.hold(Verb::Stop);
        kill(&server, run, false).await;
        world.cluster.end(&top.object(), 0);
        let ended = world.until_ended(run).await;
        assert_eq!(ended.status.state, RunState::Killed);
        assert!(states(&world, run).starts_with("top succeeded, left killed"));
    })
    .await;
}

#[tokio::test]
async fn a_step_killed_while_it_is_created_never_runs() {
    within(async {
        let world = World::default();
        world.cluster.hold(Verb::Apply);
        let (server, run) = begin(&world).await;
        world.cluster.until_called(Verb::Apply, 1).await;
        kill(&server, run, false).await;
        let ended = world.until_ended(run).await;
        assert_eq!(ended.status.state, RunState::Killed);
        // The create comes late, and meets the name burnt.
        world.cluster.release(Verb::Apply);
        settle().await;
        assert!(world.cluster.alive().is_empty());
        assert!(world.cluster.creations().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_kill_with_cleanup_lets_cleanup_run_and_the_run_ends_killed() {
    within(async {
        let world = World::default();
        let (server, run) = begin(&world).await;
        there(&world, run, "top").await;
        kill(&server, run, true).await;
        there(&world, run, "clean").await;
        settle().await;
        assert_eq!(
            states(&world, run),
            "top killed, left killed, right killed, bottom killed, clean running"
        );
        end(&world, run, "clean", 0).await;
        let ended = world.until_ended(run).await;
        assert_eq!(ended.status.state, RunState::Killed);
        assert_eq!(ended.status.counts.succeeded, 1);
    })
    .await;
}

#[tokio::test]
async fn a_plain_kill_during_cleanup_stops_that_too() {
    within(async {
        let world = World::default();
        let (server, run) = begin(&world).await;
        there(&world, run, "top").await;
        kill(&server, run, true).await;
        there(&world, run, "clean").await;
        kill(&server, run, false).await;
        let ended = world.until_ended(run).await;
        assert_eq!(ended.status.state, RunState::Killed);
        assert_eq!(ended.status.counts.killed, 5);
        assert!(world.cluster.alive().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_run_that_is_not_there_cannot_be_killed() {
    within(async {
        let world = World::default();
        let server = Server::start(&world);
        let nobody = builders::pipeline_id(77);
        let answer = server
            .deployer
            .kill_pipeline(&World::caller(), Reader::Anyone, nobody, false)
            .await;
        assert_eq!(answer.unwrap_err().code, ErrorCode::PipelineNotFound);
    })
    .await;
}

#[tokio::test]
async fn the_jobs_of_two_runs_of_one_step_have_names_of_their_own() {
    within(async {
        let world = World::automatic();
        let (server, first) = begin(&world).await;
        let second = server.run("all").await.unwrap().run.id;
        for run in [first, second] {
            assert_eq!(world.until_ended(run).await.status.state, RunState::Succeeded);
        }
        let mut names: Vec<String> = world
            .cluster
            .creations()
            .iter()
            .map(|made| made.object.name.to_string())
            .collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 10);
        let top = there(&world, first, "top").await.workload.name.to_string();
        let (step, hash) = top.split_once('-').unwrap();
        assert_eq!((step, hash.len()), ("top", 10));
    })
    .await;
}

#[tokio::test]
async fn a_step_ignores_a_schedule_with_a_warning_and_overrides_the_environment() {
    within(async {
        let world = World::default();
        world.put_manifest(
            "demo",
            "job",
            r#"{"name":"job","type":"job","image":"registry.example/job:1","schedule":"0 4 * * *",
                "env":[{"name":"DAY","value":"sunday"},{"name":"KEEP","value":"1"}]}"#,
        );
        world.put_pipeline(
            "demo",
            "all",
            r#"{"name":"all","tasks":[{"name":"a","namespacetask":"demo/job",
                "env":[{"name":"DAY","value":"monday"},{"name":"NEW","value":"2"}]}]}"#,
        );
        let server = Server::start(&world);
        let run = server.run("all").await.unwrap().run.id;
        let task = there(&world, run, "a").await;
        assert_eq!(task.kind().as_str(), "job");
        assert_eq!(task.warnings.len(), 1);
        assert!(task.warnings[0].message.contains("schedule"));
        let env = serde_json::to_string(&task.workload.container.env).unwrap();
        assert!(env.contains("monday") && !env.contains("sunday"), "{env}");
        let names: Vec<_> = task
            .workload
            .container
            .env
            .iter()
            .map(|variable| variable.name.to_string())
            .collect();
        assert_eq!(names, ["DAY", "KEEP", "NEW"]);
    })
    .await;
}

#[tokio::test]
async fn a_chain_of_a_hundred_steps_costs_a_few_commits_a_step_and_few_rows_a_commit() {
    within(async {
        let world = World::automatic();
        world.put_manifest("demo", "job", job("job"));
        let steps: Vec<String> = (0..100)
            .map(|number: u32| {
                let after = number
                    .checked_sub(1)
                    .map_or_else(String::new, |before| format!("\"s{before}\""));
                format!(r#"{{"name":"s{number}","namespacetask":"demo/job","dependance":[{after}]}}"#)
            })
            .collect();
        let pipeline = format!(r#"{{"name":"chain","tasks":[{}]}}"#, steps.join(","));
        world.put_pipeline("demo", "all", pipeline);
        let server = Server::start(&world);
        settle().await;
        let run = server.run("all").await.unwrap().run.id;
        let ended = world.until_ended(run).await;
        assert_eq!(ended.status.state, RunState::Succeeded);
        assert_eq!(world.cluster.creations().len(), 100);

        let commits: Vec<usize> = world
            .store
            .calls()
            .iter()
            .filter_map(|call| match call {
                Call::Commit { changes, .. } => Some(changes.len()),
                _ => None,
            })
            .collect();
        assert!(commits.len() <= 250, "{} commits", commits.len());
        let beginning = 1 + 100;
        let largest = commits.iter().filter(|size| **size < beginning).max().unwrap();
        assert!(*largest <= 5, "a commit of {largest} changes");
    })
    .await;
}

#[tokio::test]
async fn a_run_whose_events_are_all_lost_still_ends() {
    within(async {
        let world = World::automatic();
        world.cluster.lose_events(usize::MAX);
        let (_server, run) = begin(&world).await;
        let ended = pass_until(&world, world.until_ended(run)).await;
        assert_eq!(ended.status.state, RunState::Succeeded);
        assert!(world.cluster.started_twice().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_end_that_no_event_told_is_found_within_a_minute() {
    within(async {
        let world = World::default();
        let (_server, run) = begin(&world).await;
        let top = there(&world, run, "top").await;
        settle().await;
        world.cluster.freeze_events();
        world.cluster.end(&top.object(), 1);
        let asked_at = deploy_core::ports::Clock::now(&world.clock);
        let is_failed = |task: &Task| task.status.step == Some(StepState::Failed);
        pass_until(&world, world.until_step(run, "top", is_failed)).await;
        let waited = deploy_core::ports::Clock::now(&world.clock) - asked_at;
        assert!(waited.num_seconds() <= 60, "{waited}");
    })
    .await;
}

#[tokio::test]
async fn repeated_and_reordered_events_change_nothing() {
    within(async {
        let world = World::default();
        world.cluster.repeat_events(3);
        let (_server, run) = begin(&world).await;
        for step in ["top", "left", "right", "bottom", "clean"] {
            let task = there(&world, run, step).await;
            world.cluster.freeze_events();
            world.cluster.start(&task.object());
            world.cluster.end(&task.object(), 0);
            world.cluster.thaw_events(true);
        }
        let ended = world.until_ended(run).await;
        assert_eq!(ended.status.state, RunState::Succeeded);
        assert_eq!(world.store.records().events(run).len(), 5);
        assert_eq!(world.cluster.creations().len(), 5);
    })
    .await;
}

#[tokio::test]
async fn an_object_that_vanished_is_asked_for_once_more_before_it_is_called_lost() {
    within(async {
        let world = World::default();
        let (_server, run) = begin(&world).await;
        let top = there(&world, run, "top").await;
        settle().await;
        let looks = |world: &World| {
            let calls = world.cluster.calls();
            let of_top = calls
                .iter()
                .filter(|call| call.verb == Verb::Observe && call.object == top.object());
            of_top.count()
        };
        let before = looks(&world);
        world.cluster.vanish(&top.object());
        let is_over = |task: &Task| task.status.state.is_final();
        let lost = pass_until(&world, world.until_step(run, "top", is_over)).await;
        assert_eq!(lost.status.state, State::Failed);
        assert_eq!(
            lost.status.reason.map(|reason| reason.code),
            Some(ReasonCode::Lost)
        );
        assert_eq!(looks(&world) - before, 2, "one from the cache, one that asks");
    })
    .await;
}

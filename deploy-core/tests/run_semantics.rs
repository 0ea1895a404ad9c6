//! The run semantics of docs/pipeline.md that are decided by the run's own state machine, as data: rules 2, 3, 5, 6
//! and 7; and the same against a slow, obvious model on random graphs and event orders. (Rules 1, 4 and 8 are about
//! loading, naming and refusing: `run_pipeline.rs` and the definition's own tests.)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use deploy_core::pipeline::graph::{Graph, Node};
use deploy_core::pipeline::run::{Decision, Progress};
use deploy_core::pipeline::{RunEvent, RunState, StepEnd, StepState};
use proptest::prelude::*;

/// A graph as `"a b<a c<a! d<b,c"`: a step, what it waits for, and `!` where it runs even if another failed.
fn graph(text: &str) -> (Vec<&str>, Graph) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let names: Vec<&str> = words
        .iter()
        .map(|word| word.trim_end_matches('!').split('<').next().unwrap())
        .collect();
    let index = |wanted: &str| u32::try_from(names.iter().position(|name| *name == wanted).unwrap()).unwrap();
    let nodes = words.iter().map(|word| Node {
        run_if_error: word.ends_with('!'),
        dependances: match word.trim_end_matches('!').split_once('<') {
            Some((_, list)) => list.split(',').map(index).collect(),
            None => Vec::new(),
        },
    });
    let graph = Graph::new(nodes.collect()).unwrap();
    (names, graph)
}

/// Events as `"a=ok b=failed c=killed kill kill+cleanup"`.
fn events(names: &[&str], text: &str) -> Vec<RunEvent> {
    let event = |word: &str| match word {
        "kill" => RunEvent::Kill { cleanup: false },
        "kill+cleanup" => RunEvent::Kill { cleanup: true },
        _ => {
            let (name, end) = word.split_once('=').unwrap();
            let step = u32::try_from(names.iter().position(|n| *n == name).unwrap()).unwrap();
            let end = match end {
                "ok" => StepEnd::Succeeded,
                "failed" => StepEnd::Failed,
                "killed" => StepEnd::Killed,
                other => panic!("no such end: {other}"),
            };
            RunEvent::StepEnded { step, end }
        }
    };
    text.split_whitespace().map(event).collect()
}

fn shown(names: &[&str], progress: &Progress) -> String {
    let step = |(name, state): (&&str, &StepState)| format!("{name} {}", state.as_str());
    let steps: Vec<String> = names.iter().zip(progress.steps()).map(step).collect();
    format!("{}: {}", progress.state().as_str(), steps.join(", "))
}

#[track_caller]
fn check(pipeline: &str, happened: &str, expected: &str) {
    let (names, graph) = graph(pipeline);
    let progress = Progress::replay(graph, &events(&names, happened));
    assert_eq!(shown(&names, &progress), expected, "{pipeline} after {happened}");
}

#[test]
fn rule_2_a_step_starts_when_all_it_waits_for_is_finished_and_side_by_side_with_others() {
    check("a b<a", "", "running: a running, b waiting");
    check("a b", "", "running: a running, b running");
    check(
        "a b<a c<a d<b,c",
        "a=ok",
        "running: a succeeded, b running, c running, d waiting",
    );
    check(
        "a b<a c<a d<b,c",
        "a=ok c=ok",
        "running: a succeeded, b running, c succeeded, d waiting",
    );
    check(
        "a b<a c<a d<b,c",
        "a=ok c=ok b=ok",
        "running: a succeeded, b succeeded, c succeeded, d running",
    );
    check("b<a a", "", "running: b waiting, a running");
}

#[test]
fn rule_3_after_an_error_only_run_if_error_steps_start_wherever_they_stand() {
    check("a b<a", "a=failed", "failed: a failed, b skipped");
    // Not only those behind the failed step.
    check("a b c<b", "a=failed", "running: a failed, b running, c skipped");
    check(
        "a b c<b",
        "a=failed b=ok",
        "failed: a failed, b succeeded, c skipped",
    );
    // run-if-error means even if: it runs when nothing failed, too.
    check("a b<a!", "a=ok", "running: a succeeded, b running");
    check("a b<a!", "a=failed", "running: a failed, b running");
    // Behind skipped steps it runs at once, behind running ones it waits.
    check(
        "a b<a c<b!",
        "a=failed",
        "running: a failed, b skipped, c running",
    );
    check(
        "a b c<a,b!",
        "a=failed",
        "running: a failed, b running, c waiting",
    );
    check(
        "a b c<a,b!",
        "a=failed b=ok c=ok",
        "failed: a failed, b succeeded, c succeeded",
    );
    // What a run-if-error step starts after the error is bound by the rule as well.
    check(
        "a b<a! c<b d<c!",
        "a=failed b=ok d=ok",
        "failed: a failed, b succeeded, c skipped, d succeeded",
    );
    check(
        "a b<a! c<b!",
        "a=failed b=failed",
        "running: a failed, b failed, c running",
    );
}

#[test]
fn rule_5_a_run_ends_when_every_step_is_finished() {
    check("a b<a", "a=ok b=ok", "succeeded: a succeeded, b succeeded");
    check("a b<a", "a=ok b=failed", "failed: a succeeded, b failed");
    check(
        "a b<a! c<b!",
        "a=failed b=ok",
        "running: a failed, b succeeded, c running",
    );
    check(
        "a b<a! c<b!",
        "a=failed b=ok c=ok",
        "failed: a failed, b succeeded, c succeeded",
    );
}

#[test]
fn rule_6_after_a_kill_nothing_starts_and_what_runs_is_stopped() {
    check("a b<a c<b!", "kill", "killing: a running, b killed, c killed");
    check(
        "a b<a c<b!",
        "kill a=killed",
        "killed: a killed, b killed, c killed",
    );
    // A step that ended first keeps its end.
    check("a b<a", "kill a=ok", "killed: a succeeded, b killed");
    check("a b<a", "kill a=failed", "killed: a failed, b killed");
    check(
        "a b c<a,b",
        "a=ok kill b=killed",
        "killed: a succeeded, b killed, c killed",
    );
    // With cleanup, waiting run-if-error steps still run.
    check(
        "a b<a c<a,b!",
        "kill+cleanup",
        "killing: a running, b killed, c waiting",
    );
    // A killed step is finished: what waited for it alone runs at once.
    check(
        "a b<a c<b!",
        "kill+cleanup",
        "killing: a running, b killed, c running",
    );
    check(
        "a b c<b!",
        "a=ok b=ok kill+cleanup",
        "killing: a succeeded, b succeeded, c running",
    );
    check(
        "a b<a c<a,b!",
        "kill+cleanup a=killed",
        "killing: a killed, b killed, c running",
    );
    check(
        "a b<a c<a,b!",
        "kill+cleanup a=killed c=ok",
        "killed: a killed, b killed, c succeeded",
    );
    // A plain kill stops the cleanup too; the reverse changes nothing.
    check(
        "a b<a c<b! d<c!",
        "kill+cleanup a=killed kill",
        "killing: a killed, b killed, c running, d killed",
    );
    check(
        "a b<a c<b! d<c!",
        "kill+cleanup a=killed kill c=killed",
        "killed: a killed, b killed, c killed, d killed",
    );
    check(
        "a b<a c<b!",
        "kill kill+cleanup a=killed",
        "killed: a killed, b killed, c killed",
    );
    // A run that has ended is not killed any more.
    check("a", "a=ok kill", "succeeded: a succeeded");
    check("a", "a=failed kill+cleanup", "failed: a failed");
}

#[test]
fn rule_6_each_running_step_is_stopped_once() {
    let (names, graph) = graph("a b<a c<a,b!");
    let (mut progress, first) = Progress::begin(graph);
    assert_eq!(first, [Decision::Start(0)]);
    let mut decide = |text: &str| progress.apply(events(&names, text)[0]);
    assert_eq!(decide("kill+cleanup"), [Decision::Stop(0), Decision::Cancel(1)]);
    assert_eq!(decide("kill+cleanup"), []);
    assert_eq!(decide("a=killed"), [Decision::Start(2)]);
    assert_eq!(decide("kill"), [Decision::Stop(2)]);
    assert_eq!(decide("c=killed"), [Decision::End(RunState::Killed)]);
}

#[test]
fn rule_7_late_repeated_and_impossible_events_change_nothing() {
    check("a b<a", "a=ok a=failed", "running: a succeeded, b running");
    check("a b<a", "b=failed", "running: a running, b waiting");
    check("a b<a", "a=failed b=ok a=ok", "failed: a failed, b skipped");
    check(
        "a b<a",
        "kill kill a=killed a=killed",
        "killed: a killed, b killed",
    );
}

#[test]
fn a_thousand_steps_are_one_decision_each() {
    let chain: Vec<Node> = (0..1000_u32)
        .map(|n| Node {
            dependances: n.checked_sub(1).into_iter().collect(),
            run_if_error: false,
        })
        .collect();
    let (mut progress, mut decisions) = Progress::begin(Graph::new(chain).unwrap());
    for step in 0..1000 {
        assert_eq!(decisions, [Decision::Start(step)]);
        decisions = progress.apply(RunEvent::StepEnded {
            step,
            end: StepEnd::Succeeded,
        });
    }
    assert_eq!(decisions, [Decision::End(RunState::Succeeded)]);
}

/// The rules again, slowly: after each event everything that follows is looked for until nothing more does.
struct Model {
    nodes: Vec<Node>,
    steps: Vec<StepState>,
    in_error: bool,
    kill: Option<bool>,
}

impl Model {
    fn new(nodes: &[Node]) -> Self {
        let mut model = Self {
            nodes: nodes.to_vec(),
            steps: vec![StepState::Waiting; nodes.len()],
            in_error: false,
            kill: None,
        };
        model.settle();
        model
    }

    fn ended(&self) -> bool {
        self.steps.iter().all(|step| step.is_finished())
    }

    fn apply(&mut self, event: RunEvent) {
        match event {
            _ if self.ended() => {}
            RunEvent::StepEnded { step, end } => {
                let step = step as usize;
                if self.steps[step] == StepState::Running {
                    self.in_error |= end == StepEnd::Failed;
                    self.steps[step] = match end {
                        StepEnd::Succeeded => StepState::Succeeded,
                        StepEnd::Failed => StepState::Failed,
                        StepEnd::Killed => StepState::Killed,
                    };
                }
            }
            RunEvent::Kill { cleanup } => self.kill = Some(cleanup && self.kill != Some(false)),
        }
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let before = self.steps.clone();
            for step in 0..self.nodes.len() {
                if self.steps[step] != StepState::Waiting {
                    continue;
                }
                let Node {
                    dependances,
                    run_if_error,
                } = &self.nodes[step];
                if self.kill == Some(false) || (self.kill == Some(true) && !run_if_error) {
                    self.steps[step] = StepState::Killed;
                } else if self.in_error && !run_if_error {
                    self.steps[step] = StepState::Skipped;
                } else if dependances
                    .iter()
                    .all(|on| self.steps[*on as usize].is_finished())
                {
                    self.steps[step] = StepState::Running;
                }
            }
            if self.steps == before {
                return;
            }
        }
    }
}

fn any_nodes() -> impl Strategy<Value = Vec<Node>> {
    let node = (
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        prop::bool::weighted(0.3),
    );
    prop::collection::vec(node, 1..14).prop_map(|drawn| {
        let node = |(place, (on, run_if_error)): (usize, (Vec<prop::sample::Index>, bool))| {
            let mut dependances: Vec<u32> = match place {
                0 => Vec::new(),
                _ => on
                    .iter()
                    .map(|index| u32::try_from(index.index(place)).unwrap())
                    .collect(),
            };
            dependances.sort_unstable();
            dependances.dedup();
            Node {
                dependances,
                run_if_error,
            }
        };
        drawn.into_iter().enumerate().map(node).collect()
    })
}

fn any_end() -> impl Strategy<Value = StepEnd> {
    prop_oneof![6 => Just(StepEnd::Succeeded), 2 => Just(StepEnd::Failed), 1 => Just(StepEnd::Killed)]
}

fn any_event(steps: usize) -> impl Strategy<Value = RunEvent> {
    let step = 0..u32::try_from(steps).unwrap();
    prop_oneof![
        12 => (step, any_end()).prop_map(|(step, end)| RunEvent::StepEnded { step, end }),
        1 => any::<bool>().prop_map(|cleanup| RunEvent::Kill { cleanup }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_events_goes_as_the_slow_model_says(
        (nodes, happened) in any_nodes().prop_flat_map(|nodes| {
            let steps = nodes.len();
            (Just(nodes), prop::collection::vec(any_event(steps), 0..60))
        })
    ) {
        let graph = Graph::new(nodes.clone()).unwrap();
        let mut model = Model::new(&nodes);
        let (mut progress, mut decisions) = Progress::begin(graph.clone());
        let mut stored = Vec::new();
        for event in happened {
            let (in_error, killed) = (progress.in_error(), model.kill);
            for decision in decisions.drain(..) {
                if let Decision::Start(step) = decision {
                    let node = &nodes[step as usize];
                    prop_assert!(!in_error || node.run_if_error, "after an error only run-if-error steps start");
                    prop_assert!(killed.is_none() || (killed == Some(true) && node.run_if_error), "nothing starts after a kill");
                    let finished = |on: &u32| progress.step(*on).unwrap().is_finished();
                    prop_assert!(node.dependances.iter().all(finished), "no step starts before its dependance is finished");
                }
            }
            let accepted = progress.accepts(event);
            let before = progress.clone();
            decisions = progress.apply(event);
            model.apply(event);
            prop_assert_eq!(progress.steps(), model.steps.as_slice());
            prop_assert_eq!(accepted, before != progress, "what is accepted changes something, and nothing else does");
            if accepted {
                stored.push(event);
                prop_assert!(!progress.accepts(event), "a repeated event changes nothing");
            }
        }
        prop_assert_eq!(&Progress::replay(graph.clone(), &stored), &progress, "replaying gives the same");

        // Every run ends: what still runs ends, whatever else happened.
        while let Some(step) = progress.steps().iter().position(|step| *step == StepState::Running) {
            progress.apply(RunEvent::StepEnded { step: u32::try_from(step).unwrap(), end: StepEnd::Succeeded });
        }
        prop_assert!(progress.state().is_final(), "every run ends");
        let counts = progress.counts();
        prop_assert_eq!((counts.waiting, counts.running), (0, 0));
        let expected = match (model.kill, progress.steps().contains(&StepState::Failed)) {
            (Some(_), _) => RunState::Killed,
            (None, true) => RunState::Failed,
            (None, false) => RunState::Succeeded,
        };
        prop_assert_eq!(progress.state(), expected);
    }

    #[test]
    fn where_nothing_fails_any_order_gives_the_same_end(
        nodes in any_nodes(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 14),
    ) {
        let (mut progress, _) = Progress::begin(Graph::new(nodes).unwrap());
        for pick in picks {
            let running: Vec<u32> =
                (0..).zip(progress.steps()).filter(|(_, s)| **s == StepState::Running).map(|(i, _)| i).collect();
            if !running.is_empty() {
                progress.apply(RunEvent::StepEnded { step: running[pick.index(running.len())], end: StepEnd::Succeeded });
            }
        }
        prop_assert_eq!(progress.state(), RunState::Succeeded);
    }
}

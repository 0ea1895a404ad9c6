//! Who may do what, as one table: identity, action, target, and whether reads are protected. Whatever is refused has not
//! reached the cluster, nor git where it need not. Each cell has a world of its own, in which an administrator has
//! deployed everything that stands there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "shared between the tests of the engine")]
#[path = "common/engine.rs"]
mod common;
#[path = "common/stage.rs"]
mod stage;

use common::{job, within};
use deploy_core::Error;
use deploy_core::deployer::{Caller, Reader};
use deploy_core::ports::TaskCursor;
use deploy_core::workload::{Reason, ReasonCode};
use deploy_testkit::World;
use deploy_testkit::memory::cluster::Verb;
use stage::{Stage, WHO, caller, put_pipeline, serve, start};

/// An operation, and what becomes of it for each of [`WHO`]: where reads are not protected, and behind the bar where they
/// are, if that is something else.
type Row = (&'static str, [&'static str; 4]);

const READS: &[Row] = &[
    ("task etl", ["ok", "ok", "ok", "ok | task-not-found"]),
    (
        "task web",
        ["ok", "ok | task-not-found", "ok", "ok | task-not-found"],
    ),
    // It comes from no repository: whoever reads anything in the namespace reads it.
    ("task adhoc", ["ok", "ok", "ok", "ok | task-not-found"]),
    ("task absent", ["task-not-found"; 4]),
    (
        "log web",
        ["ok", "ok | task-not-found", "ok", "ok | task-not-found"],
    ),
    ("log absent", ["task-not-found"; 4]),
    ("run etl", ["ok", "ok", "ok", "ok | pipeline-not-found"]),
    (
        "run web",
        ["ok", "ok | pipeline-not-found", "ok", "ok | pipeline-not-found"],
    ),
    ("run absent", ["pipeline-not-found"; 4]),
    (
        "work etl",
        ["ok", "ok", "ok | work-not-found", "ok | work-not-found"],
    ),
    (
        "work web",
        [
            "ok",
            "ok | work-not-found",
            "ok | work-not-found",
            "ok | work-not-found",
        ],
    ),
    ("work absent", ["work-not-found"; 4]),
    (
        "load etl",
        [
            "ok",
            "ok",
            "ok | repository-not-found",
            "ok | repository-not-found",
        ],
    ),
    (
        "load web",
        [
            "ok",
            "ok | repository-not-found",
            "ok | repository-not-found",
            "ok | repository-not-found",
        ],
    ),
    ("template", ["ok", "ok", "ok", "ok | template-not-found"]),
    ("template absent", ["template-not-found"; 4]),
    ("templates", ["job.json", "job.json", "job.json", "job.json | "]),
    (
        "tasks",
        [
            "etl adhoc of-etl of-web web front",
            "etl adhoc of-etl of-web web front | etl adhoc of-etl",
            "etl adhoc of-etl of-web web front | adhoc of-etl of-web front",
            "etl adhoc of-etl of-web web front | ",
        ],
    ),
    (
        "tasks shared",
        [
            "adhoc of-etl of-web front",
            "adhoc of-etl of-web front | adhoc of-etl",
            "adhoc of-etl of-web front",
            "adhoc of-etl of-web front | ",
        ],
    ),
    (
        "pods",
        [
            "etl adhoc front of-etl of-web web",
            "etl adhoc front of-etl of-web web | etl adhoc of-etl",
            "etl adhoc front of-etl of-web web | adhoc front of-etl of-web",
            "etl adhoc front of-etl of-web web | ",
        ],
    ),
    (
        "namespaces",
        [
            "etl shared web",
            "etl shared web | etl shared",
            "etl shared web | shared",
            "etl shared web | ",
        ],
    ),
    (
        "runs",
        [
            "run-web run-etl",
            "run-web run-etl | run-etl",
            "run-web run-etl",
            "run-web run-etl | ",
        ],
    ),
    ("runs web", ["", "", "", ""]),
];

const CHANGES: &[Row] = &[
    ("deploy etl shared new", ["ok", "ok", "denied", "denied"]),
    ("deploy web shared new", ["ok", "denied", "denied", "denied"]),
    ("deploy etl team new", ["ok", "denied", "denied", "denied"]),
    (
        "deploy absent shared new",
        ["repository-not-found", "denied", "denied", "denied"],
    ),
    ("deploy etl kube-system new", ["namespace-reserved"; 4]),
    ("deploy etl shared of-etl", ["ok", "ok", "denied", "denied"]),
    // Whose it is, is known once the manifest is: git has been read.
    ("~deploy etl shared of-web", ["ok", "denied", "denied", "denied"]),
    ("~deploy etl shared adhoc", ["ok", "denied", "denied", "denied"]),
    ("configure shared", ["ok", "denied", "denied", "denied"]),
    // Naming a repository that one may deploy makes one's own words no part of it.
    ("configure shared etl", ["ok", "denied", "denied", "denied"]),
    ("start etl all shared", ["ok", "ok", "denied", "denied"]),
    ("start web all shared", ["ok", "denied", "denied", "denied"]),
    ("start etl all default", ["namespace-reserved"; 4]),
    // A step of another repository, and of one that does not exist: told alike. The pipeline itself has been read.
    ("~start etl mixed shared", ["ok", "denied", "denied", "denied"]),
    (
        "~start etl blind shared",
        ["invalid-pipeline", "denied", "denied", "denied"],
    ),
    // Its step is a deployment that another repository has deployed under that name.
    ("~start etl takes shared", ["ok", "denied", "denied", "denied"]),
    ("kill etl", ["ok", "ok", "denied", "denied | pipeline-not-found"]),
    (
        "kill web",
        [
            "ok",
            "denied | pipeline-not-found",
            "denied",
            "denied | pipeline-not-found",
        ],
    ),
    ("kill absent", ["pipeline-not-found"; 4]),
    ("delete shared of-etl", ["ok", "ok", "denied", "denied"]),
    (
        "delete shared of-web",
        ["ok", "denied | object-not-found", "denied", "denied"],
    ),
    ("delete shared adhoc", ["ok", "denied", "denied", "denied"]),
    (
        "delete shared absent",
        ["object-not-found", "object-not-found", "denied", "denied"],
    ),
    (
        "delete team absent",
        ["object-not-found", "denied", "denied", "denied"],
    ),
    ("delete kube-system of-etl", ["namespace-reserved"; 4]),
];

#[tokio::test]
async fn reads_are_answered_as_the_table_says() {
    check(READS).await;
}

#[tokio::test]
async fn changes_are_answered_as_the_table_says() {
    check(CHANGES).await;
}

async fn check(table: &[Row]) {
    for (operation, cells) in table {
        for (who, cell) in WHO.into_iter().zip(cells) {
            let (open, protected) = cell.split_once(" | ").unwrap_or((cell, cell));
            for (reads_protected, expected) in [(false, open), (true, protected)] {
                let found = within(outcome(operation, who, reads_protected)).await;
                assert_eq!(
                    found, expected,
                    "{operation} by {who}, protected: {reads_protected}"
                );
            }
        }
    }
}

/// What a reader who may not read an answer is told of it, word for word, is what they are told of one that is not there.
#[tokio::test]
async fn what_may_not_be_read_and_what_is_absent_are_told_in_the_same_words() {
    within(async {
        let stage = Stage::set().await;
        let nobody = caller(WHO[3]);
        let etl = caller(WHO[1]);
        for (operation, absent, by) in [
            ("task web", "task absent", &nobody),
            ("log web", "log absent", &nobody),
            ("run web", "run absent", &nobody),
            ("work web", "work absent", &nobody),
            ("template", "template absent", &nobody),
            ("kill web", "kill absent", &nobody),
            ("delete shared of-web", "delete shared absent", &etl),
        ] {
            let told = |error: Error| (error.code, error.detail, error.violations);
            let denied = stage.perform(operation, by, Reader::Caller(by)).await;
            let absent = stage.perform(absent, by, Reader::Caller(by)).await;
            assert_eq!(denied.map_err(told), absent.map_err(told), "{operation}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_denied_step_is_named_at_its_place_and_not_whether_its_repository_exists() {
    within(async {
        let stage = Stage::set().await;
        let etl = caller(WHO[1]);
        let mut told = Vec::new();
        for operation in ["start etl mixed shared", "start etl blind shared"] {
            let answer = stage.perform(operation, &etl, Reader::Anyone).await;
            let error = answer.unwrap_err();
            assert_eq!(error.violations[0].pointer, "/tasks/1/namespacetask");
            told.push((error.code, error.detail, error.violations));
        }
        assert_eq!(told[0], told[1]);
    })
    .await;
}

/// Pages stay full, and none goes on after something that its reader may not know of.
#[tokio::test]
async fn pages_hold_what_was_asked_for_and_go_on_after_what_was_shown() {
    within(async {
        let stage = Stage::set().await;
        let etl = caller(WHO[1]);
        let reader = Reader::Caller(&etl);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = stage.deployer().list_tasks(reader, None, after.as_ref(), 1).await;
            let (page, _) = page.unwrap();
            assert_eq!(page.items.len(), 1);
            let last = page.items[0].clone();
            seen.push(last.workload.name.to_string());
            after = Some(TaskCursor {
                kind: last.kind(),
                namespace: last.workload.namespace.clone(),
                name: last.workload.name.to_string(),
            });
            if !page.more {
                break;
            }
        }
        // What follows may not be read, so nothing follows.
        assert_eq!(seen, ["etl", "adhoc", "of-etl"]);
    })
    .await;
}

/// The end of a step's log is the step's, not the run's.
#[tokio::test]
async fn a_run_does_not_tell_why_a_step_of_another_repository_failed() {
    within(async {
        let world = World::default();
        world.put_manifest("etl", "load", job("load"));
        world.put_manifest("web", "load", job("load"));
        put_pipeline(&world, "etl", "mixed", &["etl/load", "web/load"]);
        let server = serve(&world);
        let admin = caller(WHO[0]);
        let request = start("etl", "mixed", "shared");
        let run = server
            .deployer
            .run_pipeline(&admin, request)
            .await
            .unwrap()
            .run
            .id;
        for step in ["s0", "s1"] {
            let task = world
                .until_step(run, step, |task| task.status.uid.is_some())
                .await;
            let reason = Reason::new(ReasonCode::ExitCode, "the last line of its log");
            world.cluster.fail(&task.object(), reason);
        }
        world.until_ended(run).await;
        let namespace = "shared".parse().unwrap();
        let told = async |who: &Caller| -> Vec<String> {
            let reader = Reader::Caller(who);
            let view = server.deployer.pipeline(reader, &namespace, run).await.unwrap();
            let reasons = view.steps.into_iter().map(|step| step.status.reason.unwrap());
            reasons.map(|reason| reason.message).collect()
        };
        assert!(
            told(&admin)
                .await
                .iter()
                .all(|message| message.contains("last line"))
        );
        let told = told(&caller(WHO[1])).await;
        assert!(told[0].contains("last line"), "{told:?}");
        assert!(!told[1].contains("last line"), "{told:?}");
    })
    .await;
}

/// A task that is being deployed under a name stands in the way as one that is deployed does.
#[tokio::test]
async fn what_is_being_deployed_is_told_to_nobody_who_may_not_replace_it() {
    within(async {
        let stage = Stage::set().await;
        let cluster = &stage.world.cluster;
        cluster.hold(Verb::Apply);
        let admin = caller(WHO[0]);
        let deploying = stage.perform("deploy web shared new", &admin, Reader::Anyone);
        let mut deploying = Box::pin(deploying);
        let before = applies(&stage.world);
        tokio::select! {
            answer = &mut deploying => panic!("{answer:?}"),
            () = cluster.until_called(Verb::Apply, before + 1) => {}
        }
        let etl = caller(WHO[1]);
        let code = |answer: Result<String, Error>| answer.unwrap_err().code.as_str();
        let over = stage.perform("deploy etl shared new", &etl, Reader::Anyone).await;
        assert_eq!(code(over), "denied");
        let delete = stage
            .perform("delete shared new", &etl, Reader::Caller(&etl))
            .await;
        assert_eq!(code(delete), "object-not-found");
        cluster.release(Verb::Apply);
        deploying.await.unwrap();
    })
    .await;
}

fn applies(world: &World) -> usize {
    let calls = world.cluster.calls();
    calls.iter().filter(|call| call.verb == Verb::Apply).count()
}

/// What becomes of an operation, in one word; and nothing was called for what was refused.
async fn outcome(operation: &str, who: &str, reads_protected: bool) -> String {
    let stage = Stage::set().await;
    let (cluster, git) = (stage.changes(), stage.world.source.calls().len());
    let caller = caller(who);
    let reader = if reads_protected {
        Reader::Caller(&caller)
    } else {
        Reader::Anyone
    };
    let plain = operation.trim_start_matches('~');
    match stage.perform(plain, &caller, reader).await {
        Ok(found) => found,
        Err(error) => {
            let code = error.code.as_str();
            // An administrator's delete of what is not recorded looks for it in the cluster.
            if code == "denied" || who != WHO[0] {
                assert_eq!(
                    stage.changes(),
                    cluster,
                    "{operation} by {who} has reached the cluster"
                );
                let reads_git = operation.starts_with('~');
                let calls = stage.world.source.calls().len();
                assert!(reads_git || calls == git, "{operation} by {who} has reached git");
            }
            code.to_owned()
        }
    }
}

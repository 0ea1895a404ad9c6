//! The shapes of docs/api.md, as snapshots of hand-made records. The records are made from JSON, as they are stored.

use deploy_core::names::TemplatePath;
use deploy_core::pipeline::Run;
use deploy_core::task::Task;
use deploy_core::work::Work;
use deploy_core::workload::{Deleted, NamespaceView, Pod};
use insta::assert_json_snapshot;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const RUN: &str = "01890a5d-ac96-774b-bcce-b302099a8058";
const NEWER: &str = "01890a5d-ac96-774b-bcce-b302099a8059";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn stored<T: DeserializeOwned>(record: Value) -> T {
    serde_json::from_value(record).unwrap()
}

fn source() -> Value {
    json!({"repository": "demo", "directory": "etl/load", "branch": "master", "commit": COMMIT})
}

fn status(state: &str, step: Option<&str>) -> Value {
    json!({
        "state": state, "reason": null, "started_at": null, "finished_at": null, "exit_code": null, "intent": null,
        "holds": true, "uid": null, "revision": 0, "created_object": true, "superseded_by": null, "step": step,
        "image": null, "warnings": []
    })
}

fn task(shape: Value, status: Value) -> Value {
    json!({
        "workload": {
            "task": ID, "identity": "ada@example.com", "run": null, "namespace": "demo", "name": "load",
            "labels": {"app": "load"},
            "container": {
                "image": {"Built": "registry.example/demo/load:1"}, "pull_policy": null,
                "command": ["sh", "-c", "a secret command"],
                "env": [{"name": "TOKEN", "value": {"literal": "a secret value"}}],
                "resources": {"cpu_request": null, "cpu_limit": null, "memory_request": null, "memory_limit": null}
            },
            "code": null, "shape": shape
        },
        "source": source(), "step": null, "created_at": "2026-01-02T03:04:05.678901Z",
        "warnings": [{"code": "no-effect", "message": "resources are without effect"}], "build": false,
        "status": status
    })
}

fn job() -> Value {
    json!({"kind": "job", "retries": 0, "timeout_seconds": null})
}

/// A step of the run, as a stored task.
fn step(index: u32, name: &str, state: &str, step: &str) -> Task {
    let mut task = task(job(), status(state, Some(step)));
    task["workload"]["run"] = json!(RUN);
    task["step"] = json!({
        "index": index, "name": name, "namespacetask": format!("demo/{name}"),
        "dependance": (0..index).collect::<Vec<_>>(), "run_if_error": index == 2, "rollout_seconds": 600
    });
    stored(task)
}

fn run() -> Run {
    stored(json!({
        "id": RUN, "name": "nightly", "original": "etl", "namespace": "demo", "source": source(),
        "identity": "ada@example.com", "created_at": "2026-01-02T03:04:05Z", "warnings": [],
        "status": {
            "state": "running", "in_error": false, "finished_at": null,
            "counts": {"waiting": 1, "running": 1, "succeeded": 1, "failed": 0, "skipped": 0, "killed": 0}
        }
    }))
}

fn pod() -> Pod {
    Pod {
        name: "load-x7f2a".to_owned(),
        namespace: "demo".parse().unwrap(),
        task_id: Some(ID.parse().unwrap()),
        phase: "Running".to_owned(),
        reason: None,
        restarts: 1,
        node: Some("node-1".to_owned()),
        started_at: Some("2026-01-02T03:04:06Z".parse().unwrap()),
    }
}

#[test]
fn a_failed_job_with_its_pod() {
    let mut status = status("failed", None);
    status["reason"] = json!({"code": "exit-code", "message": "exit code 3\nlast line"});
    status["started_at"] = json!("2026-01-02T03:04:06Z");
    status["finished_at"] = json!("2026-01-02T03:04:07.5Z");
    status["exit_code"] = json!(3);
    status["warnings"] = json!([{"code": "rollout-left", "message": "left as it is"}]);
    let task: Task = stored(task(job(), status));
    assert_json_snapshot!(TaskJson::new(&task, &[pod()]), @"");
}

#[test]
fn a_superseded_cron_job_names_the_newer_one() {
    let shape = json!({
        "kind": "cronjob", "schedule": "*/5 * * * *", "timezone": "Etc/UTC", "concurrency": "Forbid", "retries": 0,
        "timeout_seconds": null
    });
    let mut status = status("superseded", None);
    status["superseded_by"] = json!(NEWER);
    let mut task = task(shape, status);
    task["source"] = Value::Null;
    task["warnings"] = json!([]);
    let task: Task = stored(task);
    assert_json_snapshot!(TaskJson::new(&task, &[]), @"");
}

#[test]
fn a_run_with_its_steps_of_which_those_that_never_ran_have_no_task() {
    let steps = [
        step(0, "create", "succeeded", "succeeded"),
        step(1, "load", "running", "running"),
        step(2, "delete", "waiting", "waiting"),
        step(3, "report", "skipped", "skipped"),
    ];
    assert_json_snapshot!(RunJson::new(&run(), &steps), @"");
}

#[test]
fn a_deployment_that_goes_on_after_its_step_succeeded_shows_the_steps_end() {
    let step = step(0, "create", "degraded", "succeeded");
    let json = serde_json::to_value(RunJson::new(&run(), &[step])).unwrap();
    assert_eq!(json["steps"][0]["state"], "succeeded");
}

#[test]
fn lists_have_their_array_and_where_they_go_on() {
    let deployment = json!({"kind": "deployment", "replicas": 1});
    let tasks: [Task; 2] = [
        stored(task(job(), status("running", None))),
        stored(task(deployment, status("ready", None))),
    ];
    let tasks = serde_json::to_value(Tasks::new(
        &tasks,
        Continued {
            at: Some("abc".to_owned()),
        },
    ))
    .unwrap();
    let keys = |json: &Value| json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        keys(&tasks),
        ["continue", "cronjobs", "deployments", "jobs", "services"]
    );
    assert_eq!(
        (tasks["jobs"][0]["state"].as_str(), tasks["continue"].as_str()),
        (Some("running"), Some("abc"))
    );
    assert_eq!(tasks["deployments"][0]["kind"], "deployment");
    assert!(tasks["jobs"][0].get("pods").is_none());
    assert!(!tasks.to_string().contains("secret"), "{tasks}");

    assert_json_snapshot!(Runs::new(&[run()], Continued::default()), @"");
    assert_json_snapshot!(Pods::new(&[pod()], Continued::default()), @"");
    let namespace = NamespaceView {
        name: "demo".parse().unwrap(),
        repository: None,
        created_at: "2026-01-02T03:04:05Z".parse().unwrap(),
    };
    assert_json_snapshot!(Namespaces::new(&[namespace], Continued::default()), @"");
    let paths: [TemplatePath; 1] = ["python/job.json".parse().unwrap()];
    let templates = Templates {
        template_filenames: &paths,
        continued: Continued::default(),
    };
    assert_json_snapshot!(templates, @"");
}

#[test]
fn a_work_in_each_of_its_states() {
    let work = |progress: Value| -> Work {
        stored(json!({
            "id": ID, "kind": "task", "repository": "demo", "directory": "etl/load", "branch": null,
            "created_at": "2026-01-02T03:04:05Z", "progress": progress
        }))
    };
    assert_json_snapshot!(WorkJson::new(&work(json!({"state": "loading"}))), @"");
    let problem = json!({
        "code": "invalid-manifest", "detail": "1 violation",
        "violations": [{"pointer": "/type", "message": "expected job, deployment or service"}]
    });
    let loaded = json!({
        "state": "loaded", "configuration": {"name": "load"}, "branch": "master", "commit": COMMIT, "warnings": [],
        "problem": problem
    });
    assert_json_snapshot!(WorkJson::new(&work(loaded)), @"");
    let problem =
        json!({"code": "repository-not-found", "detail": "there is no such repository", "violations": []});
    assert_json_snapshot!(WorkJson::new(&work(json!({"state": "failed", "problem": problem}))), @"");
}

#[test]
fn what_a_delete_removed_and_a_template() {
    let deleted: Vec<Deleted> = stored(json!([
        {"kind": "service", "namespace": "demo", "name": "hello", "uid": "u-1"},
        {"kind": "deployment", "namespace": "demo", "name": "hello", "uid": null}
    ]));
    assert_json_snapshot!(DeletedJson { deleted: &deleted }, @"");
    let path = "python/job.json".parse().unwrap();
    let template = TemplateJson {
        template_path: &path,
        configuration: &json!({"name": "x"}),
    };
    assert_json_snapshot!(template, @"");
}

#[test]
fn a_time_has_milliseconds_and_a_z() {
    for (time, expected) in [
        ("2026-01-02T03:04:05Z", "\"2026-01-02T03:04:05.000Z\""),
        ("2026-01-02T05:04:05.6789+02:00", "\"2026-01-02T03:04:05.678Z\""),
    ] {
        let written = serde_json::to_string(&Time(time.parse().unwrap())).unwrap();
        assert_eq!(written, expected);
    }
}

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
        "identity": "ada@example.com", "groups": ["data"], "created_at": "2026-01-02T03:04:05Z", "warnings": [],
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
    assert_json_snapshot!(TaskJson::new(&task, &[pod()]), @r#"
    {
      "id": "01890a5d-ac96-774b-bcce-b302099a8057",
      "name": "load",
      "namespace": "demo",
      "kind": "job",
      "state": "failed",
      "reason": {
        "code": "exit-code",
        "message": "exit code 3\nlast line"
      },
      "warnings": [
        {
          "code": "no-effect",
          "message": "resources are without effect"
        },
        {
          "code": "rollout-left",
          "message": "left as it is"
        }
      ],
      "source": {
        "repository": "demo",
        "directory": "etl/load",
        "branch": "master",
        "commit": "0123456789abcdef0123456789abcdef01234567"
      },
      "image": "registry.example/demo/load:1",
      "schedule": null,
      "identity": "ada@example.com",
      "pipeline_id": null,
      "superseded_by": null,
      "created_at": "2026-01-02T03:04:05.678Z",
      "started_at": "2026-01-02T03:04:06.000Z",
      "finished_at": "2026-01-02T03:04:07.500Z",
      "exit_code": 3,
      "pods": [
        {
          "name": "load-x7f2a",
          "namespace": "demo",
          "task_id": "01890a5d-ac96-774b-bcce-b302099a8057",
          "phase": "Running",
          "reason": null,
          "restarts": 1,
          "node": "node-1",
          "started_at": "2026-01-02T03:04:06.000Z"
        }
      ]
    }
    "#);
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
    assert_json_snapshot!(TaskJson::new(&task, &[]), @r#"
    {
      "id": "01890a5d-ac96-774b-bcce-b302099a8057",
      "name": "load",
      "namespace": "demo",
      "kind": "cronjob",
      "state": "superseded",
      "reason": null,
      "warnings": [],
      "source": null,
      "image": "registry.example/demo/load:1",
      "schedule": "*/5 * * * *",
      "identity": "ada@example.com",
      "pipeline_id": null,
      "superseded_by": "01890a5d-ac96-774b-bcce-b302099a8059",
      "created_at": "2026-01-02T03:04:05.678Z",
      "started_at": null,
      "finished_at": null,
      "exit_code": null,
      "pods": []
    }
    "#);
}

#[test]
fn a_run_with_its_steps_of_which_those_that_never_ran_have_no_task() {
    let steps = [
        step(0, "create", "succeeded", "succeeded"),
        step(1, "load", "running", "running"),
        step(2, "delete", "waiting", "waiting"),
        step(3, "report", "skipped", "skipped"),
    ];
    assert_json_snapshot!(RunJson::new(&run(), &steps), @r#"
    {
      "id": "01890a5d-ac96-774b-bcce-b302099a8058",
      "name": "nightly",
      "original": "etl",
      "namespace": "demo",
      "state": "running",
      "source": {
        "repository": "demo",
        "directory": "etl/load",
        "branch": "master",
        "commit": "0123456789abcdef0123456789abcdef01234567"
      },
      "identity": "ada@example.com",
      "created_at": "2026-01-02T03:04:05.000Z",
      "finished_at": null,
      "in_error": false,
      "warnings": [],
      "steps": [
        {
          "name": "create",
          "namespacetask": "demo/create",
          "dependance": [],
          "run_if_error": false,
          "state": "succeeded",
          "reason": null,
          "task_id": "01890a5d-ac96-774b-bcce-b302099a8057",
          "branch": "master",
          "commit": "0123456789abcdef0123456789abcdef01234567",
          "started_at": null,
          "finished_at": null,
          "exit_code": null
        },
        {
          "name": "load",
          "namespacetask": "demo/load",
          "dependance": [
            "create"
          ],
          "run_if_error": false,
          "state": "running",
          "reason": null,
          "task_id": "01890a5d-ac96-774b-bcce-b302099a8057",
          "branch": "master",
          "commit": "0123456789abcdef0123456789abcdef01234567",
          "started_at": null,
          "finished_at": null,
          "exit_code": null
        },
        {
          "name": "delete",
          "namespacetask": "demo/delete",
          "dependance": [
            "create",
            "load"
          ],
          "run_if_error": true,
          "state": "waiting",
          "reason": null,
          "task_id": null,
          "branch": "master",
          "commit": "0123456789abcdef0123456789abcdef01234567",
          "started_at": null,
          "finished_at": null,
          "exit_code": null
        },
        {
          "name": "report",
          "namespacetask": "demo/report",
          "dependance": [
            "create",
            "load",
            "delete"
          ],
          "run_if_error": false,
          "state": "skipped",
          "reason": null,
          "task_id": null,
          "branch": "master",
          "commit": "0123456789abcdef0123456789abcdef01234567",
          "started_at": null,
          "finished_at": null,
          "exit_code": null
        }
      ]
    }
    "#);
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
        ["jobs", "cronjobs", "deployments", "services", "continue"]
    );
    assert_eq!(
        (tasks["jobs"][0]["state"].as_str(), tasks["continue"].as_str()),
        (Some("running"), Some("abc"))
    );
    assert_eq!(tasks["deployments"][0]["kind"], "deployment");
    assert!(tasks["jobs"][0].get("pods").is_none());
    assert!(!tasks.to_string().contains("secret"), "{tasks}");

    assert_json_snapshot!(Runs::new(&[run()], Continued::default()), @r#"
    {
      "pipelines": [
        {
          "id": "01890a5d-ac96-774b-bcce-b302099a8058",
          "name": "nightly",
          "original": "etl",
          "namespace": "demo",
          "state": "running",
          "source": {
            "repository": "demo",
            "directory": "etl/load",
            "branch": "master",
            "commit": "0123456789abcdef0123456789abcdef01234567"
          },
          "identity": "ada@example.com",
          "created_at": "2026-01-02T03:04:05.000Z",
          "finished_at": null,
          "in_error": false,
          "warnings": [],
          "step_counts": {
            "waiting": 1,
            "running": 1,
            "succeeded": 1,
            "failed": 0,
            "skipped": 0,
            "killed": 0
          }
        }
      ],
      "continue": null
    }
    "#);
    assert_json_snapshot!(Pods::new(&[pod()], Continued::default()), @r#"
    {
      "pods": [
        {
          "name": "load-x7f2a",
          "namespace": "demo",
          "task_id": "01890a5d-ac96-774b-bcce-b302099a8057",
          "phase": "Running",
          "reason": null,
          "restarts": 1,
          "node": "node-1",
          "started_at": "2026-01-02T03:04:06.000Z"
        }
      ],
      "continue": null
    }
    "#);
    let namespace = NamespaceView {
        name: "demo".parse().unwrap(),
        repository: None,
        created_at: "2026-01-02T03:04:05Z".parse().unwrap(),
    };
    assert_json_snapshot!(Namespaces::new(&[namespace], Continued::default()), @r#"
    {
      "namespaces": [
        {
          "name": "demo",
          "repository": null,
          "created_at": "2026-01-02T03:04:05.000Z"
        }
      ],
      "continue": null
    }
    "#);
    let paths: [TemplatePath; 1] = ["python/job.json".parse().unwrap()];
    let templates = Templates {
        template_filenames: &paths,
        continued: Continued::default(),
    };
    assert_json_snapshot!(templates, @r#"
    {
      "template_filenames": [
        "python/job.json"
      ],
      "continue": null
    }
    "#);
}

#[test]
fn a_work_in_each_of_its_states() {
    let work = |progress: Value| -> Work {
        stored(json!({
            "id": ID, "kind": "task", "repository": "demo", "directory": "etl/load", "branch": null,
            "created_at": "2026-01-02T03:04:05Z", "progress": progress
        }))
    };
    assert_json_snapshot!(WorkJson::new(&work(json!({"state": "loading"}))), @r#"
    {
      "work_id": "01890a5d-ac96-774b-bcce-b302099a8057",
      "state": "loading",
      "configuration": null,
      "branch": null,
      "commit": null,
      "warnings": [],
      "problem": null
    }
    "#);
    let problem = json!({
        "code": "invalid-manifest", "detail": "1 violation",
        "violations": [{"pointer": "/type", "message": "expected job, deployment or service"}]
    });
    let loaded = json!({
        "state": "loaded", "configuration": {"name": "load"}, "branch": "master", "commit": COMMIT, "warnings": [],
        "problem": problem
    });
    assert_json_snapshot!(WorkJson::new(&work(loaded)), @r#"
    {
      "work_id": "01890a5d-ac96-774b-bcce-b302099a8057",
      "state": "loaded",
      "configuration": {
        "name": "load"
      },
      "branch": "master",
      "commit": "0123456789abcdef0123456789abcdef01234567",
      "warnings": [],
      "problem": {
        "type": "urn:deploy:problem:invalid-manifest",
        "title": "The manifest is invalid",
        "status": 422,
        "detail": "1 violation",
        "instance": null,
        "request_id": null,
        "violations": [
          {
            "pointer": "/type",
            "message": "expected job, deployment or service"
          }
        ]
      }
    }
    "#);
    let problem =
        json!({"code": "repository-not-found", "detail": "there is no such repository", "violations": []});
    assert_json_snapshot!(WorkJson::new(&work(json!({"state": "failed", "problem": problem}))), @r#"
    {
      "work_id": "01890a5d-ac96-774b-bcce-b302099a8057",
      "state": "failed",
      "configuration": null,
      "branch": null,
      "commit": null,
      "warnings": [],
      "problem": {
        "type": "urn:deploy:problem:repository-not-found",
        "title": "There is no such repository",
        "status": 404,
        "detail": "there is no such repository",
        "instance": null,
        "request_id": null,
        "violations": []
      }
    }
    "#);
}

#[test]
fn what_a_delete_removed_and_a_template() {
    let deleted: Vec<Deleted> = stored(json!([
        {"kind": "service", "namespace": "demo", "name": "hello", "uid": "u-1"},
        {"kind": "deployment", "namespace": "demo", "name": "hello", "uid": null}
    ]));
    assert_json_snapshot!(DeletedJson { deleted: &deleted }, @r#"
    {
      "deleted": [
        {
          "kind": "service",
          "namespace": "demo",
          "name": "hello",
          "uid": "u-1"
        },
        {
          "kind": "deployment",
          "namespace": "demo",
          "name": "hello",
          "uid": null
        }
      ]
    }
    "#);
    let path = "python/job.json".parse().unwrap();
    let template = TemplateJson {
        template_path: &path,
        configuration: &json!({"name": "x"}),
    };
    assert_json_snapshot!(template, @r#"
    {
      "template_path": "python/job.json",
      "configuration": {
        "name": "x"
      }
    }
    "#);
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

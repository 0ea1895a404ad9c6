//! The real binary, killed with SIGKILL and started again on the same folder: everything ends, nothing is lost, nothing
//! is started twice. A process that died with the server is `lost`, and the run goes on by its rules. And told to stop
//! with SIGTERM: it ends with 0, at its first breath and in the middle of a run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "killed/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use server::{Folder, Server};

/// A job that says in a file of the test's that it has begun, and then takes its time.
fn job(trace: &Path, name: &str, seconds: &str) -> String {
    let script = format!("echo {name} >> {}; sleep {seconds}", trace.display());
    json!({"name": name, "type": "job", "image": "registry.example/t:1", "cmd": ["sh", "-c", script]})
        .to_string()
}

/// How often each job has begun.
fn begun(trace: &Path) -> BTreeMap<String, usize> {
    let mut begun = BTreeMap::new();
    for line in std::fs::read_to_string(trace).unwrap_or_default().lines() {
        *begun.entry(line.to_owned()).or_default() += 1;
    }
    begun
}

fn states(run: &Value) -> Vec<(String, String)> {
    let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    run["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (text(step, "name"), text(step, "state")))
        .collect()
}

/// No job of these fails by itself: a run of them fails where one was lost, and only there.
fn end_by_the_rules(run: &Value) -> &'static str {
    let lost = |step: &Value| step["reason"]["code"] == "lost";
    let any_lost = run["steps"].as_array().unwrap().iter().any(lost);
    if any_lost { "failed" } else { "succeeded" }
}

/// a, then b and c side by side, then d; `clean` runs even if something failed.
fn folder_of_a_diamond() -> Folder {
    let folder = Folder::new();
    let trace = folder.trace();
    let steps = [
        ("a", "0.2"),
        ("b", "0.6"),
        ("c", "0.4"),
        ("d", "0.2"),
        ("clean", "0.1"),
    ];
    let pipeline = json!({"name": "diamond", "tasks": [
        {"name": "a", "namespacetask": "demo/a"},
        {"name": "b", "namespacetask": "demo/b", "dependance": ["a"]},
        {"name": "c", "namespacetask": "demo/c", "dependance": ["a"]},
        {"name": "d", "namespacetask": "demo/d", "dependance": ["b", "c"]},
        {"name": "clean", "namespacetask": "demo/clean", "dependance": ["d"], "run-if-error": true},
    ]});
    let mut files = vec![("diamond/pipeline.json".to_owned(), pipeline.to_string())];
    for (name, seconds) in steps {
        files.push((format!("{name}/manifest.json"), job(&trace, name, seconds)));
    }
    folder.publish("demo", &files);
    folder
}

#[test]
fn a_run_ends_by_its_rules_whenever_its_server_is_killed() {
    // Killed after the run was accepted, and after each of the next changes of its state.
    for changes in 0..6 {
        let folder = folder_of_a_diamond();
        let server = Server::start(&folder);
        let run = server.get("/v1/pipeline/runas/demo/diamond/killed");
        let path = format!("/v1/pipeline/state/demo/{}", run["id"].as_str().unwrap());
        let mut before = server.state(&path);
        for _ in 0..changes {
            before = server.next(&path, &before);
        }
        let before = before.body;
        server.kill();

        let server = Server::start(&folder);
        let after = server.until_final(&path);
        let context = format!(
            "killed after {changes} changes, at {:?}: {after:#}",
            states(&before)
        );
        for (name, state) in states(&after) {
            let was = states(&before).into_iter().find(|(n, _)| *n == name).unwrap().1;
            assert!(
                !["waiting", "running"].contains(&state.as_str()),
                "every step ends; {context}"
            );
            if ["succeeded", "failed", "skipped"].contains(&was.as_str()) {
                assert_eq!(state, was, "an end that was told stays; {context}");
            }
        }
        let expected = end_by_the_rules(&after);
        assert_eq!(after["state"], expected, "{context}");
        let clean = after["steps"]
            .as_array()
            .unwrap()
            .iter()
            .find(|step| step["name"] == "clean")
            .unwrap();
        assert!(
            clean["state"] == "succeeded" || clean["reason"]["code"] == "lost",
            "{context}"
        );
        for (name, times) in begun(&folder.trace()) {
            assert_eq!(times, 1, "{name} was started {times} times; {context}");
        }
    }
}

#[test]
fn a_deploy_that_was_answered_is_not_lost_and_not_repeated() {
    let folder = Folder::new();
    folder.publish(
        "demo",
        &[("t/manifest.json".to_owned(), job(&folder.trace(), "t", "0.3"))],
    );
    let server = Server::start(&folder);
    let deploy = |server: &Server, name: &str| server.try_get(&format!("/v1/task/deployas/demo/t/{name}"));
    let mut answered = Vec::new();
    let kill_at = 6;
    let killer = server.killer();
    let mut name = 0;
    // The last one is sent while the server is being killed: it may be answered or not.
    let unanswered = loop {
        let killing = (name == kill_at).then(|| {
            let killer = killer.clone();
            std::thread::spawn(move || killer.kill())
        });
        let task = deploy(&server, &format!("t-{name}"));
        if let Some(killing) = killing {
            killing.join().unwrap();
            answered.extend(
                task.iter()
                    .filter_map(|task| task["id"].as_str().map(str::to_owned)),
            );
            break format!("t-{name}");
        }
        answered.push(task.unwrap()["id"].as_str().unwrap().to_owned());
        name += 1;
    };
    drop(server);

    let server = Server::start(&folder);
    for id in &answered {
        let task = server.until_final(&format!("/v1/task/state/{id}"));
        let lost = task["state"] == "failed" && task["reason"]["code"] == "lost";
        assert!(lost || task["state"] == "succeeded", "{task:#}");
    }
    // What was sent last is there or is not; in neither case does it run twice or for ever.
    let listed = server.get("/v1/list/tasks/demo");
    for job in listed["jobs"].as_array().unwrap() {
        let task = server.until_final(&format!("/v1/task/state/{}", job["id"].as_str().unwrap()));
        assert!(task["finished_at"].is_string(), "{task:#}");
    }
    let jobs = listed["jobs"].as_array().unwrap();
    let found_last = jobs
        .iter()
        .filter(|job| job["name"] == unanswered.as_str())
        .count();
    assert!(found_last <= 1, "{listed:#}");
    assert!(jobs.len() <= kill_at + 1, "{listed:#}");
    let times = begun(&folder.trace()).remove("t").unwrap_or_default();
    assert!(times <= jobs.len(), "{times} starts of {} jobs", jobs.len());
}

#[test]
fn a_server_told_to_stop_ends_well_and_its_successor_goes_on() {
    let folder = folder_of_a_diamond();
    assert!(
        Server::start(&folder).terminate().success(),
        "right after it said that it listens"
    );

    let server = Server::start(&folder);
    let run = server.get("/v1/pipeline/runas/demo/diamond/stopped");
    let path = format!("/v1/pipeline/state/demo/{}", run["id"].as_str().unwrap());
    assert!(server.terminate().success(), "in the middle of a run");

    let after = Server::start(&folder).until_final(&path);
    assert_eq!(after["state"], end_by_the_rules(&after), "{after:#}");
    for (name, times) in begun(&folder.trace()) {
        assert_eq!(times, 1, "{name} was started {times} times: {after:#}");
    }
}

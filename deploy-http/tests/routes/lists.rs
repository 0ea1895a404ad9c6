//! Rows 21 to 27, whole and page by page.

use serde_json::{Value, json};

use crate::api::{Api, each, keys, text};

const TASKS: [&str; 4] = ["jobs", "cronjobs", "deployments", "services"];
const TASK: &str = "created_at exit_code finished_at id identity image kind name namespace pipeline_id reason schedule \
                    source started_at state superseded_by warnings";
const RUN: &str =
    "created_at finished_at id identity in_error name namespace original source state step_counts warnings";

/// Before anything is deployed.
pub fn are_empty_at_first(api: &Api) {
    let tasks = json!({"jobs": [], "cronjobs": [], "deployments": [], "services": [], "continue": null});
    for (path, empty) in [
        ("/v1/list/namespaces", json!({"namespaces": [], "continue": null})),
        ("/v1/list/tasks", tasks.clone()),
        ("/v1/list/tasks/nowhere", tasks),
        ("/v1/list/pods", json!({"pods": [], "continue": null})),
        ("/v1/list/pods/nowhere", json!({"pods": [], "continue": null})),
        ("/v1/list/pipelines", json!({"pipelines": [], "continue": null})),
        (
            "/v1/list/pipelines/nowhere",
            json!({"pipelines": [], "continue": null}),
        ),
        (
            "/v2/task/list/templates",
            json!({"template_filenames": [], "continue": null}),
        ),
        (
            "/v2/pipeline/list/templates",
            json!({"template_filenames": [], "continue": null}),
        ),
    ] {
        let answer = api.get(path);
        assert_eq!(answer.json(200), empty, "{path}");
        let head = api.request("HEAD", path).send();
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), answer.body.len().to_string());
        assert!(answer.header("age").parse::<u64>().is_ok(), "{path}: {answer:?}");
    }
}

/// After tasks were deployed and pipelines were run.
pub fn walk(api: &Api) {
    namespaces(api);
    tasks(api);
    pods(api);
    pipelines(api);
}

fn namespaces(api: &Api) {
    let all = api.get("/v1/list/namespaces").json(200);
    assert_eq!(
        each(&all["namespaces"], "name"),
        ["demo", "other-repo", "team-a", "team-b"]
    );
    assert_eq!(
        each(&all["namespaces"], "repository"),
        ["demo", "Other_Repo", "null", "null"]
    );
    assert_eq!(keys(&all["namespaces"][0]), "created_at name repository");
    assert_eq!(
        paged(api, "/v1/list/namespaces", &["namespaces"]),
        all["namespaces"]
    );
}

fn tasks(api: &Api) {
    let all = api.get("/v1/list/tasks").json(200);
    assert_eq!(keys(&all), "continue cronjobs deployments jobs services");
    assert_eq!(each(&all["cronjobs"], "name"), ["cron", "nightly"]);
    assert_eq!(each(&all["deployments"], "name"), ["worker"]);
    assert_eq!(each(&all["services"], "name"), ["mixed-web", "web"]);
    let jobs = each(&all["jobs"], "name");
    for job in ["ok", "fail", "slow", "renamed", "in-a", "mine"] {
        let found = jobs.iter().filter(|name| *name == job).count();
        let expected = if job == "ok" { 2 } else { 1 };
        assert_eq!(
            found, expected,
            "{job} in {jobs:?}: a task that was superseded is no longer listed"
        );
    }
    assert_eq!(keys(&all["services"][0]), TASK);
    let shown = all.to_string();
    assert!(
        !shown.contains("http.server") && !shown.contains("WHOSE"),
        "a list shows no command: {shown}"
    );

    let one = api.get("/v1/list/tasks/team-b").json(200);
    assert_eq!(each(&one["cronjobs"], "name"), ["nightly"]);
    assert!(
        each(&one["jobs"], "namespace")
            .iter()
            .all(|name| name == "team-b")
    );
    let whole: Vec<Value> = TASKS
        .iter()
        .flat_map(|kind| all[*kind].as_array().unwrap().clone())
        .collect();
    assert_eq!(
        each(&paged(api, "/v1/list/tasks", &TASKS), "id"),
        each(&json!(whole), "id")
    );
}

fn pods(api: &Api) {
    let all = api.get("/v1/list/pods/demo").json(200);
    assert_eq!(
        keys(&all["pods"][0]),
        "name namespace node phase reason restarts started_at task_id"
    );
    let lasting = lasting(&all["pods"]);
    let running = lasting.iter().filter(|pod| pod["phase"] == "Running");
    // A job that sleeps, two workers, two services.
    assert_eq!(running.count(), 5, "{all:#}");
    assert_eq!(
        self::lasting(&paged(api, "/v1/list/pods/demo", &["pods"])),
        lasting
    );
    let everywhere = api.get("/v1/list/pods").json(200);
    for pod in &lasting {
        assert!(everywhere["pods"].as_array().unwrap().contains(pod), "{pod}");
    }
}

/// All pods but those of the cron job, which come and go by the clock of the machine.
fn lasting(pods: &Value) -> Vec<Value> {
    let pods = pods.as_array().unwrap().iter();
    pods.filter(|pod| !text(pod, "name").starts_with("cron"))
        .cloned()
        .collect()
}

fn pipelines(api: &Api) {
    let all = api.get("/v1/list/pipelines").json(200);
    let newest_first = [
        "long",
        "long",
        "my own",
        "elsewhere",
        "on-feature",
        "mixed",
        "etl",
        "nightly",
    ];
    assert_eq!(each(&all["pipelines"], "name"), newest_first);
    let run = &all["pipelines"][6];
    assert_eq!(keys(run), RUN);
    assert_eq!((text(run, "state"), &run["in_error"]), ("failed", &json!(true)));
    let counts = &run["step_counts"];
    assert_eq!(
        ["succeeded", "failed", "skipped", "running"].map(|state| counts[state].as_u64().unwrap()),
        [2, 1, 1, 0],
        "{counts}"
    );
    let one = api.get("/v1/list/pipelines/team-a").json(200);
    assert_eq!(each(&one["pipelines"], "name"), ["my own", "etl"]);
    assert_eq!(paged(api, "/v1/list/pipelines", &["pipelines"]), all["pipelines"]);
}

/// A list, item by item, over its arrays.
fn paged(api: &Api, path: &str, arrays: &[&str]) -> Value {
    let mut found = Vec::new();
    let mut next = format!("{path}?limit=1");
    loop {
        let page = api.get(&next).json(200);
        let items: Vec<Value> = arrays
            .iter()
            .flat_map(|array| page[*array].as_array().unwrap().clone())
            .collect();
        assert!(items.len() <= 1, "{page:#}");
        found.extend(items);
        match page["continue"].as_str() {
            Some(place) => next = format!("{path}?limit=1&continue={place}"),
            None => return Value::Array(found),
        }
    }
}

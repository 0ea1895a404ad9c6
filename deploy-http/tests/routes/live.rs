//! What only a real cluster shows, where `DEPLOY_TEST_KUBECONFIG` names one: it pulls, schedules, fires and is edited by
//! hand. It needs kubectl, and makes the namespaces `live` and `live-foreign`, which it removes at both ends.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use deploy_testkit::fixture::tree::{Entry, file};
use serde_json::{Value, json};

use crate::api::{Api, each, text};
use crate::scene::{Place, Scene, document};
use crate::server::Server;

struct Kubectl(PathBuf);

impl Kubectl {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(&self.0).args(arguments);
        command
    }

    /// What it prints, where it succeeds.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("kubectl is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits for the first line of a watch.
    fn first_line(&self, arguments: &[&str]) -> String {
        let mut watch = self.command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let output = watch.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        watch.kill().unwrap();
        watch.wait().unwrap();
        line
    }

    fn clear(&self) {
        let both = [
            "delete",
            "namespace",
            "live",
            "live-foreign",
            "--ignore-not-found",
        ];
        self.run(&both);
    }
}

#[test]
fn what_only_a_cluster_can_show_on_a_real_cluster() {
    let Some(kubeconfig) = std::env::var_os("DEPLOY_TEST_KUBECONFIG") else {
        eprintln!("not run: DEPLOY_TEST_KUBECONFIG names the kubeconfig of a cluster; see CONTRIBUTING.md");
        return;
    };
    let kubectl = Kubectl(kubeconfig.into());
    kubectl.clear();
    let scene = Scene::set_in(Place::Cluster);
    scene.git.publish("live", "master", &tasks());
    let server = Server::start_with(
        &scene.base_url(),
        &["--cluster", "kubernetes", "--instance", "live"],
        &[("KUBECONFIG", &*kubectl.0)],
    );
    let api = Api::new(server);
    starts_or_says_why_not(&api);
    a_schedule_fires(&api, &kubectl);
    a_rollout_rolls(&api);
    what_is_not_ours_stays(&api, &kubectl);
    hand_edited_objects_hurt_no_other(&api, &kubectl);
    deletes_leave_nothing(&api, &kubectl);
    assert!(api.server.stop());
    kubectl.clear();
}

fn tasks() -> Vec<Entry> {
    let task = |name: &str, kind: &str, line: &str, more: Value| {
        let text = document(name, kind, line, more).to_string();
        file(&format!("{name}/manifest.json"), text)
    };
    let forever = "trap 'exit 143' TERM; sleep 100000 & wait";
    vec![
        task("ok", "job", "echo fine", json!({})),
        task("fail", "job", "echo it broke; exit 3", json!({})),
        task("gone", "job", "true", json!({"image": "nonexistent.invalid/x:1"})),
        task("big", "job", "true", json!({"cpu-request": "1000"})),
        task("tick", "job", "echo tick", json!({"schedule": "* * * * *"})),
        task("worker", "deployment", forever, json!({"replicas": 2})),
        task("slow", "job", forever, json!({})),
    ]
}

/// Deploys a task, and answers where its state is.
#[track_caller]
fn deploy(api: &Api, name: &str) -> String {
    let answer = api.get(&format!("/v1/task/deploy/live/{name}"));
    answer.json(202);
    answer.header("location").to_owned()
}

fn starts_or_says_why_not(api: &Api) {
    assert_eq!(api.finished(&deploy(api, "ok"))["state"], "succeeded");
    let failed = api.finished(&deploy(api, "fail"));
    assert_eq!(
        (text(&failed, "state"), &failed["exit_code"]),
        ("failed", &json!(3))
    );
    assert!(
        text(&failed["reason"], "message").contains("it broke"),
        "{failed:#}"
    );
    for (name, code) in [("gone", "image-pull-failed"), ("big", "unschedulable")] {
        let waiting = api.until(&deploy(api, name), |task| task["reason"]["code"] == code);
        assert_eq!(waiting["state"], "pending", "{waiting:#}");
    }
}

fn a_schedule_fires(api: &Api, kubectl: &Kubectl) {
    deploy(api, "tick");
    let jobs = [
        "get",
        "jobs",
        "-n",
        "live",
        "-l",
        "deploy-api/workload=tick",
        "-o",
        "name",
        "-w",
    ];
    let fired = kubectl.first_line(&jobs);
    assert!(fired.starts_with("job.batch/tick-"), "{fired}");
}

fn a_rollout_rolls(api: &Api) {
    let first = deploy(api, "worker");
    api.until(&first, |task| task["state"] == "ready");
    let second = deploy(api, "worker");
    api.until(&second, |task| task["state"] == "ready");
    assert_eq!(api.get(&first).json(200)["state"], "superseded");
}

fn what_is_not_ours_stays(api: &Api, kubectl: &Kubectl) {
    kubectl.run(&["create", "namespace", "live-foreign"]);
    api.get("/v1/task/deployinas/live/ok/live-foreign/ok")
        .problem(403, "namespace-foreign");
    kubectl.run(&[
        "create",
        "job",
        "theirs",
        "-n",
        "live",
        "--image",
        "docker.io/library/busybox:1.37",
        "--",
        "true",
    ]);
    api.get("/v1/task/deployas/live/ok/theirs")
        .problem(409, "name-taken");
    api.get("/v1/delete/job/live/theirs")
        .problem(404, "object-not-found");
    kubectl.run(&["get", "job", "theirs", "-n", "live"]);
    kubectl.run(&["delete", "job", "theirs", "-n", "live"]);
}

fn hand_edited_objects_hurt_no_other(api: &Api, kubectl: &Kubectl) {
    let slow = deploy(api, "slow");
    api.until(&slow, |task| task["state"] == "running");
    kubectl.run(&[
        "label",
        "job",
        "slow",
        "-n",
        "live",
        "--overwrite",
        "deploy-api/task=garbage",
    ]);
    kubectl.run(&[
        "annotate",
        "job",
        "slow",
        "-n",
        "live",
        "--overwrite",
        "deploy-api/identity=garbage",
    ]);
    let other = api.get("/v1/task/deployas/live/ok/other");
    assert_eq!(api.finished(other.header("location"))["state"], "succeeded");
    let listed = api.get("/v1/list/tasks/live").json(200);
    assert!(
        each(&listed["jobs"], "name").contains(&"other".to_owned()),
        "{listed:#}"
    );
}

fn deletes_leave_nothing(api: &Api, kubectl: &Kubectl) {
    for (kind, names) in [
        ("job", &["ok", "fail", "gone", "big", "slow", "other"][..]),
        ("cronjob", &["tick"]),
        ("deployment", &["worker"]),
    ] {
        for name in names {
            api.get(&format!("/v1/delete/{kind}/live/{name}")).json(200);
        }
    }
    let ours = "jobs,cronjobs,deployments,replicasets,services,pods";
    let left = kubectl.run(&[
        "get",
        ours,
        "-n",
        "live",
        "-o",
        "name",
        "--field-selector",
        "metadata.namespace=live",
    ]);
    // Of a job that had ended its pod goes a moment later.
    let left: Vec<&str> = left.lines().filter(|name| !name.starts_with("pod/")).collect();
    assert_eq!(left, [""; 0]);
    kubectl.run(&[
        "wait",
        "pods",
        "--all",
        "-n",
        "live",
        "--for=delete",
        "--timeout=60s",
    ]);
}

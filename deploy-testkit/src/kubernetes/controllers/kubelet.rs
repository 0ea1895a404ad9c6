//! The kubelet of the one node. What a container does is in its image and its command:
//!
//! - an image of `nonexistent.invalid/` cannot be pulled;
//! - `["exit", "3"]` ends at once with that code, `["sleep", "5"]` after five seconds with 0;
//! - `["forever"]`, and whatever else is asked, runs until it is deleted and then ends with 143;
//! - `["forever", "stubborn"]` ends only when its grace period is over, with 137.
//!
//! A container's end is told first, its pod's phase by a later event. All containers of a pod share its fate.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::super::delete::{Options, delete};
use super::super::logs;
use super::super::object::{Key, Object, Said, list, number, say, set, text};
use super::super::store::{State, is_over};
use super::pods::key_of;
use super::{Due, events};

/// Of the longest pause between two starts.
const MAX_BACK_OFF_SECONDS: i64 = 300;

/// What a container does by itself.
enum Behaviour {
    Ends(i64, i64),
    GoesOn,
    Stubborn,
}

/// Looks at one pod.
pub(super) fn sync(state: &mut State, key: &Key) {
    let Some(pod) = state.get(key).cloned() else {
        return;
    };
    if text(&pod.value, "/spec/nodeName").is_empty() {
        return;
    }
    let has_started = !list(&pod.value, "/status/containerStatuses").is_empty();
    if pod.is_going() {
        let grace = number(&pod.value, "/metadata/deletionGracePeriodSeconds", 0);
        let until = text(&pod.value, "/metadata/deletionTimestamp")
            .parse()
            .unwrap_or_else(|_| state.now());
        if is_over(&pod) || !is_running(&pod) && !has_ended(&pod) {
            let _deleted = delete(state, &pod, &Options::at_once()).is_ok();
        } else if is_running(&pod) {
            if matches!(behaviour(&pod), Behaviour::Stubborn) && grace > 0 && state.now() < until {
                state.at(until, Due::Look(key.clone()));
            } else {
                let code = if matches!(behaviour(&pod), Behaviour::Stubborn) {
                    137
                } else {
                    143
                };
                end(state, pod.uid(), code, "Error");
            }
        }
    } else if !has_started && !is_over(&pod) {
        start(state, &pod);
    }
}

/// A pod is taken on; its containers start a step later.
fn start(state: &mut State, pod: &Object) {
    let now = state.stamp();
    state.modify(&pod.key(), |pod| {
        begin_status(pod, &now);
        let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
        write_containers(pod, &waiting, false);
        write_ready(pod, false, "ContainersNotReady", &now);
    });
    let due = state.now();
    state.at(due, Due::Start(pod.uid().to_owned()));
}

/// The containers start, or their image cannot be pulled.
pub(super) fn begin(state: &mut State, uid: &str) {
    let Some(pod) = state.find(uid).cloned() else {
        return;
    };
    if pod.is_going() || is_over(&pod) || is_running(&pod) || has_ended(&pod) {
        return;
    }
    let images = list(&pod.value, "/spec/containers")
        .iter()
        .map(|container| text(container, "/image"));
    let Some(image) = images
        .filter(|image| image.starts_with("nonexistent.invalid/"))
        .map(str::to_owned)
        .next()
    else {
        run(state, &pod, false);
        return;
    };
    let (repository, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
    let path = repository.trim_start_matches("nonexistent.invalid/");
    let message = format!(
        "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": failed to do request: \
         Head \"https://nonexistent.invalid/v2/{path}/manifests/{tag}\": dial tcp: lookup nonexistent.invalid: no such host"
    );
    let told = format!("Failed to pull image \"{image}\": {message}");
    events::warn(state, &pod, "kubelet", "Failed", &told);
    state.modify(&pod.key(), |pod| {
        let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": message}});
        write_containers(pod, &waiting, false);
    });
    let due = state.now();
    state.at(due, Due::PullBackOff(uid.to_owned()));
}

fn run(state: &mut State, pod: &Object, again: bool) {
    let now = state.stamp();
    let address = state.count();
    let by_hand = state.settings.probed_by_hand;
    state.modify(&pod.key(), |pod| {
        if again {
            remember_end(pod);
            let count = number(pod, "/status/containerStatuses/0/restartCount", 0) + 1;
            for status in statuses(pod) {
                set(status, "/restartCount", json!(count));
            }
        } else {
            let address = format!("10.244.{}.{}", address / 250 % 250, address % 250 + 1);
            set(pod, "/status/podIP", json!(address));
            set(pod, "/status/podIPs", json!([{"ip": address}]));
        }
        set(pod, "/status/phase", json!("Running"));
        let ready = !by_hand || pod.pointer("/spec/containers/0/readinessProbe").is_none();
        write_containers(pod, &json!({"running": {"startedAt": now}}), ready);
        write_ready(pod, ready, if ready { "" } else { "ContainersNotReady" }, &now);
    });
    if let Behaviour::Ends(code, seconds) = behaviour(pod) {
        let due = state.now() + TimeDelta::seconds(seconds);
        let restarts = state.get(&pod.key()).map_or(0, |pod| restarts(pod));
        state.at(due, Due::Ends(pod.uid().to_owned(), restarts, code));
    }
}

/// A container comes to its own end.
pub(super) fn end_by_itself(state: &mut State, uid: &str, of_restarts: i64, code: i64) {
    let is_the_same = state
        .find(uid)
        .is_some_and(|pod| is_running(pod) && restarts(pod) == of_restarts);
    if is_the_same {
        end(state, uid, code, if code == 0 { "Completed" } else { "Error" });
    }
}

/// Ends the containers of a pod, whatever they do; its phase follows. An end that has come is the end.
pub(in super::super) fn end(state: &mut State, uid: &str, code: i64, reason: &str) {
    let Some(key) = key_of(state, uid) else { return };
    if !state.get(&key).is_some_and(|pod| is_running(pod)) {
        return;
    }
    let now = state.stamp();
    let written = logs::end(state, &key);
    state.modify(&key, |pod| {
        let started = text(pod, "/status/containerStatuses/0/state/running/startedAt").to_owned();
        let started = if started.is_empty() { now.clone() } else { started };
        let mut terminated = json!({"terminated": {
            "exitCode": code,
            "reason": reason,
            "startedAt": started,
            "finishedAt": now,
            "containerID": format!("containerd://{uid}"),
        }});
        let falls_back = text(pod, "/spec/containers/0/terminationMessagePolicy") == "FallbackToLogsOnError";
        if falls_back && code != 0 && !written.is_empty() {
            set(&mut terminated, "/terminated/message", json!(written));
        }
        write_containers(pod, &terminated, false);
        write_ready(pod, false, "ContainersNotReady", &now);
    });
    let lag = TimeDelta::from_std(state.settings.phase_lag).unwrap_or_default();
    let due = state.now() + lag;
    state.at(due, Due::Phase(uid.to_owned()));
}

/// The phase follows the end of the containers: the pod is over, or begins anew.
pub(super) fn phase(state: &mut State, uid: &str) {
    let Some(pod) = state.find(uid).cloned() else {
        return;
    };
    if is_over(&pod) || !has_ended(&pod) {
        return;
    }
    let code = number(
        &pod.value,
        "/status/containerStatuses/0/state/terminated/exitCode",
        0,
    );
    let begins_anew = match text(&pod.value, "/spec/restartPolicy") {
        "Always" => true,
        "OnFailure" => code != 0,
        _ => false,
    };
    if begins_anew && !pod.is_going() {
        back_off_restart(state, &pod);
        return;
    }
    let now = state.stamp();
    state.modify(&pod.key(), |pod| {
        let (phase, reason) = if code == 0 {
            ("Succeeded", "PodCompleted")
        } else {
            ("Failed", "PodFailed")
        };
        set(pod, "/status/phase", json!(phase));
        write_ready(pod, false, reason, &now);
    });
}

/// The first restart is at once, the second after 10 s, and so on, twice as long each.
fn back_off_restart(state: &mut State, pod: &Object) {
    let restarts = restarts(pod);
    let seconds = match restarts {
        0 => 0,
        more => (10_i64 << (more - 1).min(8)).min(MAX_BACK_OFF_SECONDS),
    };
    if seconds > 0 {
        let name = text(&pod.value, "/spec/containers/0/name").to_owned();
        let message = format!(
            "back-off {seconds}s restarting failed container={name} pod={}_{}({})",
            pod.name(),
            pod.namespace(),
            pod.uid()
        );
        let told = format!(
            "Back-off restarting failed container {name} in pod {}_{}({})",
            pod.name(),
            pod.namespace(),
            pod.uid()
        );
        events::warn(state, pod, "kubelet", "BackOff", &told);
        state.modify(&pod.key(), |pod| {
            let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}});
            remember_end(pod);
            write_containers(pod, &waiting, false);
        });
    }
    let due = state.now() + TimeDelta::seconds(seconds);
    state.at(due, Due::Restart(pod.uid().to_owned()));
}

/// Starts the containers of a pod again.
pub(super) fn restart(state: &mut State, uid: &str) {
    let Some(pod) = state.find(uid).cloned() else {
        return;
    };
    if is_over(&pod) || pod.is_going() || is_running(&pod) {
        return;
    }
    run(state, &pod, true);
}

/// An image that could not be pulled is waited for.
pub(super) fn back_off(state: &mut State, uid: &str) {
    let Some(pod) = state.find(uid).cloned() else {
        return;
    };
    let image = text(&pod.value, "/spec/containers/0/image").to_owned();
    let waiting = "/status/containerStatuses/0/state/waiting/message";
    let message = format!(
        "Back-off pulling image \"{image}\": ErrImagePull: {}",
        text(&pod.value, waiting)
    );
    events::warn(state, &pod, "kubelet", "BackOff", &message);
    state.modify(&pod.key(), |pod| {
        write_containers(
            pod,
            &json!({"waiting": {"reason": "ImagePullBackOff", "message": message}}),
            false,
        );
    });
}

/// The node runs short and gets rid of a pod.
pub(in super::super) fn evict(state: &mut State, uid: &str) {
    let Some(key) = key_of(state, uid) else { return };
    let now = state.stamp();
    let message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. ";
    state.modify(&key, |pod| {
        set(pod, "/status/phase", json!("Failed"));
        set(pod, "/status/reason", json!("Evicted"));
        set(pod, "/status/message", json!(message));
        let said = Said {
            holds: true,
            reason: "TerminationByKubelet",
            message,
        };
        say(pod, "DisruptionTarget", said, &now, &[]);
        let terminated = json!({"terminated": {
            "exitCode": 137,
            "reason": "Error",
            "startedAt": now,
            "finishedAt": now,
        }});
        write_containers(pod, &terminated, false);
        write_ready(pod, false, "PodFailed", &now);
    });
}

/// A readiness probe's verdict.
pub(in super::super) fn set_ready(state: &mut State, uid: &str, ready: bool) {
    let Some(key) = key_of(state, uid) else { return };
    let now = state.stamp();
    state.modify(&key, |pod| {
        for status in statuses(pod) {
            set(status, "/ready", json!(ready));
        }
        write_ready(pod, ready, if ready { "" } else { "ContainersNotReady" }, &now);
    });
}

fn begin_status(pod: &mut Value, now: &str) {
    super::super::object::default(pod, "/status/startTime", json!(now));
    set(pod, "/status/hostIP", json!("192.168.0.1"));
    let yes = Said {
        holds: true,
        reason: "",
        message: "",
    };
    say(pod, "Initialized", yes, now, &[]);
}

fn write_ready(pod: &mut Value, ready: bool, reason: &str, now: &str) {
    let names: Vec<&str> = list(pod, "/spec/containers")
        .iter()
        .map(|one| text(one, "/name"))
        .collect();
    let message = format!("containers with unready status: [{}]", names.join(" "));
    let message = if reason == "ContainersNotReady" {
        message.as_str()
    } else {
        ""
    };
    for condition in ["ContainersReady", "Ready"] {
        let said = Said {
            holds: ready,
            reason,
            message,
        };
        say(pod, condition, said, now, &[]);
    }
}

/// Writes every container's state; what is known of its past stays.
fn write_containers(pod: &mut Value, state: &Value, ready: bool) {
    let containers = list(pod, "/spec/containers").to_vec();
    let old = list(pod, "/status/containerStatuses").to_vec();
    let written: Vec<Value> = containers
        .iter()
        .map(|container| {
            let old = old.iter().find(|status| status["name"] == container["name"]);
            let kept = |field: &str, otherwise: Value| old.map_or(otherwise, |status| status[field].clone());
            json!({
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": ready,
                "started": ready,
                "restartCount": kept("restartCount", json!(0)),
                "state": state,
                "lastState": kept("lastState", json!({})),
            })
        })
        .collect();
    set(pod, "/status/containerStatuses", json!(written));
}

/// The last state of a container is the end that it came to.
fn remember_end(pod: &mut Value) {
    for status in statuses(pod) {
        if status.pointer("/state/terminated").is_some() {
            let ended = status["state"].clone();
            set(status, "/lastState", ended);
        }
    }
}

fn statuses(pod: &mut Value) -> impl Iterator<Item = &mut Value> {
    pod.pointer_mut("/status/containerStatuses")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

fn is_running(pod: &Object) -> bool {
    pod.value
        .pointer("/status/containerStatuses/0/state/running")
        .is_some()
}

fn has_ended(pod: &Object) -> bool {
    pod.value
        .pointer("/status/containerStatuses/0/state/terminated")
        .is_some()
}

fn restarts(pod: &Object) -> i64 {
    number(&pod.value, "/status/containerStatuses/0/restartCount", 0)
}

fn behaviour(pod: &Object) -> Behaviour {
    let words: Vec<&str> = ["/spec/containers/0/command", "/spec/containers/0/args"]
        .iter()
        .flat_map(|pointer| list(&pod.value, pointer))
        .filter_map(Value::as_str)
        .collect();
    match words.as_slice() {
        ["exit", code] => Behaviour::Ends(code.parse().unwrap_or(127), 0),
        ["sleep", seconds] => Behaviour::Ends(0, seconds.parse().unwrap_or(0)),
        ["forever", "stubborn"] => Behaviour::Stubborn,
        _ => Behaviour::GoesOn,
    }
}

//! Events, as controllers record them: one object for what is said again and again, with a count.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::super::kinds::{EVENTS, by_plural};
use super::super::object::{Key, Object, number, set};
use super::super::store::State;
use super::scheduler::NODE;

/// Records a warning about an object.
pub(super) fn warn(state: &mut State, about: &Object, from: &str, reason: &str, message: &str) {
    record(state, about, "Warning", from, reason, message);
}

/// Records something that went as it should.
pub(super) fn tell(state: &mut State, about: &Object, from: &str, reason: &str, message: &str) {
    record(state, about, "Normal", from, reason, message);
}

/// Records that a pod finds no node. The scheduler speaks of it in the newer form: with one time, to the microsecond, and
/// neither a count nor first and last times.
pub(super) fn unschedulable(state: &mut State, pod: &Object, message: &str) {
    let key = key(pod, "FailedScheduling", message);
    if state.get(&key).is_some() {
        return;
    }
    let time = state.now().to_rfc3339_opts(SecondsFormat::Micros, true);
    let said = json!({
        "action": "Scheduling",
        "source": {},
        "reportingComponent": "default-scheduler",
        "reportingInstance": format!("default-scheduler-{NODE}"),
        "eventTime": time,
    });
    insert(state, pod, &key, "Warning", ("FailedScheduling", message), said);
}

fn record(state: &mut State, about: &Object, kind: &str, from: &str, reason: &str, message: &str) {
    let key = key(about, reason, message);
    let now = state.stamp();
    if state.get(&key).is_some() {
        state.modify(&key, |event| {
            let count = number(event, "/count", 1) + 1;
            set(event, "/count", json!(count));
            set(event, "/lastTimestamp", json!(now));
        });
        return;
    }
    let said = json!({
        "source": {"component": from},
        "reportingComponent": from,
        "reportingInstance": "",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    });
    insert(state, about, &key, kind, (reason, message), said);
}

/// The name says what is the same, so that it is found again without a search.
fn key(about: &Object, reason: &str, message: &str) -> Key {
    let same = format!("{}/{reason}/{message}", about.uid());
    let name = format!("{}.{:016x}", about.name(), super::pods::hash(&same));
    Key::new(EVENTS, about.namespace(), &name)
}

fn insert(state: &mut State, about: &Object, key: &Key, kind: &str, said: (&str, &str), mut event: Value) {
    let Some(events) = by_plural(EVENTS) else { return };
    set(
        &mut event,
        "/metadata",
        json!({"name": key.name, "namespace": key.namespace}),
    );
    set(&mut event, "/type", json!(kind));
    set(&mut event, "/reason", json!(said.0));
    set(&mut event, "/message", json!(said.1));
    let involved = json!({
        "kind": about.kind.kind,
        "apiVersion": about.kind.api_version(),
        "namespace": about.namespace(),
        "name": about.name(),
        "uid": about.uid(),
        "resourceVersion": about.revision.to_string(),
    });
    set(&mut event, "/involvedObject", involved);
    state.insert(events, event);
}

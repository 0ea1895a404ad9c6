//! Events, as controllers record them: one object for what is said again and again, with a count.

use serde_json::json;

use super::super::kinds::{EVENTS, by_plural};
use super::super::object::{Key, Object, number, set};
use super::super::store::State;

/// Records a warning about an object.
pub(super) fn warn(state: &mut State, about: &Object, from: &str, reason: &str, message: &str) {
    record(state, about, "Warning", from, reason, message);
}

/// Records something that went as it should.
pub(super) fn tell(state: &mut State, about: &Object, from: &str, reason: &str, message: &str) {
    record(state, about, "Normal", from, reason, message);
}

fn record(state: &mut State, about: &Object, kind: &str, from: &str, reason: &str, message: &str) {
    // The name says what is the same, so that a second one is found without a search.
    let same = format!("{}/{reason}/{message}", about.uid());
    let name = format!("{}.{:016x}", about.name(), super::pods::hash(&same));
    let key = Key::new(EVENTS, about.namespace(), &name);
    let now = state.stamp();
    if state.get(&key).is_some() {
        state.modify(&key, |event| {
            let count = number(event, "/count", 1) + 1;
            set(event, "/count", json!(count));
            set(event, "/lastTimestamp", json!(now));
        });
        return;
    }
    let Some(events) = by_plural(EVENTS) else { return };
    let event = json!({
        "metadata": {"name": name, "namespace": about.namespace()},
        "involvedObject": {
            "kind": about.kind.kind,
            "apiVersion": about.kind.api_version(),
            "namespace": about.namespace(),
            "name": about.name(),
            "uid": about.uid(),
            "resourceVersion": about.revision.to_string(),
        },
        "type": kind,
        "reason": reason,
        "message": message,
        "source": {"component": from},
        "reportingComponent": from,
        "reportingInstance": "",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    });
    state.insert(events, event);
}

//! The ReplicaSet controller: as many pods as it says.

use serde_json::{Value, json};

use super::super::object::{Key, number, set};
use super::super::store::{State, is_over, is_ready};
use super::pods;

/// Looks at one ReplicaSet.
pub(super) fn sync(state: &mut State, key: &Key) {
    let Some(set_of) = state.get(key).cloned() else {
        return;
    };
    if set_of.is_going() {
        return;
    }
    let mut there: Vec<_> = pods::of(state, &set_of);
    there.retain(|pod| !is_over(pod) && !pod.is_going());
    let wanted = usize::try_from(number(&set_of.value, "/spec/replicas", 1)).unwrap_or_default();
    if there.len() > wanted {
        // What is not ready goes first, then what is newest.
        there.sort_by_key(|pod| (is_ready(pod), std::cmp::Reverse(pod.uid().to_owned())));
        for pod in &there[..there.len() - wanted] {
            pods::remove(state, pod);
        }
    }
    let template = set_of
        .value
        .pointer("/spec/template")
        .cloned()
        .unwrap_or(Value::Null);
    for _ in there.len()..wanted {
        if !pods::make(state, &set_of, &template, "replicaset-controller") {
            break;
        }
    }
    let mut there = pods::of(state, &set_of);
    there.retain(|pod| !is_over(pod) && !pod.is_going());
    let ready = there.iter().filter(|pod| is_ready(pod)).count();
    let count = there.len();
    state.modify(key, |set_of| {
        let generation = number(set_of, "/metadata/generation", 1);
        set(set_of, "/status/replicas", json!(count));
        for (field, value) in [
            ("fullyLabeledReplicas", count),
            ("readyReplicas", ready),
            ("availableReplicas", ready),
        ] {
            let pointer = format!("/status/{field}");
            if value > 0 {
                set(set_of, &pointer, json!(value));
            } else {
                super::super::object::unset(set_of, &pointer);
            }
        }
        set(set_of, "/status/observedGeneration", json!(generation));
    });
}

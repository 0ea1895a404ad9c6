//! The namespace controller: what is in a namespace that is being deleted goes, then the namespace.

use std::sync::Arc;

use serde_json::json;

use super::super::kinds::KINDS;
use super::super::object::{Key, Object, set};
use super::super::store::State;
use super::garbage;

/// Looks at one namespace.
pub(super) fn sync(state: &mut State, key: &Key) {
    if !state.get(key).is_some_and(|namespace| namespace.is_going()) {
        return;
    }
    for object in content(state, &key.name) {
        if !object.is_going() {
            garbage::remove(state, &object, "Background");
        }
    }
    if content(state, &key.name).is_empty() {
        state.modify(key, |namespace| set(namespace, "/spec/finalizers", json!([])));
    }
}

fn content(state: &State, namespace: &str) -> Vec<Arc<Object>> {
    KINDS
        .iter()
        .filter(|kind| kind.namespaced)
        .flat_map(|kind| state.all(kind.plural, namespace))
        .cloned()
        .collect()
}

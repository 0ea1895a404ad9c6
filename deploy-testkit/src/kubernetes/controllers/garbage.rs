//! The garbage collector: what has lost all its owners goes; what is deleted in the foreground waits for its dependents.

use serde_json::json;

use super::super::delete::{FOREGROUND, ORPHAN, Options, delete};
use super::super::object::{Key, Object, list, set, text, unset};
use super::super::store::{State, blocks, owners};

/// Looks at one object.
pub(super) fn sync(state: &mut State, key: &Key) {
    let Some(object) = state.get(key).cloned() else {
        return;
    };
    let mut owned_by = owners(&object).peekable();
    if owned_by.peek().is_some() && !object.is_going() && owned_by.all(|uid| state.find(uid).is_none()) {
        remove(state, &object, "Background");
        return;
    }
    if has(&object, ORPHAN) {
        for dependent in state.dependents(object.uid()) {
            state.modify(&dependent.key(), |value| disown(value, object.uid()));
        }
        state.modify(key, |value| drop_finalizer(value, ORPHAN));
    } else if has(&object, FOREGROUND) {
        let dependents = state.dependents(object.uid());
        for dependent in dependents.iter().filter(|dependent| !dependent.is_going()) {
            let has_dependents = !state.dependents(dependent.uid()).is_empty();
            let propagation = if has_dependents {
                "Foreground"
            } else {
                "Background"
            };
            remove(state, dependent, propagation);
        }
        let is_blocked = state
            .dependents(object.uid())
            .iter()
            .any(|dependent| blocks(dependent, object.uid()));
        if !is_blocked {
            state.modify(key, |value| drop_finalizer(value, FOREGROUND));
        }
    }
}

/// A delete without preconditions is refused by no one.
pub(super) fn remove(state: &mut State, object: &std::sync::Arc<Object>, propagation: &str) {
    let _deleted = delete(state, object, &Options::of_collector(propagation)).is_ok();
}

fn has(object: &Object, finalizer: &str) -> bool {
    object.is_going()
        && list(&object.value, "/metadata/finalizers")
            .iter()
            .any(|one| one == finalizer)
}

fn drop_finalizer(value: &mut serde_json::Value, finalizer: &str) {
    let rest: Vec<_> = list(value, "/metadata/finalizers")
        .iter()
        .filter(|one| *one != finalizer)
        .cloned()
        .collect();
    if rest.is_empty() {
        unset(value, "/metadata/finalizers");
    } else {
        set(value, "/metadata/finalizers", json!(rest));
    }
}

fn disown(value: &mut serde_json::Value, owner: &str) {
    let rest: Vec<_> = list(value, "/metadata/ownerReferences")
        .iter()
        .filter(|reference| text(reference, "/uid") != owner)
        .cloned()
        .collect();
    if rest.is_empty() {
        unset(value, "/metadata/ownerReferences");
    } else {
        set(value, "/metadata/ownerReferences", json!(rest));
    }
}

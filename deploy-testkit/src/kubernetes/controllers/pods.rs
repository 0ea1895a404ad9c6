//! What the controllers of pods share: making one from a template, taking one away, and the quota that may refuse it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::defaults;
use super::super::kinds::{PODS, by_plural};
use super::super::object::{Key, Object, map, set, text};
use super::super::status::Refusal;
use super::super::store::{State, is_over};
use super::{Due, events, garbage};

/// How soon what a quota refused is tried again.
const RETRY_SECONDS: i64 = 10;

/// Refuses a pod that a namespace has no room for.
pub(in super::super) fn quota(state: &State, namespace: &str, name: &str) -> Result<(), Refusal> {
    let Some(limit) = state.settings.pods.get(namespace) else {
        return Ok(());
    };
    let used = state.all(PODS, namespace).filter(|pod| !is_over(pod)).count();
    if used < *limit {
        return Ok(());
    }
    let kind = by_plural(PODS).ok_or_else(Refusal::no_such_path)?;
    Err(Refusal::forbidden(kind, name, &exceeded(used, *limit)))
}

fn exceeded(used: usize, limit: usize) -> String {
    format!("exceeded quota: pods, requested: pods=1, used: pods={used}, limited: pods={limit}")
}

/// Makes a pod of a template for its owner; `false` = a quota refused it, which an event tells.
pub(super) fn make(state: &mut State, owner: &Object, template: &Value, from: &str) -> bool {
    let Some(kind) = by_plural(PODS) else { return false };
    let name = format!("{}-{}", shortened(owner.name()), state.suffix());
    if let Some(limit) = state.settings.pods.get(owner.namespace()).copied() {
        let used = state
            .all(PODS, owner.namespace())
            .filter(|pod| !is_over(pod))
            .count();
        if used >= limit {
            let message = format!(
                "Error creating: pods {name:?} is forbidden: {}",
                exceeded(used, limit)
            );
            events::warn(state, owner, from, "FailedCreate", &message);
            let again = state.now() + chrono::TimeDelta::seconds(RETRY_SECONDS);
            state.at(again, Due::Look(owner.key()));
            return false;
        }
    }
    let mut pod = json!({"metadata": template.get("metadata").cloned().unwrap_or_else(|| json!({}))});
    set(
        &mut pod,
        "/spec",
        template.get("spec").cloned().unwrap_or_else(|| json!({})),
    );
    let metadata = map(&mut pod, "/metadata");
    metadata.remove("creationTimestamp");
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("generateName".to_owned(), json!(format!("{}-", owner.name())));
    metadata.insert("namespace".to_owned(), json!(owner.namespace()));
    metadata.insert("ownerReferences".to_owned(), json!([reference(owner)]));
    set(
        &mut pod,
        "/status",
        json!({"phase": "Pending", "qosClass": "BestEffort"}),
    );
    defaults::fill(kind, &mut pod, state);
    state.insert(kind, pod);
    events::tell(
        state,
        owner,
        from,
        "SuccessfulCreate",
        &format!("Created pod: {name}"),
    );
    true
}

/// The reference by which an owner controls what it makes.
pub(super) fn reference(owner: &Object) -> Value {
    json!({
        "apiVersion": owner.kind.api_version(),
        "kind": owner.kind.kind,
        "name": owner.name(),
        "uid": owner.uid(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// The pods that an owner controls.
pub(super) fn of(state: &State, owner: &Object) -> Vec<Arc<Object>> {
    state
        .owned(owner.uid(), PODS)
        .filter(|pod| {
            pod.controller()
                .is_some_and(|reference| text(reference, "/uid") == owner.uid())
        })
        .cloned()
        .collect()
}

/// Deletes a pod as a controller does: its containers are told to end.
pub(super) fn remove(state: &mut State, pod: &Arc<Object>) {
    garbage::remove(state, pod, "Background");
}

/// So that a suffix fits behind it.
fn shortened(name: &str) -> &str {
    name.get(..57).unwrap_or(name)
}

/// FNV-1a: the same for the same text in every run.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// The key of a pod by its uid.
pub(super) fn key_of(state: &State, uid: &str) -> Option<Key> {
    state.find(uid).map(|pod| pod.key())
}

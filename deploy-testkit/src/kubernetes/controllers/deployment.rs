//! The Deployment controller: a ReplicaSet for each version of the template, and the way from the old ones to the new.

use std::sync::Arc;

use chrono::TimeDelta;
use deploy_core::workload::Timestamp;
use serde_json::{Value, json};

use super::super::kinds::{REPLICA_SETS, by_plural};
use super::super::object::{Key, Object, Said, condition, map, number, say, set, text, unset};
use super::super::store::{State, is_over};
use super::rollout::{Plan, Replicas, next, share};
use super::{Due, garbage, pods};

const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// Looks at one Deployment.
pub(super) fn sync(state: &mut State, key: &Key) {
    let Some(deployment) = state.get(key).cloned() else {
        return;
    };
    if deployment.is_going() {
        return;
    }
    let new = new_set(state, &deployment);
    let mut old: Vec<Arc<Object>> = state.owned(deployment.uid(), REPLICA_SETS).cloned().collect();
    old.retain(|one| one.uid() != new.uid() && !one.is_going());
    old.sort_by_key(|one| revision(one));
    let replicas = number(&deployment.value, "/spec/replicas", 1);
    let plan = plan(&deployment.value, replicas);
    let old_counts: Vec<Replicas> = old.iter().map(|one| counts(one)).collect();
    let old_pods = old
        .iter()
        .map(|one| pods::of(state, one).iter().filter(|pod| !is_over(pod)).count())
        .sum();
    let (grown, left) = next(plan, counts(&new), &old_counts, old_pods);
    scale(state, &new, grown);
    for (one, left) in old.iter().zip(left) {
        scale(state, one, left);
    }
    forget_old(state, &deployment, &old);
    write_status(state, &deployment, &new, &old, replicas);
}

fn plan(deployment: &Value, replicas: i64) -> Plan {
    let recreate = text(deployment, "/spec/strategy/type") == "Recreate";
    let surge = share(
        deployment.pointer("/spec/strategy/rollingUpdate/maxSurge"),
        replicas,
        true,
    );
    let unavailable = share(
        deployment.pointer("/spec/strategy/rollingUpdate/maxUnavailable"),
        replicas,
        false,
    );
    // With neither it could never move.
    let unavailable = if surge == 0 && unavailable == 0 {
        1
    } else {
        unavailable
    };
    Plan {
        replicas,
        surge,
        unavailable,
        recreate,
    }
}

/// The ReplicaSet of the template as it is now; made where there is none.
fn new_set(state: &mut State, deployment: &Arc<Object>) -> Arc<Object> {
    let template = deployment
        .value
        .pointer("/spec/template")
        .cloned()
        .unwrap_or_default();
    let hash = format!("{:08x}", pods::hash(&template.to_string()) & 0xffff_ffff);
    let name = format!("{}-{hash}", deployment.name());
    let key = Key::new(REPLICA_SETS, deployment.namespace(), &name);
    let newest = state
        .owned(deployment.uid(), REPLICA_SETS)
        .map(|one| revision(one))
        .max()
        .unwrap_or(0);
    let found = state.get(&key).cloned();
    let set_of = match found {
        Some(found) => {
            // A template that comes back is the newest again.
            if revision(&found) < newest {
                let newer = json!((newest + 1).to_string());
                state.modify(&key, |one| {
                    map(one, "/metadata/annotations").insert(REVISION.to_owned(), newer);
                });
            }
            state.get(&key).cloned().unwrap_or(found)
        }
        None => make_set(state, deployment, &name, &hash, template, newest + 1),
    };
    let revision = json!(revision(&set_of).to_string());
    state.modify(&deployment.key(), |deployment| {
        map(deployment, "/metadata/annotations").insert(REVISION.to_owned(), revision);
    });
    set_of
}

fn make_set(
    state: &mut State,
    deployment: &Arc<Object>,
    name: &str,
    hash: &str,
    mut template: Value,
    revision: i64,
) -> Arc<Object> {
    map(&mut template, "/metadata/labels").insert(HASH.to_owned(), json!(hash));
    let labels = template.pointer("/metadata/labels").cloned().unwrap_or_default();
    let mut selector = deployment
        .value
        .pointer("/spec/selector")
        .cloned()
        .unwrap_or_default();
    map(&mut selector, "/matchLabels").insert(HASH.to_owned(), json!(hash));
    let value = json!({
        "metadata": {
            "name": name,
            "namespace": deployment.namespace(),
            "labels": labels,
            "annotations": {REVISION: revision.to_string()},
            "ownerReferences": [pods::reference(deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
        "status": {"replicas": 0},
    });
    match by_plural(REPLICA_SETS) {
        Some(kind) => state.insert(kind, value),
        None => Arc::clone(deployment),
    }
}

fn scale(state: &mut State, set_of: &Object, replicas: i64) {
    state.modify(&set_of.key(), |value| {
        set(value, "/spec/replicas", json!(replicas))
    });
}

/// Old sets without replicas, more than the history holds, go, the oldest first.
fn forget_old(state: &mut State, deployment: &Object, old: &[Arc<Object>]) {
    let limit =
        usize::try_from(number(&deployment.value, "/spec/revisionHistoryLimit", 10)).unwrap_or_default();
    let empty: Vec<&Arc<Object>> = old
        .iter()
        .filter(|one| counts(one).wanted == 0 && number(&one.value, "/status/replicas", 0) == 0)
        .collect();
    let too_many = empty.len().saturating_sub(limit);
    for one in &empty[..too_many] {
        garbage::remove(state, one, "Background");
    }
}

fn write_status(state: &mut State, deployment: &Object, new: &Object, old: &[Arc<Object>], replicas: i64) {
    let sum = |pointer: &str, sets: &[&Object]| -> i64 {
        sets.iter().map(|one| number(&one.value, pointer, 0)).sum()
    };
    let all: Vec<&Object> = old.iter().map(|one| &**one).chain([new]).collect();
    let there = sum("/status/replicas", &all);
    let ready = sum("/status/readyReplicas", &all);
    let updated = sum("/status/replicas", &[new]);
    let missing = (replicas - ready).max(0);
    let plan = plan(&deployment.value, replicas);
    let complete = updated == replicas && there == replicas && ready == replicas;
    let now = state.now();
    let stamp = state.stamp();
    let name = new.name().to_owned();
    let key = deployment.key();
    let progressed = progress(deployment) != (there, ready, updated)
        || condition(&deployment.value, "Progressing").is_none();
    let deadline = deadline(deployment, now, progressed);
    let is_late = !complete && !progressed && deadline.is_some_and(|deadline| deadline <= now);
    state.modify(&key, |value| {
        let generation = number(value, "/metadata/generation", 1);
        set(value, "/status/observedGeneration", json!(generation));
        for (field, count) in [
            ("replicas", there),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", ready),
            ("unavailableReplicas", missing),
        ] {
            let pointer = format!("/status/{field}");
            if count > 0 {
                set(value, &pointer, json!(count));
            } else {
                unset(value, &pointer);
            }
        }
        say_available(value, ready >= replicas - plan.unavailable, &stamp);
        say_progress(value, &name, complete, is_late, progressed, &stamp);
    });
    if !complete && let Some(deadline) = deadline {
        state.at(deadline, Due::Look(key));
    }
}

fn progress(deployment: &Object) -> (i64, i64, i64) {
    let count = |field: &str| number(&deployment.value, &format!("/status/{field}"), 0);
    (
        count("replicas"),
        count("readyReplicas"),
        count("updatedReplicas"),
    )
}

/// When it is too late, counted from the last progress.
fn deadline(deployment: &Object, now: Timestamp, progressed: bool) -> Option<Timestamp> {
    let seconds = number(&deployment.value, "/spec/progressDeadlineSeconds", 600);
    let last =
        condition(&deployment.value, "Progressing").map(|condition| text(condition, "/lastUpdateTime"));
    let last: Option<Timestamp> = if progressed { Some(now) } else { last?.parse().ok() };
    Some(last? + TimeDelta::seconds(seconds))
}

fn say_available(value: &mut Value, available: bool, now: &str) {
    let said = if available {
        Said {
            holds: true,
            reason: "MinimumReplicasAvailable",
            message: "Deployment has minimum availability.",
        }
    } else {
        Said {
            holds: false,
            reason: "MinimumReplicasUnavailable",
            message: "Deployment does not have minimum availability.",
        }
    };
    say(value, "Available", said, now, &["lastUpdateTime"]);
}

fn say_progress(value: &mut Value, name: &str, complete: bool, is_late: bool, progressed: bool, now: &str) {
    let was_complete =
        condition(value, "Progressing").is_some_and(|found| found["reason"] == "NewReplicaSetAvailable");
    let done = format!("ReplicaSet \"{name}\" has successfully progressed.");
    let under_way = format!("ReplicaSet \"{name}\" is progressing.");
    let late = format!("ReplicaSet \"{name}\" has timed out progressing.");
    let same_set =
        condition(value, "Progressing").is_some_and(|found| text(found, "/message").contains(name));
    let said = if complete {
        Said {
            holds: true,
            reason: "NewReplicaSetAvailable",
            message: &done,
        }
    } else if is_late {
        Said {
            holds: false,
            reason: "ProgressDeadlineExceeded",
            message: &late,
        }
    } else if progressed && !(was_complete && same_set) {
        Said {
            holds: true,
            reason: "ReplicaSetUpdated",
            message: &under_way,
        }
    } else {
        return;
    };
    say(value, "Progressing", said, now, &["lastUpdateTime"]);
    if progressed
        && let Some(conditions) = value
            .pointer_mut("/status/conditions")
            .and_then(Value::as_array_mut)
    {
        for found in conditions
            .iter_mut()
            .filter(|found| found["type"] == "Progressing")
        {
            found["lastUpdateTime"] = json!(now);
        }
    }
}

fn counts(set_of: &Object) -> Replicas {
    Replicas {
        wanted: number(&set_of.value, "/spec/replicas", 0),
        available: number(&set_of.value, "/status/availableReplicas", 0),
    }
}

fn revision(set_of: &Object) -> i64 {
    let said = set_of
        .value
        .pointer("/metadata/annotations")
        .and_then(|all| all.get(REVISION));
    said.and_then(Value::as_str)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

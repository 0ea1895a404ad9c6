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
    let wanted = grown + left.iter().sum::<i64>();
    scale(state, &new, grown);
    for (one, left) in old.iter().zip(left) {
        scale(state, one, left);
    }
    forget_old(state, &deployment, &old);
    write_status(state, key, plan, wanted, &new, &old);
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
    let is_new = found.is_none();
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
    let now = state.stamp();
    let created = format!("Created new replica set \"{name}\"");
    state.modify(&deployment.key(), |deployment| {
        map(deployment, "/metadata/annotations").insert(REVISION.to_owned(), revision);
        if is_new {
            let said = Said {
                holds: true,
                reason: "NewReplicaSetCreated",
                message: &created,
            };
            say(deployment, "Progressing", said, &now, &["lastUpdateTime"]);
        }
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

/// The counts of a Deployment's pods.
#[derive(Debug, Clone, Copy)]
struct Counts {
    all: i64,
    updated: i64,
    ready: i64,
}

impl Counts {
    fn before(deployment: &Value) -> Self {
        let count = |field: &str| number(deployment, &format!("/status/{field}"), 0);
        Self {
            all: count("replicas"),
            updated: count("updatedReplicas"),
            ready: count("readyReplicas"),
        }
    }

    fn progressed_since(self, before: Self) -> bool {
        self.updated > before.updated
            || self.all - self.updated < before.all - before.updated
            || self.ready > before.ready
    }
}

/// `wanted` are the replicas that all sets together are told to have.
fn write_status(state: &mut State, key: &Key, plan: Plan, wanted: i64, new: &Object, old: &[Arc<Object>]) {
    let Some(deployment) = state.get(key).cloned() else {
        return;
    };
    let sum = |pointer: &str| -> i64 {
        let sets = old.iter().map(|one| &**one).chain([new]);
        sets.map(|one| number(&one.value, pointer, 0)).sum()
    };
    let now_there = Counts {
        all: sum("/status/replicas"),
        updated: number(&new.value, "/status/replicas", 0),
        ready: sum("/status/readyReplicas"),
    };
    let missing = (wanted - now_there.ready).max(0);
    let now = state.now();
    let stamp = state.stamp();
    state.modify(key, |value| {
        let generation = number(value, "/metadata/generation", 1);
        set(value, "/status/observedGeneration", json!(generation));
        for (field, count) in [
            ("replicas", now_there.all),
            ("updatedReplicas", now_there.updated),
            ("readyReplicas", now_there.ready),
            ("availableReplicas", now_there.ready),
            ("unavailableReplicas", missing),
        ] {
            let pointer = format!("/status/{field}");
            if count > 0 {
                set(value, &pointer, json!(count));
            } else {
                unset(value, &pointer);
            }
        }
        say_available(value, now_there.ready >= plan.replicas - plan.unavailable, &stamp);
        let progress = Progress {
            before: Counts::before(&deployment.value),
            now_there,
            replicas: plan.replicas,
            name: new.name(),
            is_late: deadline(&deployment.value).is_some_and(|deadline| deadline <= now),
        };
        progress.say(value, &stamp);
    });
    let deadline = state.get(key).and_then(|deployment| deadline(&deployment.value));
    if let Some(deadline) = deadline {
        state.at(deadline, Due::Look(key.clone()));
    }
}

/// When a rollout that goes on is too late, counted from its last progress.
fn deadline(deployment: &Value) -> Option<Timestamp> {
    let condition = condition(deployment, "Progressing")?;
    if matches!(
        text(condition, "/reason"),
        "NewReplicaSetAvailable" | "ProgressDeadlineExceeded"
    ) {
        return None;
    }
    let last: Timestamp = text(condition, "/lastUpdateTime").parse().ok()?;
    let seconds = number(deployment, "/spec/progressDeadlineSeconds", 600);
    Some(last + TimeDelta::seconds(seconds))
}

/// What the condition Progressing is made of.
struct Progress<'a> {
    before: Counts,
    now_there: Counts,
    replicas: i64,
    name: &'a str,
    is_late: bool,
}

impl Progress<'_> {
    fn say(&self, deployment: &mut Value, now: &str) {
        let Self { now_there, name, .. } = self;
        let was = condition(deployment, "Progressing").map_or("", |condition| text(condition, "/reason"));
        // A rollout that was complete stays so, whatever becomes of its pods.
        if now_there.all == now_there.updated && was == "NewReplicaSetAvailable" {
            return;
        }
        let complete = [now_there.all, now_there.updated, now_there.ready] == [self.replicas; 3];
        let progressed = now_there.progressed_since(self.before);
        let (holds, reason, message) = if complete {
            let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
            (true, "NewReplicaSetAvailable", message)
        } else if progressed {
            (
                true,
                "ReplicaSetUpdated",
                format!("ReplicaSet \"{name}\" is progressing."),
            )
        } else if self.is_late {
            let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
            (false, "ProgressDeadlineExceeded", message)
        } else {
            return;
        };
        let said = Said {
            holds,
            reason,
            message: &message,
        };
        say(deployment, "Progressing", said, now, &["lastUpdateTime"]);
        // Progress of the same kind moves the time as well: the deadline is counted from it.
        let conditions = deployment
            .pointer_mut("/status/conditions")
            .and_then(Value::as_array_mut);
        for condition in conditions.into_iter().flatten() {
            if condition["type"] == "Progressing" && progressed {
                condition["lastUpdateTime"] = json!(now);
            }
        }
    }
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

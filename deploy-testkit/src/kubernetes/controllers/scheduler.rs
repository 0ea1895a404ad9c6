//! The scheduler of a cluster with one node: a pod that asks for more than the node has stays where it is, and says so.

use serde_json::{Value, json};

use super::super::object::{Key, Said, list, say, set, text};
use super::super::store::{State, is_over};
use super::events;

/// The node.
pub(super) const NODE: &str = "stand-in-1";

/// Looks at one pod.
pub(super) fn sync(state: &mut State, key: &Key) {
    let Some(pod) = state.get(key).cloned() else {
        return;
    };
    if !text(&pod.value, "/spec/nodeName").is_empty() || pod.is_going() || is_over(&pod) {
        return;
    }
    let now = state.stamp();
    match lacking(state, &pod.value) {
        None => state.modify(key, |pod| {
            set(pod, "/spec/nodeName", json!(NODE));
            let said = Said {
                holds: true,
                reason: "",
                message: "",
            };
            say(pod, "PodScheduled", said, &now, &[]);
        }),
        Some(resource) => {
            let message = format!(
                "0/1 nodes are available: 1 Insufficient {resource}. no new claims to deallocate, preemption: 0/1 nodes \
                 are available: 1 Preemption is not helpful for scheduling."
            );
            let said = Said {
                holds: false,
                reason: "Unschedulable",
                message: &message,
            };
            events::unschedulable(state, &pod, &message);
            state.modify(key, |pod| say(pod, "PodScheduled", said, &now, &[]));
        }
    }
}

/// The first resource of which the node has too little.
fn lacking(state: &State, pod: &Value) -> Option<&'static str> {
    let asks = |resource: &str| -> u128 {
        list(pod, "/spec/containers")
            .iter()
            .map(|container| {
                let said = container.pointer(&format!("/resources/requests/{resource}"));
                let said = said.or_else(|| container.pointer(&format!("/resources/limits/{resource}")));
                said.map_or(0, thousandths)
            })
            .sum()
    };
    if asks("cpu") > u128::from(state.settings.cpu_millis) {
        return Some("cpu");
    }
    (asks("memory") > u128::from(state.settings.memory_bytes) * 1000).then_some("memory")
}

/// A Kubernetes quantity in thousandths, rounded down; 0 where it is none.
fn thousandths(quantity: &Value) -> u128 {
    let text = match quantity {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    let number = format!("{whole}{fraction}").parse::<u128>().unwrap_or(0);
    let (times, over) = match unit {
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (1000_u128.pow(2), 1),
        "G" => (1000_u128.pow(3), 1),
        "T" => (1000_u128.pow(4), 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1_u128 << 40, 1),
        _ => (1, 1),
    };
    number.saturating_mul(times) / over
}

#[test]
fn quantities_are_read_as_kubernetes_reads_them() {
    for (quantity, wanted) in [
        (json!("1"), 1000),
        (json!(2), 2000),
        (json!("500m"), 500),
        (json!("1.5"), 1500),
        (json!("128Mi"), (128 << 20) * 1000),
        (json!("64M"), 64_000_000_000),
    ] {
        assert_eq!(thousandths(&quantity), wanted, "{quantity}");
    }
}

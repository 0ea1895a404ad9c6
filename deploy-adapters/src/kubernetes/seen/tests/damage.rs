//! Objects that were edited by hand into anything at all: nothing panics, and nothing but the object itself suffers.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{event, exited, job, pod, pruner, running};
use crate::kubernetes::seen::decode::{self, Heard};
use crate::kubernetes::seen::kind::Watched;
use crate::kubernetes::seen::{
    SeenCronJob, SeenDeployment, SeenEvent, SeenJob, SeenNamespace, SeenPod, SeenService,
};
use crate::kubernetes::state;

fn nonsense() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just(json!("9999-99-99T99:99:99Z")),
        Just(json!("+262142-12-31T23:59:59Z")),
        Just(json!([])),
        Just(json!([null, 1, "x"])),
        Just(json!({})),
        Just(json!({"terminated": null, "running": 3})),
    ]
}

/// Everywhere in an object that something can be replaced.
fn pointers(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                pointers(field, &format!("{here}/{}", key.replace('/', "~1")), all);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{here}/{index}"), all);
            }
        }
        _ => {}
    }
}

fn healthy() -> Vec<Value> {
    let mut deleted = pod("p", "j1", 5, &exited(1));
    deleted["metadata"]["deletionTimestamp"] = json!("2026-11-24T10:00:19Z");
    deleted["metadata"]["deletionGracePeriodSeconds"] = json!(10);
    deleted["status"]["conditions"] = json!([{"type": "Ready", "status": "True", "message": "m"}]);
    let mut failed = job("a", "j1", 3);
    let condition = json!({"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m",
        "lastTransitionTime": "2026-11-24T10:00:19Z", "lastUpdateTime": "2026-11-24T10:00:19Z"});
    failed["status"] = json!({"conditions": [condition], "active": 1, "startTime": "2026-11-24T10:00:01Z",
        "observedGeneration": 1, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1});
    failed["spec"] = json!({"replicas": 2, "suspend": true, "backoffLimit": 1});
    failed["involvedObject"] = json!({"uid": "j1"});
    failed["message"] = json!("exceeded quota");
    vec![deleted, failed]
}

fn read<T: Watched>(object: &Value) -> Option<T> {
    let line = event("MODIFIED", object);
    let page = json!({"metadata": {"resourceVersion": "9"}, "items": [object, job("healthy", "h", 1)]});
    let listed = decode::page::<T>(&pruner(), page.to_string().as_bytes()).unwrap();
    let names: Vec<&str> = listed.objects.iter().map(|object| &*object.meta().name).collect();
    assert!(names.contains(&"healthy"), "{names:?}");
    match decode::event::<T>(&pruner(), line.as_bytes()) {
        Heard::Put(object, _) => {
            // Either way of reading it comes to the same.
            assert!(listed.objects.contains(&object));
            Some(object)
        }
        Heard::Nothing => None,
        _ => panic!("an object is an object"),
    }
}

proptest! {
    #[test]
    fn a_damaged_object_is_read_or_reported_and_nothing_panics(
        which in 0_usize..2,
        edits in prop::collection::vec((any::<prop::sample::Index>(), nonsense()), 1..6),
    ) {
        let mut object = healthy().swap_remove(which);
        for (place, value) in edits {
            let mut all = Vec::new();
            pointers(&object, "", &mut all);
            let pointer = all.swap_remove(place.index(all.len()));
            if let Some(found) = object.pointer_mut(&pointer) {
                *found = value;
            }
        }
        let pods: Vec<_> = read::<SeenPod>(&object).into_iter().map(std::sync::Arc::new).collect();
        for pod in &pods {
            drop((state::pod_reason(pod), state::pod_phase(pod).to_owned()));
        }
        let events: Vec<_> = read::<SeenEvent>(&object).into_iter().map(std::sync::Arc::new).collect();
        if let Some(job) = read::<SeenJob>(&object) {
            drop(state::job(&job, &pods, true, &events));
        }
        if let Some(cron_job) = read::<SeenCronJob>(&object) {
            drop(state::cron_job(&cron_job, &pods));
        }
        if let Some(deployment) = read::<SeenDeployment>(&object) {
            drop(state::deployment(&deployment, &pods));
        }
        drop((read::<SeenService>(&object), read::<SeenNamespace>(&object)));
    }

    #[test]
    fn any_line_is_heard_or_passed_over(line in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(decode::event::<SeenPod>(&pruner(), &line));
        drop(decode::page::<SeenPod>(&pruner(), &line));
    }
}

#[test]
fn marks_that_were_edited_are_absent_marks() {
    let mut object = job("a", "j1", 3);
    object["metadata"]["labels"]["deploy-api/task"] = json!("not a task");
    object["metadata"]["labels"]["deploy-api/kind"] = json!("throne");
    let job: SeenJob = read(&object).unwrap();
    assert_eq!(
        (job.meta.task, job.meta.slot, job.meta.is_broken),
        (None, None, false)
    );
    assert!(job.meta.is_ours);
}

#[test]
fn a_broken_object_is_reported_as_such() {
    let mut object = pod("p", "j1", 5, &running());
    object["status"] = json!("fine, thank you");
    let broken: SeenPod = read(&object).unwrap();
    assert!(broken.meta.is_broken);
    assert!(state::pod_reason(&broken).is_some_and(|reason| reason.message.contains("cannot be read")));
}

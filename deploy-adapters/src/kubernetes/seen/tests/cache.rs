//! One cache by itself.

use deploy_core::workload::SlotKind;
use serde_json::{Value, json};

use super::{event, job, pod, pruner, running};
use crate::kubernetes::seen::cache::Cache;
use crate::kubernetes::seen::decode::{self, Heard};
use crate::kubernetes::seen::kind::{Group, Watched};
use crate::kubernetes::seen::{SeenJob, SeenPod};

fn of<T: Watched>(object: &Value) -> T {
    match decode::event(&pruner(), event("ADDED", object).as_bytes()) {
        Heard::Put(object, _) => object,
        _ => panic!("not an object"),
    }
}

fn a(uid: &str, version: u64) -> SeenJob {
    of(&job("a", uid, version))
}

fn version(cache: &Cache<SeenJob>) -> Option<(String, u64)> {
    let job = cache.get("demo", "a")?;
    Some(((*job.meta.uid).to_owned(), job.meta.version?))
}

fn at(uid: &str, version: u64) -> Option<(String, u64)> {
    Some((uid.to_owned(), version))
}

#[test]
fn only_what_is_newer_is_taken() {
    let mut cache = Cache::default();
    assert!(
        cache
            .put(a("1", 10))
            .is_some_and(|change| change.before.is_none())
    );
    assert!(cache.put(a("1", 10)).is_none());
    assert!(cache.put(a("1", 9)).is_none());
    assert!(
        cache
            .put(a("1", 100))
            .is_some_and(|change| change.before.is_some())
    );
    assert_eq!(version(&cache), at("1", 100));
}

#[test]
fn versions_that_are_no_numbers_are_taken_as_they_come() {
    let mut cache = Cache::default();
    let opaque = |version: &str, retries: u32| {
        let mut object = job("a", "1", 0);
        object["metadata"]["resourceVersion"] = json!(version);
        object["spec"]["backoffLimit"] = json!(retries);
        of::<SeenJob>(&object)
    };
    cache.put(opaque("b", 1));
    assert!(cache.put(opaque("a", 2)).is_some());
    assert_eq!(cache.get("demo", "a").map(|job| job.retries), Some(2));
}

#[test]
fn what_is_gone_does_not_come_back_by_a_late_event() {
    let mut cache = Cache::default();
    cache.put(a("1", 10));
    assert!(cache.remove(&a("1", 12).meta).is_some());
    assert!(cache.put(a("1", 11)).is_none());
    assert!(cache.remove(&a("1", 12).meta).is_none());
    // A delete that is told before the create it ended.
    assert!(cache.remove(&a("2", 21).meta).is_none());
    assert!(cache.put(a("2", 20)).is_none());
    assert!(cache.put(a("3", 30)).is_some());
    assert_eq!(version(&cache), at("3", 30));
}

#[test]
fn a_new_incarnation_takes_the_place_of_the_old_one_for_good() {
    let mut cache = Cache::default();
    cache.put(a("1", 10));
    let change = cache.put(a("2", 20)).unwrap();
    assert_eq!(
        change.before.map(|job| (*job.meta.uid).to_owned()),
        Some("1".to_owned())
    );
    assert!(cache.by_uid("1").is_none());
    assert!(cache.put(a("1", 15)).is_none());
    assert!(cache.remove(&a("1", 16).meta).is_none());
    assert_eq!(version(&cache), at("2", 20));
}

#[test]
fn a_list_takes_out_what_it_has_not_and_leaves_what_is_newer_than_itself() {
    let mut cache = Cache::default();
    cache.put(a("1", 10));
    cache.put(of::<SeenJob>(&job("b", "2", 55)));
    cache.put(of::<SeenJob>(&job("c", "3", 60)));
    let changes = cache.replace(
        vec![of(&job("b", "2", 40)), of(&job("d", "4", 45))],
        Some(50),
        false,
    );
    assert_eq!(changes.len(), 2);
    let names = |cache: &Cache<SeenJob>| -> Vec<(String, u64)> {
        let jobs = cache.after(None, None);
        jobs.map(|job| ((*job.meta.name).to_owned(), job.meta.version.unwrap()))
            .collect()
    };
    let expected = [("b", 55), ("c", 60), ("d", 45)].map(|(name, version)| (name.to_owned(), version));
    assert_eq!(names(&cache), expected);
    // Its event was on its way when the list found it gone.
    assert!(cache.put(a("1", 11)).is_none());
}

#[test]
fn a_list_of_a_cluster_that_went_back_counts_whatever_was_known() {
    let mut cache = Cache::default();
    cache.put(a("1", 1000));
    cache.put(of::<SeenJob>(&job("b", "2", 1001)));
    cache.remove(&of::<SeenJob>(&job("c", "3", 1002)).meta);
    cache.replace(vec![a("1", 500), of(&job("c", "3", 400))], Some(600), true);
    assert_eq!(version(&cache), at("1", 500));
    assert!(cache.by_uid("2").is_none() && cache.by_uid("3").is_some());
}

#[test]
fn groups_follow_their_members() {
    let mut cache: Cache<SeenPod> = Cache::default();
    let owned = Group::Owner("j1".into());
    let slot = Group::Slot(SlotKind::Job, "demo".into(), "a".into());
    cache.put(of(&pod("p", "j1", 1, &running())));
    cache.put(of(&pod("q", "j1", 2, &running())));
    assert_eq!((cache.group(&owned).len(), cache.group(&slot).len()), (2, 2));
    let mut released = pod("q", "j1", 3, &running());
    released["metadata"]["ownerReferences"] = json!([]);
    cache.put(of(&released));
    assert_eq!((cache.group(&owned).len(), cache.group(&slot).len()), (1, 2));
    cache.remove(&of::<SeenPod>(&pod("p", "j1", 4, &running())).meta);
    cache.remove(&of::<SeenPod>(&released).meta);
    assert!(cache.group(&owned).is_empty() && cache.group(&slot).is_empty());
    assert_eq!(cache.len(), 0);
}

#[test]
fn pages_begin_after_their_place_whatever_is_there() {
    let mut cache: Cache<SeenPod> = Cache::default();
    for (version, (namespace, name)) in [("a", "y"), ("a", "x"), ("b", "x"), ("c", "z")]
        .into_iter()
        .enumerate()
    {
        let mut object = pod(name, "j1", version as u64 + 1, &running());
        object["metadata"]["namespace"] = json!(namespace);
        object["metadata"]["uid"] = json!(format!("{namespace}/{name}"));
        cache.put(of(&object));
    }
    let page = |namespace: Option<&str>, after: Option<(&str, &str)>| -> Vec<String> {
        let pods = cache.after(namespace, after);
        pods.map(|pod| (*pod.meta.uid).to_owned()).collect()
    };
    assert_eq!(page(None, None), ["a/x", "a/y", "b/x", "c/z"]);
    assert_eq!(page(None, Some(("a", "x"))), ["a/y", "b/x", "c/z"]);
    assert_eq!(page(None, Some(("a", "xx"))), ["a/y", "b/x", "c/z"]);
    assert_eq!(page(None, Some(("aa", ""))), ["b/x", "c/z"]);
    assert_eq!(page(None, Some(("c", "z"))), [""; 0]);
    assert_eq!(page(Some("a"), None), ["a/x", "a/y"]);
    assert_eq!(page(Some("a"), Some(("a", "x"))), ["a/y"]);
    assert_eq!(page(Some("b"), Some(("a", "x"))), ["b/x"]);
    assert_eq!(page(Some("a"), Some(("b", "x"))), [""; 0]);
    assert_eq!(page(Some("none"), None), [""; 0]);
}

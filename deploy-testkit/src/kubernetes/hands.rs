//! What a test does to a server beside its API: looks, edits, makes pods end, fires schedules, injects faults. None of it
//! is in the log of calls.

use std::sync::Arc;

use serde_json::{Value, json};

use super::calls::{Calls, Mark};
use super::controllers::{self, Controller};
use super::faults::{Fault, Injected, Matcher, Times};
use super::kinds::{CRON_JOBS, JOBS, KINDS, PODS, REPLICA_SETS, by_kind, by_plural};
use super::object::{Key, Object, text};
use super::settings::Settings;
use super::store::State;
use super::watches::EventFault;
use super::{ApiServer, defaults};

/// Calls.
impl ApiServer {
    /// Every call so far.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.shared.log.since(None)
    }

    /// The end of the log, to count from.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.shared.log.mark()
    }

    /// The calls since then.
    #[must_use]
    pub fn calls_since(&self, mark: Mark) -> Calls {
        self.shared.log.since(Some(mark))
    }

    /// Waits until the calls since then are as wanted; also when one of them is answered it looks again.
    pub async fn until_called(&self, mark: Mark, wanted: impl Fn(&Calls) -> bool) -> Calls {
        self.shared.log.until(mark, wanted).await
    }
}

/// Faults.
impl ApiServer {
    /// From now on, does this to those requests. Of several faults that strike, the one injected first does.
    pub fn inject(&self, matcher: Matcher, times: Times, fault: Fault) -> Injected {
        self.shared.faults.inject(matcher, times, fault)
    }

    /// Ends one fault.
    pub fn end(&self, injected: Injected) {
        self.shared.faults.end(injected);
    }

    /// How often a fault has struck.
    #[must_use]
    pub fn struck(&self, injected: Injected) -> u64 {
        self.shared.faults.struck(injected)
    }

    /// Ends every fault of requests and watches.
    pub fn heal(&self) {
        self.shared.faults.heal();
        self.shared.watches.heal();
    }

    /// The whole API goes away: every connection is cut and the port is closed. Answers when it is.
    pub async fn away(&self) {
        self.shared.away.send_replace(true);
        self.until_listening(false).await;
    }

    /// It is back, at the same address. Answers when it is.
    pub async fn back(&self) {
        self.shared.away.send_replace(false);
        self.until_listening(true).await;
    }

    async fn until_listening(&self, wanted: bool) {
        let mut listens = self.shared.listens.subscribe();
        // The sender lives as long as `self`.
        let _changed = listens.wait_for(|listens| *listens == wanted).await.is_ok();
    }

    /// The watches of a kind, by its plural, open ones and new ones, stay open and say nothing more.
    pub fn freeze_watches(&self, plural: &str) {
        self.shared.watches.freeze(plural);
    }

    /// Frozen watches go on, with what they missed.
    pub fn thaw_watches(&self, plural: &str) {
        self.shared.watches.thaw(plural);
    }

    /// Ends the open watches of a kind, as a timeout does.
    pub fn close_watches(&self, plural: &str) {
        self.shared.watches.close(plural);
    }

    /// Forgets the history of a kind: its open watches, and those that begin before now, are told 410.
    pub fn expire_watches(&self, plural: &str) {
        self.shared.lock().compact(plural);
    }

    /// Makes every `continue` of a list expire.
    pub fn expire_lists(&self) {
        self.shared.lock().forget_pages();
    }

    /// Spoils the n-th event from now, counted from 1, that a watch of a kind delivers.
    pub fn spoil_event(&self, plural: &str, nth: u64, fault: EventFault) {
        self.shared.watches.spoil(plural, nth, fault);
    }

    /// Changes what kind of cluster it is; controllers look at everything again.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        self.shared.change(|state| {
            change(&mut state.settings);
            state.enqueue_all();
        });
    }

    /// Keeps a controller from acting, to look at what is before it did.
    pub fn hold(&self, controller: Controller) {
        self.shared.change(|state| controllers::hold(state, controller));
    }

    /// Lets it act again.
    pub fn release(&self, controller: Controller) {
        self.shared
            .change(|state| controllers::release(state, controller));
    }
}

/// Objects, by the plural of their kind. The namespace is empty where there is none.
impl ApiServer {
    /// An object as it is.
    #[must_use]
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let state = self.shared.lock();
        state
            .get(&key(plural, namespace, name)?)
            .map(|object| object.full())
    }

    /// The objects of a kind; of all namespaces where it is empty.
    #[must_use]
    pub fn list(&self, plural: &str, namespace: &str) -> Vec<Value> {
        self.shared
            .lock()
            .all(plural, namespace)
            .map(|object| object.full())
            .collect()
    }

    /// How many objects of a kind there are.
    #[must_use]
    pub fn count(&self, plural: &str) -> usize {
        self.shared.lock().all(plural, "").count()
    }

    /// Puts an object there, as someone else's client: with defaults, but unchecked. Its namespace is made with it.
    /// Tells its uid; `None` where its kind is not known or its name is taken.
    pub fn put(&self, object: Value) -> Option<String> {
        let kind = by_kind(object["kind"].as_str()?)?;
        self.shared.change(|state| {
            let mut value = object;
            let fields = value.as_object_mut()?;
            fields.remove("kind");
            fields.remove("apiVersion");
            let namespace = text(&value, "/metadata/namespace").to_owned();
            let place = Key::new(kind.plural, &namespace, text(&value, "/metadata/name"));
            if state.get(&place).is_some() {
                return None;
            }
            if !namespace.is_empty() {
                make_namespace(state, &namespace);
            }
            let uid = state.uid();
            super::object::set(&mut value, "/metadata/uid", json!(uid));
            defaults::fill(kind, &mut value, state);
            if kind.plural == JOBS {
                defaults::fill_job_selector(&mut value);
            }
            Some(state.insert(kind, value).uid().to_owned())
        })
    }

    /// Makes a namespace where it is not there.
    pub fn put_namespace(&self, name: &str) {
        self.shared.change(|state| make_namespace(state, name));
    }

    /// Changes an object by hand, anything of it, its status included; `false` = it is not there.
    pub fn edit(&self, plural: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) -> bool {
        let Some(key) = key(plural, namespace, name) else {
            return false;
        };
        self.shared.change(|state| {
            let is_there = state.get(&key).is_some();
            state.modify(&key, change);
            is_there
        })
    }

    /// Takes an object away at once, whatever holds it; `false` = it is not there.
    pub fn remove(&self, plural: &str, namespace: &str, name: &str) -> bool {
        let Some(key) = key(plural, namespace, name) else {
            return false;
        };
        self.shared.change(|state| {
            let found = state.get(&key).cloned();
            found.map(|object| state.remove(&object)).is_some()
        })
    }

    /// Waits until an object is as wanted; it is asked with `None` while it is not there. Of a kind that is not known there
    /// is none, now and ever.
    pub async fn until(
        &self,
        plural: &str,
        namespace: &str,
        name: &str,
        wanted: impl Fn(Option<&Value>) -> bool,
    ) -> Option<Value> {
        let mut changes = self.shared.lock().changes(plural)?;
        loop {
            changes.borrow_and_update();
            let object = self.get(plural, namespace, name);
            if wanted(object.as_ref()) || changes.changed().await.is_err() {
                return object;
            }
        }
    }

    /// Waits until the objects of a kind are as wanted. Of a kind that is not known there are none, now and ever.
    pub async fn until_listed(
        &self,
        plural: &str,
        namespace: &str,
        wanted: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let Some(mut changes) = self.shared.lock().changes(plural) else {
            return Vec::new();
        };
        loop {
            changes.borrow_and_update();
            let objects = self.list(plural, namespace);
            if wanted(&objects) || changes.changed().await.is_err() {
                return objects;
            }
        }
    }
}

/// Pods and schedules.
impl ApiServer {
    /// The names of the pods that an object of that name controls, itself or through its ReplicaSets or Jobs.
    #[must_use]
    pub fn pods_of(&self, namespace: &str, owner: &str) -> Vec<String> {
        let state = self.shared.lock();
        let pods = state.all(PODS, namespace);
        pods.filter(|pod| is_under(&state, pod, owner))
            .map(|pod| pod.name().to_owned())
            .collect()
    }

    /// Waits for the first pod under an owner that a container runs in; tells its name.
    pub async fn running_pod(&self, namespace: &str, owner: &str) -> String {
        let is_running = |pod: &&Value| pod.pointer("/status/containerStatuses/0/state/running").is_some();
        let name = |pods: &[Value]| {
            let of_owner = self.pods_of(namespace, owner);
            let mut names = pods
                .iter()
                .filter(is_running)
                .map(|pod| text(pod, "/metadata/name").to_owned());
            names.find(|name| of_owner.contains(name))
        };
        let pods = self
            .until_listed(PODS, namespace, |pods| name(pods).is_some())
            .await;
        name(&pods).unwrap_or_default()
    }

    /// Ends a pod's containers with this code; nothing happens to those that do not run. `false` = there is no such pod.
    pub fn terminate(&self, namespace: &str, pod: &str, code: i32) -> bool {
        let reason = if code == 0 { "Completed" } else { "Error" };
        self.on_pod(namespace, pod, |state, uid| {
            controllers::end(state, uid, i64::from(code), reason)
        })
    }

    /// Ends a pod's containers as the kernel does that use more memory than they may.
    pub fn oom(&self, namespace: &str, pod: &str) -> bool {
        self.on_pod(namespace, pod, |state, uid| {
            controllers::end(state, uid, 137, "OOMKilled")
        })
    }

    /// Evicts a pod from its node.
    pub fn evict(&self, namespace: &str, pod: &str) -> bool {
        self.on_pod(namespace, pod, controllers::evict)
    }

    /// Lets a pod's readiness probe succeed or fail.
    pub fn set_ready(&self, namespace: &str, pod: &str, ready: bool) -> bool {
        self.on_pod(namespace, pod, |state, uid| {
            controllers::set_ready(state, uid, ready)
        })
    }

    /// What a pod has written so far, instead of `here`.
    pub fn write_log(&self, namespace: &str, pod: &str, written: &str) {
        let mut state = self.shared.lock();
        state
            .memory
            .logs
            .insert(Key::new(PODS, namespace, pod), written.to_owned());
    }

    /// Makes a CronJob fire now, whatever its schedule says. Tells the name of the Job; `None` where there is no such
    /// CronJob or its concurrency policy forbids one more.
    pub fn fire(&self, namespace: &str, cron_job: &str) -> Option<String> {
        let key = Key::new(CRON_JOBS, namespace, cron_job);
        self.shared.change(|state| controllers::fire(state, &key))
    }

    fn on_pod(&self, namespace: &str, pod: &str, act: impl FnOnce(&mut State, &str)) -> bool {
        let key = Key::new(PODS, namespace, pod);
        self.shared.change(|state| {
            let Some(uid) = state.get(&key).map(|pod| pod.uid().to_owned()) else {
                return false;
            };
            act(state, &uid);
            true
        })
    }
}

fn key(plural: &str, namespace: &str, name: &str) -> Option<Key> {
    let kind = by_plural(plural)?;
    Some(Key::new(kind.plural, namespace, name))
}

fn make_namespace(state: &mut State, name: &str) {
    let Some(kind) = KINDS.iter().find(|kind| kind.kind == "Namespace") else {
        return;
    };
    if state.get(&Key::new(kind.plural, "", name)).is_none() {
        let mut namespace = json!({"metadata": {"name": name}});
        defaults::fill(kind, &mut namespace, state);
        state.insert(kind, namespace);
    }
}

fn is_under(state: &State, pod: &Arc<Object>, owner: &str) -> bool {
    let mut at = Arc::clone(pod);
    // A pod of a CronJob's Job is two steps below it.
    for _ in 0..2 {
        let Some(reference) = at.controller() else {
            return false;
        };
        if reference["name"] == owner {
            return true;
        }
        match state.find(text(reference, "/uid")) {
            Some(above) if matches!(above.kind.plural, JOBS | REPLICA_SETS) => at = Arc::clone(above),
            _ => return false,
        }
    }
    false
}

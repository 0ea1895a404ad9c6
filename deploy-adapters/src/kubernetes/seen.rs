//! What the cluster told us: one pruned cache a kind, of our objects alone, kept by a list and a watch. It answers
//! without a call, and says how long ago the cluster was heard of. It writes nothing and decides nothing.
//!
//! What we write is [`Seen::note`]d, so that nothing is judged by a cache that is older than our own last write.

mod cache;
mod decode;
mod doubt;
mod follow;
mod http;
mod kind;
mod meta;
mod place;
mod pods;
mod shared;
#[cfg(test)]
mod tests;
mod tops;

use std::sync::Arc;
use std::time::Duration;

use deploy_core::names::{Namespace, ResourceName, TaskId};
use deploy_core::ports::Clock;
use deploy_core::workload::{Kind, ObjectRef, Observed, Slot, SlotKind, Uid};
use futures::stream::{self, BoxStream, StreamExt};
use kube::Client;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::DropGuard;

use self::follow::follow;
use self::kind::Group;
use self::meta::Pruner;
use self::shared::{Kept, Shared, members};
use super::marks::Marks;

pub(super) use self::kind::Watched;
pub(super) use self::meta::Meta;
pub(super) use self::pods::{Container, ContainerEnd, SeenPod};
pub(super) use self::tops::{
    JobCondition, JobConditionKind, SeenCronJob, SeenDeployment, SeenEvent, SeenJob, SeenNamespace,
    SeenService,
};

/// The caches. Clones share them; with the last one the watches end.
#[derive(Clone)]
pub(super) struct Seen {
    shared: Arc<Shared>,
    _follows: Arc<DropGuard>,
}

impl Seen {
    /// Begins to follow the cluster through a client whose connections are for watches alone. Answers at once: what
    /// waits for the first lists is [`Seen::synced`].
    pub(super) fn start(client: Client, marks: Marks, clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::new(Shared::new(Pruner::new(marks), clock));
        let follows = Arc::new(shared.closed.clone().drop_guard());
        // A pod without its job says little: what owns comes first.
        tokio::spawn(follow(Arc::clone(&shared), client.clone(), |all| &all.namespaces));
        tokio::spawn(follow(Arc::clone(&shared), client.clone(), |all| &all.jobs));
        tokio::spawn(follow(Arc::clone(&shared), client.clone(), |all| &all.cron_jobs));
        tokio::spawn(follow(Arc::clone(&shared), client.clone(), |all| {
            &all.deployments
        }));
        tokio::spawn(follow(Arc::clone(&shared), client.clone(), |all| &all.services));
        tokio::spawn(follow(Arc::clone(&shared), client.clone(), |all| &all.pods));
        tokio::spawn(follow(Arc::clone(&shared), client, |all| &all.events));
        Self {
            shared,
            _follows: follows,
        }
    }

    /// Ends the watches. What was seen stays.
    pub(super) fn close(&self) {
        self.shared.closed.cancel();
    }

    /// Whether every kind was listed once.
    pub(super) fn is_synced(&self) -> bool {
        self.shared.is_synced()
    }

    /// Waits for that.
    pub(super) async fn synced(&self) {
        self.until(|| self.is_synced().then_some(())).await;
    }

    /// How long ago the cluster was heard of, by the kind that has been silent for longest; `None` before all were
    /// listed. A watch says nothing where nothing happens: up to its length of 45 s is the age of a healthy one.
    pub(super) fn age(&self) -> Option<Duration> {
        self.shared.age()
    }

    pub(super) fn job(&self, namespace: &Namespace, name: &ResourceName) -> Option<Arc<SeenJob>> {
        get(&self.shared.jobs, namespace, name)
    }

    pub(super) fn cron_job(&self, namespace: &Namespace, name: &ResourceName) -> Option<Arc<SeenCronJob>> {
        get(&self.shared.cron_jobs, namespace, name)
    }

    pub(super) fn deployment(
        &self,
        namespace: &Namespace,
        name: &ResourceName,
    ) -> Option<Arc<SeenDeployment>> {
        get(&self.shared.deployments, namespace, name)
    }

    pub(super) fn service(&self, namespace: &Namespace, name: &ResourceName) -> Option<Arc<SeenService>> {
        get(&self.shared.services, namespace, name)
    }

    pub(super) fn namespace(&self, name: &Namespace) -> Option<Arc<SeenNamespace>> {
        let namespaces = self.shared.namespaces.read();
        namespaces.get("", name.as_str()).cloned()
    }

    /// The namespaces after `after`, by name.
    pub(super) fn namespaces_after(&self, after: Option<&Namespace>) -> Vec<Arc<SeenNamespace>> {
        let namespaces = self.shared.namespaces.read();
        let after = after.map(|after| ("", after.as_str()));
        namespaces.after(None, after).cloned().collect()
    }

    /// At most `limit` pods after `after` = (namespace, name), by namespace and name.
    pub(super) fn pods_after(
        &self,
        namespace: Option<&Namespace>,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Vec<Arc<SeenPod>> {
        let pods = self.shared.pods.read();
        let found = pods.after(namespace.map(Namespace::as_str), after);
        found.take(limit).cloned().collect()
    }

    /// The pods of what holds a name; of a job, those of its present incarnation.
    pub(super) fn pods_of(&self, slot: &Slot) -> Vec<Arc<SeenPod>> {
        self.shared.pods_of(slot)
    }

    /// The places on whose objects a task's id is written.
    pub(super) fn slots_of(&self, task: TaskId) -> Vec<Slot> {
        let group = Group::Task(task);
        let all = &self.shared;
        let jobs = members(&all.jobs, &group);
        let cron_jobs = members(&all.cron_jobs, &group);
        let deployments = members(&all.deployments, &group);
        let jobs = jobs.iter().filter_map(|job| place::of_job(job));
        let cron_jobs = cron_jobs
            .iter()
            .filter_map(|found| place::own(SlotKind::CronJob, &found.meta));
        let deployments = deployments
            .iter()
            .filter_map(|found| place::own(SlotKind::Deployment, &found.meta));
        jobs.chain(cron_jobs).chain(deployments).collect()
    }

    /// The task that a pod runs, by the object it belongs to.
    pub(super) fn task_of(&self, pod: &SeenPod) -> Option<TaskId> {
        let place = place::of_pod(&self.shared, pod)?;
        let (namespace, name) = (&place.namespace, &place.name);
        match place.kind {
            SlotKind::Job => self.job(namespace, name)?.meta.task,
            SlotKind::CronJob => self.cron_job(namespace, name)?.meta.task,
            SlotKind::Deployment => self.deployment(namespace, name)?.meta.task,
        }
    }

    /// How an object is doing, by what was seen; `None` where none of ours of that kind was.
    pub(super) fn observed(&self, object: &ObjectRef) -> Option<Observed> {
        let observed = self.shared.look(&object.slot())?;
        (observed.object == *object).then_some(observed)
    }

    /// Changes of states, from now on. The stream never ends; who is too slow misses some.
    pub(super) fn subscribe(&self) -> BoxStream<'static, Observed> {
        let events = self.shared.observations.subscribe();
        stream::unfold(events, |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(observed) => return Some((observed, events)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        })
        .boxed()
    }

    /// Reads an object that the API answered, pruned as the caches keep it. Whether it is ours is for the caller to see.
    ///
    /// # Errors
    /// The answer is no object of that kind.
    pub(super) fn read<T: Watched>(&self, json: &[u8]) -> Result<T, serde_json::Error> {
        decode::object(&self.shared.pruner, json)
    }

    /// Takes in what a read or a write was answered, unless something newer was seen. What is not ours is not taken.
    pub(super) fn note<T: Cached>(&self, object: T) {
        if object.meta().is_ours {
            self.shared.take(T::kept(&self.shared), object);
        }
    }

    /// Waits until no incarnation `uid` is seen any more; `false` when the time was up first. An object that was never
    /// seen is gone at once: [`Seen::note`] what was just written.
    pub(super) async fn until_gone(&self, kind: Kind, uid: &Uid, deadline: Duration) -> bool {
        let is_there = || match kind {
            Kind::Job => self.shared.jobs.read().by_uid(&uid.0).is_some(),
            Kind::CronJob => self.shared.cron_jobs.read().by_uid(&uid.0).is_some(),
            Kind::Deployment | Kind::Service => self.shared.deployments.read().by_uid(&uid.0).is_some(),
        };
        tokio::select! {
            () = self.until(|| (!is_there()).then_some(())) => true,
            () = self.shared.clock.sleep(deadline) => !is_there(),
        }
    }

    /// Waits until a look at the caches gives something.
    pub(super) async fn until<R>(&self, mut look: impl FnMut() -> Option<R>) -> R {
        let mut changes = self.shared.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = look() {
                return found;
            }
            if changes.changed().await.is_err() {
                // The sender lives as long as `self` does.
                return std::future::pending().await;
            }
        }
    }
}

/// A kind whose answers are noted.
pub(super) trait Cached: Watched {
    fn kept(all: &Shared) -> &Kept<Self>;
}

macro_rules! cached {
    ($($kind:ty => $field:ident),+ $(,)?) => {
        $(impl Cached for $kind {
            fn kept(all: &Shared) -> &Kept<Self> {
                &all.$field
            }
        })+
    };
}

cached! {
    SeenJob => jobs,
    SeenCronJob => cron_jobs,
    SeenDeployment => deployments,
    SeenService => services,
    SeenPod => pods,
    SeenNamespace => namespaces,
}

fn get<T: Watched>(kept: &Kept<T>, namespace: &Namespace, name: &ResourceName) -> Option<Arc<T>> {
    kept.read().get(namespace.as_str(), name.as_str()).cloned()
}

/// An object as it would be kept, for tests of what reads it.
#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test fails by panicking")]
pub(super) fn pruned<T: Watched>(json: &serde_json::Value) -> T {
    let instance = "test".parse().expect("an instance is a label");
    decode::object(&Pruner::new(Marks::new(instance)), json.to_string().as_bytes())
        .expect("the object decodes")
}

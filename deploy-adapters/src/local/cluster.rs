//! The port: applies, stops, deletes and observes objects of the local cluster. Every change runs to its end once it has
//! begun, whether or not the one who asked still waits, and two changes of one object never overlap.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use deploy_core::error::BoxError;
use deploy_core::ports::{Cluster, ClusterError, Freshness, SourceError};
use deploy_core::workload::{
    Applied, Condition, Deleted, Kind, ObjectRef, Observed, Review, Shape, Slot, Uid, Workload,
};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::broadcast::error::RecvError;

use super::code::{Held, blocking};
use super::node::Node;
use super::object::Object;
use super::record::Record;
use super::{LocalCluster, paths, review};

#[async_trait]
impl Cluster for LocalCluster {
    fn review(&self, workload: &Workload) -> Review {
        review::review(workload, &self.node.search, &paths::is_there)
    }

    async fn apply(&self, workload: &Workload) -> Result<Applied, ClusterError> {
        let violations = self.review(workload).violations;
        if let Some(violation) = violations.first() {
            return Err(ClusterError::Refused {
                message: violation.message.clone(),
            });
        }
        let (node, workload) = (self.node.clone(), workload.clone());
        self.to_its_end(async move { apply(&node, workload).await }).await
    }

    async fn stop(&self, workload: &Workload) -> Result<Applied, ClusterError> {
        let (node, workload) = (self.node.clone(), workload.clone());
        self.to_its_end(async move { stop(&node, workload).await }).await
    }

    async fn delete<'a>(
        &self,
        object: &'a ObjectRef,
        uid: Option<&'a Uid>,
    ) -> Result<Vec<Deleted>, ClusterError> {
        let (node, object, uid) = (self.node.clone(), object.clone(), uid.cloned());
        self.to_its_end(async move { delete(&node, object, uid).await })
            .await
    }

    async fn observe(
        &self,
        object: &ObjectRef,
        _freshness: Freshness,
    ) -> Result<Option<Observed>, ClusterError> {
        let found = self.node.object(&slot_of(object));
        Ok(found
            .map(|found| found.observed())
            .filter(|found| found.object == *object))
    }

    fn watch(&self) -> BoxStream<'static, Observed> {
        stream::unfold(self.node.subscribe(), |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(observed) => return Some((observed, events)),
                    // Too slow: events were lost, as they may be.
                    Err(RecvError::Lagged(_)) => {}
                    // The stream of a cluster that is gone is silent.
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        })
        .boxed()
    }
}

impl LocalCluster {
    /// Carries a change out, also where the one who asked stops waiting: nothing is left half done.
    async fn to_its_end<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, ClusterError>> + Send + 'static,
    ) -> Result<T, ClusterError> {
        if self.node.closing.is_cancelled() {
            return Err(unavailable("the local cluster is being stopped"));
        }
        match self.node.tasks.spawn(change).await {
            Ok(answer) => answer,
            Err(error) => Err(ClusterError::Ambiguous(BoxError::from(error))),
        }
    }
}

async fn apply(node: &Arc<Node>, workload: Workload) -> Result<Applied, ClusterError> {
    let slot = workload.slot();
    let _alone = node.changing.lock(slot.clone()).await;
    let existing = node.object(&slot);
    if let Some(object) = &existing
        && workload.kind() == Kind::Job
    {
        return adopt(object, &workload);
    }
    let code = match &workload.code {
        None => None,
        Some(code) => node
            .code
            .obtain(&*node.source, code)
            .await
            .map_err(source_error)?,
    };
    match existing {
        None => create(node, workload, code, false).await,
        Some(object) => update(node, &object, workload, code).await,
    }
}

async fn stop(node: &Arc<Node>, workload: Workload) -> Result<Applied, ClusterError> {
    let slot = workload.slot();
    let _alone = node.changing.lock(slot.clone()).await;
    let Some(object) = node.object(&slot) else {
        return create(node, workload, None, true).await;
    };
    let adopted = adopt(&object, &workload)?;
    let mut has_ended = false;
    let suspend = |record: &mut Record| {
        has_ended = record.ended.is_some();
        if !has_ended && !record.suspended {
            record.suspended = true;
            record.revision += 1;
        }
        None
    };
    object.change(node, suspend).await.map_err(storage)?;
    if !has_ended {
        match workload.kind() {
            Kind::Job => object.halt.cancel(),
            Kind::CronJob | Kind::Deployment | Kind::Service => object.wake.notify_one(),
        }
    }
    Ok(Applied {
        revision: object.read(|record| record.revision),
        ..adopted
    })
}

async fn delete(node: &Arc<Node>, object: ObjectRef, uid: Option<Uid>) -> Result<Vec<Deleted>, ClusterError> {
    let slot = slot_of(&object);
    let _alone = node.changing.lock(slot.clone()).await;
    let Some(found) = node.object(&slot) else {
        return Ok(Vec::new());
    };
    let (kind, incarnation) = found.read(|record| (record.workload.kind(), record.uid.clone()));
    if kind != object.kind || uid.is_some_and(|uid| uid != incarnation) {
        return Ok(Vec::new());
    }
    found.halt.cancel();
    found.done.cancelled().await;
    let (store, doomed) = (node.store.clone(), slot.clone());
    blocking(move || store.remove(&doomed)).await.map_err(storage)?;
    node.remove(&slot);
    let kinds: &[Kind] = match kind {
        Kind::Service => &[Kind::Service, Kind::Deployment],
        Kind::Deployment => &[Kind::Deployment],
        Kind::CronJob => &[Kind::CronJob],
        Kind::Job => &[Kind::Job],
    };
    let deleted = kinds.iter().map(|kind| Deleted {
        kind: *kind,
        namespace: slot.namespace.clone(),
        name: slot.name.clone(),
        uid: Some(incarnation.clone()),
    });
    Ok(deleted.collect())
}

/// The object, if it is this task's.
fn adopt(object: &Object, workload: &Workload) -> Result<Applied, ClusterError> {
    object.read(|record| {
        if record.workload.task == workload.task {
            Ok(Applied {
                uid: record.uid.clone(),
                created: false,
                revision: record.revision,
            })
        } else {
            Err(ClusterError::Exists {
                task: Some(record.workload.task),
                uid: record.uid.clone(),
            })
        }
    })
}

async fn create(
    node: &Arc<Node>,
    workload: Workload,
    code: Option<Held>,
    suspended: bool,
) -> Result<Applied, ClusterError> {
    let slot = workload.slot();
    let is_job = workload.kind() == Kind::Job;
    let record = Record {
        uid: Uid(uuid::Uuid::now_v7().to_string()),
        revision: 1,
        template: 1,
        suspended,
        code: code.as_ref().map(|held| held.folder().to_owned()),
        anchor: node.clock.now(),
        failures: 0,
        ended: None,
        pods: Vec::new(),
        workload,
    };
    let (store, stored) = (node.store.clone(), record.clone());
    if let Err(error) = blocking(move || store.write(&stored)).await {
        // Said to be not done, so it must not come into being at the next start.
        let store = node.store.clone();
        if let Err(error) = blocking(move || store.remove(&slot)).await {
            return Err(ClusterError::Ambiguous(BoxError::from(error)));
        }
        return Err(storage(error));
    }
    let applied = Applied {
        uid: record.uid.clone(),
        created: true,
        revision: record.revision,
    };
    let condition = match record.workload.kind() {
        _ if suspended => Condition::Stopped,
        Kind::Job => Condition::Pending(None),
        Kind::CronJob => Condition::Scheduled,
        Kind::Deployment | Kind::Service => Condition::Updating(None),
    };
    let object = Arc::new(Object::new(record, condition, code));
    node.insert(object, !(is_job && suspended));
    Ok(applied)
}

async fn update(
    node: &Arc<Node>,
    object: &Object,
    workload: Workload,
    code: Option<Held>,
) -> Result<Applied, ClusterError> {
    let folder = code.as_ref().map(|held| held.folder().to_owned());
    let now = node.clock.now();
    let change = |record: &mut Record| {
        let same_task = record.workload.task == workload.task;
        let same_code = record.code == folder;
        // Sent again after a crash: done already. A stop is not undone by it.
        if same_task && same_code && record.workload == workload {
            return None;
        }
        let resumes = record.suspended && !same_task;
        let restarts = !(same_code && runs_the_same(&record.workload, &workload));
        let scales = replicas(&record.workload.shape) != replicas(&workload.shape);
        record.revision += 1;
        record.template += u64::from(restarts);
        record.suspended &= same_task;
        record.code.clone_from(&folder);
        // A new schedule has no past.
        record.anchor = record.anchor.max(now);
        record.workload = workload.clone();
        match workload.kind() {
            Kind::CronJob if !record.suspended => Some(Condition::Scheduled),
            Kind::Deployment | Kind::Service if restarts || scales || resumes => {
                Some(Condition::Updating(None))
            }
            _ => None,
        }
    };
    object.change(node, change).await.map_err(storage)?;
    object.set_code(code);
    object.wake.notify_one();
    Ok(object.read(|record| Applied {
        uid: record.uid.clone(),
        created: false,
        revision: record.revision,
    }))
}

/// Whether the processes of one workload are those of the other: its image, resources and labels have no effect here,
/// who asked for it never had.
fn runs_the_same(a: &Workload, b: &Workload) -> bool {
    let port = |shape: &Shape| match shape {
        Shape::Service { port, .. } => Some(*port),
        _ => None,
    };
    a.kind() == b.kind()
        && a.container.command == b.container.command
        && a.container.env == b.container.env
        && port(&a.shape) == port(&b.shape)
}

const fn replicas(shape: &Shape) -> u32 {
    match shape {
        Shape::Deployment { replicas } | Shape::Service { replicas, .. } => *replicas,
        Shape::Job { .. } | Shape::CronJob { .. } => 0,
    }
}

fn slot_of(object: &ObjectRef) -> Slot {
    object.slot()
}

fn source_error(error: SourceError) -> ClusterError {
    match error {
        SourceError::NotAFile { .. } | SourceError::TooLarge { .. } => ClusterError::Refused {
            message: format!("the task's code cannot be used: {error}"),
        },
        error => unavailable(error),
    }
}

fn storage(error: io::Error) -> ClusterError {
    unavailable(error)
}

fn unavailable(error: impl Into<BoxError>) -> ClusterError {
    ClusterError::Unavailable {
        retry_after: None,
        source: error.into(),
    }
}

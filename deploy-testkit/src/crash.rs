//! Crash points: every boundary before and after an effect is a place where the server can be made to die. A test does
//! not list them; it crashes at the first, the second, … until a life goes by without reaching the next.
//!
//! ```
//! # use deploy_testkit::crash::CrashPoint;
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let crash = CrashPoint::at(1);
//! crash.pass().await; // boundary 0
//! let died = async { crash.pass().await }; // boundary 1: never returns
//! futures::future::select(Box::pin(died), Box::pin(crash.reached())).await;
//! # });
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use deploy_core::ports::{
    Change, Cluster, ClusterError, Freshness, Generation, Journal, JournalError, Recovery,
};
use deploy_core::workload::{Applied, Deleted, ObjectRef, Observed, Review, Uid, Workload};
use futures::stream::BoxStream;
use tokio::sync::watch;

/// One place to die at.
#[derive(Debug)]
pub struct CrashPoint {
    at: usize,
    passed: AtomicUsize,
    reached: watch::Sender<bool>,
}

impl CrashPoint {
    /// Dies at the boundary of this number, counted from 0.
    #[must_use]
    pub fn at(boundary: usize) -> Arc<Self> {
        Arc::new(Self {
            at: boundary,
            passed: AtomicUsize::new(0),
            reached: watch::channel(false).0,
        })
    }

    /// A boundary. From the one to die at on, nothing returns.
    pub async fn pass(&self) {
        if self.passed.fetch_add(1, Ordering::SeqCst) >= self.at {
            self.reached.send_replace(true);
            std::future::pending::<()>().await;
        }
    }

    /// Returns when the boundary to die at was reached. Whatever called is to be dropped then, as a crash drops it.
    pub async fn reached(&self) {
        let mut reached = self.reached.subscribe();
        if reached.wait_for(|reached| *reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// How many boundaries were passed or reached.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }
}

/// A journal and a cluster that die at a crash point, before or after what they do.
pub struct Crashing<P: ?Sized> {
    inner: Arc<P>,
    crash: Arc<CrashPoint>,
}

impl<P: ?Sized> Crashing<P> {
    /// `inner`, dying at `crash`.
    #[must_use]
    pub const fn new(inner: Arc<P>, crash: Arc<CrashPoint>) -> Self {
        Self { inner, crash }
    }

    async fn around<T>(&self, effect: impl Future<Output = T> + Send) -> T {
        self.crash.pass().await;
        let done = effect.await;
        self.crash.pass().await;
        done
    }
}

#[async_trait]
impl Journal for Crashing<dyn Journal> {
    async fn lead(&self) -> Result<Generation, JournalError> {
        self.inner.lead().await
    }

    async fn commit(&self, changes: &[Change], generation: Generation) -> Result<(), JournalError> {
        self.around(self.inner.commit(changes, generation)).await
    }

    async fn recover(&self) -> Result<Recovery, JournalError> {
        self.inner.recover().await
    }
}

#[async_trait]
impl Cluster for Crashing<dyn Cluster> {
    fn review(&self, workload: &Workload) -> Review {
        self.inner.review(workload)
    }

    async fn apply(&self, workload: &Workload) -> Result<Applied, ClusterError> {
        self.around(self.inner.apply(workload)).await
    }

    async fn stop(&self, workload: &Workload) -> Result<Applied, ClusterError> {
        self.around(self.inner.stop(workload)).await
    }

    async fn delete<'a>(
        &self,
        object: &'a ObjectRef,
        uid: Option<&'a Uid>,
    ) -> Result<Vec<Deleted>, ClusterError> {
        self.around(self.inner.delete(object, uid)).await
    }

    async fn observe(
        &self,
        object: &ObjectRef,
        freshness: Freshness,
    ) -> Result<Option<Observed>, ClusterError> {
        self.inner.observe(object, freshness).await
    }

    fn watch(&self) -> BoxStream<'static, Observed> {
        self.inner.watch()
    }
}

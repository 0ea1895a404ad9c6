//! A stateful stand-in for the Kubernetes API, over http on a free port of loopback: objects, watches and server-side
//! apply as clients depend on them, with controllers that act on Jobs, CronJobs, Deployments, pods and namespaces as the
//! real ones do, a log of every call, and faults on request.
//!
//! It is an API to test clients against, not a cluster: nothing runs, no address routes, no one is authenticated, and of
//! Kubernetes' validation only what a client of workloads can break is here. Status codes, reasons, fields and the steps
//! that objects take were compared with those of a server of Kubernetes 1.34.
//!
//! ```
//! use deploy_testkit::kubernetes::{ApiServer, Fault, Matcher, Times, Verb};
//!
//! # async fn example() -> std::io::Result<()> {
//! let server = ApiServer::start().await?;
//! let creates = Matcher::on(Verb::Create).resource("jobs");
//! server.inject(creates, Times::First(1), Fault::CommitThenTimeout);
//! let mark = server.mark();
//! // Whatever a client does at `server.url()` or by `server.kubeconfig()` is acted on, and counted.
//! assert_eq!(server.calls_since(mark).writes(), 0);
//! # Ok(())
//! # }
//! ```

mod apply;
mod calls;
mod controllers;
mod defaults;
mod delay;
mod delete;
mod discovery;
mod faults;
mod handle;
mod hands;
mod kinds;
mod list;
mod logs;
mod object;
mod request;
mod route_schema;
mod select;
mod server;
mod settings;
mod status;
mod store;
mod validate;
mod watch;
mod watches;
mod write;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use deploy_core::ports::Clock;
use deploy_core::workload::Timestamp;
use tokio::task::JoinHandle;

pub use calls::{Call, Calls, Mark};
pub use controllers::Controller;
pub use faults::{Fault, Injected, Matcher, Times};
pub use request::Verb;
pub use settings::Settings;
pub use watches::EventFault;

use server::Shared;

/// A server on a free port of 127.0.0.1. It stops, and closes every connection, when this value is dropped.
pub struct ApiServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
    acting: JoinHandle<()>,
}

impl ApiServer {
    /// Serves an empty cluster by the system's time.
    ///
    /// # Errors
    /// No port could be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Settings::default(), Arc::new(SystemClock)).await
    }

    /// Serves an empty cluster by a clock: with a [`crate::memory::ManualClock`], schedules, deadlines, pauses and the
    /// ends of containers come when a test moves it. The timeouts of watches are the connection's, and the system's.
    ///
    /// # Errors
    /// No port could be bound.
    pub async fn start_with(settings: Settings, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (listener, address) = server::bind().await?;
        let shared = Arc::new(Shared::new(settings, clock));
        let accepting = tokio::spawn(server::accept(listener, address, Arc::clone(&shared)));
        let acting = tokio::spawn(controllers::run(Arc::clone(&shared)));
        Ok(Self {
            shared,
            address,
            accepting,
            acting,
        })
    }

    /// The base URL, without a slash behind it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig whose current context is this server.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: stand-in\n  cluster:\n    server: {}\nusers:\n- name: stand-in\n  \
             user: {{}}\ncontexts:\n- name: stand-in\n  context:\n    cluster: stand-in\n    user: stand-in\n\
             current-context: stand-in\n",
            self.url()
        )
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.accepting.abort();
        self.acting.abort();
    }
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The time of the system.
struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        DateTime::<Utc>::from(SystemTime::now())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

//! A deployer behind a listener: binds, says where, serves, drains. It names no adapter, so tests and the demo run the
//! same server as the binary.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use deploy_core::Deployer;
use deploy_core::ports::TokenVerifier;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Limits, Listen, Stop};
use crate::edge::Edge;
use crate::forms::BodyLimits;
use crate::gate::Gate;
use crate::handlers::Services;
use crate::identity::IdentityRules;
use crate::server::{ServerLimits, serve};

/// A listener that is bound and not served yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Binds the internal listener.
    ///
    /// # Errors
    /// Wrong configuration: the address cannot be bound.
    pub async fn new(listen: &Listen) -> Result<Self, Stop> {
        let wanted = listen.listen;
        let wrong = |error| {
            Stop::wrong(format!(
                "--listen {wanted} cannot be bound ({error}); free it, or pick another, such as port 0"
            ))
        };
        let listener = TcpListener::bind(wanted).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        Ok(Self { listener, address })
    }

    /// The address it is bound to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says where it listens.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub fn announce(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "listening internal http://{}", self.address)?;
        out.flush()
    }

    /// Serves until `stop` is cancelled, then drains. Whether everything ended in time. Without `tokens` no token is
    /// believed.
    pub async fn serve(
        self,
        config: &Config,
        deployer: Deployer,
        tokens: Option<Arc<dyn TokenVerifier>>,
        stop: CancellationToken,
    ) -> bool {
        let work = TaskTracker::new();
        let Limits {
            max_body,
            max_connections,
            header_timeout,
            body_timeout,
            drain,
        } = config.limits;
        let gate = Gate {
            identity: IdentityRules {
                trust: config.listen.trust_identity,
                protect_reads: config.listen.protect_reads,
                tokens,
            },
            body: BodyLimits {
                bytes: usize::try_from(max_body).unwrap_or(usize::MAX),
                time: body_timeout,
            },
        };
        let services = Services {
            deployer,
            drain: stop.clone(),
        };
        let edge = Arc::new(Edge::new(gate, services, work.clone()));
        let answer = move |ends, request| {
            let edge = edge.clone();
            async move { edge.answer(ends, request).await }
        };
        let limits = ServerLimits {
            connections: max_connections,
            header_timeout,
            drain,
        };
        serve(self.listener, limits, answer, stop, work).await
    }
}

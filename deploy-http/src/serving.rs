//! A deployer behind its listeners: binds, says where, serves, drains. It names no adapter, so tests and the demo run the
//! same server as the binary.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use deploy_core::Deployer;
use deploy_core::ports::TokenVerifier;
use futures::future::join_all;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::browser::Origins;
use crate::config::{Config, Limits, Listen, Stop};
use crate::edge::Edge;
use crate::forms::BodyLimits;
use crate::gate::Gate;
use crate::handlers::Services;
use crate::identity::{IdentityRules, ProtectReads, Trust};
use crate::server::{ServerLimits, serve};

/// Listeners that are bound and not served yet.
#[derive(Debug)]
pub struct Bound {
    internal: Listener,
    external: Option<Listener>,
}

#[derive(Debug)]
struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    async fn bind(flag: &str, wanted: SocketAddr) -> Result<Self, Stop> {
        let wrong = |error| {
            Stop::wrong(format!(
                "{flag} {wanted} cannot be bound ({error}); free it, or pick another, such as port 0"
            ))
        };
        let listener = TcpListener::bind(wanted).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        Ok(Self { listener, address })
    }
}

impl Bound {
    /// Binds them.
    ///
    /// # Errors
    /// Wrong configuration: an address cannot be bound.
    pub async fn new(listen: &Listen) -> Result<Self, Stop> {
        let internal = Listener::bind("--listen", listen.listen).await?;
        let external = match listen.listen_external {
            Some(wanted) => Some(Listener::bind("--listen-external", wanted).await?),
            None => None,
        };
        Ok(Self { internal, external })
    }

    /// The address the internal listener is bound to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.internal.address
    }

    /// Says where they listen.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub fn announce(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "listening internal http://{}", self.internal.address)?;
        if let Some(external) = &self.external {
            writeln!(out, "listening external http://{}", external.address)?;
        }
        out.flush()
    }

    /// Serves until `stop` is cancelled, then drains. Whether everything ended in time.
    pub async fn serve(
        self,
        config: &Config,
        deployer: Deployer,
        tokens: Option<Arc<dyn TokenVerifier>>,
        stop: CancellationToken,
    ) -> bool {
        let work = TaskTracker::new();
        let services = Arc::new(Services {
            deployer,
            drain: stop.clone(),
        });
        let Limits {
            max_connections,
            header_timeout,
            drain,
            ..
        } = config.limits;
        let limits = ServerLimits {
            connections: max_connections,
            header_timeout,
            drain,
        };
        let serve_on = |listener: Listener, side: Side| {
            let gate = gate(config, side, tokens.clone());
            let edge = Arc::new(Edge::new(gate, services.clone(), work.clone()));
            let answer = move |ends, request| {
                let edge = edge.clone();
                async move { edge.answer(ends, request).await }
            };
            serve(listener.listener, limits, answer, stop.clone(), work.clone())
        };
        let external = self.external.map(|listener| (listener, Side::External));
        let sides = std::iter::once((self.internal, Side::Internal)).chain(external);
        let served = join_all(sides.map(|(listener, side)| serve_on(listener, side))).await;
        served.into_iter().all(|in_time| in_time)
    }
}

/// Which way a listener faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Towards this machine, or the cluster's other workloads.
    Internal,
    /// Towards an ingress, and whoever is behind it: the token alone says who asks, and every path has the prefix.
    External,
}

/// What a listener of that side lets in.
#[must_use]
pub fn gate(config: &Config, side: Side, tokens: Option<Arc<dyn TokenVerifier>>) -> Gate {
    let listen = &config.listen;
    let external = side == Side::External;
    Gate {
        prefix: listen.external_prefix.clone(),
        prefix_required: external,
        identity: IdentityRules {
            trust: if external {
                Trust::Nobody
            } else {
                listen.trust_identity.clone()
            },
            reads_protected: match listen.protect_reads {
                ProtectReads::All => true,
                ProtectReads::External => external,
                ProtectReads::None => false,
            },
            tokens,
        },
        origins: Origins::new(listen.allowed_origins.iter().cloned()),
        body: BodyLimits {
            bytes: usize::try_from(config.limits.max_body).unwrap_or(usize::MAX),
            time: config.limits.body_timeout,
        },
    }
}

//! Where it listens, and whom it believes there.

use std::net::SocketAddr;

use clap::Args;

use super::{ClusterKind, Stop};
use crate::browser::Origin;
use crate::identity::{ProtectReads, Trust};
use crate::prefix::Prefix;

/// Where it listens, and whom it believes there.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the fields' help says it")]
pub struct Listen {
    /// The internal listener; port 0 picks one
    #[arg(
        long,
        env = "DEPLOY_LISTEN",
        value_name = "ADDR",
        default_value = DEFAULT_LISTEN
    )]
    pub listen: SocketAddr,
    /// The external listener, for what comes through an ingress: no Identity header is believed there [default: none]
    #[arg(long, env = "DEPLOY_LISTEN_EXTERNAL", value_name = "ADDR")]
    pub listen_external: Option<SocketAddr>,
    /// What stands before every path on the external listener; the internal one answers with and without it
    #[arg(
        long,
        env = "DEPLOY_EXTERNAL_PREFIX",
        value_name = "PATH",
        default_value = "/apps/deploy-api"
    )]
    pub external_prefix: Prefix,
    /// A browser origin, besides the server's own, whose pages may use the cookie; may be given more than once
    #[arg(
        long = "allowed-origin",
        env = "DEPLOY_ALLOWED_ORIGIN",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub allowed_origins: Vec<Origin>,
    /// Who may assert the Identity header on the internal listener: loopback, cidr:10.0.0.0/8,…, everyone, nobody
    #[arg(
        long,
        env = "DEPLOY_TRUST_IDENTITY",
        value_name = "MODE",
        default_value = "loopback"
    )]
    pub trust_identity: Trust,
    /// Which reads need an identity
    #[arg(
        long,
        env = "DEPLOY_PROTECT_READS",
        value_name = "WHICH",
        default_value = "external"
    )]
    pub protect_reads: ProtectReads,
}

const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

impl Listen {
    /// Whether nobody asked for another address.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.listen.to_string() == DEFAULT_LISTEN
    }

    /// What no single flag can tell; `tokens` says whether any could be believed.
    pub(super) fn check(&self, cluster: ClusterKind, tokens: bool) -> Result<(), Stop> {
        let loopback = self.listen.ip().to_canonical().is_loopback();
        if !loopback && self.trust_identity == Trust::Loopback {
            return Err(Stop::wrong(format!(
                "--listen {} is not a loopback address, so --trust-identity loopback would believe nobody; listen \
                 on 127.0.0.1, or say who may assert an identity: --trust-identity cidr:10.0.0.0/8, everyone or \
                 nobody",
                self.listen
            )));
        }
        let flags = [
            ("--listen", Some(self.listen)),
            ("--listen-external", self.listen_external),
        ];
        for (flag, address) in flags {
            let open = address.filter(|address| !address.ip().to_canonical().is_loopback());
            if let (Some(address), ClusterKind::Local) = (open, cluster) {
                return Err(Stop::wrong(format!(
                    "{flag} {address} is not a loopback address, and --cluster local runs commands as this user for \
                     whoever can reach it; listen on 127.0.0.1"
                )));
            }
        }
        // Without keys nobody can say who they are there; reads for everyone are all that is left.
        if self.listen_external.is_some() && !tokens && self.protect_reads != ProtectReads::None {
            return Err(Stop::wrong(
                "--listen-external believes tokens alone, and there is no key to check one with, so every request would \
                 be refused; give --jwt-jwks or --jwt-secret-file, or say --protect-reads none to serve reads alone",
            ));
        }
        Ok(())
    }
}

//! Where manifests and code come from, and the files that open a git server. Secrets are in files, never in a flag or a
//! variable: both are shown to others by the system.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use deploy_core::names::Branch;

use super::values::{positive, size};
use super::{GitBase, Stop};

/// Where manifests and code come from.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the fields' help says it")]
pub struct Git {
    /// What a repository's name is joined to: https://host/path/, ssh://git@host/path/, or file:///folder [default: git in
    /// the data dir]
    #[arg(long, env = "DEPLOY_GIT_BASE_URL", value_name = "URL")]
    pub git_base_url: Option<GitBase>,
    /// Allows http:// to a host that is not this machine
    #[arg(long, env = "DEPLOY_GIT_ALLOW_HTTP", value_parser = BoolishValueParser::new())]
    pub git_allow_http: bool,
    /// The CA certificates that an https server is known by, PEM [default: the system's]
    #[arg(long, env = "DEPLOY_GIT_CA_FILE", value_name = "FILE")]
    pub git_ca_file: Option<PathBuf>,
    /// User and password for an https server: a line https://USER:PASSWORD@HOST, as git's credential store has it
    #[arg(long, env = "DEPLOY_GIT_CREDENTIALS_FILE", value_name = "FILE")]
    pub git_credentials_file: Option<PathBuf>,
    /// The private key for an ssh server, without a passphrase
    #[arg(long, env = "DEPLOY_GIT_SSH_KEY", value_name = "FILE")]
    pub git_ssh_key: Option<PathBuf>,
    /// The host keys that an ssh server is known by, as ssh-keyscan prints them
    #[arg(long, env = "DEPLOY_GIT_KNOWN_HOSTS", value_name = "FILE")]
    pub git_known_hosts: Option<PathBuf>,
    /// How long git may take for one request
    #[arg(long, env = "DEPLOY_GIT_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = positive)]
    pub git_timeout: Duration,
    /// The most that is fetched of one repository
    #[arg(long, env = "DEPLOY_GIT_MAX_BYTES", value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    pub git_max_bytes: u64,
    /// The branch when none is given
    #[arg(
        long,
        env = "DEPLOY_DEFAULT_BRANCH",
        value_name = "NAME",
        default_value = "master"
    )]
    pub default_branch: Branch,
}

impl Git {
    /// What no single flag can tell.
    pub(super) fn check(&self) -> Result<(), Stop> {
        use super::git_base::Scheme;

        let scheme = self.git_base_url.as_ref().and_then(GitBase::scheme);
        let elsewhere = self
            .git_base_url
            .as_ref()
            .is_some_and(GitBase::is_plain_http_elsewhere);
        let (credentials, ca) = (self.git_credentials_file.is_some(), self.git_ca_file.is_some());
        let (key, hosts) = (self.git_ssh_key.is_some(), self.git_known_hosts.is_some());
        let web = matches!(scheme, Some(Scheme::Http | Scheme::Https));
        let ssh = scheme == Some(Scheme::Ssh);
        let table = [
            (
                elsewhere && credentials,
                "--git-credentials-file is never sent over http:// to another machine, where anyone on the way can read \
                 it; make --git-base-url https://",
            ),
            (
                elsewhere && !self.git_allow_http,
                "--git-base-url is http:// to another machine, where anyone on the way can change what is deployed; use \
                 https://, or say --git-allow-http",
            ),
            (
                credentials && !web,
                "--git-credentials-file is for an https:// server, and --git-base-url is none; leave it out",
            ),
            (
                ca && scheme != Some(Scheme::Https),
                "--git-ca-file is for an https:// server, and --git-base-url is none; leave it out",
            ),
            (
                (key || hosts) && !ssh,
                "--git-ssh-key and --git-known-hosts are for an ssh:// server, and --git-base-url is none; leave them out",
            ),
            (
                ssh && !key,
                "--git-base-url is ssh://, which needs --git-ssh-key, a private key that the server lets in",
            ),
            (
                ssh && !hosts,
                "--git-base-url is ssh://, which needs --git-known-hosts to know the server by; ssh-keyscan HOST prints \
                 its lines",
            ),
        ];
        match table.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, text)) => Err(Stop::wrong(text)),
            None => Ok(()),
        }
    }
}

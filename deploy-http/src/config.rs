//! The only reader of arguments and environment. Every flag has a variable `DEPLOY_<FLAG>`; flags win. It accepts only
//! what this build does: a flag without effect would be a promise that nobody keeps. docs/configuration.md is held to
//! it by a test.

mod git;
mod git_base;
mod kubernetes;
mod listen;
mod tokens;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

pub use git::Git;
pub use git_base::GitBase;
pub use kubernetes::{Exposure, Kubernetes};
pub use listen::Listen;
pub use tokens::Tokens;
use values::{duration, positive, size, sqlite_file};

/// What the binary was asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The server (the default)
    Serve(Box<Config>),
    /// The first minute: an example task and pipeline, deployed through the HTTP routes
    Demo(Box<Demo>),
    /// Validates every manifest.json and pipeline.json below DIR, and a policy file, without any server
    Check {
        /// The folder
        #[arg(required_unless_present = "policy")]
        dir: Option<PathBuf>,
        /// The policy file
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
}

/// The server's configuration, one struct per concern.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the structs below say it")]
pub struct Config {
    #[command(flatten)]
    pub listen: Listen,
    #[command(flatten)]
    pub tokens: Tokens,
    #[command(flatten)]
    pub git: Git,
    #[command(flatten)]
    pub storage: Storage,
    #[command(flatten)]
    pub cluster: Cluster,
    #[command(flatten)]
    pub policy: PolicyFile,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub log: Log,
}

/// The demo's configuration.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the fields' help says it")]
pub struct Demo {
    /// Exits when the pipeline has ended, with 1 if it did not succeed
    #[arg(long)]
    pub once: bool,
    #[command(flatten)]
    pub config: Config,
}

/// Where state is kept.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the fields' help says it")]
pub struct Storage {
    /// Embedded state
    #[arg(
        long,
        env = "DEPLOY_DATA_DIR",
        value_name = "DIR",
        default_value = "./.deploy"
    )]
    pub data_dir: PathBuf,
    /// sqlite:FILE [default: deploy.db in the data dir]
    #[arg(long, env = "DEPLOY_DATABASE", value_name = "URL", value_parser = sqlite_file)]
    pub database: Option<PathBuf>,
    /// A folder with tasks/ and pipelines/ [default: templates in the data dir]
    #[arg(long, env = "DEPLOY_TEMPLATES", value_name = "DIR")]
    pub templates: Option<PathBuf>,
}

/// Where tasks run.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the fields' help says it")]
pub struct Cluster {
    /// What runs tasks
    #[arg(long, env = "DEPLOY_CLUSTER", value_name = "KIND", default_value = "local")]
    pub cluster: ClusterKind,
    /// How long a finished job stays
    #[arg(long, env = "DEPLOY_JOB_RETENTION", value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub job_retention: Duration,
    #[command(flatten)]
    pub kubernetes: Kubernetes,
}

/// What runs tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClusterKind {
    /// Child processes on this machine.
    Local,
    /// A Kubernetes cluster.
    Kubernetes,
}

/// Who may do what.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the fields' help says it")]
pub struct PolicyFile {
    /// Authorization rules [default: anyone may, outside the reserved namespaces]
    #[arg(long, env = "DEPLOY_POLICY", value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// What a client may cost.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the fields' help says it")]
pub struct Limits {
    /// The largest request body
    #[arg(long, env = "DEPLOY_MAX_BODY", value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    pub max_body: u64,
    /// Connections at a time; one more is answered 503
    #[arg(long, env = "DEPLOY_MAX_CONNECTIONS", value_name = "N", default_value = "4096",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
    /// How long a request's headers may take, and a connection may be idle
    #[arg(long, env = "DEPLOY_HEADER_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = positive)]
    pub header_timeout: Duration,
    /// How long a request's body may take
    #[arg(long, env = "DEPLOY_BODY_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = positive)]
    pub body_timeout: Duration,
    /// How long requests may take to end once the server is told to stop
    #[arg(long, env = "DEPLOY_DRAIN", value_name = "TIME", default_value = "20s", value_parser = duration)]
    pub drain: Duration,
}

/// What is logged, to standard error.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the fields' help says it")]
pub struct Log {
    /// error, warn, info, debug, trace, or a filter such as info,deploy_http=debug
    #[arg(long, env = "DEPLOY_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// [default: text on a terminal, else json]
    #[arg(long, env = "DEPLOY_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

impl Log {
    /// Only what goes wrong, where nobody asked for anything else: for a terminal that is used for something else.
    pub fn quieter(&mut self) {
        if self.log == "info" {
            "warn".clone_into(&mut self.log);
        }
    }
}

/// What tasks of the local cluster get of the server's own environment, and nothing else of it.
#[derive(Debug)]
pub struct Surroundings {
    /// PATH
    pub search_path: Option<String>,
    /// LANG
    pub language: Option<String>,
}

impl Surroundings {
    /// Reads them.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "this file is the reader of the environment"
    )]
    pub fn read() -> Self {
        Self {
            search_path: std::env::var("PATH").ok(),
            language: std::env::var("LANG").ok(),
        }
    }
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A reason to end before anything has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The exit code: 0 for `--help`, 2 for wrong configuration.
    pub code: u8,
    /// What to print: one line, unless it is the help.
    pub text: String,
}

impl Stop {
    /// Wrong configuration: what, why, the cure.
    #[must_use]
    pub fn wrong(text: impl Into<String>) -> Self {
        Self {
            code: 2,
            text: text.into(),
        }
    }
}

impl Storage {
    /// The database's file.
    #[must_use]
    pub fn database_file(&self) -> PathBuf {
        self.database
            .clone()
            .unwrap_or_else(|| self.data_dir.join("deploy.db"))
    }

    /// The templates' folder.
    #[must_use]
    pub fn templates_folder(&self) -> PathBuf {
        self.templates
            .clone()
            .unwrap_or_else(|| self.data_dir.join("templates"))
    }

    /// The repositories' folder where no base URL is given.
    #[must_use]
    pub fn git_folder(&self) -> PathBuf {
        self.data_dir.join("git")
    }
}

/// Reads the arguments, the first being the program's name, and the environment.
///
/// # Errors
/// What to print and the exit code, where nothing is to be begun.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Stop> {
    let matches = flags().try_get_matches_from(arguments);
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = cli.map_err(|error| stop(&error))?;
    let command = cli.command.unwrap_or(Command::Serve(Box::new(cli.config)));
    match &command {
        Command::Serve(config) => config.check()?,
        Command::Demo(demo) => demo.check()?,
        Command::Check { .. } => {}
    }
    Ok(command)
}

/// Deploys tasks and runs pipelines from git
#[derive(Debug, Parser)]
#[command(name = "deploy-http", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: Config,
}

impl Demo {
    fn check(&self) -> Result<(), Stop> {
        if self.config.cluster.cluster != ClusterKind::Local {
            return Err(Stop::wrong(
                "the demo is for --cluster local: its examples run as processes of this machine; for a cluster, start \
                 the server and deploy from a repository of your own",
            ));
        }
        self.config.check()
    }
}

impl Config {
    /// What no single flag can tell.
    fn check(&self) -> Result<(), Stop> {
        self.tokens.check()?;
        self.cluster.kubernetes.check(self.cluster.cluster)?;
        self.listen
            .check(self.cluster.cluster, self.tokens.believe_any())?;
        self.git.check()
    }
}

/// What clap is told. The help shows the variables and never what is in them: that may be a password in the wrong place,
/// and help ends up in logs and questions.
fn flags() -> clap::Command {
    let hide = |command: clap::Command| command.mut_args(|arg| arg.hide_env_values(true));
    hide(Cli::command()).mut_subcommands(hide)
}

/// What was given and is not to be repeated: the value of a flag, which may be a password; and a word in no place of its
/// own, unless it is plainly a word or a flag's name.
fn refused(error: &clap::Error) -> Option<&str> {
    let kind = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => ContextKind::InvalidValue,
    };
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match error.get(kind) {
        Some(ContextValue::String(text)) if kind == ContextKind::InvalidValue || !is_plain(text) => {
            Some(text)
        }
        _ => None,
    }
}

/// clap's words on one line, without its usage lines; the help as it is.
fn stop(error: &clap::Error) -> Stop {
    let text = match refused(error) {
        Some(value) => error.to_string().replacen(&format!(" '{value}'"), "", 1),
        None => error.to_string(),
    };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Stop {
            code: 0,
            text: text.trim_end().to_owned(),
        };
    }
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    Stop::wrong(format!("{}; see --help", line.trim_start_matches("error: ")))
}

#[cfg(test)]
mod tests;

//! Puts the server together: this file and the folder beside it are all that names an adapter.

mod cluster;

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use deploy_adapters::git::{self, GitAccess, GitConfig, GitLimits, GitRepositories};
use deploy_adapters::identity::{JwtConfig, JwtVerifier, KeyFile};
use deploy_adapters::storage::SqlStore;
use deploy_adapters::system::{SystemClock, SystemIds};
use deploy_adapters::templates::FolderTemplates;
use deploy_core::Deployer;
use deploy_core::authz::Policy;
use deploy_core::engine::{Engine, EngineError, Settings};
use deploy_core::names::Branch;
use deploy_core::ports::{Clock, SourceRepository, TokenVerifier};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Demo, GitBase, Stop, Tokens};
use crate::demo;
use crate::logging;
use crate::policy_file;
use crate::server::StopSignals;
use crate::serving::Bound;
use cluster::AnyCluster;

/// Serves until the process is told to stop.
///
/// # Errors
/// Wrong configuration (2), or whatever else kept it from serving or from ending in time (1).
pub async fn serve(config: Config) -> Result<(), Stop> {
    logging::begin(&config.log)?;
    let mut signals = signals()?;
    let bound = Bound::new(&config.listen).await?;
    let server = Server::open(&config).await?;
    bound
        .announce(&mut io::stdout())
        .map_err(|error| failed("standard output cannot be written to", &error))?;
    server.run(&config, bound, signals.received()).await
}

/// Serves as [`serve`] does, with the examples as a repository, and walks through the first minute. With `once` it ends
/// then.
///
/// # Errors
/// As [`serve`]; with `once` also a task or pipeline that did not succeed (1).
pub async fn demo(Demo { once, mut config }: Demo) -> Result<(), Stop> {
    config.log.quieter();
    logging::begin(&config.log)?;
    let mut signals = signals()?;
    let bound = match Bound::new(&config.listen).await {
        Ok(bound) => bound,
        // The first minute does not fail for what else runs on a laptop.
        Err(_) if config.listen.is_default() => {
            config.listen.listen.set_port(0);
            Bound::new(&config.listen).await?
        }
        Err(stop) => return Err(stop),
    };
    let repository = config
        .storage
        .git_folder()
        .join(format!("{}.git", demo::examples::REPOSITORY));
    publish_examples(&repository, &config.git.default_branch)?;
    let server = Server::open(&config).await?;
    let address = bound.address();
    let walked = async {
        tokio::select! {
            walked = first_minute(address, &repository) => walked?,
            () = signals.received() => return Ok(()),
        }
        if !once {
            signals.received().await;
        }
        Ok(())
    };
    server.run(&config, bound, walked).await?
}

fn signals() -> Result<StopSignals, Stop> {
    StopSignals::listen().map_err(|error| failed("signals cannot be listened for", &error))
}

async fn first_minute(address: SocketAddr, repository: &Path) -> Result<(), Stop> {
    let mut out = io::stdout();
    let terminal = |error: io::Error| failed("standard output cannot be written to", &error);
    let shown = repository.display();
    writeln!(
        out,
        "listening internal http://{address}\nthe examples are a git repository: {shown}"
    )
    .map_err(terminal)?;
    demo::walk(address, &mut out)
        .await
        .map_err(|error| failed("the demo ended early", &error))?;
    demo::next_steps(address, &mut out).map_err(|error| failed("the demo ended early", &error))
}

fn publish_examples(repository: &Path, branch: &Branch) -> Result<(), Stop> {
    let files: Vec<_> = demo::examples::FILES
        .iter()
        .map(|(path, bytes)| (*path, *bytes, false))
        .collect();
    match git::publish(repository, branch, &files) {
        Ok(_) => Ok(()),
        Err(error) => Err(failed("the examples cannot be put into a git repository", &error)),
    }
}

/// Everything behind the listener.
struct Server {
    deployer: Deployer,
    engine: Engine,
    cluster: AnyCluster,
    store: SqlStore,
    tokens: Option<Arc<dyn TokenVerifier>>,
}

impl Server {
    async fn open(config: &Config) -> Result<Self, Stop> {
        let storage = &config.storage;
        // For its owner alone: repositories, logs and the database are in it.
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&storage.data_dir);
        made.map_err(|error| {
            Stop::wrong(format!(
                "--data-dir {} cannot be made ({error})",
                storage.data_dir.display()
            ))
        })?;
        let policy = match &config.policy.policy {
            Some(file) => policy_file::load(file)?,
            None => Policy::default(),
        };
        // It holds the builder's secrets.
        let builds = config.cluster.builder.build_namespace.iter();
        let policy = policy.reserving(builds.map(ToString::to_string));
        // Held first: a second server on the same folder is refused before it touches anything.
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let tokens = tokens(&config.tokens, clock.clone())?;
        let source = repositories(config)?;
        let cluster = AnyCluster::open(config, source.clone(), clock.clone()).await?;
        let database = format!("sqlite:{}", storage.database_file().display());
        let store = SqlStore::open(&database).await;
        let store = store.map_err(|error| wrong("the database cannot be opened", &error))?;

        let (on_store, on_cluster) = (Arc::new(store.clone()), cluster.ports());
        let mut builder = Deployer::builder();
        if let Some(image_builder) = cluster.image_builder(config, source.clone())? {
            builder = builder.image_builder(image_builder);
        }
        let built = builder
            .cluster(on_cluster.cluster)
            .namespaces(on_cluster.namespaces)
            .inventory(on_cluster.inventory)
            .logs(on_cluster.logs)
            .source(source)
            .journal(on_store.clone())
            .tasks(on_store.clone())
            .runs(on_store.clone())
            .works(on_store)
            .templates(Arc::new(FolderTemplates::new(storage.templates_folder())))
            .clock(clock)
            .ids(Arc::new(SystemIds))
            .policy(policy)
            .settings(Settings {
                job_retention: config.cluster.job_retention,
                ..Settings::default()
            })
            .build();
        let (deployer, engine) =
            built.map_err(|error| failed("the server cannot be put together", &error))?;
        Ok(Self {
            deployer,
            engine,
            cluster,
            store,
            tokens,
        })
    }

    /// Serves until `until` is over, then drains: requests first, then the engine, then what runs, then the store.
    async fn run<T>(self, config: &Config, bound: Bound, until: impl Future<Output = T>) -> Result<T, Stop> {
        let Self {
            deployer,
            engine,
            cluster,
            store,
            tokens,
        } = self;
        let engine_stop = CancellationToken::new();
        let driven = tokio::spawn(engine.run(engine_stop.clone().cancelled_owned()));
        let stop = CancellationToken::new();
        let serving = bound.serve(config, deployer, tokens, stop.clone());
        let until = async {
            let outcome = until.await;
            stop.cancel();
            outcome
        };
        let mut engine_ended = driven;
        let served = async { tokio::join!(until, serving) };
        let (outcome, drained) = tokio::select! {
            served = served => served,
            ended = &mut engine_ended => {
                cluster.shutdown().await;
                return Err(engine_failure(ended));
            }
        };
        if !drained {
            tracing::warn!("some requests did not end within --drain; they were cut");
        }
        engine_stop.cancel();
        match engine_ended.await {
            Ok(Ok(())) => {}
            ended => return Err(engine_failure(ended)),
        }
        cluster.shutdown().await;
        store.close().await;
        Ok(outcome)
    }
}

fn repositories(config: &Config) -> Result<Arc<dyn SourceRepository>, Stop> {
    let wrong_base = |error: git::BaseError| Stop::wrong(format!("--git-base-url: {error}"));
    let base = match &config.git.git_base_url {
        None => git::GitBase::Folder(config.storage.git_folder()),
        Some(GitBase::Folder(folder)) => git::GitBase::Folder(folder.clone()),
        Some(GitBase::Url { url, .. }) => {
            git::GitBase::parse(url, config.git.git_allow_http).map_err(wrong_base)?
        }
    };
    let limits = GitLimits {
        timeout: config.git.git_timeout,
        max_bytes: usize::try_from(config.git.git_max_bytes).unwrap_or(usize::MAX),
        ..GitLimits::default()
    };
    let access = GitAccess {
        ca_file: config.git.git_ca_file.clone(),
        credentials_file: config.git.git_credentials_file.clone(),
        ssh_key: config.git.git_ssh_key.clone(),
        known_hosts: config.git.git_known_hosts.clone(),
    };
    let default_branch = config.git.default_branch.clone();
    let cache = config.storage.data_dir.join("git-cache");
    let repositories = GitRepositories::new(GitConfig {
        base,
        access,
        default_branch,
        cache,
        limits,
    });
    Ok(Arc::new(
        repositories.map_err(|error| wrong("git cannot be used", &error))?,
    ))
}

/// Who checks tokens; `None` where no key is configured.
fn tokens(config: &Tokens, clock: Arc<dyn Clock>) -> Result<Option<Arc<dyn TokenVerifier>>, Stop> {
    let (flag, keys) = match (&config.jwt_secret_file, &config.jwt_jwks) {
        (Some(file), _) => ("--jwt-secret-file", KeyFile::Secret(file.clone())),
        (None, Some(file)) => ("--jwt-jwks", KeyFile::Jwks(file.clone())),
        (None, None) => return Ok(None),
    };
    let what = format!("{flag} {} cannot be used", keys.path().display());
    let verifier = JwtVerifier::open(
        JwtConfig {
            keys,
            issuer: config.jwt_issuer.clone(),
            audience: config.jwt_audience.clone(),
            leeway: config.jwt_leeway,
        },
        clock,
    );
    Ok(Some(Arc::new(verifier.map_err(|error| wrong(&what, &error))?)))
}

fn engine_failure(ended: Result<Result<(), EngineError>, tokio::task::JoinError>) -> Stop {
    match ended {
        Ok(Ok(())) => Stop {
            code: 1,
            text: "the engine ended although nobody told it to".to_owned(),
        },
        Ok(Err(error)) => failed("the engine ended", &error),
        Err(error) => failed("the engine ended", &error),
    }
}

/// What is wrong with the configuration, with everything below it on the same line.
fn wrong(what: &str, error: &dyn std::error::Error) -> Stop {
    Stop {
        code: 2,
        ..failed(what, error)
    }
}

fn failed(what: &str, error: &dyn std::error::Error) -> Stop {
    let mut text = format!("{what}: {error}");
    let mut source = error.source();
    while let Some(below) = source {
        text += &format!(": {below}");
        source = below.source();
    }
    Stop { code: 1, text }
}

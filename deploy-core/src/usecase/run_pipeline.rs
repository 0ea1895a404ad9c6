//! Begins a run: loads and validates everything it will need, at one commit per repository, before anything starts.

mod allowed;

use std::collections::{HashMap, HashSet};

use futures::stream::{self, StreamExt};

use crate::authz::{Action, Caller, Reader};
use crate::deployer::Deployer;
use crate::engine::Command;
use crate::error::{Error, ErrorCode};
use crate::manifest::{Manifest, Violation};
use crate::names::{Branch, Directory, Namespace, PipelineId, PipelineName, RepositoryName};
use crate::pipeline::definition::{Definition, StepDefinition};
use crate::pipeline::{Run, RunState, RunStatus, StepCounts};
use crate::ports::Resolved;
use crate::task::{Source, Status, Step, Task};
use crate::work::DocumentKind;
use crate::workload::{Timestamp, Warning, WarningCode};

use super::deploy_task::code_of;
use super::plan::{self, Override, Placement};
use super::read::RunView;
use super::{default_namespace, source};

/// How many repositories or manifests are read side by side.
const READS_AT_ONCE: usize = 16;

/// A run of a pipeline that git holds.
#[derive(Debug, Clone)]
pub struct RunPipeline {
    /// Where its definition is.
    pub repository: RepositoryName,
    /// Where its definition is.
    pub directory: Directory,
    /// The run's name.
    pub name: PipelineName,
    /// Where its steps run; `None` = the repository's.
    pub namespace: Option<Namespace>,
    /// From which branch; `None` = the default.
    pub branch: Option<Branch>,
}

/// A run of a configuration given with the request.
#[derive(Debug, Clone)]
pub struct RunConfiguration {
    /// Where its steps run.
    pub namespace: Namespace,
    /// pipeline.json
    pub configuration: Vec<u8>,
}

/// A definition on its way to a run.
struct Draft {
    definition: Definition,
    name: PipelineName,
    namespace: Namespace,
    claim: Option<RepositoryName>,
    source: Option<Source>,
    warnings: Vec<Warning>,
}

/// Who runs what, when: the same for every step.
struct Frame<'a> {
    caller: &'a Caller,
    run: PipelineId,
    namespace: &'a Namespace,
    now: Timestamp,
}

/// The manifest of one directory, and where it was read.
type Loaded = Result<(Manifest, Source), Vec<Violation>>;

impl Deployer {
    /// Begins a run of a pipeline from git. Answers when it is recorded.
    ///
    /// # Errors
    /// What git, the documents, the policy or the record say against it; nothing has been started then.
    pub async fn run_pipeline(&self, caller: &Caller, request: RunPipeline) -> Result<RunView, Error> {
        let RunPipeline {
            repository,
            directory,
            name,
            namespace,
            branch,
        } = request;
        let (namespace, claim) = match namespace {
            Some(namespace) => (namespace, None),
            None => (default_namespace(&repository)?, Some(repository.clone())),
        };
        self.authorize(caller, Action::Run, &namespace, Some(&repository))?;
        let kind = DocumentKind::Pipeline;
        let fetched = source::fetch(&self.ports, kind, &repository, &directory, branch.as_ref()).await?;
        let definition = Definition::parse(&fetched.bytes).map_err(invalid)?;
        let (source, warnings) = (Some(fetched.source), fetched.warnings);
        self.begin(
            caller,
            Draft {
                definition,
                name,
                namespace,
                claim,
                source,
                warnings,
            },
        )
        .await
    }

    /// Begins a run of a configuration. Answers when it is recorded.
    ///
    /// # Errors
    /// As [`Deployer::run_pipeline`].
    pub async fn run_configuration(
        &self,
        caller: &Caller,
        request: RunConfiguration,
    ) -> Result<RunView, Error> {
        let RunConfiguration {
            namespace,
            configuration,
        } = request;
        self.authorize(caller, Action::Run, &namespace, None)?;
        let definition = Definition::parse(&configuration).map_err(invalid)?;
        let (name, claim, source, warnings) = (definition.name.clone(), None, None, Vec::new());
        self.begin(
            caller,
            Draft {
                definition,
                name,
                namespace,
                claim,
                source,
                warnings,
            },
        )
        .await
    }

    async fn begin(&self, caller: &Caller, draft: Draft) -> Result<RunView, Error> {
        let Draft {
            definition,
            name,
            namespace,
            claim,
            source,
            mut warnings,
        } = draft;
        self.authorize_steps(caller, &namespace, &definition.steps)?;
        let manifests = self
            .load_manifests(&definition, source.as_ref(), &mut warnings)
            .await?;

        let id = self.ports.ids.pipeline();
        let frame = Frame {
            caller,
            run: id,
            namespace: &namespace,
            now: self.ports.clock.now(),
        };
        let (mut steps, mut violations) = (Vec::with_capacity(definition.steps.len()), Vec::new());
        for (index, step) in (0..).zip(&definition.steps) {
            let dependance = definition.graph.dependances(index).to_vec();
            match manifests.get(&(&step.repository, &step.directory)) {
                Some(Ok((manifest, source))) => {
                    let planned = self
                        .plan_step(&frame, index, step, dependance, manifest.clone(), source)
                        .await?;
                    match planned {
                        Ok(task) => steps.push(task),
                        Err(found) => violations.extend(in_step(index, step, found)),
                    }
                }
                Some(Err(found)) => violations.extend(in_step(index, step, found.clone())),
                None => violations.push(Violation::new(
                    format!("/tasks/{index}"),
                    "its manifest was not loaded",
                )),
            }
        }
        if !violations.is_empty() {
            return Err(invalid(violations));
        }
        self.authorize_replacing(caller, &steps).await?;
        self.ensure_namespace(&namespace, claim.as_ref()).await?;
        let status = RunStatus {
            state: RunState::Running,
            in_error: false,
            finished_at: None,
            counts: StepCounts::default(),
        };
        let Caller { identity, groups } = caller.clone();
        let (created_at, original) = (frame.now, definition.original);
        let run = Run {
            id,
            name,
            original,
            namespace,
            source,
            identity,
            groups,
            created_at,
            warnings,
            status,
        };
        let (run, graph) = (Box::new(run), definition.graph);
        self.inbox
            .ask(|answer| Command::Run {
                run,
                steps,
                graph,
                answer,
            })
            .await?;
        // It has only begun: nothing has failed that would have to be kept from anyone.
        self.run_view(Reader::Anyone, id).await
    }

    /// Every manifest the definition names, each read once, at one commit per repository: the pipeline's own at the
    /// pipeline's commit, any other at its default branch. Everything that is missing or bad is told of each.
    async fn load_manifests<'d>(
        &self,
        definition: &'d Definition,
        own: Option<&Source>,
        warnings: &mut Vec<Warning>,
    ) -> Result<HashMap<(&'d RepositoryName, &'d Directory), Loaded>, Error> {
        let kind = DocumentKind::Task;
        let places: HashSet<_> = definition
            .steps
            .iter()
            .map(|step| (&step.repository, &step.directory))
            .collect();
        let repositories: HashSet<_> = places.iter().map(|(repository, _)| *repository).collect();
        // The futures are made before the stream: a closure in it would have to hold for every lifetime.
        let resolving: Vec<_> = repositories
            .into_iter()
            .map(|repository| async move {
                let resolved = match own.filter(|own| own.repository == *repository) {
                    Some(own) => {
                        let (branch, commit) = (own.branch.clone(), own.commit.clone());
                        Ok(Resolved {
                            branch,
                            commit,
                            absent_default: None,
                        })
                    }
                    None => self.ports.source.resolve(repository, None).await,
                };
                (repository, resolved.map_err(|error| source::explain(error, kind)))
            })
            .collect();
        let commits: Vec<_> = stream::iter(resolving)
            .buffer_unordered(READS_AT_ONCE)
            .collect()
            .await;
        let mut resolved = HashMap::new();
        for (repository, outcome) in commits {
            let outcome = missing_is_a_violation(outcome)?;
            if let Some(mut warning) = outcome.as_ref().ok().and_then(source::absent_default) {
                warning.message = format!("{repository}: {}", warning.message);
                warnings.push(warning);
            }
            resolved.insert(repository, outcome);
        }
        let reads: Vec<_> = places
            .into_iter()
            .map(|(repository, directory)| {
                let at = resolved.get(repository);
                async move {
                    let loaded = match at {
                        Some(Ok(at)) => {
                            let bytes =
                                source::read(&self.ports, kind, repository, directory, &at.commit).await;
                            missing_is_a_violation(bytes)?.and_then(|bytes| {
                                let (repository, directory) = (repository.clone(), directory.clone());
                                let (branch, commit) = (at.branch.clone(), at.commit.clone());
                                Ok((
                                    Manifest::parse(&bytes)?,
                                    Source {
                                        repository,
                                        directory,
                                        branch,
                                        commit,
                                    },
                                ))
                            })
                        }
                        Some(Err(violations)) => Err(violations.clone()),
                        None => Err(vec![Violation::new("", "its repository was not looked at")]),
                    };
                    Ok(((repository, directory), loaded))
                }
            })
            .collect();
        let loaded: Vec<Result<_, Error>> = stream::iter(reads)
            .buffer_unordered(READS_AT_ONCE)
            .collect()
            .await;
        loaded.into_iter().collect()
    }

    async fn plan_step(
        &self,
        frame: &Frame<'_>,
        index: u32,
        definition: &StepDefinition,
        dependance: Vec<u32>,
        manifest: Manifest,
        source: &Source,
    ) -> Result<Result<Task, Vec<Violation>>, Error> {
        let mut warnings = Vec::new();
        if plan::has_schedule(&manifest.kind) {
            let message = "the manifest's schedule is ignored: a step runs when its dependances are finished";
            warnings.push(Warning::new(WarningCode::ScheduleIgnored, message));
        }
        let name =
            match plan::is_job(&manifest.kind).then(|| plan::step_job_name(frame.run, &definition.name)) {
                Some(Ok(name)) => Some(name),
                Some(Err(error)) => return Ok(Err(vec![Violation::new("/name", error.to_string())])),
                None => None,
            };
        let placement = Placement {
            task: self.ports.ids.task(),
            identity: frame.caller.identity.clone(),
            run: Some(frame.run),
            namespace: frame.namespace.clone(),
            name,
            code: Some(code_of(source)),
        };
        let rollout_seconds = plan::rollout_seconds(&manifest.kind);
        let overriding = Override::Step(definition.env.clone());
        let workload = match plan::workload(manifest, placement, overriding) {
            Ok(workload) => workload,
            Err(violations) => return Ok(Err(violations)),
        };
        let reviewed = self.review(&workload).await?;
        if !reviewed.violations.is_empty() {
            return Ok(Err(reviewed.violations));
        }
        warnings.extend(reviewed.warnings);
        let step = Step {
            index,
            name: definition.name.clone(),
            namespacetask: format!("{}/{}", definition.repository, definition.directory),
            dependance,
            run_if_error: definition.run_if_error,
            rollout_seconds,
        };
        Ok(Ok(Task {
            workload,
            source: Some(source.clone()),
            step: Some(step),
            created_at: frame.now,
            warnings,
            build: reviewed.build,
            status: Status::waiting(),
        }))
    }
}

/// What a step names and git has not, or has and we cannot use, is the definition's fault; anything else stays an
/// error of its own.
fn missing_is_a_violation<T>(result: Result<T, Error>) -> Result<Result<T, Vec<Violation>>, Error> {
    use ErrorCode::{BranchNotFound, ManifestNotFound, RepositoryNotFound, UnusableFile};
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error)
            if matches!(
                error.code,
                RepositoryNotFound | BranchNotFound | ManifestNotFound | UnusableFile
            ) =>
        {
            Ok(Err(vec![Violation::new("", error.detail)]))
        }
        Err(error) => Err(error),
    }
}

/// The violations of a step's manifest, told at the step that names it.
fn in_step(index: u32, step: &StepDefinition, violations: Vec<Violation>) -> impl Iterator<Item = Violation> {
    let place = format!("{}/{}", step.repository, step.directory);
    violations.into_iter().map(move |violation| {
        let message = match violation.pointer.as_str() {
            "" => format!("{place}: {}", violation.message),
            pointer => format!("{place}/manifest.json, at {pointer}: {}", violation.message),
        };
        Violation::new(place_of(index), message)
    })
}

/// Where the definition says what a step deploys.
fn place_of(index: u32) -> String {
    format!("/tasks/{index}/namespacetask")
}

fn invalid(violations: Vec<Violation>) -> Error {
    let detail =
        "the pipeline, or a manifest of its steps, is not valid; see the violations. Nothing was started";
    Error::new(ErrorCode::InvalidPipeline, detail).with_violations(violations)
}

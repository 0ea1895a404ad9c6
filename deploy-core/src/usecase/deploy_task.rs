//! Deploys one task: from git, or from a configuration given with the request.

use std::sync::Arc;

use crate::authz::{self, Action, Caller, Decision, Policy};
use crate::deployer::Deployer;
use crate::engine::{Command, Objection};
use crate::error::{Error, ErrorCode};
use crate::manifest::{Image, Manifest, Schedule, Violation};
use crate::names::{Branch, Directory, Namespace, RepositoryName, ResourceName};
use crate::ports::SourceError;
use crate::task::{Intent, Source, Status, Task};
use crate::work::DocumentKind;
use crate::workload::{Code, Warning, Workload};

use super::plan::{self, Override, Placement};
use super::read::TaskView;
use super::sight::target_of;
use super::{default_namespace, source};

/// A deploy of a task that git holds.
#[derive(Debug, Clone)]
pub struct DeployTask {
    /// Where its manifest is.
    pub repository: RepositoryName,
    /// Where its manifest is.
    pub directory: Directory,
    /// Where it shall run; `None` = the repository's.
    pub namespace: Option<Namespace>,
    /// Under which name; `None` = the manifest's.
    pub name: Option<ResourceName>,
    /// From which branch; `None` = the default.
    pub branch: Option<Branch>,
    /// Overrides the manifest's.
    pub schedule: Option<Schedule>,
    /// Whether a job that has not finished is removed first.
    pub replace: bool,
}

/// A deploy of a configuration given with the request.
#[derive(Debug, Clone)]
pub struct DeployConfiguration {
    /// Where it shall run.
    pub namespace: Namespace,
    /// manifest.json
    pub configuration: Vec<u8>,
    /// Where its code is, at the default branch, for an `image-destination`.
    pub origin: Option<(RepositoryName, Directory)>,
    /// Whether a job that has not finished is removed first.
    pub replace: bool,
}

/// A manifest on its way to a cluster.
struct Draft {
    manifest: Manifest,
    source: Option<Source>,
    warnings: Vec<Warning>,
    namespace: Namespace,
    claim: Option<RepositoryName>,
    name: Option<ResourceName>,
    schedule: Option<Schedule>,
    replace: bool,
}

impl Deployer {
    /// Deploys a task from git. Answers when its object is there, or its image is being built.
    ///
    /// # Errors
    /// What git, the manifest, the policy, the record or the cluster say against it. A code that says "unavailable"
    /// means that it was not done and will not be.
    pub async fn deploy_task(&self, caller: &Caller, request: DeployTask) -> Result<TaskView, Error> {
        let DeployTask {
            repository,
            directory,
            namespace,
            name,
            branch,
            schedule,
            replace,
        } = request;
        let (namespace, claim) = match namespace {
            Some(namespace) => (namespace, None),
            None => (default_namespace(&repository)?, Some(repository.clone())),
        };
        self.authorize(caller, Action::Deploy, &namespace, Some(&repository))?;
        let kind = DocumentKind::Task;
        let fetched = source::fetch(&self.ports, kind, &repository, &directory, branch.as_ref()).await?;
        let manifest = Manifest::parse(&fetched.bytes).map_err(invalid)?;
        let (source, warnings) = (Some(fetched.source), fetched.warnings);
        self.deploy(
            caller,
            Draft {
                manifest,
                source,
                warnings,
                namespace,
                claim,
                name,
                schedule,
                replace,
            },
        )
        .await
    }

    /// Deploys a configuration. Answers when its object is there, or its image is being built.
    ///
    /// # Errors
    /// As [`Deployer::deploy_task`].
    pub async fn deploy_configuration(
        &self,
        caller: &Caller,
        request: DeployConfiguration,
    ) -> Result<TaskView, Error> {
        let DeployConfiguration {
            namespace,
            configuration,
            origin,
            replace,
        } = request;
        // What is deployed is the caller's own words, whatever repository they name beside it: naming one that they may
        // deploy must not stand in for what that repository holds.
        self.authorize(caller, Action::Deploy, &namespace, None)?;
        if let Some((repository, _)) = &origin {
            self.authorize(caller, Action::Deploy, &namespace, Some(repository))?;
        }
        let manifest = Manifest::parse(&configuration).map_err(invalid)?;
        let mut warnings = Vec::new();
        let source = match origin {
            None if matches!(manifest.image, Image::Built(_)) => {
                let message = "an image is built from the code in git, and this request names none; \
                               give repository and directory, or use `image` for one that is only pulled";
                return Err(invalid(vec![Violation::new("/image-destination", message)]));
            }
            None => None,
            Some((repository, directory)) => {
                let resolved = self.ports.source.resolve(&repository, None).await;
                let resolved = resolved.map_err(|error| source::explain(error, DocumentKind::Task))?;
                warnings.extend(source::absent_default(&resolved));
                Some(Source {
                    repository,
                    directory,
                    branch: resolved.branch,
                    commit: resolved.commit,
                })
            }
        };
        let (claim, name, schedule) = (None, None, None);
        self.deploy(
            caller,
            Draft {
                manifest,
                source,
                warnings,
                namespace,
                claim,
                name,
                schedule,
                replace,
            },
        )
        .await
    }

    async fn deploy(&self, caller: &Caller, draft: Draft) -> Result<TaskView, Error> {
        let Draft {
            manifest,
            source,
            mut warnings,
            namespace,
            claim,
            name,
            schedule,
            replace,
        } = draft;
        let code = source.as_ref().map(code_of);
        let (task, identity) = (self.ports.ids.task(), caller.identity.clone());
        let placement = Placement {
            task,
            identity,
            run: None,
            namespace,
            name,
            code,
        };
        let workload = plan::workload(manifest, placement, Override::Deploy(schedule)).map_err(invalid)?;
        let reviewed = self.review(&workload).await?;
        warnings.extend(reviewed.warnings);
        if !reviewed.violations.is_empty() {
            return Err(invalid(reviewed.violations));
        }
        self.ensure_namespace(&workload.namespace, claim.as_ref()).await?;
        let objection = self.objection_to_replacing(caller);
        let (created_at, build) = (self.ports.clock.now(), reviewed.build);
        // The engine decides what is to be done first; this only stands until it has.
        let status = Status::accepted(Intent::Apply);
        let task = Box::new(Task {
            workload,
            source,
            step: None,
            created_at,
            warnings,
            build,
            status,
        });
        let task = self
            .inbox
            .ask(|answer| Command::Deploy {
                task,
                replace,
                objection,
                answer,
            })
            .await?;
        // It is done: that its pods cannot be listed now must not say otherwise.
        let pods = self.ports.inventory.pods_of(task.id()).await;
        let pods = pods.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(task = %task.id(), error, "the pods of a new task cannot be listed");
            Vec::new()
        });
        Ok(TaskView { task, pods })
    }

    /// Whoever replaces what was deployed from another repository, or from none, needs to be allowed to deploy that too.
    fn objection_to_replacing(&self, caller: &Caller) -> Objection {
        let (policy, caller) = (Arc::clone(&self.policy), caller.clone());
        Box::new(move |holder| {
            if may_replace(&policy, &caller, holder) {
                Ok(())
            } else {
                Err(Error::new(ErrorCode::Denied, NOT_TO_REPLACE))
            }
        })
    }

    /// What the cluster at hand makes of a workload, and whether its image has to be built.
    pub(super) async fn review(&self, workload: &Workload) -> Result<Reviewed, Error> {
        let review = self.ports.cluster.review(workload);
        let mut reviewed = Reviewed {
            warnings: review.warnings,
            violations: review.violations,
            build: false,
        };
        let Some(code) = workload
            .code
            .as_ref()
            .filter(|_| review.runs_images && plan::wants_build(workload))
        else {
            return Ok(reviewed);
        };
        let dockerfile =
            self.ports
                .source
                .tree_hash(&code.repository, &code.commit, &code.directory, "code/Dockerfile");
        match dockerfile.await {
            Ok(_) => reviewed.build = true,
            Err(SourceError::PathNotFound) => return Ok(reviewed),
            Err(error) => return Err(source::explain(error, DocumentKind::Task)),
        }
        if self.ports.image_builder.is_none() {
            let detail = "the image has to be built from code/Dockerfile and this server has no image builder; \
                          use `image` for one that is only pulled";
            return Err(Error::new(ErrorCode::NoImageBuilder, detail));
        }
        Ok(reviewed)
    }
}

/// Whether a caller may deploy what a task deploys, and so put something else in its place.
pub(crate) fn may_replace(policy: &Policy, caller: &Caller, holder: &Task) -> bool {
    let decision = authz::decide(policy, caller, Action::Deploy, target_of(holder));
    decision == Decision::Allowed
}

/// It does not say whose it is.
pub(crate) const NOT_TO_REPLACE: &str =
    "the policy does not let you replace what is deployed under this name; use another name";

/// What came of a review.
pub(super) struct Reviewed {
    pub(super) warnings: Vec<Warning>,
    pub(super) violations: Vec<Violation>,
    pub(super) build: bool,
}

/// Where a document's task has its code.
pub(super) fn code_of(source: &Source) -> Code {
    Code {
        repository: source.repository.clone(),
        directory: source.directory.clone(),
        commit: source.commit.clone(),
    }
}

fn invalid(violations: Vec<Violation>) -> Error {
    Error::new(
        ErrorCode::InvalidManifest,
        "the manifest is not valid; see the violations",
    )
    .with_violations(violations)
}

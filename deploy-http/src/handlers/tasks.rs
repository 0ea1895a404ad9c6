//! Deploying a task, its state and its log.

use std::sync::Arc;

use deploy_core::deployer::{DeployConfiguration, DeployTask, TaskView};
use deploy_core::names::{Directory, RepositoryName, TaskId};
use deploy_core::task::State as TaskState;
use deploy_core::{Error, ErrorCode};
use hyper::StatusCode;

use super::Services;
use crate::conditional::{self, State};
use crate::gate::Call;
use crate::problem::Problem;
use crate::reply::{Reply, json, located, text};
use crate::wire::TaskJson;

/// Rows 1 to 5: they differ in where they take a value from, not in what it does.
///
/// # Errors
/// 400, and the use case's.
pub async fn deploy(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    let request = DeployTask {
        repository: call.path("repository")?,
        directory: call.path("directory")?,
        namespace: call.namespace_or_default()?,
        name: call.given("name")?,
        branch: call.form.parsed("branch")?,
        schedule: call.form.parsed("schedule")?,
        replace: call.query.switch("replace")?,
    };
    accepted(&services.deployer.deploy_task(call.caller()?, request).await?)
}

/// Row 8.
///
/// # Errors
/// 400, and the use case's.
pub async fn deploy_configuration(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    let repository: Option<RepositoryName> = call.form.parsed("repository")?;
    let directory: Option<Directory> = call.form.parsed("directory")?;
    let origin = match (repository, directory) {
        (Some(repository), Some(directory)) => Some((repository, directory)),
        (None, None) => None,
        _ => {
            return Err(Problem::parameter(
                "`repository` and `directory` in the form: give both or neither",
            ));
        }
    };
    let request = DeployConfiguration {
        namespace: call.required("namespace")?,
        configuration: call.document("configuration"),
        origin,
        replace: call.query.switch("replace")?,
    };
    accepted(
        &services
            .deployer
            .deploy_configuration(call.caller()?, request)
            .await?,
    )
}

/// Row 9.
///
/// # Errors
/// 400, and the use case's.
pub async fn state(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    let id: TaskId = call.path("id")?;
    conditional::answer(&services, &call, id.uuid(), || async {
        let TaskView { task, pods } = services.deployer.task(call.reader()?, id).await?;
        let state = task.status.state;
        if matches!(state, TaskState::Waiting | TaskState::Skipped) {
            // A step that never became a task: no answer has ever named its id.
            return Err(Error::new(ErrorCode::TaskNotFound, "there is no task of this id").into());
        }
        State::new(&TaskJson::new(&task, &pods), state.is_final())
    })
    .await
}

/// Row 36.
///
/// # Errors
/// 400, and the use case's.
pub async fn log(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    const LINES: u32 = 200;
    const MOST_LINES: u32 = 10_000;
    let id = call.path("id")?;
    let lines = call.query.number("tail", 1..=MOST_LINES)?.unwrap_or(LINES);
    let lines = usize::try_from(lines).map_err(Problem::bug)?;
    Ok(text(services.deployer.task_log(call.reader()?, id, lines).await?))
}

fn accepted(view: &TaskView) -> Result<Reply, Problem> {
    let reply = json(StatusCode::ACCEPTED, &TaskJson::new(&view.task, &view.pods))?;
    located(reply, &format!("/v1/task/state/{}", view.task.id()))
}

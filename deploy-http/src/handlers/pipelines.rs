//! Running a pipeline, its state, and its kill.

use std::sync::Arc;

use deploy_core::deployer::{RunConfiguration, RunPipeline, RunView};
use deploy_core::names::PipelineId;
use hyper::StatusCode;

use super::Services;
use crate::conditional::{self, State};
use crate::gate::Call;
use crate::problem::Problem;
use crate::reply::{Reply, json, located};
use crate::wire::RunJson;

/// Rows 11 to 14: they differ in where they take a value from, not in what it does.
///
/// # Errors
/// 400, and the use case's.
pub async fn run(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    let request = RunPipeline {
        repository: call.path("repository")?,
        directory: call.path("directory")?,
        name: call.path("name")?,
        namespace: call.namespace_or_default()?,
        branch: call.form.parsed("branch")?,
    };
    let view = services.deployer.run_pipeline(call.caller()?, request).await?;
    answered(StatusCode::ACCEPTED, &view)
}

/// Row 17.
///
/// # Errors
/// 400, and the use case's.
pub async fn run_configuration(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    let request = RunConfiguration {
        namespace: call.required("namespace")?,
        configuration: call.document("configuration"),
    };
    let view = services
        .deployer
        .run_configuration(call.caller()?, request)
        .await?;
    answered(StatusCode::ACCEPTED, &view)
}

/// Row 18.
///
/// # Errors
/// 400, and the use case's.
pub async fn state(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    let namespace = call.namespace()?;
    let id: PipelineId = call.path("id")?;
    conditional::answer(&services, &call, id.uuid(), || async {
        let RunView { run, steps } = services.deployer.pipeline(call.reader()?, &namespace, id).await?;
        State::new(&RunJson::new(&run, &steps), run.status.state.is_final())
    })
    .await
}

/// Row 19.
///
/// # Errors
/// 400, and the use case's.
pub async fn kill(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    let id = call.path("id")?;
    let cleanup = call.query.switch("cleanup")?;
    let (view, had_ended) = services
        .deployer
        .kill_pipeline(call.caller()?, call.reader()?, id, cleanup)
        .await?;
    answered(
        if had_ended {
            StatusCode::OK
        } else {
            StatusCode::ACCEPTED
        },
        &view,
    )
}

fn answered(status: StatusCode, view: &RunView) -> Result<Reply, Problem> {
    let reply = json(status, &RunJson::new(&view.run, &view.steps))?;
    located(
        reply,
        &format!("/v1/pipeline/state/{}/{}", view.run.namespace, view.run.id),
    )
}

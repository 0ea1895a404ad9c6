//! Loading a configuration from git, and what became of it.

use std::sync::Arc;

use deploy_core::deployer::LoadConfiguration;
use deploy_core::names::WorkId;
use deploy_core::work::{DocumentKind, WorkProgress};
use hyper::StatusCode;

use super::Services;
use crate::conditional::{self, State};
use crate::gate::Call;
use crate::problem::Problem;
use crate::reply::{Reply, json, located};
use crate::wire::WorkJson;

/// Row 6.
///
/// # Errors
/// 400, and the use case's.
pub async fn load_task(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    load(DocumentKind::Task, &services, &call).await
}

/// Row 15.
///
/// # Errors
/// 400, and the use case's.
pub async fn load_pipeline(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    load(DocumentKind::Pipeline, &services, &call).await
}

/// Row 7.
///
/// # Errors
/// 400, and the use case's.
pub async fn task_state(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    state(DocumentKind::Task, &services, &call).await
}

/// Row 16.
///
/// # Errors
/// 400, and the use case's.
pub async fn pipeline_state(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    state(DocumentKind::Pipeline, &services, &call).await
}

async fn load(kind: DocumentKind, services: &Services, call: &Call) -> Result<Reply, Problem> {
    let request = LoadConfiguration {
        kind,
        repository: call.path("repository")?,
        directory: call.path("directory")?,
        branch: call.form.parsed("branch")?,
    };
    let work = services
        .deployer
        .load_configuration(call.reader()?, request)
        .await?;
    let of = match kind {
        DocumentKind::Task => "task",
        DocumentKind::Pipeline => "pipeline",
    };
    let reply = json(StatusCode::ACCEPTED, &WorkJson::new(&work))?;
    located(
        reply,
        &format!("/v2/{of}/get/configuration-loading-state/{}", work.id),
    )
}

async fn state(kind: DocumentKind, services: &Services, call: &Call) -> Result<Reply, Problem> {
    let id: WorkId = call.path("work_id")?;
    conditional::answer(services, call, id.uuid(), || async {
        let work = services.deployer.work(call.reader()?, kind, id).await?;
        State::new(
            &WorkJson::new(&work),
            !matches!(work.progress, WorkProgress::Loading),
        )
    })
    .await
}

//! Templates of manifests and pipelines.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::names::TemplatePath;
use deploy_core::work::DocumentKind;
use hyper::StatusCode;

use super::Services;
use super::lists::{Paging, aged, continued};
use crate::gate::Call;
use crate::problem::Problem;
use crate::reply::{Reply, json};
use crate::wire::{TemplateJson, Templates};

/// Row 10.
///
/// # Errors
/// 400, and the use case's.
pub async fn get_task(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    get(DocumentKind::Task, &services, &call).await
}

/// Row 20.
///
/// # Errors
/// 400, and the use case's.
pub async fn get_pipeline(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    get(DocumentKind::Pipeline, &services, &call).await
}

/// Row 28.
///
/// # Errors
/// 400, and the use case's.
pub async fn list_task(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    list(DocumentKind::Task, &services, &call).await
}

/// Row 29.
///
/// # Errors
/// 400, and the use case's.
pub async fn list_pipeline(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    list(DocumentKind::Pipeline, &services, &call).await
}

async fn get(kind: DocumentKind, services: &Services, call: &Call) -> Result<Reply, Problem> {
    let path: TemplatePath = call.required("template_path")?;
    let configuration = services.deployer.template(call.reader()?, kind, &path).await?;
    json(
        StatusCode::OK,
        &TemplateJson {
            template_path: &path,
            configuration: &configuration,
        },
    )
}

async fn list(kind: DocumentKind, services: &Services, call: &Call) -> Result<Reply, Problem> {
    let Paging { limit, after } = Paging::<TemplatePath>::of(call)?;
    let page = services
        .deployer
        .list_templates(call.reader()?, kind, after.as_ref(), limit)
        .await?;
    let continued = continued(&page, TemplatePath::clone);
    // Read from the store itself, so it is as old as this answer.
    aged(
        &Templates {
            template_filenames: &page.items,
            continued,
        },
        Duration::ZERO,
    )
}

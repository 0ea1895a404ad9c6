//! Deleting what was deployed.

use std::sync::Arc;

use deploy_core::workload::Kind;
use hyper::StatusCode;

use super::Services;
use crate::gate::Call;
use crate::problem::Problem;
use crate::reply::{Reply, json};
use crate::wire::DeletedJson;

/// Row 30.
///
/// # Errors
/// 400, and the use case's.
pub async fn job(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    delete(Kind::Job, &services, &call).await
}

/// Row 31.
///
/// # Errors
/// 400, and the use case's.
pub async fn cronjob(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    delete(Kind::CronJob, &services, &call).await
}

/// Row 32.
///
/// # Errors
/// 400, and the use case's.
pub async fn deployment(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    delete(Kind::Deployment, &services, &call).await
}

/// Row 33.
///
/// # Errors
/// 400, and the use case's.
pub async fn service(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    delete(Kind::Service, &services, &call).await
}

/// The placeholder of the name is called as the kind is.
async fn delete(kind: Kind, services: &Services, call: &Call) -> Result<Reply, Problem> {
    let namespace = call.namespace()?;
    let name = call.path(kind.as_str())?;
    let deleted = services
        .deployer
        .delete_task(call.caller()?, call.reader()?, kind, namespace, name)
        .await?;
    json(StatusCode::OK, &DeletedJson { deleted: &deleted })
}

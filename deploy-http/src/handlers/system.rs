//! Probes.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::json;

use super::Services;
use crate::gate::Call;
use crate::problem::Problem;
use crate::reply::{self, Reply};

/// Row 34: the process answers. It asks nothing else, so that a database that is away restarts no server.
///
/// # Errors
/// None.
pub async fn alive(_services: Arc<Services>, _call: Call) -> Result<Reply, Problem> {
    reply::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// Row 35: what it needs answers too.
///
/// # Errors
/// 503 where it does not.
pub async fn ready(services: Arc<Services>, _call: Call) -> Result<Reply, Problem> {
    services.deployer.ready().await?;
    reply::json(StatusCode::OK, &json!({"status": "ready"}))
}

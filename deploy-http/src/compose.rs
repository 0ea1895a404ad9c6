//! Puts the server together. The only file that names an adapter.

use std::io;

use deploy_core::Deployer;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Stop};
use crate::logging;
use crate::server::told_to_stop;
use crate::serving::Bound;

/// Serves until the process is told to stop.
///
/// # Errors
/// Wrong configuration (2), or whatever else kept it from serving or from ending in time (1).
pub async fn serve(config: Config) -> Result<(), Stop> {
    logging::begin(&config.log)?;
    let bound = Bound::new(&config.listen).await?;
    let deployer = deployer(&config)?;
    bound
        .announce(&mut io::stdout())
        .map_err(|error| failed("standard output cannot be written to", &error))?;
    let stop = CancellationToken::new();
    let serving = bound.serve(&config, deployer, stop.clone());
    let told = async {
        let told = told_to_stop().await;
        stop.cancel();
        told
    };
    let (told, drained) = tokio::join!(told, serving);
    told.map_err(|error| failed("signals cannot be listened for", &error))?;
    if !drained {
        tracing::warn!("some requests did not end within --drain; they were cut");
    }
    Ok(())
}

fn deployer(_config: &Config) -> Result<Deployer, Stop> {
    Ok(Deployer {})
}

fn failed(what: &str, error: &dyn std::error::Error) -> Stop {
    Stop {
        code: 1,
        text: format!("{what}: {error}"),
    }
}

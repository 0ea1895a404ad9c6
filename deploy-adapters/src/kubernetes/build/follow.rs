//! Waiting for a Job's end, by a watch of that one Job. What breaks is begun again, once a second at most: a build that
//! is under way goes on whether or not its end can be seen.

use std::time::Duration;

use deploy_core::ports::BuildError;
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use tokio::time::timeout;

use super::verdict::{self, Verdict};
use super::{KubernetesImageBuilder, PAUSE, version};
use crate::kubernetes::marks;

/// After this many seconds the server ends a watch.
const WATCH_SECONDS: u32 = 45;
/// After this long without a word a watch is given up: its connection is broken, and nobody said so.
const SILENCE: Duration = Duration::from_secs(50);

/// What a watch told.
enum Told {
    Ended(Box<Job>),
    Gone,
    /// It is over, and the Job is not.
    Nothing,
    /// It broke.
    Broken,
}

impl KubernetesImageBuilder {
    /// The Job as it has ended; `None` where it vanished first.
    pub(super) async fn ended(&self, mut job: Job) -> Result<Option<Job>, BuildError> {
        let name = job.metadata.name.clone().unwrap_or_default();
        let uid = job.metadata.uid.clone();
        loop {
            if !matches!(verdict::of(&job), Verdict::Underway) {
                return Ok(Some(job));
            }
            match self.told(&name, &job).await {
                Told::Ended(job) => return Ok(Some(*job)),
                Told::Gone => return Ok(None),
                Told::Nothing => {}
                Told::Broken => self.clock.sleep(PAUSE).await,
            }
            job = loop {
                match self.look(&name).await {
                    Ok(Some(found)) if found.metadata.uid == uid => break found,
                    Ok(_) => return Ok(None),
                    Err(BuildError::Unavailable(error)) => {
                        tracing::debug!(
                            build = name,
                            error = &*error,
                            "the builder Job cannot be seen now"
                        );
                        self.clock.sleep(PAUSE).await;
                    }
                    Err(failed @ BuildError::Failed { .. }) => return Err(failed),
                }
            };
        }
    }

    async fn told(&self, name: &str, job: &Job) -> Told {
        let jobs: Api<Job> = Api::namespaced(self.watches.clone(), self.namespace.as_str());
        let parameters = WatchParams::default()
            .labels(&format!("{}={name}", marks::BUILD))
            .timeout(WATCH_SECONDS);
        let events = match timeout(SILENCE, jobs.watch(&parameters, version(&job.metadata))).await {
            Ok(Ok(events)) => events,
            Ok(Err(_)) | Err(_) => return Told::Broken,
        };
        pin_mut!(events);
        loop {
            match timeout(SILENCE, events.next()).await {
                Ok(Some(Ok(WatchEvent::Added(seen) | WatchEvent::Modified(seen))))
                    if seen.metadata.uid == job.metadata.uid =>
                {
                    if !matches!(verdict::of(&seen), Verdict::Underway) {
                        return Told::Ended(Box::new(seen));
                    }
                }
                Ok(Some(Ok(WatchEvent::Deleted(seen)))) if seen.metadata.uid == job.metadata.uid => {
                    return Told::Gone;
                }
                Ok(Some(Ok(WatchEvent::Error(_)) | Err(_))) | Err(_) => return Told::Broken,
                // Of another Job of its name, or a bookmark.
                Ok(Some(Ok(_))) => {}
                Ok(None) => return Told::Nothing,
            }
        }
    }
}

//! Kills a run.

use crate::authz::{Action, Caller, Reader};
use crate::deployer::Deployer;
use crate::engine::Command;
use crate::error::Error;
use crate::names::PipelineId;

use super::read::{RunView, no_run};

impl Deployer {
    /// Kills a run: no step starts after this has answered, running ones are being stopped; with `cleanup`, waiting
    /// run-if-error steps still run. Answers the run, and whether it had ended before. `reader` is what the caller may
    /// see: a run that they may neither kill nor read is for them not there.
    ///
    /// # Errors
    /// No such run; what the policy or the record say against it.
    pub async fn kill_pipeline(
        &self,
        caller: &Caller,
        reader: Reader<'_>,
        id: PipelineId,
        cleanup: bool,
    ) -> Result<(RunView, bool), Error> {
        let run = self.run(id).await?;
        let repository = run.source.as_ref().map(|source| &source.repository);
        if let Err(error) = self.authorize(caller, Action::Kill, &run.namespace, repository) {
            let seen = self.sight(reader).shows_run(&run);
            return Err(if seen { error } else { no_run() });
        }
        let had_ended = self
            .inbox
            .ask(|answer| Command::Kill {
                run: id,
                cleanup,
                answer,
            })
            .await?;
        Ok((self.run_view(reader, id).await?, had_ended))
    }
}

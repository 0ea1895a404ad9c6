//! Whether a caller may deploy every step of a run; decided before anything of it is begun, and told at the steps' places.

use crate::authz::{Action, Caller, Decision, Target};
use crate::deployer::Deployer;
use crate::error::{Error, ErrorCode};
use crate::manifest::Violation;
use crate::names::Namespace;
use crate::pipeline::definition::StepDefinition;
use crate::task::Task;
use crate::workload::Kind;

use super::place_of;
use crate::usecase::deploy_task::{NOT_TO_REPLACE, may_replace};
use crate::usecase::reserved;

impl Deployer {
    /// Each step is a deploy of its repository into the run's namespace. Decided before any of them is looked for, so that
    /// the answer does not tell which of them exist.
    pub(super) fn authorize_steps(
        &self,
        caller: &Caller,
        namespace: &Namespace,
        steps: &[StepDefinition],
    ) -> Result<(), Error> {
        let standing = self.policy.standing(caller, Action::Deploy);
        let mut violations = Vec::new();
        for (index, step) in (0..).zip(steps) {
            match standing.on(Target {
                namespace: Some(namespace),
                repository: Some(&step.repository),
            }) {
                Decision::Allowed => {}
                Decision::Reserved => return Err(reserved()),
                Decision::Denied => {
                    let message =
                        "the policy does not let you deploy this repository into the run's namespace";
                    violations.push(Violation::new(place_of(index), message));
                }
            }
        }
        denied_steps(violations)
    }

    /// A step's job has a name of its own; its deployment or service takes the place of whatever holds its name.
    pub(super) async fn authorize_replacing(&self, caller: &Caller, steps: &[Task]) -> Result<(), Error> {
        let standing = self.policy.standing(caller, Action::Deploy);
        let mut violations = Vec::new();
        for (index, step) in (0..).zip(steps) {
            // Nothing is read where it does not matter whose the holder is.
            let whatever = standing.whatever_repository(&step.workload.namespace);
            if step.kind() == Kind::Job || whatever == Some(Decision::Allowed) {
                continue;
            }
            let holder = self.ports.tasks.holder(&step.slot()).await?;
            if holder.is_some_and(|holder| !may_replace(&self.policy, caller, &holder)) {
                violations.push(Violation::new(place_of(index), NOT_TO_REPLACE));
            }
        }
        denied_steps(violations)
    }
}

fn denied_steps(violations: Vec<Violation>) -> Result<(), Error> {
    if violations.is_empty() {
        return Ok(());
    }
    let detail = "the policy does not let you deploy every step; see the violations. Nothing was started";
    Err(Error::new(ErrorCode::Denied, detail).with_violations(violations))
}

//! Whether somebody may do something: pure. Who they are was decided at the edge; what a namespace is, by the cluster.

mod glob;
mod policy;

pub use policy::{Policy, Standing};

use crate::names::{Identity, Namespace, RepositoryName};

/// Who asks, as the edge believes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub identity: Identity,
    /// The groups they are in.
    pub groups: Vec<String>,
}

/// Who reads.
#[derive(Debug, Clone, Copy)]
pub enum Reader<'a> {
    /// Whoever it is: reads are not protected where the request came in.
    Anyone,
    /// This one, who sees what the policy lets them read.
    Caller(&'a Caller),
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Deploy a task, or have a step deployed.
    Deploy,
    /// Run a pipeline.
    Run,
    /// Kill a run.
    Kill,
    /// Delete an object.
    Delete,
    /// Read what may be secret to others.
    Read,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Deploy, Self::Run, Self::Kill, Self::Delete, Self::Read];

    /// As it is written in a policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Run => "run",
            Self::Kill => "kill",
            Self::Delete => "delete",
            Self::Read => "read",
        }
    }

    /// Whether it changes anything in the namespace.
    #[must_use]
    pub const fn changes(self) -> bool {
        !matches!(self, Self::Read)
    }
}

/// What it is asked of. To change what belongs to no namespace or repository, a rule has to be about all of them; to read
/// it, it is enough to be allowed to read anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The namespace; `None` for what is in none, as a template.
    pub namespace: Option<&'a Namespace>,
    /// The repository; `None` for what comes from none, as a configuration given with a request.
    pub repository: Option<&'a RepositoryName>,
}

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Allowed,
    /// A rule says no, or none says yes.
    Denied,
    /// The namespace is reserved, whoever asks.
    Reserved,
}

/// Decides. Reserved namespaces come first; then the first rule that matches; then no, where there are rules at all.
#[must_use]
pub fn decide(policy: &Policy, caller: &Caller, action: Action, on: Target<'_>) -> Decision {
    policy.standing(caller, action).on(on)
}

#[cfg(test)]
mod tests;

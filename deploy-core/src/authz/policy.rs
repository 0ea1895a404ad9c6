//! The policy file: ordered rules, the first that matches decides, and none means no.
//!
//! ```json
//! {"reserved": ["platform-*"],
//!  "rules": [{"effect": "allow", "identities": ["*@data.example"], "groups": ["admins"],
//!             "actions": ["deploy", "run"], "namespaces": ["data-*"], "repositories": ["*"]}]}
//! ```
//! A list that is absent matches everything; a rule with identities and groups matches either. `*` stands for any run
//! of characters, and nothing else is special.

mod parse;

use crate::manifest::Violation;
use crate::names::{Namespace, RepositoryName};

use super::glob::Glob;
use super::{Action, Caller, Decision, Target};

/// Namespaces that nothing is ever deployed into or deleted from.
const ALWAYS_RESERVED: [&str; 2] = ["default", "kube-*"];

/// The rules in force. The default has none and allows whatever is not reserved.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Option<Vec<Rule>>,
    reserved: Vec<Glob>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rules: None,
            reserved: ALWAYS_RESERVED.map(Glob::exact).into(),
        }
    }
}

/// One rule.
#[derive(Debug, Clone)]
struct Rule {
    effect: Effect,
    identities: Option<Vec<Glob>>,
    groups: Option<Vec<Glob>>,
    actions: Option<Vec<Action>>,
    namespaces: Names,
    repositories: Names,
}

/// Which names of a target a rule is about: those that a glob matches; all, where its list is absent or holds `*`.
#[derive(Debug, Clone)]
struct Names(Option<Vec<Glob>>);

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// Every violation of its form, each with the place where it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Violation>> {
        parse::policy(bytes)
    }

    /// The same with more namespaces reserved, as the server's own.
    #[must_use]
    pub fn reserving(mut self, globs: impl IntoIterator<Item = String>) -> Self {
        self.reserved
            .extend(globs.into_iter().map(|glob| Glob::exact(&glob)));
        self
    }

    /// What the rules say to this caller about this action, wherever it is asked for.
    #[must_use]
    pub fn standing(&self, caller: &Caller, action: Action) -> Standing<'_> {
        let speaks = |rule: &&Rule| rule.is_about(action) && rule.speaks_to(caller);
        Standing {
            policy: self,
            action,
            rules: self
                .rules
                .as_ref()
                .map(|rules| rules.iter().filter(speaks).collect()),
        }
    }

    fn reserves(&self, namespace: &Namespace) -> bool {
        self.reserved.iter().any(|glob| glob.matches(namespace.as_str()))
    }
}

/// The rules that speak to one caller about one action, so that a list asks who it is for once and not for each item.
#[derive(Debug, Clone)]
pub struct Standing<'p> {
    policy: &'p Policy,
    action: Action,
    /// In their order; `None` = there is no policy file.
    rules: Option<Vec<&'p Rule>>,
}

impl Standing<'_> {
    /// Decides. Reserved namespaces come first; then the first rule that matches; then no, where there are rules at all.
    #[must_use]
    pub fn on(&self, target: Target<'_>) -> Decision {
        if self.action.changes() && target.namespace.is_some_and(|name| self.policy.reserves(name)) {
            return Decision::Reserved;
        }
        let Some(rules) = &self.rules else {
            return Decision::Allowed;
        };
        let first = rules.iter().find(|rule| rule.is_for(self.action, target));
        Effect::decision(first.map(|rule| rule.effect))
    }

    /// The decision where it is the same for every repository; `None` where it depends on which.
    #[must_use]
    pub fn whatever_repository(&self, namespace: &Namespace) -> Option<Decision> {
        if self.action.changes() && self.policy.reserves(namespace) {
            return Some(Decision::Reserved);
        }
        let Some(rules) = &self.rules else {
            return Some(Decision::Allowed);
        };
        let mut here = rules
            .iter()
            .filter(|rule| rule.namespaces.has(namespace.as_str()));
        match here.next() {
            Some(rule) => rule
                .repositories
                .0
                .is_none()
                .then(|| Effect::decision(Some(rule.effect))),
            None => Some(Decision::Denied),
        }
    }

    /// Whether it is allowed for that repository whichever the namespace.
    #[must_use]
    pub fn in_every_namespace(&self, repository: &RepositoryName) -> bool {
        let Some(rules) = &self.rules else { return true };
        let about = |rule: &&&Rule| rule.repositories.has(repository.as_str());
        // What allows some namespaces decides nothing for the others; what denies some denies too much.
        let first = rules
            .iter()
            .filter(about)
            .find(|rule| rule.effect == Effect::Deny || rule.namespaces.0.is_none());
        first.is_some_and(|rule| rule.effect == Effect::Allow)
    }

    /// Whether there is a repository for which it is allowed there.
    #[must_use]
    pub fn for_some_repository(&self, namespace: &Namespace) -> bool {
        if self.action.changes() && self.policy.reserves(namespace) {
            return false;
        }
        let Some(rules) = &self.rules else { return true };
        let mut denied: Vec<&Glob> = Vec::new();
        for rule in rules
            .iter()
            .filter(|rule| rule.namespaces.has(namespace.as_str()))
        {
            match (rule.effect, &rule.repositories.0) {
                (Effect::Allow, None) => return true,
                (Effect::Allow, Some(globs)) => {
                    let is_left = |glob: &Glob| !denied.iter().any(|denied| denied.covers(glob));
                    if globs.iter().any(is_left) {
                        return true;
                    }
                }
                (Effect::Deny, None) => return false,
                (Effect::Deny, Some(globs)) => denied.extend(globs),
            }
        }
        false
    }
}

impl Rule {
    fn is_about(&self, action: Action) -> bool {
        self.actions
            .as_ref()
            .is_none_or(|actions| actions.contains(&action))
    }

    fn speaks_to(&self, caller: &Caller) -> bool {
        let by_identity = self
            .identities
            .as_ref()
            .map(|globs| globs.iter().any(|glob| glob.matches_identity(&caller.identity)));
        let by_group = self.groups.as_ref().map(|globs| {
            let mut groups = caller.groups.iter();
            groups.any(|group| globs.iter().any(|glob| glob.matches(group)))
        });
        match (by_identity, by_group) {
            (None, None) => true,
            (by_identity, by_group) => by_identity.unwrap_or(false) || by_group.unwrap_or(false),
        }
    }

    /// Whether it is about that target. What a target has no part of belongs to nobody in particular: whoever may read
    /// anything may read it, and only a rule about all of them lets anyone change it.
    fn is_for(&self, action: Action, target: Target<'_>) -> bool {
        let lenient = !action.changes() && self.effect == Effect::Allow;
        let part = |names: &Names, name: Option<&str>| match name {
            Some(name) => names.has(name),
            None => lenient || names.0.is_none(),
        };
        part(&self.namespaces, target.namespace.map(Namespace::as_str))
            && part(&self.repositories, target.repository.map(|name| name.as_str()))
    }
}

impl Names {
    fn of(globs: Option<Vec<Glob>>) -> Self {
        Self(globs.filter(|globs| !globs.iter().any(Glob::is_any)))
    }

    fn has(&self, name: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|globs| globs.iter().any(|glob| glob.matches(name)))
    }
}

impl Effect {
    /// What comes of the first rule that matches, if any does.
    const fn decision(first: Option<Self>) -> Decision {
        match first {
            Some(Self::Allow) => Decision::Allowed,
            Some(Self::Deny) | None => Decision::Denied,
        }
    }
}

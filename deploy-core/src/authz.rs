//! Whether somebody may do something: pure. Who they are was decided at the edge; what a namespace is, by the cluster.

mod policy;

pub use policy::{Effect, Policy, Rule};

use crate::names::{Identity, Namespace, RepositoryName};

/// Who asks, as the edge believes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub identity: Identity,
    /// The groups they are in.
    pub groups: Vec<String>,
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

/// What it is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The namespace.
    pub namespace: &'a Namespace,
    /// The repository; `None` for what comes from none. Only `*` allows it then.
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
    if action.changes() && policy.reserves(on.namespace) {
        return Decision::Reserved;
    }
    match policy.first_match(caller, action, on) {
        Some(Effect::Allow) => Decision::Allowed,
        Some(Effect::Deny) => Decision::Denied,
        None if policy.is_open() => Decision::Allowed,
        None => Decision::Denied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{
        "reserved": ["platform-*"],
        "rules": [
            {"effect": "deny", "identities": ["eve@*"]},
            {"effect": "allow", "groups": ["admins"]},
            {"effect": "allow", "identities": ["*@data.example"], "actions": ["deploy", "run"],
             "namespaces": ["data-*"], "repositories": ["etl", "ml-*"]}
        ]
    }"#;

    #[track_caller]
    fn check(
        policy: &Policy,
        who: &str,
        groups: &[&str],
        action: Action,
        on: (&str, Option<&str>),
        expected: Decision,
    ) {
        let caller = Caller {
            identity: who.parse().unwrap(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        };
        let namespace = on.0.parse().unwrap();
        let repository = on.1.map(|name| name.parse().unwrap());
        let target = Target {
            namespace: &namespace,
            repository: repository.as_ref(),
        };
        assert_eq!(
            decide(policy, &caller, action, target),
            expected,
            "{who} {action:?} {on:?}"
        );
    }

    #[test]
    fn without_a_policy_anyone_may_do_anything_but_in_reserved_namespaces() {
        let open = Policy::default();
        check(
            &open,
            "ada@x.example",
            &[],
            Action::Deploy,
            ("team", Some("etl")),
            Decision::Allowed,
        );
        for reserved in ["default", "kube-system", "kube-public"] {
            check(
                &open,
                "ada@x.example",
                &[],
                Action::Deploy,
                (reserved, Some("etl")),
                Decision::Reserved,
            );
            check(
                &open,
                "ada@x.example",
                &[],
                Action::Delete,
                (reserved, None),
                Decision::Reserved,
            );
            check(
                &open,
                "ada@x.example",
                &[],
                Action::Read,
                (reserved, None),
                Decision::Allowed,
            );
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides_and_none_denies() {
        let policy = Policy::parse(POLICY.as_bytes()).unwrap();
        use Action::{Deploy, Kill};
        use Decision::{Allowed, Denied, Reserved};
        for (who, groups, action, on, expected) in [
            (
                "ada@data.example",
                &[] as &[&str],
                Deploy,
                ("data-1", Some("etl")),
                Allowed,
            ),
            ("Ada@DATA.example", &[], Deploy, ("data-1", Some("ml-x")), Allowed),
            ("ada@data.example", &[], Deploy, ("data-1", Some("web")), Denied),
            ("ada@data.example", &[], Deploy, ("data-1", None), Denied),
            ("ada@data.example", &[], Deploy, ("web", Some("etl")), Denied),
            ("ada@data.example", &[], Kill, ("data-1", Some("etl")), Denied),
            ("bob@web.example", &[], Deploy, ("data-1", Some("etl")), Denied),
            ("bob@web.example", &["admins"], Kill, ("web", None), Allowed),
            (
                "eve@data.example",
                &["admins"],
                Deploy,
                ("data-1", Some("etl")),
                Denied,
            ),
            (
                "bob@web.example",
                &["admins"],
                Deploy,
                ("platform-x", Some("etl")),
                Reserved,
            ),
        ] {
            check(&policy, who, groups, action, on, expected);
        }
    }
}

//! The policy file: ordered rules, the first that matches decides, and none means no.
//!
//! ```json
//! {"reserved": ["platform-*"],
//!  "rules": [{"effect": "allow", "identities": ["*@data.example"], "groups": ["admins"],
//!             "actions": ["deploy", "run"], "namespaces": ["data-*"], "repositories": ["*"]}]}
//! ```
//! A list that is absent matches everything; a rule with identities and groups matches either. `*` stands for any run
//! of characters, and nothing else is special.

use serde::Deserialize;

use crate::manifest::{Document, Violation};
use crate::names::Namespace;

use super::{Action, Caller, Target};

/// Namespaces that nothing is ever deployed into or deleted from.
const ALWAYS_RESERVED: [&str; 2] = ["default", "kube-*"];

/// The rules in force. The default has none and allows whatever is not reserved.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    rules: Option<Vec<Rule>>,
    reserved: Vec<String>,
}

/// One rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    effect: Effect,
    identities: Option<Vec<String>>,
    groups: Option<Vec<String>>,
    actions: Option<Vec<String>>,
    namespaces: Option<Vec<String>>,
    repositories: Option<Vec<String>>,
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Yes.
    Allow,
    /// No.
    Deny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    reserved: Vec<String>,
    rules: Vec<Rule>,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// Every violation of its form.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Violation>> {
        let document = Document::parse(bytes)?;
        let file: File = serde_json::from_value(document.value)
            .map_err(|error| vec![Violation::new("", error.to_string())])?;
        let known = [
            Action::Deploy,
            Action::Run,
            Action::Kill,
            Action::Delete,
            Action::Read,
        ]
        .map(Action::as_str);
        let mut violations = Vec::new();
        for (index, rule) in file.rules.iter().enumerate() {
            for (at, action) in rule.actions.iter().flatten().enumerate() {
                if !known.contains(&action.as_str()) {
                    let message = format!("not an action; expected one of {}", known.join(", "));
                    violations.push(Violation::new(format!("/rules/{index}/actions/{at}"), message));
                }
            }
        }
        if violations.is_empty() {
            Ok(Self {
                rules: Some(file.rules),
                reserved: file.reserved,
            })
        } else {
            Err(violations)
        }
    }

    /// The same with more namespaces reserved, as the server's own.
    #[must_use]
    pub fn reserving(mut self, globs: impl IntoIterator<Item = String>) -> Self {
        self.reserved.extend(globs);
        self
    }

    pub(super) fn reserves(&self, namespace: &Namespace) -> bool {
        let listed = self.reserved.iter().map(String::as_str);
        ALWAYS_RESERVED
            .into_iter()
            .chain(listed)
            .any(|glob| matches(glob, namespace.as_str()))
    }

    /// Whether there are no rules at all.
    pub(super) const fn is_open(&self) -> bool {
        self.rules.is_none()
    }

    pub(super) fn first_match(&self, caller: &Caller, action: Action, on: Target<'_>) -> Option<Effect> {
        let rule = self
            .rules
            .iter()
            .flatten()
            .find(|rule| rule.matches(caller, action, on))?;
        Some(rule.effect)
    }
}

impl Rule {
    fn matches(&self, caller: &Caller, action: Action, on: Target<'_>) -> bool {
        let any = |globs: &Option<Vec<String>>, text: &str| {
            globs
                .as_ref()
                .is_none_or(|globs| globs.iter().any(|glob| matches(glob, text)))
        };
        let repository = on.repository.map_or("", |name| name.as_str());
        self.matches_who(caller)
            && any(&self.actions, action.as_str())
            && any(&self.namespaces, on.namespace.as_str())
            && any(&self.repositories, repository)
    }

    fn matches_who(&self, caller: &Caller) -> bool {
        let identity = caller.identity.as_str().to_ascii_lowercase();
        let by_identity = self
            .identities
            .as_ref()
            .map(|globs| globs.iter().any(|g| matches(&g.to_ascii_lowercase(), &identity)));
        let by_group = self.groups.as_ref().map(|globs| {
            caller
                .groups
                .iter()
                .any(|group| globs.iter().any(|glob| matches(glob, group)))
        });
        match (by_identity, by_group) {
            (None, None) => true,
            (by_identity, by_group) => by_identity.unwrap_or(false) || by_group.unwrap_or(false),
        }
    }
}

/// Whether `*` in `glob` can be filled so that it reads `text`. Linear but for backing up to the last `*`.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut g, mut t, mut last_star) = (0, 0, None);
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                last_star = Some((g, t));
                g += 1;
            }
            Some(byte) if text.get(t) == Some(byte) => {
                g += 1;
                t += 1;
            }
            _ => match last_star {
                Some((star, from)) => {
                    g = star + 1;
                    t = from + 1;
                    last_star = Some((star, from + 1));
                }
                None => return false,
            },
        }
    }
    glob.get(g..)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_as_written() {
        for (glob, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("*ab*ab", "abab", true),
            ("kube-*", "kube-", true),
            ("kube-*", "kube", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob:?} {text:?}");
        }
    }

    #[test]
    fn a_policy_with_unknown_words_is_refused() {
        for text in [
            r#"{"rules": [{"effect": "allow", "acions": ["deploy"]}]}"#,
            r#"{"rules": [{"effect": "permit"}]}"#,
            r#"{"rules": [{"effect": "allow", "actions": ["fly"]}]}"#,
            r#"{}"#,
        ] {
            assert!(Policy::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}

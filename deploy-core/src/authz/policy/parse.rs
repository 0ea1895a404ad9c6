//! From the bytes of a policy file to a [`Policy`], or to every violation at once. It refuses what can never match: a
//! rule that is there and says nothing is a rule that somebody believes in.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::manifest::fields::{Fields, Violations, array, string};
use crate::manifest::nearest::nearest;
use crate::manifest::{Document, Violation};
use crate::names::{Identity, Namespace, RepositoryName};

use super::{Action, Effect, Glob, Names, Policy, Rule};

const KEYS: [&str; 2] = ["reserved", "rules"];
const RULE_KEYS: [&str; 6] = [
    "effect",
    "identities",
    "groups",
    "actions",
    "namespaces",
    "repositories",
];
const EFFECTS: [(&str, Effect); 2] = [("allow", Effect::Allow), ("deny", Effect::Deny)];

/// A decision looks at each rule once; more than this is a list of people, which belongs into groups.
const MAX_RULES: usize = 1000;

/// The longest name a glob can be meant for is a mailbox's, or Kubernetes' own (253).
const MAX_GLOB: usize = 253;

/// What a glob is matched against.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Identity,
    Group,
    Namespace,
    Repository,
}

pub(super) fn policy(bytes: &[u8]) -> Result<Policy, Vec<Violation>> {
    let document = Document::parse(bytes)?;
    let mut out = Violations::default();
    let policy = read(&document.value, &mut out);
    match policy {
        Some(policy) if out.is_empty() => Ok(policy),
        _ => Err(out.into_list()),
    }
}

/// `None` only where a violation was recorded.
fn read(value: &Value, out: &mut Violations) -> Option<Policy> {
    let fields = Fields::of(value, "", &KEYS, out)?;
    // An empty list reserves nothing more, which is what it says.
    let reserved = match fields.get("reserved") {
        None => Some(Vec::new()),
        Some(value) => globs(value, &fields.at("reserved"), Of::Namespace, Glob::exact, out),
    };
    fields.require("rules", "an array of rules", out);
    let pointer = fields.at("rules");
    let rules = array(fields.get("rules")?, &pointer, "an array of rules", out)?;
    if rules.is_empty() {
        let message = "no rule denies everything to everyone; to mean that, write [{\"effect\": \"deny\"}]";
        out.push(&pointer, message);
    }
    if rules.len() > MAX_RULES {
        let message = format!(
            "found {} rules, expected at most {MAX_RULES}; put people into groups",
            rules.len()
        );
        out.push(&pointer, message);
        return None;
    }
    // All of them are read, so that everything that is wrong is told.
    let rules: Vec<_> = rules
        .into_iter()
        .map(|(pointer, value)| rule(value, &pointer, out))
        .collect();
    let mut policy = Policy::default();
    policy.reserved.extend(reserved?);
    policy.rules = Some(rules.into_iter().collect::<Option<_>>()?);
    Some(policy)
}

fn rule(value: &Value, pointer: &str, out: &mut Violations) -> Option<Rule> {
    let fields = Fields::of(value, pointer, &RULE_KEYS, out)?;
    fields.require("effect", "\"allow\" or \"deny\"", out);
    let effect = fields.choice("effect", &EFFECTS, out);
    // A git host may take a repository's name in any case, and an issuer a subject, so what is denied is denied in any.
    // What is allowed is allowed as it is written.
    let of_names = match effect {
        Some(Effect::Deny) => Glob::any_case,
        _ => Glob::exact,
    };
    let mut list = |key: &str, of: Of, make: fn(&str) -> Glob| match fields.get(key) {
        None => Some(None),
        Some(value) => filled(value, &fields.at(key), out)
            .and_then(|value| globs(value, &fields.at(key), of, make, out))
            .map(Some),
    };
    let identities = list("identities", Of::Identity, of_names);
    let groups = list("groups", Of::Group, Glob::exact);
    let namespaces = list("namespaces", Of::Namespace, Glob::exact);
    let repositories = list("repositories", Of::Repository, of_names);
    let actions = match fields.get("actions") {
        None => Some(None),
        Some(value) => filled(value, &fields.at("actions"), out)
            .and_then(|value| actions(value, &fields.at("actions"), out))
            .map(Some),
    };
    Some(Rule {
        effect: effect?,
        identities: identities?,
        groups: groups?,
        actions: actions?,
        namespaces: Names::of(namespaces?),
        repositories: Names::of(repositories?),
    })
}

/// A list that is not empty: an empty one would match nothing.
fn filled<'a>(value: &'a Value, pointer: &str, out: &mut Violations) -> Option<&'a Value> {
    if value.as_array().is_some_and(Vec::is_empty) {
        out.push(
            pointer,
            "an empty list matches nothing; leave the key out to match everything",
        );
        return None;
    }
    Some(value)
}

fn actions(value: &Value, pointer: &str, out: &mut Violations) -> Option<Vec<Action>> {
    let elements = array(value, pointer, "an array of actions", out)?;
    let read = |(pointer, element): (String, &Value)| {
        let text = string(element, &pointer, out)?;
        let found = Action::ALL.into_iter().find(|action| action.as_str() == text);
        if found.is_none() {
            let words = Action::ALL.map(Action::as_str);
            let cure = match nearest(text, words.into_iter()) {
                Some(near) => format!("the nearest is \"{near}\""),
                None => format!("expected one of \"{}\"", words.join("\", \"")),
            };
            out.push(pointer, format!("not an action; {cure}"));
        }
        found
    };
    let found: Vec<_> = elements.into_iter().map(read).collect();
    found.into_iter().collect()
}

fn globs(
    value: &Value,
    pointer: &str,
    of: Of,
    make: fn(&str) -> Glob,
    out: &mut Violations,
) -> Option<Vec<Glob>> {
    let elements = array(value, pointer, of.list(), out)?;
    let read = |(pointer, element): (String, &Value)| {
        let text = string(element, &pointer, out)?;
        if let Some(message) = of.objection(text) {
            out.push(pointer, message);
            return None;
        }
        Some(make(text))
    };
    let found: Vec<_> = elements.into_iter().map(read).collect();
    found.into_iter().collect()
}

impl Of {
    const fn list(self) -> &'static str {
        match self {
            Self::Identity => "an array of identities",
            Self::Group => "an array of groups",
            Self::Namespace => "an array of namespaces",
            Self::Repository => "an array of repositories",
        }
    }

    /// Why a glob can match nothing of the kind, and what could. It never repeats the glob.
    fn objection(self, glob: &str) -> Option<String> {
        if glob.is_empty() {
            return Some("an empty text matches nothing; \"*\" matches everything".to_owned());
        }
        if glob.chars().count() > MAX_GLOB {
            return Some(format!("longer than {MAX_GLOB} characters"));
        }
        let can_be: fn(char) -> bool = match self {
            Self::Identity => |c| c.is_ascii_graphic() || c == ' ',
            Self::Group => |c| !c.is_control(),
            Self::Namespace => |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
            Self::Repository => |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'),
        };
        if !glob.chars().all(|letter| letter == '*' || can_be(letter)) {
            return Some(self.letters().to_owned());
        }
        if glob.contains('*') {
            return None;
        }
        // Without a `*` it is a name, and has to be one.
        match self {
            Self::Identity => Identity::subject(glob).err().map(unread),
            Self::Group => None,
            Self::Namespace => unparsed::<Namespace>(glob),
            Self::Repository => unparsed::<RepositoryName>(glob),
        }
    }

    const fn letters(self) -> &'static str {
        match self {
            Self::Identity => {
                "matches no identity: expected a mailbox or a token's subject, with `*` where it may differ"
            }
            Self::Group => "matches no group: it holds a control character",
            Self::Namespace => {
                "matches no namespace: expected a-z, 0-9 and '-', with `*` where it may differ"
            }
            Self::Repository => {
                "matches no repository: expected letters, digits, '.', '_' and '-', with `*` where it may differ"
            }
        }
    }
}

fn unparsed<T: FromStr<Err: fmt::Display>>(text: &str) -> Option<String> {
    text.parse::<T>().err().map(unread)
}

fn unread(error: impl fmt::Display) -> String {
    format!("{error}; a `*` stands for any run of characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a policy, each as `pointer: message`.
    fn violations(text: &str) -> Vec<String> {
        let violations = Policy::parse(text.as_bytes()).err().unwrap_or_default();
        let line = |v: &Violation| format!("{}: {}", v.pointer, v.message);
        violations.iter().map(line).collect()
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found = violations(text);
        assert_eq!(found.len(), expected.len(), "{text}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                found.starts_with(expected),
                "{text}: {found}, expected {expected}"
            );
        }
    }

    fn with(rule: &str) -> String {
        format!(r#"{{"rules": [{{"effect": "allow", {rule}}}]}}"#)
    }

    #[test]
    fn every_key_is_known_or_told_with_the_nearest_one() {
        check("{}", &["/rules: missing: expected an array of rules"]);
        check("[]", &[": found an array, expected an object"]);
        check(
            r#"{"rules": {}}"#,
            &["/rules: found an object, expected an array of rules"],
        );
        check(
            r#"{"rules": []}"#,
            &["/rules: no rule denies everything to everyone"],
        );
        check(
            r#"{"reserverd": [], "rule": []}"#,
            &[
                "/reserverd: unknown key \"reserverd\"; the nearest known one is \"reserved\"",
                "/rule: unknown key \"rule\"; the nearest known one is \"rules\"",
                "/rules: missing",
            ],
        );
        check(
            &with(r#""acions": ["deploy"], "namespace": ["a"]"#),
            &[
                "/rules/0/acions: unknown key \"acions\"; the nearest known one is \"actions\"",
                "/rules/0/namespace: unknown key \"namespace\"; the nearest known one is \"namespaces\"",
            ],
        );
        check(
            r#"{"rules": [{}, {"effect": "permit"}, {"effect": true}, 7]}"#,
            &[
                "/rules/0/effect: missing: expected \"allow\" or \"deny\"",
                "/rules/1/effect: expected one of \"allow\", \"deny\"",
                "/rules/2/effect: found a boolean, expected a string",
                "/rules/3: found a number, expected an object",
            ],
        );
    }

    #[test]
    fn an_action_that_is_none_is_told_with_the_nearest_one() {
        check(
            &with(r#""actions": ["deploy", "deplyo", "fly", 1]"#),
            &[
                "/rules/0/actions/1: not an action; the nearest is \"deploy\"",
                "/rules/0/actions/2: not an action; expected one of \"deploy\", \"run\", \"kill\", \"delete\", \"read\"",
                "/rules/0/actions/3: found a number, expected a string",
            ],
        );
        check(
            &with(r#""actions": "deploy""#),
            &["/rules/0/actions: found a string, expected an array of actions"],
        );
    }

    #[test]
    fn what_can_match_nothing_is_refused_at_its_place() {
        let long = "a".repeat(254);
        for (rule, expected) in [
            (r#""identities": []"#, "identities: an empty list matches nothing"),
            (r#""actions": []"#, "actions: an empty list matches nothing"),
            (
                r#""groups": null"#,
                "groups: found null, expected an array of groups",
            ),
            (r#""groups": [""]"#, "groups/0: an empty text matches nothing"),
            (r#""groups": ["a\nb"]"#, "groups/0: matches no group"),
            (
                r#""namespaces": ["a", "Data-*"]"#,
                "namespaces/1: matches no namespace",
            ),
            (r#""namespaces": ["a_*"]"#, "namespaces/0: matches no namespace"),
            (
                r#""namespaces": ["-a"]"#,
                "namespaces/0: not a namespace: 1 to 63 of a-z",
            ),
            (
                r#""repositories": ["a/b*"]"#,
                "repositories/0: matches no repository",
            ),
            (
                r#""repositories": ["-a"]"#,
                "repositories/0: not a repository: 1 to 100",
            ),
            (
                r#""identities": ["ada@b@c"]"#,
                "identities/0: not a subject: 1 to 254",
            ),
            (r#""identities": ["ada*\t"]"#, "identities/0: matches no identity"),
            (r#""identities": ["ä*"]"#, "identities/0: matches no identity"),
            (
                &format!(r#""groups": ["{long}"]"#),
                "groups/0: longer than 253 characters",
            ),
        ] {
            check(&with(rule), &[&format!("/rules/0/{expected}")]);
        }
        check(
            r#"{"reserved": ["Kube-*", 1], "rules": [{"effect": "deny"}]}"#,
            &[
                "/reserved/0: matches no namespace",
                "/reserved/1: found a number, expected a string",
            ],
        );
    }

    #[test]
    fn rules_are_bounded_in_number() {
        let rules = |count| {
            format!(
                r#"{{"rules": [{}]}}"#,
                vec![r#"{"effect":"deny"}"#; count].join(",")
            )
        };
        assert!(Policy::parse(rules(MAX_RULES).as_bytes()).is_ok());
        check(
            &rules(MAX_RULES + 1),
            &["/rules: found 1001 rules, expected at most 1000"],
        );
    }

    #[test]
    fn a_message_never_repeats_a_value() {
        for rule in [
            r#""identities": ["s3cret@@"]"#,
            r#""actions": ["s3cret"]"#,
            r#""namespaces": ["S3CRET"]"#,
        ] {
            let told = violations(&with(rule)).join("\n").to_lowercase();
            assert!(!told.is_empty() && !told.contains("s3cret"), "{told}");
        }
    }
}

//! Decisions, as tables.

use proptest::prelude::*;

use super::Action::{Delete, Deploy, Kill, Read, Run};
use super::Decision::{Allowed, Denied, Reserved};
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

fn caller(who: &str, groups: &[&str]) -> Caller {
    Caller {
        identity: who.parse().unwrap(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

fn policy(text: &str) -> Policy {
    Policy::parse(text.as_bytes()).unwrap()
}

/// `on` is a namespace and a repository; "-" is none.
fn decided(policy: &Policy, caller: &Caller, action: Action, on: (&str, &str)) -> Decision {
    let namespace = (on.0 != "-").then(|| on.0.parse().unwrap());
    let repository = (on.1 != "-").then(|| on.1.parse().unwrap());
    let target = Target {
        namespace: namespace.as_ref(),
        repository: repository.as_ref(),
    };
    decide(policy, caller, action, target)
}

#[test]
fn without_a_policy_anyone_may_do_anything_but_in_reserved_namespaces() {
    let (open, ada) = (Policy::default(), caller("ada@x.example", &[]));
    for (action, on, expected) in [
        (Deploy, ("team", "etl"), Allowed),
        (Deploy, ("default", "etl"), Reserved),
        (Run, ("kube-system", "etl"), Reserved),
        (Delete, ("kube-public", "-"), Reserved),
        (Read, ("kube-public", "-"), Allowed),
        (Read, ("-", "-"), Allowed),
    ] {
        assert_eq!(decided(&open, &ada, action, on), expected, "{action:?} {on:?}");
    }
    let more = Policy::default().reserving(["own-*".to_owned()]);
    assert_eq!(decided(&more, &ada, Deploy, ("own-1", "etl")), Reserved);
}

#[test]
fn the_first_rule_that_matches_decides_and_none_denies() {
    let policy = policy(POLICY);
    for (who, groups, action, on, expected) in [
        (
            "ada@data.example",
            &[] as &[&str],
            Deploy,
            ("data-1", "etl"),
            Allowed,
        ),
        ("Ada@DATA.example", &[], Deploy, ("data-1", "ml-x"), Allowed),
        ("ada@data.example", &[], Deploy, ("data-1", "web"), Denied),
        ("ada@data.example", &[], Deploy, ("data-1", "ETL"), Denied),
        ("ada@data.example", &[], Deploy, ("data-1", "-"), Denied),
        ("ada@data.example", &[], Deploy, ("web", "etl"), Denied),
        ("ada@data.example", &[], Kill, ("data-1", "etl"), Denied),
        ("bob@web.example", &[], Deploy, ("data-1", "etl"), Denied),
        ("bob@web.example", &["admins"], Kill, ("web", "-"), Allowed),
        ("bob@web.example", &["Admins"], Kill, ("web", "-"), Denied),
        ("eve@data.example", &["admins"], Deploy, ("data-1", "etl"), Denied),
        (
            "bob@web.example",
            &["admins"],
            Deploy,
            ("platform-x", "etl"),
            Reserved,
        ),
    ] {
        let decision = decided(&policy, &caller(who, groups), action, on);
        assert_eq!(decision, expected, "{who} {groups:?} {action:?} {on:?}");
    }
}

/// What becomes of a target that lacks a part, by what the one rule says of that part. Below a deny comes an allow of
/// everything, so that what it does not match is allowed.
#[test]
fn what_belongs_to_no_namespace_or_repository_is_read_freely_and_changed_by_rules_about_all_alone() {
    let ada = caller("ada@x.example", &[]);
    for (list, allow_change, allow_read, deny_change, deny_read) in [
        ("", Allowed, Allowed, Denied, Denied),
        (r#", "PART": ["*"]"#, Allowed, Allowed, Denied, Denied),
        (r#", "PART": ["x", "**"]"#, Allowed, Allowed, Denied, Denied),
        (r#", "PART": ["x"]"#, Denied, Allowed, Allowed, Allowed),
        (r#", "PART": ["x*"]"#, Denied, Allowed, Allowed, Allowed),
    ] {
        for (part, on) in [("namespaces", ("-", "x")), ("repositories", ("x", "-"))] {
            let list = list.replace("PART", part);
            let allowing = policy(&format!(r#"{{"rules": [{{"effect": "allow"{list}}}]}}"#));
            let denying = policy(&format!(
                r#"{{"rules": [{{"effect": "deny"{list}}}, {{"effect": "allow"}}]}}"#
            ));
            for action in [Deploy, Run, Kill, Delete] {
                assert_eq!(
                    decided(&allowing, &ada, action, on),
                    allow_change,
                    "{action:?} {list}"
                );
                assert_eq!(
                    decided(&denying, &ada, action, on),
                    deny_change,
                    "{action:?} {list}"
                );
            }
            assert_eq!(decided(&allowing, &ada, Read, on), allow_read, "{list}");
            assert_eq!(decided(&denying, &ada, Read, on), deny_read, "{list}");
        }
    }
    // The other part still counts.
    let limited = policy(r#"{"rules": [{"effect": "allow", "namespaces": ["a"], "repositories": ["r"]}]}"#);
    assert_eq!(decided(&limited, &ada, Read, ("a", "-")), Allowed);
    assert_eq!(decided(&limited, &ada, Read, ("b", "-")), Denied);
    assert_eq!(decided(&limited, &ada, Read, ("-", "-")), Allowed);
    // And so does the action: who may read nothing reads nothing of nobody's either.
    let deployer = policy(r#"{"rules": [{"effect": "allow", "actions": ["deploy"]}]}"#);
    assert_eq!(decided(&deployer, &ada, Read, ("-", "-")), Denied);
}

#[test]
fn a_repository_is_denied_in_any_case_and_allowed_as_it_is_written() {
    let ada = caller("ada@x.example", &[]);
    let denying =
        policy(r#"{"rules": [{"effect": "deny", "repositories": ["Secret-*"]}, {"effect": "allow"}]}"#);
    for repository in ["Secret-1", "secret-1", "SECRET-1"] {
        assert_eq!(
            decided(&denying, &ada, Deploy, ("a", repository)),
            Denied,
            "{repository}"
        );
    }
    let allowing = policy(r#"{"rules": [{"effect": "allow", "repositories": ["Etl"]}]}"#);
    assert_eq!(decided(&allowing, &ada, Deploy, ("a", "Etl")), Allowed);
    assert_eq!(decided(&allowing, &ada, Deploy, ("a", "etl")), Denied);
}

#[test]
fn a_rule_with_identities_and_groups_matches_either() {
    let policy = policy(r#"{"rules": [{"effect": "allow", "identities": ["ada@*"], "groups": ["team-*"]}]}"#);
    for (who, groups, expected) in [
        ("ada@x.example", &[] as &[&str], Allowed),
        ("bob@x.example", &["x", "team-a"], Allowed),
        ("bob@x.example", &["a-team-a"], Denied),
        ("bob@x.example", &[], Denied),
    ] {
        let decision = decided(&policy, &caller(who, groups), Deploy, ("a", "r"));
        assert_eq!(decision, expected, "{who} {groups:?}");
    }
}

#[test]
fn a_standing_knows_whether_the_repository_matters_and_whether_one_would_do() {
    let ada = caller("ada@x.example", &[]);
    for (rules, whatever, some) in [
        (r#"{"effect": "allow"}"#, Some(Allowed), true),
        (r#"{"effect": "deny"}"#, Some(Denied), false),
        (r#"{"effect": "allow", "namespaces": ["b"]}"#, Some(Denied), false),
        (r#"{"effect": "allow", "repositories": ["x"]}"#, None, true),
        (
            r#"{"effect": "deny", "repositories": ["x"]}, {"effect": "allow", "repositories": ["X", "x"]}"#,
            None,
            false,
        ),
        (
            r#"{"effect": "deny", "repositories": ["x*"]}, {"effect": "allow", "repositories": ["x-*", "y"]}"#,
            None,
            true,
        ),
        (
            r#"{"effect": "deny", "namespaces": ["b"]}, {"effect": "deny", "repositories": ["x"]}, {"effect": "deny"},
               {"effect": "allow"}"#,
            None,
            false,
        ),
    ] {
        let policy = policy(&format!(r#"{{"rules": [{rules}]}}"#));
        for action in [Delete, Read] {
            let standing = policy.standing(&ada, action);
            let namespace = "a".parse().unwrap();
            assert_eq!(
                standing.whatever_repository(&namespace),
                whatever,
                "{action:?} {rules}"
            );
            assert_eq!(
                standing.for_some_repository(&namespace),
                some,
                "{action:?} {rules}"
            );
        }
    }
    let open = Policy::default();
    let reserved = "default".parse().unwrap();
    assert_eq!(
        open.standing(&ada, Delete).whatever_repository(&reserved),
        Some(Reserved)
    );
    assert!(!open.standing(&ada, Delete).for_some_repository(&reserved));
    assert!(open.standing(&ada, Read).for_some_repository(&reserved));
}

/// A list of a rule, or none: globs over two letters, so that they meet.
fn list(key: &'static str) -> impl Strategy<Value = String> {
    let globs = proptest::collection::vec("[ab*]{1,3}", 1..3);
    proptest::option::of(globs).prop_map(move |globs| match globs {
        Some(globs) => format!(r#", "{key}": {globs:?}"#),
        None => String::new(),
    })
}

fn rules() -> impl Strategy<Value = Policy> {
    let rule = ("allow|deny", list("namespaces"), list("repositories"));
    let rule = rule.prop_map(|(effect, namespaces, repositories)| {
        format!(r#"{{"effect": "{effect}"{namespaces}{repositories}}}"#)
    });
    proptest::collection::vec(rule, 1..5)
        .prop_map(|rules| policy(&format!(r#"{{"rules": [{}]}}"#, rules.join(","))))
}

proptest! {
    /// The two short cuts never say other than the decision they stand for.
    #[test]
    fn a_standing_agrees_with_its_decisions(policy in rules(), namespace in "[ab]{1,2}", repository in "[ab]{1,3}") {
        let ada = caller("ada@x.example", &[]);
        for action in Action::ALL {
            let standing = policy.standing(&ada, action);
            let decision = decided(&policy, &ada, action, (&namespace, &repository));
            let namespace: Namespace = namespace.parse().unwrap();
            if let Some(whatever) = standing.whatever_repository(&namespace) {
                prop_assert_eq!(whatever, decision);
            }
            if decision == Allowed {
                prop_assert!(standing.for_some_repository(&namespace));
            }
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
        if let Err(violations) = Policy::parse(&bytes) {
            prop_assert!(!violations.is_empty());
        }
    }
}

#[test]
fn a_mailbox_is_matched_in_any_case_and_a_subject_as_it_is_written() {
    let policy = policy(
        r#"{"rules": [
            {"effect": "deny", "identities": ["auth0|bad"]},
            {"effect": "allow", "identities": ["Ada@data.example", "auth0|5F*", "CN=Ada Lovelace"]}
        ]}"#,
    );
    let subject = |text: &str| Caller {
        identity: crate::names::Identity::subject(text).unwrap(),
        groups: Vec::new(),
    };
    for (caller, expected) in [
        (caller("aDA@DATA.example", &[]), Allowed),
        (subject("ada@DATA.example"), Allowed),
        (subject("auth0|5F7c"), Allowed),
        (subject("auth0|5f7c"), Denied),
        (subject("CN=Ada Lovelace"), Allowed),
        (subject("cn=ada lovelace"), Denied),
        (subject("AUTH0|BAD"), Denied),
    ] {
        let decision = decided(&policy, &caller, Deploy, ("data-1", "etl"));
        assert_eq!(decision, expected, "{}", caller.identity);
    }
}

#[test]
fn what_has_no_namespace_of_its_own_is_read_by_who_may_read_it_in_all() {
    let ada = caller("ada@x.example", &[]);
    let repository = "legacy_".parse().unwrap();
    for (rules, expected) in [
        (r#"[{"effect": "allow"}]"#, true),
        (r#"[{"effect": "allow", "repositories": ["legacy*"]}]"#, true),
        (r#"[{"effect": "allow", "namespaces": ["web"]}]"#, false),
        (
            r#"[{"effect": "allow", "namespaces": ["web"]}, {"effect": "allow"}]"#,
            true,
        ),
        (
            r#"[{"effect": "deny", "namespaces": ["web"]}, {"effect": "allow"}]"#,
            false,
        ),
        (
            r#"[{"effect": "deny", "repositories": ["legacy_"]}, {"effect": "allow"}]"#,
            false,
        ),
        (
            r#"[{"effect": "deny", "repositories": ["other"]}, {"effect": "allow"}]"#,
            true,
        ),
        (r#"[{"effect": "allow", "actions": ["deploy"]}]"#, false),
    ] {
        let policy = policy(&format!(r#"{{"rules": {rules}}}"#));
        let allowed = policy.standing(&ada, Read).in_every_namespace(&repository);
        assert_eq!(allowed, expected, "{rules}");
    }
    assert!(
        Policy::default()
            .standing(&ada, Read)
            .in_every_namespace(&repository)
    );
}

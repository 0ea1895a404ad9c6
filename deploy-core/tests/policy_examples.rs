//! The policies of docs/examples/policies decide as docs/configuration.md says of them, and the page prints them as they
//! are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use deploy_core::authz::Action::{Delete, Deploy, Kill, Read, Run};
use deploy_core::authz::Decision::{Allowed, Denied, Reserved};
use deploy_core::authz::{Action, Caller, Decision, Policy, Target, decide};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Who (with their group behind a blank), what, where, from which repository, and what is decided; "-" is none.
type Case = (&'static str, Action, &'static str, &'static str, Decision);

fn check(name: &str, cases: &[Case]) {
    let bytes = fs::read(docs().join("examples/policies").join(name)).unwrap();
    let policy = Policy::parse(&bytes).unwrap();
    for (who, action, namespace, repository, expected) in cases {
        let mut words = who.split(' ');
        let caller = Caller {
            identity: words.next().unwrap().parse().unwrap(),
            groups: words.map(str::to_owned).collect(),
        };
        let namespace = (*namespace != "-").then(|| namespace.parse().unwrap());
        let repository = (*repository != "-").then(|| repository.parse().unwrap());
        let target = Target {
            namespace: namespace.as_ref(),
            repository: repository.as_ref(),
        };
        let decision = decide(&policy, &caller, *action, target);
        assert_eq!(
            decision, *expected,
            "{name}: {who} {action:?} {namespace:?} {repository:?}"
        );
    }
}

#[test]
fn one_team_does_everything_in_its_namespace_and_nothing_elsewhere() {
    check(
        "one-team.json",
        &[
            ("ada@data.example", Deploy, "data-team", "etl", Allowed),
            // A configuration given with the request comes from no repository.
            ("ada@data.example", Deploy, "data-team", "-", Allowed),
            ("Ada@DATA.example", Kill, "data-team", "etl", Allowed),
            ("ada@data.example", Deploy, "etl", "etl", Denied),
            ("ada@web.example", Deploy, "data-team", "etl", Denied),
            ("ada@web.example", Read, "data-team", "etl", Denied),
            ("ada@data.example", Read, "-", "-", Allowed),
        ],
    );
}

#[test]
fn teams_are_told_apart_by_their_repositories() {
    check(
        "teams-by-repository.json",
        &[
            ("ada@company.example etl-team", Deploy, "etl", "etl", Allowed),
            (
                "ada@company.example etl-team",
                Run,
                "shared",
                "etl-daily",
                Allowed,
            ),
            ("ada@company.example etl-team", Deploy, "shared", "web", Denied),
            ("ada@company.example etl-team", Delete, "shared", "etl", Allowed),
            ("ada@company.example etl-team", Delete, "shared", "web", Denied),
            // Only who may do it for every repository may do it for none.
            ("ada@company.example etl-team", Deploy, "shared", "-", Denied),
            ("bob@company.example web-team", Deploy, "shared", "web", Allowed),
            ("bob@company.example web-team", Deploy, "other", "web", Denied),
            ("eve@company.example admins", Deploy, "shared", "-", Allowed),
            (
                "eve@company.example admins",
                Deploy,
                "platform-dns",
                "etl",
                Reserved,
            ),
            ("intern-1@company.example etl-team", Deploy, "etl", "etl", Allowed),
            ("intern-1@company.example etl-team", Delete, "etl", "etl", Denied),
            ("intern-1@company.example admins", Delete, "etl", "etl", Denied),
        ],
    );
}

#[test]
fn everyone_reads_but_what_is_kept_from_them() {
    check(
        "readers.json",
        &[
            ("ada@company.example", Read, "etl", "etl", Allowed),
            ("ada@company.example", Read, "etl", "-", Allowed),
            ("ada@company.example", Read, "-", "-", Allowed),
            ("ada@company.example", Read, "payroll", "payroll", Denied),
            ("ada@company.example", Read, "shared", "Payroll-2026", Denied),
            ("ada@company.example", Deploy, "etl", "etl", Denied),
            ("eve@company.example admins", Read, "payroll", "payroll", Allowed),
            ("eve@company.example admins", Deploy, "etl", "etl", Allowed),
        ],
    );
}

#[test]
fn the_page_prints_every_example_as_it_is() {
    let page = fs::read_to_string(docs().join("configuration.md")).unwrap();
    let printed: BTreeSet<&str> = page
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    let entries: Vec<_> = fs::read_dir(docs().join("examples/policies")).unwrap().collect();
    assert_eq!(entries.len(), 3);
    for entry in entries {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(
            printed.contains(text.as_str()) && page.contains(name),
            "{name} is not in configuration.md as it is"
        );
    }
}

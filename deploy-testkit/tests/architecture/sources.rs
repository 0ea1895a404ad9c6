//! The rules of the source text. They read text and do not parse Rust: a rule may be too strict about a comment, never
//! too lenient about an import.

use std::collections::BTreeSet;

/// A source file, its path below the workspace's root with `/`.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Answers `path: what is wrong` for every file that breaks it.
pub(crate) type Rule = fn(&[Source]) -> Vec<String>;

/// Every rule.
pub(crate) const RULES: &[Rule] = &[
    opens_with_what_it_is,
    is_not_too_long,
    has_no_mod_rs,
    adapters_never_import_one_another,
    only_compose_names_an_adapter,
    only_identity_names_biscuit,
    core_has_no_io_and_no_clock,
];

/// Past this a file is split, by meaning.
const MAX_LINES: usize = 600;

fn opens_with_what_it_is(sources: &[Source]) -> Vec<String> {
    each(sources, |source| {
        (!source.text.starts_with("//!")).then(|| "does not open with //!".to_owned())
    })
}

fn is_not_too_long(sources: &[Source]) -> Vec<String> {
    each(sources, |source| {
        let lines = source.text.lines().count();
        (lines > MAX_LINES).then(|| format!("has {lines} lines, more than {MAX_LINES}"))
    })
}

fn has_no_mod_rs(sources: &[Source]) -> Vec<String> {
    each(sources, |source| {
        let name = source.path.rsplit('/').next();
        (name == Some("mod.rs")).then(|| "is to be foo.rs beside foo/".to_owned())
    })
}

/// An adapter is a module at the top of deploy-adapters: `X.rs` and what is below `X/`. The system's clock and ids are
/// an adapter like any other: whoever needs a clock takes the port.
fn adapters_never_import_one_another(sources: &[Source]) -> Vec<String> {
    let adapters: BTreeSet<&str> = sources.iter().filter_map(adapter_of).collect();
    each(sources, |source| {
        let own = adapter_of(source)?;
        let depth = source.path.split('/').count() - 2;
        let others: BTreeSet<&str> = names_at_the_root(&source.text, depth)
            .into_iter()
            .filter(|name| *name != own && adapters.contains(name))
            .collect();
        (!others.is_empty()).then(|| format!("{own} reaches into {others:?}"))
    })
}

fn only_compose_names_an_adapter(sources: &[Source]) -> Vec<String> {
    each(sources, |source| {
        let file = source.path.strip_prefix("deploy-http/src/")?;
        let composes = file == "compose.rs" || file.starts_with("compose/");
        (!composes && source.text.contains("deploy_adapters"))
            .then(|| "names an adapter, which only compose may".to_owned())
    })
}

/// Most of biscuit's calls take the algorithm from the token, or panic: the few that are sound are in one place.
fn only_identity_names_biscuit(sources: &[Source]) -> Vec<String> {
    // In two pieces, so that this file does not name it.
    const BISCUIT: &str = concat!("biscuit", "::");
    each(sources, |source| {
        let place = source
            .path
            .split_once("/src/")
            .or(source.path.split_once("/tests/"));
        let own = source.path.starts_with("deploy-adapters/")
            && place.is_some_and(|(_, below)| below == "identity.rs" || below.starts_with("identity/"));
        (!own && source.text.contains(BISCUIT)).then(|| "names biscuit, which only identity may".to_owned())
    })
}

/// Its tests may measure; what ships may not.
fn core_has_no_io_and_no_clock(sources: &[Source]) -> Vec<String> {
    const BANNED: &[&str] = &[
        "std::fs",
        "std::net",
        "std::process",
        "std::thread",
        "std::env",
        "Instant::now",
        "SystemTime::now",
        "Utc::now",
    ];
    each(sources, |source| {
        source.path.strip_prefix("deploy-core/src/")?;
        let shipped = source.text.split("#[cfg(test)]").next().unwrap_or_default();
        let found: Vec<&str> = BANNED
            .iter()
            .copied()
            .filter(|name| shipped.contains(name))
            .collect();
        (!source.path.ends_with("/tests.rs") && !found.is_empty()).then(|| format!("uses {found:?}"))
    })
}

/// What `rule` says of each source, as `path: what is wrong`.
fn each<'a>(sources: &'a [Source], rule: impl Fn(&'a Source) -> Option<String>) -> Vec<String> {
    sources
        .iter()
        .filter_map(|source| Some(format!("{}: {}", source.path, rule(source)?)))
        .collect()
}

fn adapter_of(source: &Source) -> Option<&str> {
    let below = source.path.strip_prefix("deploy-adapters/src/")?;
    let module = below.split('/').next()?.trim_end_matches(".rs");
    (module != "lib").then_some(module)
}

/// The first names after every path that begins at the crate's root, from a file `depth` modules below it: after
/// `crate::`, and after as many `super::` as lead up there.
fn names_at_the_root(text: &str, depth: usize) -> Vec<&str> {
    let up = "super::".repeat(depth);
    ["crate::", &up]
        .iter()
        .flat_map(|start| text.match_indices(start).map(|(at, _)| &text[at + start.len()..]))
        .flat_map(|rest| first_names(rest.trim_start_matches("super::")))
        .collect()
}

/// `a` of `a::b`; `a` and `c` of `{a::{x, y}, c}`.
fn first_names(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut names = vec![name(group)];
    let mut depth = 0_usize;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names
}

/// The name that a text begins with, blanks aside.
fn name(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

#[test]
fn each_rule_finds_the_sources_that_break_it_and_no_others() {
    /// The rule breaks on exactly the files marked `true`.
    #[track_caller]
    fn check(rule: Rule, samples: &[(&str, &str, bool)]) {
        let source = |(path, text): (&str, &str)| Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let sources: Vec<Source> = samples
            .iter()
            .map(|(path, text, _)| source((path, text)))
            .collect();
        let found = rule(&sources);
        for (path, text, broken) in samples {
            let named = found.iter().any(|line| line.starts_with(&format!("{path}: ")));
            assert_eq!(named, *broken, "{path} with {text:?}, found {found:?}");
        }
    }

    check(
        opens_with_what_it_is,
        &[
            ("deploy-core/src/a.rs", "//! What it is.\n", false),
            ("deploy-core/src/b.rs", "use std::fmt;\n//! Late.\n", true),
            ("deploy-core/src/c.rs", "// A comment.\n", true),
            ("deploy-core/src/d.rs", "", true),
        ],
    );
    let (longest, too_long) = ("//!\n".repeat(MAX_LINES), "//!\n".repeat(MAX_LINES + 1));
    check(
        is_not_too_long,
        &[
            ("deploy-core/src/a.rs", &longest, false),
            ("deploy-core/tests/b.rs", &too_long, true),
        ],
    );
    check(
        has_no_mod_rs,
        &[
            ("deploy-core/src/model.rs", "", false),
            ("deploy-core/src/a/mod.rs", "", true),
        ],
    );
    check(
        adapters_never_import_one_another,
        &[
            ("deploy-adapters/src/lib.rs", "pub use crate::git::Git;", false),
            (
                "deploy-adapters/src/git.rs",
                "use crate::git::cache::Cache;",
                false,
            ),
            ("deploy-adapters/src/git/a.rs", "use super::storage::Own;", false),
            ("deploy-adapters/src/git/b.rs", "use crate::storage::Sql;", true),
            (
                "deploy-adapters/src/git/c.rs",
                "let clock = crate::system::now();",
                true,
            ),
            (
                "deploy-adapters/src/git/d.rs",
                "use crate::{git::{A, B}, storage};",
                true,
            ),
            (
                "deploy-adapters/src/git/e.rs",
                "use super::super::storage::Sql;",
                true,
            ),
            (
                "deploy-adapters/src/git/f/g.rs",
                "use super::super::storage::Own;",
                false,
            ),
            (
                "deploy-adapters/src/storage.rs",
                "use super::{system, other};",
                true,
            ),
            (
                "deploy-adapters/src/system.rs",
                "use deploy_core::ports::Clock;",
                false,
            ),
        ],
    );
    check(
        only_compose_names_an_adapter,
        &[
            (
                "deploy-http/src/compose.rs",
                "use deploy_adapters::git::Git;",
                false,
            ),
            (
                "deploy-http/src/server.rs",
                "use deploy_core::ports::Clock;",
                false,
            ),
            (
                "deploy-http/tests/server.rs",
                "use deploy_adapters::git::Git;",
                false,
            ),
            ("deploy-http/src/main.rs", "use deploy_adapters::git::Git;", true),
            ("deploy-http/src/a/compose.rs", "use deploy_adapters as x;", true),
            (
                "deploy-http/src/compose/cluster.rs",
                "use deploy_adapters as x;",
                false,
            ),
        ],
    );
    let biscuit = concat!("use biscuit", "::jws::Compact;");
    check(
        only_identity_names_biscuit,
        &[
            ("deploy-adapters/src/identity.rs", biscuit, false),
            ("deploy-adapters/src/identity/key.rs", biscuit, false),
            ("deploy-adapters/tests/identity/issuer.rs", biscuit, false),
            ("deploy-adapters/src/identity_card.rs", biscuit, true),
            ("deploy-adapters/src/git/identity/a.rs", biscuit, true),
            ("deploy-http/src/identity.rs", biscuit, true),
            ("deploy-http/src/text.rs", "a biscuit: eaten", false),
        ],
    );
    check(
        core_has_no_io_and_no_clock,
        &[
            ("deploy-core/src/a.rs", "use std::time::Duration;", false),
            (
                "deploy-core/src/b.rs",
                "#[cfg(test)]\nuse std::time::Instant::now;",
                false,
            ),
            ("deploy-core/tests/c.rs", "use std::fs;", false),
            ("deploy-core/src/d.rs", "use std::fs::File;", true),
            ("deploy-core/src/e.rs", "let now = Instant::now();", true),
            ("deploy-core/src/f.rs", "std::env::var(name)", true),
        ],
    );
}

//! Every parser of a single value: whatever text comes in, it answers; what it accepts is written as it was read; what it
//! refuses, it never repeats; and what it accepts is as harmless as those who use it believe.
//!
//! The parsers of this crate, so that none is forgotten:
//!
//! - here: [`Namespace`], [`ResourceName`], [`RepositoryName`], [`Directory`], [`TemplatePath`], [`Branch`], [`CommitId`],
//!   [`Identity`], [`StepName`], [`PipelineName`], [`TaskId`], [`PipelineId`], [`WorkId`], [`Schedule`], [`Quantity`],
//!   each by `FromStr` and, where it has one, by its serialized form;
//! - tests/manifest_properties.rs: `Document::parse`, `Document::position`, `Manifest::parse` with all that has no parser
//!   of its own (labels, images, environment, time zones, exposure), `Definition::parse`;
//! - beside their parsers: the policy and its globs.
//!
//! Those of the edge are listed in deploy-http/tests/hostile/properties.rs.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

use std::fmt::{Debug, Display};
use std::path::{Component, Path};
use std::str::FromStr;

use deploy_core::manifest::{Quantity, Schedule};
use deploy_core::names::{
    Branch, CommitId, Directory, Identity, Namespace, PipelineId, PipelineName, RepositoryName, ResourceName,
    StepName, TaskId, TemplatePath, WorkId,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What stands in every text that is refused, and must stand in no reason.
const CANARY: &str = "c4n4ry";

/// Parses and holds the answer to what is true of every parser; whether it was accepted.
fn read<T>(text: &str) -> bool
where
    T: FromStr + Display + Debug + PartialEq + Serialize + DeserializeOwned,
    T::Err: Display + Debug,
{
    let stored = serde_json::to_string(text).unwrap();
    match text.parse::<T>() {
        Ok(value) => {
            assert_eq!(value.to_string(), text);
            assert_eq!(serde_json::to_string(&value).unwrap(), stored);
            assert_eq!(serde_json::from_str::<T>(&stored).unwrap(), value);
            true
        }
        Err(error) => {
            let (shown, debug) = (error.to_string(), format!("{error:?}"));
            assert!(!shown.is_empty() && shown.len() < 400, "{shown}");
            assert!(
                !shown.contains(CANARY) && !debug.contains(CANARY),
                "{shown} {debug}"
            );
            if let Err(error) = serde_json::from_str::<T>(&stored) {
                assert!(!error.to_string().contains(CANARY), "{error}");
            }
            false
        }
    }
}

/// Reads an id, whose text may be written in upper case.
fn read_id<T>(text: &str)
where
    T: FromStr + Display + Debug,
    T::Err: Display + Debug,
{
    match text.parse::<T>() {
        Ok(id) => assert_eq!(id.to_string(), text.to_ascii_lowercase()),
        Err(error) => assert!(!format!("{error} {error:?}").contains(CANARY)),
    }
}

/// Every parser on the same text.
fn read_all(text: &str) {
    read::<Namespace>(text);
    read::<ResourceName>(text);
    read::<RepositoryName>(text);
    read::<Directory>(text);
    read::<TemplatePath>(text);
    read::<Branch>(text);
    read::<CommitId>(text);
    read::<Identity>(text);
    read::<StepName>(text);
    read::<PipelineName>(text);
    read::<Schedule>(text);
    read::<Quantity>(text);
    read_id::<TaskId>(text);
    read_id::<PipelineId>(text);
    read_id::<WorkId>(text);
}

/// Texts that some parser accepts.
fn good() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        "[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
        "[A-Za-z0-9_][A-Za-z0-9._-]{0,20}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,20}){0,5}(\\.json)?",
        "[a-z]+(/[a-z0-9.]+){0,3}",
        "[0-9a-f]{40}|[0-9a-f]{64}",
        "[a-z0-9.+_-]{1,64}@[a-z0-9-]{1,20}(\\.[a-z]{2,10}){0,3}",
        "[\\PC]{1,128}",
        "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "(\\*|[0-5]?[0-9]) (\\*|[0-9]) (\\*|[1-9]) (\\*|[1-9]|JAN) (\\*|[0-6]|MON)",
        "@every [0-9]{1,3}[hms]([0-9]{1,2}m)?",
        "[0-9]{1,19}(\\.[0-9]{1,9})?(m|k|M|G|Ki|Mi|Gi|E|e[0-9])?",
    ]
}

/// What attackers put into names.
fn bad_piece() -> impl Strategy<Value = &'static str> {
    select(vec![
        "\0",
        "\r\n",
        "\n",
        "\t",
        "\u{1b}[2J",
        "\u{7f}",
        "\u{85}",
        "\u{202e}",
        "\u{2028}",
        "\u{200b}",
        "\u{feff}",
        "../",
        "..",
        "/",
        "//",
        "\\",
        "-",
        "--",
        "@",
        "@{",
        "%2e",
        "%00",
        "~",
        "^",
        ":",
        "?",
        "*",
        "[",
        " ",
        ";",
        "|",
        "$(",
        "`",
        "\"",
        "'",
        "<",
        ">",
        "&",
        "#",
        "é",
        "\u{430}",
        "．",
        ".lock",
        ".git",
        ".",
        "HEAD",
        "refs/",
        "=",
        ",",
        "+",
        "e400",
        "TZ=",
    ])
}

/// A text that some parser accepts, with something bad put into it.
fn changed() -> impl Strategy<Value = String> {
    let parts = (good(), any::<prop::sample::Index>(), bad_piece(), any::<bool>());
    parts.prop_map(|(text, at, piece, canary)| {
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len() + 1);
        let piece = if canary {
            format!("{CANARY}{piece}{CANARY}")
        } else {
            piece.to_owned()
        };
        chars.splice(at..at, piece.chars());
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered_by_every_parser(text in "(?s).{0,300}") {
        read_all(&text);
    }

    #[test]
    fn any_bytes_read_as_text_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_all(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_good_text_with_something_put_into_it_is_answered(text in changed()) {
        read_all(&text);
    }

    #[test]
    fn very_long_texts_are_answered(piece in good(), times in 1_usize..400) {
        read_all(&piece.repeat(times));
    }

    #[test]
    fn what_is_accepted_as_a_path_stays_below_its_folder(text in changed()) {
        let below = |path: &str| {
            let plain = |part: Component<'_>| matches!(part, Component::Normal(part) if part != ".git");
            Path::new(path).is_relative()
                && Path::new(path).components().all(plain)
                && !path.starts_with('-')
                && !path.contains(['\\', '\0', ':', '%', '\n', '\r'])
        };
        if text.parse::<Directory>().is_ok() {
            prop_assert!(below(&text), "{text:?}");
        }
        if text.parse::<TemplatePath>().is_ok() {
            prop_assert!(below(&text) && text.ends_with(".json"), "{text:?}");
        }
        if let Ok(repository) = text.parse::<RepositoryName>() {
            prop_assert!(below(&text) && !text.contains(['/', '@']), "{text:?}");
            if let Some(namespace) = repository.default_namespace() {
                prop_assert!(namespace.as_str().parse::<Namespace>().is_ok());
            }
        }
    }

    #[test]
    fn what_is_accepted_as_a_branch_is_no_option_no_revision_and_no_refspec(text in changed()) {
        if text.parse::<Branch>().is_ok() {
            prop_assert!(!text.starts_with(['-', '/', '.']), "{text:?}");
            prop_assert!(!text.contains([':', '~', '^', '?', '*', '[', '\\', ' ']), "{text:?}");
            prop_assert!(!text.contains("..") && !text.contains("@{") && !text.ends_with(".lock"), "{text:?}");
            prop_assert!(text != "HEAD" && !text.chars().any(char::is_control), "{text:?}");
        }
    }

    #[test]
    fn what_is_accepted_as_an_identity_is_one_mailbox_and_no_line(text in changed()) {
        if text.parse::<Identity>().is_ok() {
            prop_assert_eq!(text.matches('@').count(), 1);
            prop_assert!(text.is_ascii() && text.len() <= 254);
            prop_assert!(!text.contains([',', ';', ' ', '<', '>', '"', '(', ')', ':', '\\', '[', ']']), "{text:?}");
            prop_assert!(!text.chars().any(|c| c.is_control() || c.is_whitespace()), "{text:?}");
        }
    }

    #[test]
    fn the_slug_of_a_step_is_the_beginning_of_an_object_name(text in "[\\PC]{1,128}") {
        if let Ok(step) = text.parse::<StepName>() {
            let slug = step.slug();
            prop_assert!(slug.len() <= 40);
            prop_assert!(slug.parse::<ResourceName>().is_ok(), "{slug:?}");
        }
    }
}

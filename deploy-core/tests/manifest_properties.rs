//! Whatever bytes come in, every parser answers: it never panics, it never answers an empty list of violations, and what it
//! accepts survives being written and read again.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

use deploy_core::authz::Policy;
use deploy_core::manifest::{Document, Manifest, Quantity, Schedule, Violation};
use deploy_core::pipeline::definition::Definition;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Every parser of this crate that reads documents, on the same bytes.
fn read(bytes: &[u8]) {
    let refused = |violations: Vec<Violation>| {
        assert!(!violations.is_empty(), "refused without a reason");
        for violation in violations {
            assert!(violation.message.len() < 100_000 && violation.pointer.len() < 10_000);
            let words = [&violation.message, &violation.pointer];
            assert!(
                !words.iter().any(|words| words.contains(char::is_control)),
                "{violation:?}"
            );
            let text = String::from_utf8_lossy(bytes);
            let position = Document::position(&text, &violation.pointer);
            assert!(position.line >= 1 && position.column >= 1);
        }
    };
    if let Err(violations) = Document::parse(bytes) {
        refused(violations);
    }
    match Manifest::parse(bytes) {
        Ok(manifest) => {
            let stored = serde_json::to_string(&manifest).unwrap();
            assert_eq!(serde_json::from_str::<Manifest>(&stored).unwrap(), manifest);
        }
        Err(violations) => refused(violations),
    }
    match Definition::parse(bytes) {
        Ok(definition) => assert_eq!(definition.steps.len(), definition.graph.len()),
        Err(violations) => refused(violations),
    }
    if let Err(violations) = Policy::parse(bytes) {
        refused(violations);
    }
}

/// Any JSON, with keys and words that mean something more often than chance would have it.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        "(name|type|labels|image|cmd|env|schedule|published|replicas|tasks|dependance|value|secret|key)",
        "(reserved|rules|effect|allow|deny|identities|groups|actions|namespaces|repositories|read|ada@\\*)",
        "(job|service|deployment|@daily|0 0 \\* \\* 7|Etc/UTC|150Mi|/x/|etl/x|a:b)",
        ".{0,12}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 8, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            btree_map(word.clone(), inner, 0..8).prop_map(|members| json!(members)),
        ]
    })
}

fn valid_document() -> impl Strategy<Value = Vec<u8>> {
    let documents = [
        json!({"name": "x", "type": "job", "image": "registry.example/x:1", "labels": "a:b,c:d", "cmd": ["sh", "-c"],
            "env": [{"name": "A", "value": "é"}, {"name": "B", "secret": {"name": "s", "key": "k"}}],
            "cpu-request": "0.1", "cpu-limit": "200m", "schedule": "*/5 0-3 1,15 * MON", "timezone": "Europe/Paris",
            "concurrency-policy": "Allow", "retries": 3, "timeout-seconds": 60}),
        json!({"name": "x", "type": "service", "image-destination": "x", "container-port": 80, "replicas": 2,
            "published": {"prefix": "/x/", "access": "g", "timeout_ms": 10, "sticky_sessions": true}}),
        json!({"name": "p", "original": "o", "tasks": [{"name": "a", "namespacetask": "r/d"},
            {"name": "b", "namespacetask": "r/d/e", "dependance": ["a"], "run-if-error": true, "env": []}]}),
        json!({"reserved": ["a-*"], "rules": [{"effect": "deny", "identities": ["a@*"], "groups": ["g"]},
            {"effect": "allow", "actions": ["deploy", "read"], "namespaces": ["a", "b*"], "repositories": ["R.*"]}]}),
    ];
    proptest::sample::select(
        documents
            .map(|document| document.to_string().into_bytes())
            .to_vec(),
    )
}

/// What stands in a value and must stand in no reason.
const CANARY: &str = "c4n4ry";

/// The places of all texts of a document that may be a secret in the wrong place. Names are none: a violation says which
/// task waits for which, and which label it is about.
fn secret_places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                secret_places(element, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(members) => {
            let shown = |key: &str| matches!(key, "name" | "dependance" | "labels");
            for (key, member) in members.iter().filter(|(key, _)| !shown(key)) {
                secret_places(member, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..256)) {
        read(&bytes);
    }

    #[test]
    fn any_json_is_answered(document in any_json()) {
        read(document.to_string().as_bytes());
    }

    #[test]
    fn a_good_document_with_bytes_changed_is_answered(
        mut bytes in valid_document(),
        changes in vec((any::<prop::sample::Index>(), "[\"{}\\[\\],:\\\\0-9a-z \u{0}-\u{ff}]", any::<bool>()), 1..6),
    ) {
        for (at, with, replaces) in changes {
            let at = at.index(bytes.len());
            bytes.splice(at..at + usize::from(replaces), with.bytes());
        }
        read(&bytes);
    }

    #[test]
    fn a_good_document_with_a_value_exchanged_is_answered(
        bytes in valid_document(), member in any::<prop::sample::Index>(), value in any_json(),
    ) {
        let mut document: Value = serde_json::from_slice(&bytes).unwrap();
        let members = document.as_object_mut().unwrap();
        let key = members.keys().nth(member.index(members.len())).unwrap().clone();
        members.insert(key, value);
        read(document.to_string().as_bytes());
    }

    #[test]
    fn no_reason_repeats_a_value_of_the_document(
        bytes in valid_document(), place in any::<prop::sample::Index>(), before in "[\\PC\n\0/ ]{0,3}", after in "[\\PC\n\0/ ]{0,3}",
    ) {
        let mut document: Value = serde_json::from_slice(&bytes).unwrap();
        let mut places = Vec::new();
        secret_places(&document, "", &mut places);
        let place = place.get(&places);
        *document.pointer_mut(place).unwrap() = Value::from(format!("{before}{CANARY}{after}"));
        let bytes = document.to_string().into_bytes();
        read(&bytes);
        let reasons = [Manifest::parse(&bytes).err(), Definition::parse(&bytes).err()];
        let shown = format!("{reasons:?}");
        prop_assert!(!shown.contains(CANARY), "{place}: {shown}");
    }

    #[test]
    fn any_text_as_schedule_or_quantity_is_answered(text in ".{0,40}") {
        prop_assert_eq!(text.parse::<Schedule>().map(|s| s.to_string()).unwrap_or(text.clone()), text.clone());
        prop_assert_eq!(text.parse::<Quantity>().map(|q| q.to_string()).unwrap_or(text.clone()), text);
    }

    #[test]
    fn a_schedule_fires_after_the_time_asked_for_and_on_the_minute(
        fields in vec("(\\*|\\?|[0-9]{1,2}|[0-9]-[0-9]{1,2}|\\*/[0-9]{1,3}|[0-9]/[0-9]|[0-9],[0-9]{1,2})", 5),
        tz in proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
        seconds in 0_i64..4_200_000_000,
    ) {
        let after = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        if let Ok(schedule) = fields.join(" ").parse::<Schedule>()
            && let Some(next) = schedule.next_after(after, tz)
        {
            prop_assert!(next > after);
            let civil = next.with_timezone(&tz).naive_local();
            prop_assert_eq!(chrono::Timelike::second(&civil), 0);
            // There is nothing between the two.
            prop_assert_eq!(schedule.next_after(next - chrono::TimeDelta::seconds(1), tz), Some(next));
        }
    }

    #[test]
    fn a_quantity_is_what_its_digits_say(whole in 0_u64..1_000_000, milli in 0_u128..1000) {
        let quantity: Quantity = format!("{whole}.{milli:03}").parse().unwrap();
        prop_assert_eq!(quantity.nano(), (u128::from(whole) * 1000 + milli) * 1_000_000);
    }
}

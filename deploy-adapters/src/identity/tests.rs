//! What cannot be seen from outside: no bytes make a parser panic, and a broken file is warned of once.

use std::sync::atomic::{AtomicUsize, Ordering};

use deploy_testkit::memory::ManualClock;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tracing::span;

use super::key::{Algorithm, Key, Kind, Material};
use super::*;

/// Any JSON, with the names that are looked for.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[A-Za-z0-9_-]{0,90}".prop_map(Value::from),
        prop::sample::select(vec![
            "RS256", "HS256", "ES256", "ES384", "JWT", "RSA", "EC", "oct", "P-256", "P-384", "sig", "AQAB",
            "a@b.c",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            members(inner).prop_map(Value::from),
        ]
    })
}

fn members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let names = prop::sample::select(vec![
        "alg",
        "kid",
        "typ",
        "crit",
        "jwk",
        "exp",
        "nbf",
        "iat",
        "iss",
        "aud",
        "sub",
        "email",
        "email_verified",
        "groups",
        "keys",
        "kty",
        "use",
        "key_ops",
        "n",
        "e",
        "crv",
        "x",
        "y",
        "k",
        "d",
    ]);
    prop::collection::vec((names, value), 0..9).prop_map(|members| {
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    })
}

fn expected() -> Expected {
    Expected {
        issuer: None,
        audience: None,
        leeway: 60.0,
    }
}

fn part(bytes: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(bytes)
}

/// A token with a signature that is none.
fn unsigned(algorithm: &str, signature: &[u8]) -> String {
    let header = json!({"alg": algorithm}).to_string();
    format!("{}.e30.{}", part(header.as_bytes()), part(signature))
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_of_headers_panic(text in any::<String>(), header in any::<Vec<u8>>()) {
        let _ = token::header(&text);
        let _ = token::header(&format!("{}.{text}.{text}", part(&header)));
    }

    #[test]
    fn no_json_makes_a_parser_panic(header in members(any_json()), claims in members(any_json()), other in any_json()) {
        for json in [Value::from(header), Value::from(claims), other] {
            let bytes = json.to_string().into_bytes();
            let _ = token::header(&format!("{}.e30.AA", part(&bytes)));
            let _ = claims::read(&bytes, &expected(), 0.0);
            let _ = jwks::parse(&bytes);
        }
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in any::<Vec<u8>>()) {
        let _ = claims::read(&bytes, &expected(), 0.0);
        let _ = jwks::parse(&bytes);
    }

    #[test]
    fn whatever_key_a_set_gives_can_be_asked(jwks in prop::collection::vec(members(any_json()), 1..4), signature in any::<Vec<u8>>()) {
        let bytes = json!({"keys": jwks}).to_string().into_bytes();
        if let Ok((keys, _)) = jwks::parse(&bytes) {
            for kid in [None, Some("")] {
                if let Ok(key) = keys.select(kid) {
                    for algorithm in ["RS256", "ES256", "ES384", "HS256", "none"] {
                        prop_assert!(key.payload(&unsigned(algorithm, &signature), algorithm).is_err());
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_of_any_bytes_refuses_and_does_not_panic(one in prop::collection::vec(any::<u8>(), 1..300), signature in any::<Vec<u8>>()) {
        let materials = [
            Material::rsa(&one, &[1, 0, 1]),
            Material::point(Kind::P256, &one, &one),
            Material::point(Kind::P384, &one, &one),
        ];
        for material in materials {
            let algorithm = Algorithm::default_of(material.kind()).unwrap();
            let key = Key::new(None, algorithm, material).unwrap();
            for algorithm in ["RS256", "ES256", "ES384"] {
                prop_assert!(key.payload(&unsigned(algorithm, &signature), algorithm).is_err());
            }
        }
    }
}

#[test]
fn a_file_that_broke_is_warned_of_once_and_again_when_it_breaks_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let good = [b'x'; 40];
    std::fs::write(&file, good).unwrap();
    let clock = Arc::new(ManualClock::default());
    let keys = CurrentKeys::open(KeyFile::Secret(file.clone()), clock.clone()).unwrap();
    let warnings = Warnings::default();
    let look = || {
        clock.advance(Duration::from_secs(10));
        keys.look_now();
        warnings.0.load(Ordering::Relaxed)
    };
    tracing::subscriber::with_default(warnings.clone(), || {
        assert_eq!(look(), 0);
        std::fs::remove_file(&file).unwrap();
        assert_eq!([look(), look(), look()], [1; 3]);
        std::fs::write(&file, good).unwrap();
        assert_eq!(look(), 1);
        std::fs::write(&file, "short").unwrap();
        assert_eq!([look(), look()], [2; 2]);
    });
}

/// Counts them.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

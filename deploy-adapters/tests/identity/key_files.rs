//! Files of keys: which are refused, and with what cure; which keys of a set are used.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use deploy_adapters::identity::{JwtConfig, JwtVerifier, KeyFile, KeysError};
use deploy_testkit::memory::ManualClock;
use serde_json::{Value, json};

use crate::issuer::{adas, open, said};

fn opened(keys: KeyFile) -> Result<JwtVerifier, KeysError> {
    let config = JwtConfig {
        keys,
        issuer: None,
        audience: None,
        leeway: Duration::ZERO,
    };
    JwtVerifier::open(config, Arc::new(ManualClock::default()))
}

/// The verifier of a set with those bytes.
fn set(bytes: &[u8]) -> Result<JwtVerifier, KeysError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, bytes).unwrap();
    opened(KeyFile::Jwks(file))
}

fn octets(length: usize) -> String {
    BASE64URL_NOPAD.encode(&vec![0xa5; length])
}

#[tokio::test]
async fn a_secret_is_its_bytes_without_one_line_end() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let file = folder.path().join("secret");
    for (written, secret) in [
        (
            &b"0123456789abcdef0123456789abcdef"[..],
            &b"0123456789abcdef0123456789abcdef"[..],
        ),
        (
            b"0123456789abcdef0123456789abcdef\n",
            b"0123456789abcdef0123456789abcdef",
        ),
        (
            b"0123456789abcdef0123456789abcdef\r\n",
            b"0123456789abcdef0123456789abcdef",
        ),
        (
            b"0123456789abcdef0123456789abcdef\n\n",
            b"0123456789abcdef0123456789abcdef\n",
        ),
        (
            b" 0123456789abcdef0123456789abcdef",
            b" 0123456789abcdef0123456789abcdef",
        ),
        (&[0xff; 64], &[0xff; 64]),
    ] {
        std::fs::write(&file, written).unwrap();
        let verifier = open(KeyFile::Secret(file.clone()), &clock);
        assert_eq!(
            said(&verifier, &adas(secret, None, &clock)).await,
            "ada@example.com",
            "{written:?}"
        );
    }
}

#[test]
fn a_file_without_a_good_secret_is_refused_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let refused = || opened(KeyFile::Secret(file.clone())).unwrap_err();
    assert!(matches!(refused(), KeysError::Unreadable(_)) && refused().source().is_some());
    for (bytes, expected) in [
        (&b""[..], "the secret has 0 bytes, fewer than 32"),
        (b"hunter2\n", "the secret has 7 bytes"),
        (b"0123456789abcdef0123456789abcde\n", "openssl rand -hex 32"),
        (&vec![b'x'; 256 * 1024 + 1], "larger than 256 KiB"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let text = refused().to_string();
        assert!(text.contains(expected) && !text.contains("hunter2"), "{text}");
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(matches!(refused(), KeysError::NotAFile));
}

#[test]
fn a_set_that_is_none_or_should_not_be_here_is_refused_with_the_cure() {
    let private =
        json!({"keys": [{"kty": "EC", "crv": "P-256", "x": octets(32), "y": octets(32), "d": "c2VjcmV0"}]});
    let encryption =
        json!({"keys": [{"kty": "RSA", "use": "enc", "n": octets(256), "e": "AQAB", "qi": "c2VjcmV0"}]});
    let twice = json!({"keys": [{"kty": "oct", "kid": "a", "k": octets(32)}, {"kty": "oct", "kid": "a", "k": octets(33)}]});
    let many = json!({"keys": vec![json!({}); 101]});
    for (text, expected) in [
        ("", "is not a JSON Web Key Set"),
        ("-----BEGIN PUBLIC KEY-----", "is not a JSON Web Key Set"),
        ("<html>", "jwks_uri"),
        ("[]", "an object with an array \"keys\""),
        ("{}", "an object with an array \"keys\""),
        (r#"{"keys": {}}"#, "an object with an array \"keys\""),
        (r#"{"keys": [], "keys": []}"#, "stands here twice"),
        (r#"{"keys": []}"#, "it holds no key to verify with"),
        (
            r#"{"keys": [null, "x"]}"#,
            "/keys/0: it is not an object; /keys/1: it is not an object",
        ),
        (&many.to_string(), "at most 100"),
        (&private.to_string(), "/keys/0 holds d, a part of a private key"),
        (
            &encryption.to_string(),
            "/keys/0 holds qi, a part of a private key",
        ),
        (&twice.to_string(), "/keys/1 has the kid of a key before it"),
        (&"[".repeat(100_000), "nested more than 32 deep"),
    ] {
        let error = set(text.as_bytes()).unwrap_err().to_string();
        assert!(
            error.contains(expected) && !error.contains("c2VjcmV0"),
            "{text:.60}: {error}"
        );
    }
}

#[test]
fn a_key_that_cannot_be_used_is_passed_over_with_the_reason() {
    let rsa = |changed: Value| merged(json!({"kty": "RSA", "n": octets(256), "e": "AQAB"}), changed);
    let ec = |changed: Value| {
        merged(
            json!({"kty": "EC", "crv": "P-256", "x": octets(32), "y": octets(32)}),
            changed,
        )
    };
    let oct = |changed: Value| merged(json!({"kty": "oct", "k": octets(32)}), changed);
    for good in [
        rsa(json!({})),
        rsa(json!({"use": "sig", "key_ops": ["verify"], "alg": "PS512", "x5c": ["x"], "kid": "k"})),
        // Some issuers write the zero that DER wants.
        rsa(json!({"n": BASE64URL_NOPAD.encode(&[&[0][..], &[0xa5; 256]].concat())})),
        rsa(json!({"n": octets(1024), "e": "Aw"})),
        rsa(json!({"e": "AQAAAAE"})),
        ec(json!({"alg": "ES256"})),
        ec(json!({"crv": "P-384", "x": octets(48), "y": octets(48)})),
        oct(json!({"key_ops": ["sign", "verify"]})),
        oct(json!({"k": octets(64), "alg": "HS512"})),
    ] {
        assert!(
            set(json!({"keys": [good]}).to_string().as_bytes()).is_ok(),
            "{good}"
        );
    }
    for (key, expected) in [
        (rsa(json!({"use": "enc"})), "its use is not sig"),
        (rsa(json!({"use": 1})), "its use is not sig"),
        (
            rsa(json!({"key_ops": ["sign"]})),
            "its key_ops do not contain verify",
        ),
        (
            rsa(json!({"key_ops": "verify"})),
            "its key_ops do not contain verify",
        ),
        (rsa(json!({"kid": 1})), "its kid is not a text"),
        (rsa(json!({"kid": ""})), "its kid is not a text"),
        (
            rsa(json!({"n": octets(255)})),
            "its n is not an odd number of 2048 to 8192 bits",
        ),
        (rsa(json!({"n": octets(128)})), "its n is not"),
        (rsa(json!({"n": octets(1025)})), "its n is not"),
        (rsa(json!({"n": ""})), "its n is not"),
        (
            rsa(json!({"n": BASE64URL_NOPAD.encode(&[0xa4; 256])})),
            "its n is not an odd",
        ),
        (rsa(json!({"n": "a+b/"})), "its n is not base64url"),
        (rsa(json!({"n": 5})), "its n is not base64url"),
        (
            rsa(json!({"e": "AQ"})),
            "its e is not an odd number from 3 to 2^33",
        ),
        (rsa(json!({"e": "AA"})), "its e is not an odd"),
        (rsa(json!({"e": "AgAAAAE"})), "its e is not an odd"),
        (rsa(json!({"e": "BA"})), "its e is not an odd"),
        (rsa(json!({"e": null})), "its e is not base64url"),
        (
            rsa(json!({"alg": "RS1"})),
            "its alg is none that is verified here",
        ),
        (
            rsa(json!({"alg": "none"})),
            "its alg is none that is verified here",
        ),
        (
            rsa(json!({"alg": "rs256"})),
            "its alg is none that is verified here",
        ),
        (rsa(json!({"alg": 256})), "its alg is none that is verified here"),
        (rsa(json!({"alg": "ES256"})), "its alg does not fit its kty"),
        (rsa(json!({"alg": "HS256"})), "its alg does not fit its kty"),
        (ec(json!({"alg": "ES384"})), "its alg does not fit its kty"),
        (ec(json!({"alg": "RS256"})), "its alg does not fit its kty"),
        (ec(json!({"crv": "P-521"})), "its crv is not P-256 or P-384"),
        (ec(json!({"crv": "secp256k1", "alg": "ES256"})), "its crv is not"),
        (
            ec(json!({"x": octets(31)})),
            "its x or y is not base64url of its curve's length",
        ),
        (ec(json!({"y": octets(33)})), "its x or y"),
        (ec(json!({"crv": "P-384"})), "its x or y"),
        (
            oct(json!({"k": octets(31)})),
            "its k is shorter than the hash of its alg",
        ),
        (
            oct(json!({"alg": "HS384"})),
            "its k is shorter than the hash of its alg",
        ),
        (oct(json!({"k": null})), "its k is not base64url"),
        (oct(json!({"alg": "RS256"})), "its alg does not fit its kty"),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": octets(32)}),
            "its kty is not RSA, EC or oct",
        ),
        (json!({"kty": "rsa"}), "its kty is not"),
        (json!({}), "its kty is not"),
    ] {
        let text = json!({"keys": [key]}).to_string();
        let error = set(text.as_bytes()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("/keys/0: {expected}")),
            "{text:.100}: {error}"
        );
        // It does not take a good one with it.
        let text = json!({"keys": [key, oct(json!({}))]}).to_string();
        assert!(set(text.as_bytes()).is_ok(), "{text:.100}");
    }
}

#[tokio::test]
async fn a_key_without_a_name_beside_others_is_passed_over() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let file = folder.path().join("jwks.json");
    let keys =
        json!({"keys": [{"kty": "oct", "k": octets(32)}, {"kty": "oct", "k": octets(40), "kid": "a"}]});
    std::fs::write(&file, keys.to_string()).unwrap();
    let verifier = open(KeyFile::Jwks(file), &clock);
    assert_eq!(
        said(&verifier, &adas(&[0xa5; 40], None, &clock)).await,
        "ada@example.com"
    );
    assert_eq!(
        said(&verifier, &adas(&[0xa5; 32], None, &clock)).await,
        "its signature is wrong"
    );
}

#[test]
fn nothing_that_is_printed_shows_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let secret = "AAAABBBBCCCCDDDDAAAABBBBCCCCDDDD";
    std::fs::write(&file, secret).unwrap();
    let shown = format!("{:?}", opened(KeyFile::Secret(file)).unwrap());
    let numbers = format!("{:?}", secret.as_bytes());
    assert!(shown.contains("***") && shown.contains("HS256"), "{shown}");
    assert!(!shown.contains(secret) && !shown.contains(&numbers), "{shown}");
}

fn merged(mut one: Value, other: Value) -> Value {
    let Value::Object(other) = other else {
        panic!("{other}")
    };
    one.as_object_mut().unwrap().extend(other);
    one
}

#[test]
fn a_key_that_others_have_is_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    for text in [
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----\n",
        "\n-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n",
        "{\"keys\": [{\"kty\": \"oct\", \"k\": \"aaaaaaaaaaaaaaaaaaaa\"}]}",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGaaaaaaaaaaaaaaaaaaaa",
    ] {
        std::fs::write(&file, text).unwrap();
        let error = opened(KeyFile::Secret(file.clone())).unwrap_err();
        assert!(matches!(error, KeysError::NotASecret), "{text}: {error}");
    }
}

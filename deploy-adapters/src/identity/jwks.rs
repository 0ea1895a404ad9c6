//! A set of keys (RFC 7517), read key by key: one of a kind that is not verified here is passed over and said, as issuers
//! publish keys for other ends beside those that sign. It refuses a set with a private key in it, for that is one that
//! leaked; and one in which a name stands for two keys.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use deploy_core::manifest::Document;
use serde_json::{Map, Value};

use super::key::{Algorithm, Key, KeySet, Kind, Material};
use super::key_file::KeysError;

/// More is no issuer's set.
const MAX_KEYS: usize = 100;
const MAX_KID: usize = 256;
/// What ring verifies with, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// What only whoever signs has: RFC 7518 §6.2.2 and §6.3.2.
const PRIVATE: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth"];

/// A key that was passed over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Skipped {
    /// The first is 0.
    pub(super) at: usize,
    pub(super) why: &'static str,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/keys/{}: {}", self.at, self.why)
    }
}

/// The keys of a set that can be used, and those that cannot.
pub(super) fn parse(bytes: &[u8]) -> Result<(KeySet, Vec<Skipped>), KeysError> {
    let document = Document::parse(bytes).map_err(|violations| KeysError::NotJwks {
        why: violations.first().map_or_else(String::new, |first| {
            format!("{}: {}", first.pointer, first.message)
        }),
    })?;
    let listed = document.value.get("keys").and_then(Value::as_array);
    let listed = listed
        .filter(|listed| listed.len() <= MAX_KEYS)
        .ok_or_else(|| KeysError::NotJwks {
            why: format!("expected an object with an array \"keys\" of at most {MAX_KEYS}"),
        })?;
    let mut keys: Vec<(usize, Key)> = Vec::new();
    let mut skipped = Vec::new();
    for (at, value) in listed.iter().enumerate() {
        if let Some(member) = PRIVATE.iter().find(|name| value.get(name).is_some()) {
            return Err(KeysError::Private { at, member });
        }
        match value.as_object().ok_or("it is not an object").and_then(key) {
            Ok(key) if key.kid.is_some() && keys.iter().any(|(_, other)| other.kid == key.kid) => {
                return Err(KeysError::SameKid { at });
            }
            Ok(key) => keys.push((at, key)),
            Err(why) => skipped.push(Skipped { at, why }),
        }
    }
    if keys.len() > 1 {
        let nameless = keys.extract_if(.., |(_, key)| key.kid.is_none());
        let why = "it has no kid, so beside others no token can name it";
        skipped.extend(nameless.map(|(at, _)| Skipped { at, why }));
    }
    match KeySet::new(keys.into_iter().map(|(_, key)| key).collect()) {
        Some(keys) => Ok((keys, skipped)),
        None => Err(KeysError::NoKey {
            skipped: skipped
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; "),
        }),
    }
}

/// The key, or why it is passed over.
fn key(jwk: &Map<String, Value>) -> Result<Key, &'static str> {
    if jwk.get("use").is_some_and(|usage| usage != "sig") {
        return Err("its use is not sig");
    }
    let verifies = |ops: &Value| {
        ops.as_array()
            .is_some_and(|ops| ops.iter().any(|op| op == "verify"))
    };
    if !jwk.get("key_ops").is_none_or(verifies) {
        return Err("its key_ops do not contain verify");
    }
    let kid = match jwk.get("kid") {
        None => None,
        Some(Value::String(kid)) if (1..=MAX_KID).contains(&kid.len()) => Some(kid.clone()),
        Some(_) => return Err("its kid is not a text of 1 to 256 bytes"),
    };
    let material = match jwk.get("kty").and_then(Value::as_str) {
        Some("RSA") => rsa(jwk)?,
        Some("EC") => point(jwk)?,
        Some("oct") => Material::octets(member(jwk, "k").ok_or("its k is not base64url")?),
        _ => return Err("its kty is not RSA, EC or oct"),
    };
    let algorithm = match jwk.get("alg") {
        None => Algorithm::default_of(material.kind()),
        Some(name) => name.as_str().and_then(Algorithm::named),
    };
    let algorithm = algorithm.ok_or("its alg is none that is verified here")?;
    if material
        .octet_count()
        .is_some_and(|count| count < algorithm.min_octets)
    {
        return Err("its k is shorter than the hash of its alg");
    }
    Key::new(kid, algorithm, material).ok_or("its alg does not fit its kty")
}

fn rsa(jwk: &Map<String, Value>) -> Result<Material, &'static str> {
    let n = number(jwk, "n").ok_or("its n is not base64url")?;
    let e = number(jwk, "e").ok_or("its e is not base64url")?;
    let bits = n
        .first()
        .map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) || n.last().is_none_or(|last| last % 2 == 0) {
        return Err("its n is not an odd number of 2048 to 8192 bits");
    }
    // ring's limits: no e of 1, which anyone could sign for, and none of more than 33 bits.
    let small = e.len() <= 4 || (e.len() == 5 && e.first() == Some(&1));
    if e == [1] || !small || e.last().is_none_or(|last| last % 2 == 0) {
        return Err("its e is not an odd number from 3 to 2^33");
    }
    Ok(Material::rsa(&n, &e))
}

fn point(jwk: &Map<String, Value>) -> Result<Material, &'static str> {
    let (kind, bytes) = match jwk.get("crv").and_then(Value::as_str) {
        Some("P-256") => (Kind::P256, 32),
        Some("P-384") => (Kind::P384, 48),
        _ => return Err("its crv is not P-256 or P-384"),
    };
    // In full length (RFC 7518 §6.2.1.2).
    let coordinate = |name| member(jwk, name).filter(|bytes_of| bytes_of.len() == bytes);
    match (coordinate("x"), coordinate("y")) {
        (Some(x), Some(y)) => Ok(Material::point(kind, &x, &y)),
        _ => Err("its x or y is not base64url of its curve's length"),
    }
}

/// A big-endian number without the zeros before it.
fn number(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    let bytes = member(jwk, name)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Some(bytes[zeros..].to_vec())
}

fn member(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(jwk.get(name)?.as_str()?.as_bytes()).ok()
}

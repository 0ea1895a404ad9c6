//! Keys, each with the one algorithm it is used with, and the only call of biscuit. A key cannot be made for an algorithm of
//! another kind, because biscuit panics there.

use biscuit::Empty;
use biscuit::jwa::SignatureAlgorithm;
use biscuit::jws::{Compact, Secret as KeyBytes};
use deploy_core::secret::Secret;

use super::Rule;

/// What a key is made of decides what it can be used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Octets,
    Rsa,
    P256,
    P384,
}

/// An algorithm of RFC 7518 §3.1 that is verified here. `none` is not one.
#[derive(Debug)]
pub(super) struct Algorithm {
    name: &'static str,
    pub(super) kind: Kind,
    /// The shortest secret: as long as the hash (RFC 7518 §3.2).
    pub(super) min_octets: usize,
    biscuit: SignatureAlgorithm,
}

/// The first of a kind is what a key is used with that does not say.
static ALGORITHMS: [Algorithm; 11] = {
    use SignatureAlgorithm as S;
    const fn of(name: &'static str, kind: Kind, biscuit: S) -> Algorithm {
        Algorithm {
            name,
            kind,
            min_octets: 0,
            biscuit,
        }
    }
    const fn shared(name: &'static str, min_octets: usize, biscuit: S) -> Algorithm {
        Algorithm {
            name,
            kind: Kind::Octets,
            min_octets,
            biscuit,
        }
    }
    [
        shared("HS256", 32, S::HS256),
        shared("HS384", 48, S::HS384),
        shared("HS512", 64, S::HS512),
        of("RS256", Kind::Rsa, S::RS256),
        of("RS384", Kind::Rsa, S::RS384),
        of("RS512", Kind::Rsa, S::RS512),
        of("PS256", Kind::Rsa, S::PS256),
        of("PS384", Kind::Rsa, S::PS384),
        of("PS512", Kind::Rsa, S::PS512),
        of("ES256", Kind::P256, S::ES256),
        of("ES384", Kind::P384, S::ES384),
    ]
};

impl Algorithm {
    /// By its name; case counts (RFC 7515 §4.1.1).
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        ALGORITHMS.iter().find(|algorithm| algorithm.name == name)
    }

    /// What a key of that kind is used with where it does not say.
    pub(super) fn default_of(kind: Kind) -> Option<&'static Self> {
        ALGORITHMS.iter().find(|algorithm| algorithm.kind == kind)
    }
}

/// What a key is made of. Its `Debug` is `***`, for a shared secret is among them.
#[derive(Debug)]
pub(super) struct Material {
    kind: Kind,
    bytes: Secret<KeyBytes>,
}

impl Material {
    /// A secret shared with the issuer.
    pub(super) const fn octets(bytes: Vec<u8>) -> Self {
        Self {
            kind: Kind::Octets,
            bytes: Secret::new(KeyBytes::Bytes(bytes)),
        }
    }

    /// An RSA key by its modulus and exponent, big-endian, without zeros before them: as the DER of a PKCS #1
    /// RSAPublicKey (RFC 8017 A.1.1).
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let numbers = [der_integer(modulus), der_integer(exponent)].concat();
        Self {
            kind: Kind::Rsa,
            bytes: Secret::new(KeyBytes::PublicKey(der(0x30, &numbers))),
        }
    }

    /// A point of a curve by its coordinates in full length: as an uncompressed point (SEC 1 §2.3.3).
    pub(super) fn point(kind: Kind, x: &[u8], y: &[u8]) -> Self {
        Self {
            kind,
            bytes: Secret::new(KeyBytes::PublicKey([&[4], x, y].concat())),
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// How long a shared secret is.
    pub(super) const fn octet_count(&self) -> Option<usize> {
        match self.bytes.expose() {
            KeyBytes::Bytes(bytes) => Some(bytes.len()),
            _ => None,
        }
    }
}

/// A key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) kid: Option<String>,
    algorithm: &'static Algorithm,
    material: Material,
}

impl Key {
    /// `None` where the two do not fit.
    pub(super) fn new(
        kid: Option<String>,
        algorithm: &'static Algorithm,
        material: Material,
    ) -> Option<Self> {
        (algorithm.kind == material.kind).then_some(Self {
            kid,
            algorithm,
            material,
        })
    }

    /// The payload of a token whose header says `algorithm`, if this key signed it.
    pub(super) fn payload(&self, token: &str, algorithm: &str) -> Result<Vec<u8>, Rule> {
        // Before the signature is looked at, and again by biscuit after it.
        if algorithm != self.algorithm.name {
            return Err("its header's alg is not the one its key is used with");
        }
        let signed = Compact::<Vec<u8>, Empty>::new_encoded(token)
            .decode(self.material.bytes.expose(), self.algorithm.biscuit);
        match signed {
            Ok(Compact::Decoded { payload, .. }) => Ok(payload),
            Ok(Compact::Encoded(_)) | Err(_) => Err("its signature is wrong"),
        }
    }
}

/// The keys that are believed.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

impl KeySet {
    /// `None` where there is no key.
    pub(super) fn new(keys: Vec<Key>) -> Option<Self> {
        (!keys.is_empty()).then_some(Self(keys))
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Nobody's: no token is believed.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// The key that a token's `kid` names. One key alone is taken by tokens without `kid`, and one that has no name by all.
    pub(super) fn select(&self, kid: Option<&str>) -> Result<&Key, Rule> {
        match (kid, self.0.as_slice()) {
            (None, [only]) => Ok(only),
            (Some(_), [only]) if only.kid.is_none() => Ok(only),
            (_, []) => Err("there is no key that is believed now"),
            (None, _) => Err("its header has no kid, and there are several keys"),
            (Some(kid), keys) => keys
                .iter()
                .find(|key| key.kid.as_deref() == Some(kid))
                .ok_or("its header's kid names no key that is believed"),
        }
    }
}

/// A positive INTEGER (X.690 §8.3): a zero goes before what would be read as negative.
fn der_integer(number: &[u8]) -> Vec<u8> {
    if number.first().is_some_and(|first| *first >= 0x80) {
        der(2, &[&[0], number].concat())
    } else {
        der(2, number)
    }
}

/// Tag, length (X.690 §10.1: the shortest form), content.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let length = &length[zeros..];
    match length {
        [] => vec![tag, 0],
        [short] if *short < 0x80 => [&[tag, *short], content].concat(),
        // At most eight bytes tell the length of what is in memory.
        #[allow(clippy::cast_possible_truncation, reason = "at most 8")]
        long => [&[tag, 0x80 | long.len() as u8], long, content].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_der_writes_them() {
        assert_eq!(der_integer(&[1, 0, 1]), [2, 3, 1, 0, 1]);
        assert_eq!(der_integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(der(4, &[]), [4, 0]);
        assert_eq!(der(4, &[7; 128])[..4], [4, 0x81, 128, 7]);
        assert_eq!(der(4, &[7; 256])[..5], [4, 0x82, 1, 0, 7]);
    }

    #[test]
    fn a_key_is_not_made_for_an_algorithm_of_another_kind() {
        for algorithm in &ALGORITHMS {
            let materials = [
                Material::octets(vec![1; 32]),
                Material::rsa(&[0xff; 256], &[1, 0, 1]),
                Material::point(Kind::P256, &[1; 32], &[1; 32]),
                Material::point(Kind::P384, &[1; 48], &[1; 48]),
            ];
            let fits = materials.map(|material| Key::new(None, algorithm, material).is_some());
            assert_eq!(fits.iter().filter(|fits| **fits).count(), 1, "{}", algorithm.name);
        }
    }
}

//! The foreign issuer's tokens and keys, and an issuer of our own that shares a secret.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use biscuit::Empty;
use biscuit::jwa::SignatureAlgorithm;
use biscuit::jws::{Compact, Header, RegisteredHeader, Secret};
use data_encoding::BASE64URL_NOPAD;
use deploy_adapters::identity::{JwtConfig, JwtVerifier, KeyFile};
use deploy_core::ports::{Claims, Clock, TokenError, TokenVerifier as _};
use deploy_testkit::memory::ManualClock;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

/// What pyjwt_tokens.py writes.
#[derive(Deserialize)]
pub(crate) struct Written {
    now: i64,
    verifiers: BTreeMap<String, Settings>,
    pub(crate) cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Settings {
    jwks: Option<Value>,
    secret: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
}

/// A token, and what has to become of it.
#[derive(Deserialize, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) verifier: String,
    pub(crate) token: String,
    identity: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    rule: Option<String>,
}

impl Case {
    /// What it says, where it is a good one.
    pub(crate) fn claims(&self) -> Option<Claims> {
        let identity = serde_json::from_value(Value::from(self.identity.clone()?)).unwrap();
        Some(Claims {
            identity,
            groups: self.groups.clone(),
        })
    }

    /// Whether it was to be so.
    pub(crate) fn is(&self, verified: &Result<Claims, TokenError>) -> bool {
        match (verified, &self.rule) {
            (Ok(claims), None) => self.claims().as_ref() == Some(claims),
            (Err(TokenError::Invalid { rule }), Some(expected)) => rule == expected,
            _ => false,
        }
    }
}

/// Verifiers that believe the foreign issuer, at the time of its tokens.
pub(crate) struct Verifiers {
    by_name: BTreeMap<String, JwtVerifier>,
    _folder: TempDir,
}

impl Written {
    /// The file beside this one.
    pub(crate) fn committed() -> Self {
        serde_json::from_str(include_str!("tokens.json")).unwrap()
    }

    pub(crate) fn verifiers(&self) -> Verifiers {
        let folder = tempfile::tempdir().unwrap();
        let now = std::time::UNIX_EPOCH + Duration::from_secs(self.now.unsigned_abs());
        let clock = Arc::new(ManualClock::at(now.into()));
        let open = |(name, settings): (&String, &Settings)| {
            let path = folder.path().join(name);
            let keys = match (&settings.jwks, &settings.secret) {
                (Some(jwks), None) => {
                    std::fs::write(&path, jwks.to_string()).unwrap();
                    KeyFile::Jwks(path)
                }
                (None, Some(secret)) => {
                    std::fs::write(&path, BASE64URL_NOPAD.decode(secret.as_bytes()).unwrap()).unwrap();
                    KeyFile::Secret(path)
                }
                _ => panic!("{name}: either keys or a secret"),
            };
            let config = JwtConfig {
                keys,
                issuer: settings.issuer.clone(),
                audience: settings.audience.clone(),
                leeway: Duration::from_secs(60),
            };
            (name.clone(), JwtVerifier::open(config, clock.clone()).unwrap())
        };
        Verifiers {
            by_name: self.verifiers.iter().map(open).collect(),
            _folder: folder,
        }
    }
}

impl std::ops::Index<&str> for Verifiers {
    type Output = JwtVerifier;

    fn index(&self, name: &str) -> &JwtVerifier {
        &self.by_name[name]
    }
}

/// Opens a verifier that is held to nothing but its keys.
pub(crate) fn open(keys: KeyFile, clock: &ManualClock) -> JwtVerifier {
    let config = JwtConfig {
        keys,
        issuer: None,
        audience: None,
        leeway: Duration::from_secs(60),
    };
    JwtVerifier::open(config, Arc::new(clock.clone())).unwrap()
}

/// Puts keys in a file as an editor does: a new file under the old name.
pub(crate) fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// Ada's token under that secret, good for a day by that clock.
pub(crate) fn adas(secret: &[u8], kid: Option<&str>, clock: &ManualClock) -> String {
    let exp = clock.now().timestamp() + 86_400;
    let payload = format!(r#"{{"email":"ada@example.com","exp":{exp}}}"#).into_bytes();
    let header = Header::<Empty>::from_registered_header(RegisteredHeader {
        algorithm: SignatureAlgorithm::HS256,
        key_id: kid.map(str::to_owned),
        ..RegisteredHeader::default()
    });
    let signed = Compact::new_decoded(header, payload).encode(&Secret::Bytes(secret.to_vec()));
    signed.unwrap().encoded().unwrap().to_string()
}

/// `ada`, or the rule by which the token is refused.
pub(crate) async fn said(verifier: &JwtVerifier, token: &str) -> String {
    match verifier.verify(token).await {
        Ok(claims) => claims.identity.to_string(),
        Err(TokenError::Invalid { rule }) => rule.to_owned(),
        Err(error) => panic!("{error}"),
    }
}

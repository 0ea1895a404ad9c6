//! JSON Web Tokens (RFC 7519), believed by keys of a file: [`TokenVerifier`] on biscuit.
//!
//! biscuit does one thing here: it checks one signature with one key and the one algorithm of that key. Which key, what
//! the header may say, what the claims have to say, and by what time, is decided in this folder, because biscuit panics on
//! keys that do not fit their algorithm and on dates out of range, reads no set of keys in which one is unknown to it, and
//! lets `crit` pass. A token never chooses its algorithm, never brings its key, and never has a key fetched.
//!
//! The same token is one text: parts are base64url without padding and without stray bits (RFC 4648 §3.5), so no second
//! spelling of a token is believed. ECDSA signatures alone have two forms each (s and n - s); nothing here goes by a
//! signature's bytes.

mod claims;
mod jwks;
mod key;
mod key_file;
mod rotation;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::ports::{Claims, Clock, TokenError, TokenVerifier};
use deploy_core::workload::Timestamp;

use claims::Expected;
pub use key_file::{KeyFile, KeysError};
use rotation::CurrentKeys;

/// What is believed.
#[derive(Debug, Clone)]
pub struct JwtConfig {
    /// Whose signatures.
    pub keys: KeyFile,
    /// The `iss` that a token has to say. `None`: whoever holds the key is believed, whatever `iss` says.
    pub issuer: Option<String>,
    /// What `aud` has to contain. `None`: a token that says whom it is for is refused.
    pub audience: Option<String>,
    /// How far clocks may be apart.
    pub leeway: Duration,
}

/// [`TokenVerifier`] for JSON Web Tokens. Needs a tokio runtime.
pub struct JwtVerifier {
    keys: CurrentKeys,
    expected: Expected,
    clock: Arc<dyn Clock>,
}

/// What is wrong with a token. Static, so that no piece of it ever gets into an answer or a log.
type Rule = &'static str;

impl JwtVerifier {
    /// Reads the keys. They are read again while tokens come, see [`KeyFile`].
    ///
    /// # Errors
    /// There is no key that could verify anything, or one that must not be used; with the cure.
    pub fn open(config: JwtConfig, clock: Arc<dyn Clock>) -> Result<Self, KeysError> {
        let JwtConfig {
            keys,
            issuer,
            audience,
            leeway,
        } = config;
        Ok(Self {
            keys: CurrentKeys::open(keys, clock.clone())?,
            expected: Expected {
                issuer,
                audience,
                leeway: leeway.as_secs_f64(),
            },
            clock,
        })
    }
}

#[async_trait]
impl TokenVerifier for JwtVerifier {
    async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let invalid = |rule| TokenError::Invalid { rule };
        let header = token::header(token).map_err(invalid)?;
        let keys = self.keys.get().await;
        let key = keys.select(header.kid.as_deref()).map_err(invalid)?;
        let payload = key.payload(token, &header.algorithm).map_err(invalid)?;
        claims::read(&payload, &self.expected, seconds(self.clock.now())).map_err(invalid)
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier")
            .field("keys", &self.keys)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

/// Seconds since 1970, as a NumericDate (RFC 7519 §2) counts them.
#[allow(
    clippy::cast_precision_loss,
    reason = "exact to the millisecond for 285,000 years"
)]
fn seconds(time: Timestamp) -> f64 {
    time.timestamp_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests;

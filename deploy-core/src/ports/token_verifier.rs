//! Tells whether a token is one of ours to believe.

use async_trait::async_trait;

use crate::error::BoxError;
use crate::names::Identity;

/// Verifies bearer tokens.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TokenVerifier: Send + Sync {
    /// Who the token speaks for.
    async fn verify(&self, token: &str) -> Result<Claims, TokenError>;
}

/// What a believed token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who.
    pub identity: Identity,
    /// The groups they are in.
    pub groups: Vec<String>,
}

/// Why a token is not believed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is not valid; the rule it breaks.
    #[error("the token is not valid: {rule}")]
    Invalid {
        /// The rule.
        rule: &'static str,
    },
    /// The keys cannot be had now.
    #[error("the keys cannot be read")]
    Unavailable(#[source] BoxError),
}

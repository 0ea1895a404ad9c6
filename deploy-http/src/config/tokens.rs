//! Which tokens are believed: the flags, and which of them make no sense together. It opens no file, and no URL ever.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Stop;
use super::values::duration;

/// Whose tokens are believed.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the fields' help says it")]
pub struct Tokens {
    /// A file with the secret that tokens are signed with (HS256), 32 bytes or more
    #[arg(
        long,
        env = "DEPLOY_JWT_SECRET_FILE",
        value_name = "FILE",
        conflicts_with = "jwt_jwks"
    )]
    pub jwt_secret_file: Option<PathBuf>,
    /// A file with the public keys that tokens are signed with: a JSON Web Key Set
    #[arg(long, env = "DEPLOY_JWT_JWKS", value_name = "FILE", value_parser = key_set)]
    pub jwt_jwks: Option<PathBuf>,
    /// The issuer that a token has to name (iss)
    #[arg(long, env = "DEPLOY_JWT_ISSUER", value_name = "TEXT", value_parser = text)]
    pub jwt_issuer: Option<String>,
    /// What a token has to say that it is for (aud)
    #[arg(long, env = "DEPLOY_JWT_AUDIENCE", value_name = "TEXT", value_parser = text)]
    pub jwt_audience: Option<String>,
    /// How far the issuer's clock and this one may be apart
    #[arg(long, env = "DEPLOY_JWT_LEEWAY", value_name = "TIME", default_value = "60s", value_parser = leeway)]
    pub jwt_leeway: Duration,
}

const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);
/// A token that has expired is a token that somebody may have found.
const MAX_LEEWAY: Duration = Duration::from_secs(5 * 60);

impl Tokens {
    /// Whether there is a key to check any token with.
    pub(super) const fn believe_any(&self) -> bool {
        self.jwt_secret_file.is_some() || self.jwt_jwks.is_some()
    }

    /// What no single flag can tell.
    pub(super) fn check(&self) -> Result<(), Stop> {
        let keys = self.believe_any();
        let without_keys = [
            ("--jwt-issuer", self.jwt_issuer.is_some()),
            ("--jwt-audience", self.jwt_audience.is_some()),
            ("--jwt-leeway", self.jwt_leeway != DEFAULT_LEEWAY),
        ];
        if let Some((flag, _)) = without_keys.iter().find(|(_, given)| *given && !keys) {
            return Err(Stop::wrong(format!(
                "{flag} says what a token has to be, but there is no key to check one with, so none would be believed; \
                 give --jwt-jwks or --jwt-secret-file, or leave {flag} out"
            )));
        }
        if self.jwt_jwks.is_some() && (self.jwt_issuer.is_none() || self.jwt_audience.is_none()) {
            return Err(Stop::wrong(
                "--jwt-jwks needs --jwt-issuer and --jwt-audience: an issuer signs for many with the same keys, and a \
                 token that is meant for another service would be believed here",
            ));
        }
        Ok(())
    }
}

fn key_set(text: &str) -> Result<PathBuf, &'static str> {
    let scheme = text
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => Err(
            "keys are not fetched from a URL in this build; have them put in a file, which is read again when it changes",
        ),
        _ if text.is_empty() => Err("a file has a name"),
        _ => Ok(PathBuf::from(text)),
    }
}

fn text(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.trim() != text {
        Err("it is compared as it stands: not empty, no blanks at either end")
    } else {
        Ok(text.to_owned())
    }
}

fn leeway(text: &str) -> Result<Duration, String> {
    let leeway = duration(text)?;
    if leeway > MAX_LEEWAY {
        return Err(
            "at most 5m: a token that has expired is not to be believed; set the clocks instead".to_owned(),
        );
    }
    Ok(leeway)
}

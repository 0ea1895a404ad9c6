//! The file that keys are in: read within limits, and told apart from everything that would make a poor key. It fetches
//! nothing.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use deploy_core::secret::Secret;

use super::jwks::{self, Skipped};
use super::key::{Algorithm, Key, KeySet, Kind, Material};

/// The shortest secret, bytes: as long as the hash (RFC 7518 §3.2). A shorter one can be guessed from any token.
pub(super) const MIN_SECRET: usize = 32;
/// The largest file, bytes.
const MAX_BYTES: u64 = 256 * 1024;

/// Where the keys are.
///
/// The file is read again while tokens come, at most every 10 seconds, and counts from then on: a key that is no longer
/// in it is no longer believed. A set without a key believes nobody; a file that cannot be read whole leaves the keys as
/// they were, with a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFile {
    /// A secret for HS256: the file's bytes, without one line end at its end.
    Secret(PathBuf),
    /// A JSON Web Key Set.
    Jwks(PathBuf),
}

/// Why a file gives no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It cannot be read.
    #[error("it cannot be read; see that it is there and that this user may read it")]
    Unreadable(#[source] io::Error),
    /// A folder, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// It is enormous.
    #[error("it is larger than 256 KiB, which no file of keys is")]
    TooLarge,
    /// A secret that can be guessed.
    #[error(
        "the secret has {bytes} bytes, fewer than {MIN_SECRET}, so it could be guessed; make one with `openssl rand -hex 32`"
    )]
    TooShort {
        /// How many.
        bytes: usize,
    },
    /// A key that others have, in the place of a secret.
    #[error(
        "it is a key or a set of keys in text, which others may have, and not a secret; give public keys as --jwt-jwks, \
         or make a secret with `openssl rand -hex 32`"
    )]
    NotASecret,
    /// It is no set of keys.
    #[error("it is not a JSON Web Key Set ({why}); give the file that the issuer publishes as its jwks_uri")]
    NotJwks {
        /// Where, and what was expected.
        why: String,
    },
    /// A set of keys to sign with.
    #[error(
        "/keys/{at} holds {member}, a part of a private key, which nobody but the issuer may have; \
         give the public keys alone, and have that key replaced"
    )]
    Private {
        /// Which key; the first is 0.
        at: usize,
        /// The member.
        member: &'static str,
    },
    /// A name for two keys.
    #[error("/keys/{at} has the kid of a key before it; give each key a kid of its own")]
    SameKid {
        /// Which key; the first is 0.
        at: usize,
    },
    /// There is none that can be used.
    #[error("it holds no key to verify with ({skipped}); RSA, EC P-256 and P-384, and oct keys can be used")]
    NoKey {
        /// The keys that were passed over, and why.
        skipped: String,
    },
}

impl KeyFile {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        let (Self::Secret(path) | Self::Jwks(path)) = self;
        path
    }

    /// What is in the file. Symbolic links are followed, for that is how Kubernetes mounts a Secret.
    pub(super) fn read(&self) -> Result<Secret<Vec<u8>>, KeysError> {
        // Looked at before it is opened: to open a pipe waits for whoever writes to it.
        if !fs::metadata(self.path())
            .map_err(KeysError::Unreadable)?
            .is_file()
        {
            return Err(KeysError::NotAFile);
        }
        let mut bytes = Vec::new();
        let file = File::open(self.path()).map_err(KeysError::Unreadable)?;
        let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(KeysError::Unreadable)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(KeysError::TooLarge);
        }
        Ok(Secret::new(bytes))
    }

    /// The keys that those bytes are.
    pub(super) fn parse(&self, bytes: &Secret<Vec<u8>>) -> Result<(KeySet, Vec<Skipped>), KeysError> {
        let bytes = bytes.expose();
        match self {
            Self::Jwks(_) => jwks::parse(bytes),
            Self::Secret(_) => Ok((secret(bytes)?, Vec::new())),
        }
    }

    /// Whether anyone on this machine could put a key of theirs in.
    pub(super) fn is_open_to_all(&self) -> bool {
        fs::metadata(self.path()).is_ok_and(|file| file.permissions().mode() & 0o002 != 0)
    }
}

/// One key, without a name.
fn secret(bytes: &[u8]) -> Result<KeySet, KeysError> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let secret = line.strip_suffix(b"\r").unwrap_or(line);
    // Whoever has the public key of an issuer could sign with it as the secret.
    let text = secret.trim_ascii_start();
    if text.starts_with(b"-----BEGIN") || text.starts_with(b"{") || text.starts_with(b"ssh-") {
        return Err(KeysError::NotASecret);
    }
    if secret.len() < MIN_SECRET {
        return Err(KeysError::TooShort { bytes: secret.len() });
    }
    let key = Algorithm::default_of(Kind::Octets)
        .and_then(|algorithm| Key::new(None, algorithm, Material::octets(secret.to_vec())));
    KeySet::new(key.into_iter().collect()).ok_or_else(|| KeysError::NoKey {
        skipped: String::new(),
    })
}

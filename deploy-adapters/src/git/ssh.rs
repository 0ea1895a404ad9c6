//! An ssh server: one private key shown to it, and the host keys it is known by. Nothing else is ever tried: no agent, no
//! key or configuration of the user this runs as, no password.
//!
//! libgit2 asks for the pins on disk to choose the kind of host key that it asks the server for, so they are written where
//! it looks; whether a key is the right one is judged here alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::{BASE64, BASE64_NOPAD};
use deploy_core::secret::Secret;
use git2::cert::Cert;
use git2::{CertificateCheckStatus, Cred, CredentialType, ErrorClass, ErrorCode, RemoteCallbacks};

use super::access::{AccessError, Flaw, Rotating};
use super::base::RemoteBase;
use super::failure::{Failure, Verdict};
use super::known_hosts::{Judgement, KnownHosts, name_of};
use super::settings;

/// The server, and what opens it.
#[derive(Debug)]
pub(super) struct SshServer {
    base: RemoteBase,
    key: Rotating<Secret<String>>,
    known_hosts: Rotating<KnownHosts>,
    /// Where libgit2 looks for pins.
    pins: PathBuf,
}

/// What is shown and believed in one conversation.
pub(super) struct Conversation {
    base: RemoteBase,
    key: Arc<Secret<String>>,
    known_hosts: Arc<KnownHosts>,
    verdict: Verdict,
}

impl SshServer {
    pub(super) fn open(
        base: RemoteBase,
        key: PathBuf,
        known_hosts: PathBuf,
        scratch: &Path,
    ) -> Result<Self, AccessError> {
        let key = Rotating::open(key, private_key)?;
        // Asked at the start alone. Later a file without the host, or with its key revoked, is the operator's will: from
        // then on the server is refused.
        let pinned = Rotating::open(known_hosts.clone(), {
            let (host, port) = (base.host().to_owned(), base.port());
            move |bytes| pins_of(bytes, &host, port)
        })?;
        let authorities = pinned.current().authorities;
        let known_hosts = Rotating::open(known_hosts, KnownHosts::parse)?;
        if authorities > 0 {
            tracing::warn!(
                authorities,
                "@cert-authority lines of the known hosts are not used: host certificates are not known here"
            );
        }
        let home = scratch.join("ssh");
        let read = |error| AccessError::Read(home.clone(), error);
        fs::create_dir_all(home.join(".ssh")).map_err(read)?;
        settings::look_for_pins_in(&home).map_err(|error| read(std::io::Error::other(error)))?;
        let server = Self {
            pins: home.join(".ssh/known_hosts"),
            base,
            key,
            known_hosts,
        };
        Ok(server)
    }

    pub(super) fn converse(&self, verdict: Verdict) -> Conversation {
        let known_hosts = self.known_hosts.current();
        let lines = known_hosts.plain_lines(self.base.host(), self.base.port());
        if fs::read(&self.pins).ok().as_deref() != Some(lines.as_bytes())
            && let Err(error) = fs::write(&self.pins, lines)
        {
            tracing::warn!(%error, "the pinned host keys cannot be written for libgit2, which may ask for another kind of key");
        }
        Conversation {
            base: self.base.clone(),
            key: self.key.current(),
            known_hosts,
            verdict,
        }
    }
}

impl Conversation {
    /// Answers what libgit2 asks: who the server is, and who we are.
    pub(super) fn answer_in(&self, callbacks: &mut RemoteCallbacks<'_>) {
        let (base, known, verdict) = (
            self.base.clone(),
            Arc::clone(&self.known_hosts),
            self.verdict.clone(),
        );
        callbacks.certificate_check(move |certificate, _host| {
            judge(&base, &known, certificate)
                .map(|()| CertificateCheckStatus::CertificateOk)
                .map_err(|(why, more)| {
                    refuse(&base, &verdict, why, &more);
                    git2::Error::new(ErrorCode::Certificate, ErrorClass::Ssh, why)
                })
        });
        let (base, key, verdict) = (self.base.clone(), Arc::clone(&self.key), self.verdict.clone());
        let mut shown = false;
        callbacks.credentials(move |url, user, wanted| {
            let refused = |why: &'static str| {
                refuse(&base, &verdict, why, "");
                git2::Error::new(ErrorCode::Auth, ErrorClass::Ssh, why)
            };
            let for_base = url
                .strip_prefix(base.origin())
                .is_some_and(|path| path.starts_with('/'));
            if !for_base || user != Some(base.user()) {
                return Err(refused("git was asked for at another server"));
            }
            if !wanted.contains(CredentialType::SSH_MEMORY) {
                return Err(refused("the git server takes no ssh keys"));
            }
            if std::mem::replace(&mut shown, true) {
                return Err(refused("the git server refuses the ssh key"));
            }
            Cred::ssh_key_from_memory(base.user(), None, key.expose(), None)
        });
    }
}

fn refuse(base: &RemoteBase, verdict: &Verdict, why: &'static str, more: &str) {
    tracing::warn!(server = base.origin(), more, "{why}");
    verdict.record(Failure::refused(why, format!("{} {more}", base.origin())));
}

/// Whether the server's key is pinned; else why not, and more for the log.
fn judge(
    base: &RemoteBase,
    known: &KnownHosts,
    certificate: &Cert<'_>,
) -> Result<(), (&'static str, String)> {
    let shown = certificate.as_hostkey();
    let Some(key) = shown.and_then(|shown| shown.hostkey()) else {
        return Err(("the git server shows no host key", String::new()));
    };
    let kind = shown
        .and_then(|shown| shown.hostkey_type())
        .map_or("unknown", |kind| kind.name());
    let hash = shown.and_then(|shown| shown.hash_sha256());
    let fingerprint = hash.map_or_else(String::new, |hash| BASE64_NOPAD.encode(hash));
    let shown = format!("it shows {kind} SHA256:{fingerprint}");
    match known.judge(base.host(), base.port(), key) {
        Judgement::Known => Ok(()),
        Judgement::UnknownHost => Err(("the git server's host key is unknown: none is pinned", shown)),
        Judgement::Revoked => Err(("the git server's host key is revoked", shown)),
        Judgement::OtherKey(kinds) if kinds.iter().any(|pinned| pinned == kind) => {
            Err(("the git server's host key has changed: another is pinned", shown))
        }
        Judgement::OtherKey(kinds) => Err((
            "the git server's host key is unknown: only keys of other kinds are pinned",
            format!("{shown}; pinned are {}", kinds.join(", ")),
        )),
    }
}

fn pins_of(bytes: &[u8], host: &str, port: u16) -> Result<KnownHosts, Flaw> {
    let known = KnownHosts::parse(bytes)?;
    if known.has(host, port) {
        return Ok(known);
    }
    let name = name_of(host, port);
    let option = if port == 22 {
        String::new()
    } else {
        format!("-p {port} ")
    };
    Err(Flaw::Whole(format!(
        "no key is pinned for {name}; add what `ssh-keyscan {option}{host}` prints, after comparing it with what the \
         host says of itself"
    )))
}

/// A private key as it is, where it is one that can be used without asking anybody.
fn private_key(bytes: &[u8]) -> Result<Secret<String>, Flaw> {
    let whole = |text: &str| Flaw::Whole(text.to_owned());
    let text = std::str::from_utf8(bytes).map_err(|_| whole("it is not a private key in PEM"))?;
    let text = text.trim();
    let kind = text
        .strip_prefix("-----BEGIN ")
        .and_then(|rest| rest.split_once("-----"))
        .map(|(kind, _)| kind);
    let encrypted = match kind {
        Some("OPENSSH PRIVATE KEY") => {
            cipher(text).ok_or_else(|| whole("it is not a whole OpenSSH private key"))? != "none"
        }
        Some("ENCRYPTED PRIVATE KEY") => true,
        Some("RSA PRIVATE KEY" | "EC PRIVATE KEY") => text.contains("ENCRYPTED"),
        Some("PRIVATE KEY") => false,
        _ if text.starts_with("ssh-") || text.starts_with("ecdsa-") => {
            return Err(whole("it is a public key; the private key is wanted"));
        }
        _ => return Err(whole("it is not a private key in PEM")),
    };
    if encrypted {
        return Err(whole(
            "the key is locked by a passphrase, which nobody is there to enter; use one without, made for this \
             alone (ssh-keygen -t ed25519 -N '')",
        ));
    }
    Ok(Secret::new(format!("{text}\n")))
}

/// The cipher that an OpenSSH key is locked with (OpenSSH's PROTOCOL.key).
fn cipher(text: &str) -> Option<String> {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let bytes = BASE64.decode(body.trim().as_bytes()).ok()?;
    let rest = bytes.strip_prefix(b"openssh-key-v1\0")?;
    let length = u32::from_be_bytes(*rest.first_chunk()?);
    let name = rest.get(4..)?.get(..usize::try_from(length).ok()?)?;
    String::from_utf8(name.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn openssh(cipher: &str) -> String {
        let mut key = b"openssh-key-v1\0".to_vec();
        key.extend_from_slice(&u32::try_from(cipher.len()).unwrap().to_be_bytes());
        key.extend_from_slice(cipher.as_bytes());
        let body = BASE64.encode(&key);
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n")
    }

    #[test]
    fn only_a_private_key_without_a_passphrase_is_taken() {
        let pem =
            |kind: &str, more: &str| format!("-----BEGIN {kind}-----\n{more}canary\n-----END {kind}-----\n");
        let table = [
            (openssh("none"), None),
            (pem("RSA PRIVATE KEY", ""), None),
            (pem("PRIVATE KEY", ""), None),
            (openssh("aes256-ctr"), Some("passphrase")),
            (
                pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\n"),
                Some("passphrase"),
            ),
            (pem("ENCRYPTED PRIVATE KEY", ""), Some("passphrase")),
            (pem("OPENSSH PRIVATE KEY", ""), Some("whole")),
            (pem("CERTIFICATE", ""), Some("not a private key")),
            ("ssh-ed25519 canary".to_owned(), Some("public key")),
            ("canary".to_owned(), Some("not a private key")),
            (String::new(), Some("not a private key")),
        ];
        for (text, expected) in table {
            let flaw = private_key(text.as_bytes()).err().map(|flaw| flaw.to_string());
            let shown = flaw.clone().unwrap_or_default();
            assert!(!shown.contains("canary"), "{shown}");
            match expected {
                None => assert_eq!(flaw, None, "{text}"),
                Some(word) => assert!(shown.contains(word), "{text}: {shown}"),
            }
        }
    }

    #[test]
    fn known_hosts_without_the_host_are_refused_with_the_command_that_finds_it() {
        let flaw = pins_of(b"", "git.example", 2222).unwrap_err().to_string();
        assert!(flaw.contains("ssh-keyscan -p 2222 git.example"), "{flaw}");
        let flaw = pins_of(b"", "git.example", 22).unwrap_err().to_string();
        assert!(flaw.contains("ssh-keyscan git.example"), "{flaw}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_key_s_reader_panic(body in "[A-Za-z0-9+/=\n]{0,200}") {
            let text = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}");
            prop_assert!(private_key(text.as_bytes()).is_err());
        }
    }
}

//! What a git server is shown and whom it is trusted to be: files that the operator names. Each is read at the start,
//! where one that is of no use ends it, and again for each conversation with the server, so that a mounted secret may be
//! replaced without a restart. (The CA file is the exception: it is read at the start alone.)
//!
//! It refuses what would be shown to the wrong server: credentials on an unencrypted line, ssh without pinned keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::base::{RemoteBase, Scheme};
use super::failure::Verdict;
use super::http::{self, HttpServer};
use super::ssh::SshServer;

/// The largest such file, bytes. A store of the system's CA certificates has some 200 KiB.
const MAX_FILE: u64 = 4 << 20;

/// Files that open a git server. None is needed for a server that asks for nothing and has a certificate that the system
/// trusts.
#[derive(Debug, Clone, Default)]
pub struct GitAccess {
    /// The CA certificates of an https server, PEM; they stand in for the system's.
    pub ca_file: Option<PathBuf>,
    /// User and password for an https server, in the format of git-credential-store(1).
    pub credentials_file: Option<PathBuf>,
    /// The private key for an ssh server, without a passphrase.
    pub ssh_key: Option<PathBuf>,
    /// The host keys of an ssh server, in the format of sshd(8)'s known hosts.
    pub known_hosts: Option<PathBuf>,
}

/// Why a git server cannot be spoken to with these files. It never shows what is in them.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file that cannot be read.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A file that is not what it should be.
    #[error("{}: {flaw}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// Files that do not go with the base URL.
    #[error("{0}")]
    Unfit(&'static str),
    /// The system's CA certificates are missing.
    #[error(
        "this machine has no CA certificates to know an https server by; install them, or name a CA file"
    )]
    NoSystemCa,
}

/// What is wrong with a file, and the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The whole of it.
    #[error("{0}")]
    Whole(String),
    /// One line, counted from 1.
    #[error("line {0}: {1}")]
    Line(usize, &'static str),
}

/// A server with what opens it.
#[derive(Debug)]
pub(super) enum Access {
    Http(Arc<HttpServer>),
    Ssh(Arc<SshServer>),
}

/// What lasts as long as a conversation on this thread.
pub(super) enum Conversation {
    Http(http::Conversation),
    Ssh(super::ssh::Conversation),
}

impl Access {
    /// Reads the files. `scratch` is a folder for what libgit2 wants to find on disk.
    pub(super) fn open(base: RemoteBase, files: &GitAccess, scratch: &Path) -> Result<Self, AccessError> {
        let GitAccess {
            ca_file,
            credentials_file,
            ssh_key,
            known_hosts,
        } = files;
        if base.scheme() == Scheme::Ssh {
            if ca_file.is_some() || credentials_file.is_some() {
                return Err(AccessError::Unfit(
                    "a CA file and a credentials file are for https; ssh takes a key and known hosts",
                ));
            }
            let (Some(key), Some(hosts)) = (ssh_key, known_hosts) else {
                return Err(AccessError::Unfit(
                    "ssh needs a private key, and known hosts to know the server by (ssh-keyscan HOST)",
                ));
            };
            let server = SshServer::open(base, key.clone(), hosts.clone(), scratch)?;
            return Ok(Self::Ssh(Arc::new(server)));
        }
        if ssh_key.is_some() || known_hosts.is_some() {
            return Err(AccessError::Unfit("a private key and known hosts are for ssh://"));
        }
        if ca_file.is_some() && base.scheme() != Scheme::Https {
            return Err(AccessError::Unfit("a CA file is for https://"));
        }
        if credentials_file.is_some() && base.scheme() == Scheme::Http && !base.is_here() {
            return Err(AccessError::Unfit(
                "credentials are never sent over http to another machine; use https://",
            ));
        }
        let server = HttpServer::open(base, ca_file.as_deref(), credentials_file.clone())?;
        Ok(Self::Http(Arc::new(server)))
    }

    /// Begins to speak on this thread, with what the files hold now.
    pub(super) fn converse(&self, deadline: Instant, verdict: &Verdict) -> Conversation {
        match self {
            Self::Http(server) => Conversation::Http(server.converse(deadline, verdict.clone())),
            Self::Ssh(server) => Conversation::Ssh(server.converse(verdict.clone())),
        }
    }
}

/// Makes something of a file's bytes.
type Parser<T> = Box<dyn Fn(&[u8]) -> Result<T, Flaw> + Send + Sync>;

/// A file of secrets that may be replaced while we run.
pub(super) struct Rotating<T> {
    file: PathBuf,
    parse: Parser<T>,
    last: Mutex<Arc<T>>,
}

impl<T> Rotating<T> {
    pub(super) fn open(
        file: PathBuf,
        parse: impl Fn(&[u8]) -> Result<T, Flaw> + Send + Sync + 'static,
    ) -> Result<Self, AccessError> {
        let first = parsed(&file, &parse)?;
        Ok(Self {
            file,
            parse: Box::new(parse),
            last: Mutex::new(Arc::new(first)),
        })
    }

    /// What is in the file now; what was in it last where that is of no use.
    pub(super) fn current(&self) -> Arc<T> {
        let read = parsed(&self.file, &self.parse);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(new) => *last = Arc::new(new),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "a file for git is of no use now; what was in it before is used");
            }
        }
        Arc::clone(&last)
    }
}

impl<T> std::fmt::Debug for Rotating<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rotating").field(&self.file).finish()
    }
}

fn parsed<T>(file: &Path, parse: impl Fn(&[u8]) -> Result<T, Flaw>) -> Result<T, AccessError> {
    parse(&read(file)?).map_err(|flaw| AccessError::Content {
        file: file.to_owned(),
        flaw,
    })
}

/// A file's bytes, up to a bound.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, AccessError> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(MAX_FILE + 1).read_to_end(&mut bytes));
    read.map_err(|error| AccessError::Read(file.to_owned(), error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(AccessError::Content {
            file: file.to_owned(),
            flaw: Flaw::Whole("it is larger than any such file".to_owned()),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::GitBase;

    fn opened(base: &str, files: &GitAccess) -> Result<Access, AccessError> {
        let Ok(GitBase::Remote(base)) = GitBase::parse(base, true) else {
            panic!("{base} is a server's");
        };
        let scratch = tempfile::tempdir().unwrap();
        Access::open(base, files, scratch.path())
    }

    #[test]
    fn files_that_do_not_go_with_the_base_are_refused() {
        let some = || Some(PathBuf::from("/nowhere"));
        let none = GitAccess::default;
        let table = [
            ("ssh://h/", none()),
            (
                "ssh://h/",
                GitAccess {
                    ssh_key: some(),
                    ..none()
                },
            ),
            (
                "ssh://h/",
                GitAccess {
                    known_hosts: some(),
                    ..none()
                },
            ),
            (
                "ssh://h/",
                GitAccess {
                    ca_file: some(),
                    ..none()
                },
            ),
            (
                "ssh://h/",
                GitAccess {
                    credentials_file: some(),
                    ..none()
                },
            ),
            (
                "https://h/",
                GitAccess {
                    ssh_key: some(),
                    ..none()
                },
            ),
            (
                "https://h/",
                GitAccess {
                    known_hosts: some(),
                    ..none()
                },
            ),
            (
                "http://h/",
                GitAccess {
                    credentials_file: some(),
                    ..none()
                },
            ),
            (
                "http://h/",
                GitAccess {
                    ca_file: some(),
                    ..none()
                },
            ),
        ];
        for (base, files) in table {
            let error = opened(base, &files).unwrap_err();
            assert!(
                matches!(error, AccessError::Unfit(_)),
                "{base} {files:?}: {error:?}"
            );
        }
    }

    #[test]
    fn a_file_is_read_anew_and_kept_where_it_has_become_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "1").unwrap();
        let parse = |bytes: &[u8]| match bytes {
            b"bad" => Err(Flaw::Line(1, "bad")),
            bytes => Ok(bytes.to_vec()),
        };
        let rotating = Rotating::open(file.clone(), parse).unwrap();
        assert_eq!(*rotating.current(), b"1");
        std::fs::write(&file, "2").unwrap();
        assert_eq!(*rotating.current(), b"2");
        std::fs::write(&file, "bad").unwrap();
        assert_eq!(*rotating.current(), b"2");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(*rotating.current(), b"2");
        assert!(matches!(Rotating::open(file, parse), Err(AccessError::Read(..))));
    }
}

//! Where repositories are: a URL or folder that a repository's name is joined to. Names are parsed before they come here
//! and hold no separator, so joining never leaves the base.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use deploy_core::names::RepositoryName;
use git2::{ErrorCode, Repository};

use super::failure::Failure;

/// The place that holds all repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitBase {
    /// A folder of repositories, read in place.
    Folder(PathBuf),
    /// An http(s) URL, checked by [`GitBase::parse`], ending in '/'.
    Http(HttpBase),
}

/// A checked URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpBase(String);

/// Why a base URL is not one. It never repeats the URL, which may hold a secret by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a base URL for git: {rule}")]
pub struct BaseError {
    /// The rule it breaks.
    pub rule: &'static str,
}

impl GitBase {
    /// `https://host/path/`, `http://` on loopback or where `allow_http` says so, or `file:///folder`.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, BaseError> {
        let refuse = |rule| Err(BaseError { rule });
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return refuse("it holds blanks or control characters");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return refuse("https://…, http://… or file:///… is wanted");
        };
        match scheme {
            "file" if rest.contains(['%', '?', '#']) => refuse("a file URL is taken as it is: no %, ? or #"),
            "file" if rest.starts_with('/') => Ok(Self::Folder(rest.into())),
            "file" => refuse("a file URL names an absolute path: file:///folder"),
            "https" | "http" => {
                let authority = rest.split('/').next().unwrap_or_default();
                if authority.is_empty() {
                    return refuse("it names no host");
                }
                if authority.contains('@') {
                    return refuse("credentials do not belong in a URL");
                }
                if rest.contains(['?', '#', '\\']) {
                    return refuse("no query, fragment or backslash");
                }
                if scheme == "http" && !allow_http && !is_loopback(authority) {
                    return refuse("http is allowed on loopback, or where it is asked for; use https");
                }
                let slash = if text.ends_with('/') { "" } else { "/" };
                Ok(Self::Http(HttpBase(format!("{text}{slash}"))))
            }
            _ => refuse("https, http and file are the schemes"),
        }
    }
}

impl HttpBase {
    /// A repository's URL.
    pub(super) fn url_of(&self, repository: &RepositoryName) -> String {
        let (base, name) = (&self.0, repository.as_str());
        let end = if name.ends_with(".git") { "" } else { ".git" };
        format!("{base}{name}{end}")
    }
}

/// Opens `<name>` or `<name>.git` in a folder; never a repository above it.
pub(super) fn open_in(folder: &Path, repository: &RepositoryName) -> Result<Repository, Failure> {
    for name in [repository.to_string(), format!("{repository}.git")] {
        match Repository::open(folder.join(name)) {
            Ok(repository) => return Ok(repository),
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) => return Err(Failure::of_folder(&error)),
        }
    }
    Err(Failure::RepositoryNotFound)
}

/// Whether a URL's `host[:port]` is this machine. Names other than `localhost` are not asked for.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next(),
        None => authority.split(':').next(),
    };
    let host = host.unwrap_or_default();
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_accepted_and_refused_by_their_rules() {
        let accepted = [
            "https://git.example/team/",
            "https://git.example",
            "http://127.0.0.1:8080/git",
            "http://localhost",
            "http://[::1]:80/",
            "file:///srv/git",
        ];
        for text in accepted {
            assert!(GitBase::parse(text, false).is_ok(), "refused: {text}");
        }
        let refused = [
            "",
            "/srv/git",
            "git.example/team",
            "git@git.example:team",
            "ssh://git.example/",
            "ext::sh -c x",
            "file://host/srv",
            "file://srv",
            "https://",
            "https:///path",
            "https://user:secret@git.example/",
            "https://git.example/?a=b",
            "https://git.example/#a",
            "https://git.example/\r\n",
            "http://git.example/",
            "http://127.0.0.1.evil.example/",
            "http://localhost.evil.example/",
        ];
        for text in refused {
            let error = GitBase::parse(text, false).expect_err(text);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(GitBase::parse("http://git.example/", true).is_ok());
        assert!(GitBase::parse("http://user@git.example/", true).is_err());
    }

    #[test]
    fn a_name_is_joined_to_the_base_with_git_at_its_end() {
        let url = |base, name: &str| {
            let Ok(GitBase::Http(base)) = GitBase::parse(base, false) else {
                panic!("{base} is a URL");
            };
            base.url_of(&name.parse().unwrap())
        };
        assert_eq!(url("https://h/t", "demo"), "https://h/t/demo.git");
        assert_eq!(url("https://h/t/", "demo.git"), "https://h/t/demo.git");
    }
}

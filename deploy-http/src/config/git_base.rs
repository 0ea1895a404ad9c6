//! What repositories' names are joined to. It holds no password: a URL ends up in process lists and logs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hyper::Uri;

/// Where repositories are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitBase {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// Below an https, http or ssh URL that ends in `/`.
    Url {
        /// The URL.
        url: String,
        /// How it begins.
        scheme: Scheme,
        /// Whether it is http to a host other than this machine.
        plain_elsewhere: bool,
    },
}

/// How a git server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http://`
    Http,
    /// `https://`
    Https,
    /// `ssh://`
    Ssh,
}

impl GitBase {
    /// Whether what it gives can be changed on its way here.
    #[must_use]
    pub const fn is_plain_http_elsewhere(&self) -> bool {
        matches!(
            self,
            Self::Url {
                plain_elsewhere: true,
                ..
            }
        )
    }

    /// How its server is spoken to; a folder has none.
    #[must_use]
    pub const fn scheme(&self) -> Option<Scheme> {
        match self {
            Self::Folder(_) => None,
            Self::Url { scheme, .. } => Some(*scheme),
        }
    }
}

impl FromStr for GitBase {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "a base is https://host/path/, ssh://git@host/path/ or file:///folder";
        if let Some(folder) = text.strip_prefix("file://") {
            let folder = Path::new(folder);
            return if folder.is_absolute() {
                Ok(Self::Folder(folder.to_owned()))
            } else {
                Err(RULE)
            };
        }
        if !text.contains("://") && text.contains('@') && text.contains(':') {
            return Err("git@host:path is written ssh://git@host/path/");
        }
        let uri: Uri = text.parse().map_err(|_| RULE)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(RULE);
        };
        let scheme = match scheme {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            "ssh" => Scheme::Ssh,
            _ => return Err(RULE),
        };
        match authority.as_str().rsplit_once('@') {
            Some((user, _)) if user.contains(':') => {
                return Err("a base holds no password; a file does: --git-credentials-file, --git-ssh-key");
            }
            Some(_) if scheme != Scheme::Ssh => {
                return Err("a base holds no user; --git-credentials-file does");
            }
            _ => {}
        }
        if uri.query().is_some() || text.contains('#') {
            return Err("a base has no query and no fragment");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let here = host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        let slash = if text.ends_with('/') { "" } else { "/" };
        Ok(Self::Url {
            url: format!("{text}{slash}"),
            scheme,
            plain_elsewhere: scheme == Scheme::Http && !here,
        })
    }
}

impl fmt::Display for GitBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "file://{}", folder.display()),
            Self::Url { url, .. } => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_folder_or_a_url_without_secrets() {
        for (text, expected) in [
            ("file:///srv/git", Some(("file:///srv/git", false))),
            (
                "https://git.example/team",
                Some(("https://git.example/team/", false)),
            ),
            ("https://git.example/", Some(("https://git.example/", false))),
            (
                "http://git.example/team/",
                Some(("http://git.example/team/", true)),
            ),
            ("http://127.0.0.1:80/x", Some(("http://127.0.0.1:80/x/", false))),
            ("http://[::1]/x", Some(("http://[::1]/x/", false))),
            ("ssh://git.example/x", Some(("ssh://git.example/x/", false))),
            (
                "ssh://git@git.example:2222/",
                Some(("ssh://git@git.example:2222/", false)),
            ),
            ("file://relative", None),
            ("https://user:secret@git.example/", None),
            ("https://secret@git.example/", None),
            ("ssh://git:secret@git.example/", None),
            ("https://git.example/?x=1", None),
            ("git://git.example/", None),
            ("git@git.example:team", None),
            ("/srv/git", None),
            ("", None),
        ] {
            let parsed = text.parse::<GitBase>();
            if let Err(rule) = &parsed {
                assert!(!rule.contains("secret"), "{rule}");
            }
            let base = parsed.ok();
            let found = base
                .as_ref()
                .map(|base| (base.to_string(), base.is_plain_http_elsewhere()));
            let found = found.as_ref().map(|(text, plain)| (text.as_str(), *plain));
            assert_eq!(found, expected, "{text}");
        }
    }
}

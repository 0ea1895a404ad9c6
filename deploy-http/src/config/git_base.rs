//! What repositories' names are joined to. It holds no credentials: a URL ends up in process lists and logs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hyper::Uri;

/// Where repositories are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitBase {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// Below an http or https URL that ends in `/`.
    Url {
        /// The URL.
        url: String,
        /// Whether it is http to a host other than this machine.
        plain_elsewhere: bool,
    },
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
}

impl FromStr for GitBase {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "a base is https://host/path/ or file:///folder";
        if let Some(folder) = text.strip_prefix("file://") {
            let folder = Path::new(folder);
            return if folder.is_absolute() {
                Ok(Self::Folder(folder.to_owned()))
            } else {
                Err(RULE)
            };
        }
        let uri: Uri = text.parse().map_err(|_| RULE)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(RULE);
        };
        if authority.as_str().contains('@') {
            return Err("a base holds no user and no password");
        }
        if uri.query().is_some() || text.contains('#') {
            return Err("a base has no query and no fragment");
        }
        let plain = match scheme {
            "https" => false,
            "http" => true,
            _ => return Err(RULE),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        let slash = if text.ends_with('/') { "" } else { "/" };
        Ok(Self::Url {
            url: format!("{text}{slash}"),
            plain_elsewhere: plain && !here,
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
            ("file://relative", None),
            ("https://user:secret@git.example/", None),
            ("https://git.example/?x=1", None),
            ("ssh://git.example/", None),
            ("git@git.example:team", None),
            ("/srv/git", None),
            ("", None),
        ] {
            let base = text.parse::<GitBase>().ok();
            let found = base
                .as_ref()
                .map(|base| (base.to_string(), base.is_plain_http_elsewhere()));
            let found = found.as_ref().map(|(text, plain)| (text.as_str(), *plain));
            assert_eq!(found, expected, "{text}");
        }
    }
}

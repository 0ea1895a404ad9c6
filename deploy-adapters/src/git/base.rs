//! Where repositories are: a URL or folder that a repository's name is joined to. Names are parsed before they come here
//! and hold no separator, so joining never leaves the base. It refuses a password in a URL, which ends up in process
//! lists and logs.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use deploy_core::names::RepositoryName;
use git2::{ErrorCode, Repository};

use super::failure::Failure;

/// Who one is to an ssh server where nobody says otherwise: what all git hosts expect.
const SSH_USER: &str = "git";

/// The place that holds all repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitBase {
    /// A folder of repositories, read in place.
    Folder(PathBuf),
    /// A server, by a URL checked by [`GitBase::parse`].
    Remote(RemoteBase),
}

/// A checked URL of an http, https or ssh server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteBase {
    scheme: Scheme,
    user: Option<String>,
    host: String,
    port: u16,
    /// `scheme://[user@]host[:port]`, as given but for the user of ssh.
    origin: String,
    /// Begins and ends with '/'.
    path: String,
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    Ssh,
}

impl Scheme {
    /// The one of a URL, in lower case.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "http" => Self::Http,
            "https" => Self::Https,
            "ssh" => Self::Ssh,
            _ => return None,
        })
    }

    /// Where none is given.
    pub(super) const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Ssh => 22,
        }
    }
}

/// Why a base URL is not one. It never repeats the URL, which may hold a secret by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a base URL for git: {rule}")]
pub struct BaseError {
    /// The rule it breaks.
    pub rule: &'static str,
}

impl GitBase {
    /// `https://host/path/`, `ssh://[user@]host/path/`, `http://` on loopback or where `allow_http` says so, or
    /// `file:///folder`.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, BaseError> {
        Self::parsed(text, allow_http).map_err(|rule| BaseError { rule })
    }

    fn parsed(text: &str, allow_http: bool) -> Result<Self, &'static str> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("it holds blanks or control characters");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(if text.contains('@') && text.contains(':') {
                "git@host:path is written ssh://git@host/path/"
            } else {
                "https://…, ssh://…, http://… or file:///… is wanted"
            });
        };
        if scheme == "file" {
            return match rest {
                _ if rest.contains(['%', '?', '#']) => Err("a file URL is taken as it is: no %, ? or #"),
                _ if rest.starts_with('/') => Ok(Self::Folder(rest.into())),
                _ => Err("a file URL names an absolute path: file:///folder"),
            };
        }
        let scheme = Scheme::named(scheme).ok_or("https, ssh, http and file are the schemes")?;
        if rest.contains(['?', '#', '\\']) {
            return Err("no query, fragment or backslash");
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host_and_port) = match authority.rsplit_once('@') {
            None => (None, authority),
            Some((user, _)) if user.contains(':') => {
                return Err("a password does not belong in a URL; name a file that holds it");
            }
            Some(_) if scheme != Scheme::Ssh => {
                return Err("a user does not belong in an http URL; name a file of credentials");
            }
            Some((user, rest)) if is_plain(user) => (Some(user.to_owned()), rest),
            Some(_) => return Err("a user is made of letters, digits, '.', '_' and '-'"),
        };
        let (host, port) = host_and_port_of(host_and_port)?;
        if scheme == Scheme::Http && !allow_http && !is_loopback(&host) {
            return Err("http is allowed on loopback, or where it is asked for; use https");
        }
        let user = user.or_else(|| (scheme == Scheme::Ssh).then(|| SSH_USER.to_owned()));
        let origin = match (scheme, &user) {
            (Scheme::Http, _) => format!("http://{host_and_port}"),
            (Scheme::Https, _) => format!("https://{host_and_port}"),
            (Scheme::Ssh, user) => {
                format!("ssh://{}@{host_and_port}", user.as_deref().unwrap_or(SSH_USER))
            }
        };
        let slash = if path.is_empty() || path.ends_with('/') {
            ""
        } else {
            "/"
        };
        Ok(Self::Remote(RemoteBase {
            scheme,
            user,
            host,
            port: port.unwrap_or(scheme.default_port()),
            origin,
            path: format!("/{path}{slash}"),
        }))
    }
}

impl RemoteBase {
    /// A repository's URL.
    pub(super) fn url_of(&self, repository: &RepositoryName) -> String {
        let (origin, path) = (&self.origin, &self.path);
        format!("{origin}{path}{repository}.git")
    }

    pub(super) const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Who one is to the server; there is one for ssh alone.
    pub(super) fn user(&self) -> &str {
        self.user.as_deref().unwrap_or(SSH_USER)
    }

    /// In lower case, without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// `scheme://host[:port]`, what every URL of it begins with. It is fit for a log.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether what is sent to it never leaves this machine.
    pub(super) fn is_here(&self) -> bool {
        is_loopback(&self.host)
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

/// `host[:port]`, the host in lower case and without brackets.
pub(super) fn host_and_port_of(text: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, rest))) => {
            let parsed = address.parse::<Ipv6Addr>();
            parsed.map_err(|_| "what stands in brackets is an IPv6 address")?;
            let port = match rest.strip_prefix(':') {
                None if rest.is_empty() => None,
                None => return Err("a host is host or host:port"),
                port => port,
            };
            (address, port)
        }
        Some(None) => return Err("a bracket is not closed"),
        None => match text.split_once(':') {
            None => (text, None),
            Some((host, port)) => (host, Some(port)),
        },
    };
    if host.is_empty() {
        return Err("it names no host");
    }
    if !text.starts_with('[') && !is_plain(host) {
        return Err("a host is made of letters, digits, '.', '_' and '-'");
    }
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            let port = digits.parse().ok().filter(|port| *port != 0);
            Some(port.ok_or("a port is a number from 1 to 65535")?)
        }
        Some(_) => return Err("a port is a number from 1 to 65535"),
    };
    Ok((host.to_ascii_lowercase(), port))
}

/// A word that no program takes for an option, nor any syntax for anything else.
fn is_plain(word: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    word.bytes().all(fits) && word.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

/// Whether a host is this machine. Names other than `localhost` are not asked for.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bases_are_accepted_and_refused_by_their_rules() {
        let accepted = [
            "https://git.example/team/",
            "https://git.example",
            "https://git.example:8443/a/b",
            "http://127.0.0.1:8080/git",
            "http://localhost",
            "http://LOCALHOST",
            "http://[::1]:80/",
            "ssh://git.example/team",
            "ssh://deploy@git.example:2222/",
            "ssh://[::1]:22/srv/git/",
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
            "ssh://git:secret@git.example/",
            "ssh://-oProxyCommand=secret@git.example/",
            "ssh://-oProxyCommand=secret/",
            "ssh://git@/",
            "ssh://a b/",
            "ssh+git://git.example/",
            "git://git.example/",
            "ext::sh -c x",
            "file://host/srv",
            "file://srv",
            "https://",
            "https:///path",
            "https://user:secret@git.example/",
            "https://secret@git.example/",
            "https://git.example:/",
            "https://git.example:0/",
            "https://git.example:65536/",
            "https://git.example:+1/",
            "https://git.example/?a=b",
            "https://git.example/#a",
            "https://git.example/\r\n",
            "https://[::1/",
            "https://[secret]/",
            "https://[::1]x/",
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
    fn the_form_of_scp_is_refused_with_the_cure() {
        let error = GitBase::parse("git@git.example:team/", false).unwrap_err();
        assert!(error.rule.contains("ssh://git@host/path/"), "{error}");
    }

    #[test]
    fn a_name_is_joined_to_the_base_with_git_at_its_end() {
        let url = |base, name: &str| remote(base).url_of(&name.parse().unwrap());
        assert_eq!(url("https://h/t", "demo"), "https://h/t/demo.git");
        assert_eq!(url("https://h", "demo"), "https://h/demo.git");
        assert_eq!(url("https://h/t/", "demo"), "https://h/t/demo.git");
        assert_eq!(url("ssh://h:22/t", "demo"), "ssh://git@h:22/t/demo.git");
        assert_eq!(url("ssh://me@h/", "demo"), "ssh://me@h/demo.git");
    }

    #[test]
    fn host_and_port_are_taken_apart() {
        let parts = |base| {
            let base = remote(base);
            (base.host().to_owned(), base.port())
        };
        assert_eq!(parts("https://Git.Example/"), ("git.example".into(), 443));
        assert_eq!(parts("ssh://git.example"), ("git.example".into(), 22));
        assert_eq!(parts("ssh://[::1]:2222/x"), ("::1".into(), 2222));
    }

    fn remote(text: &str) -> RemoteBase {
        match GitBase::parse(text, false) {
            Ok(GitBase::Remote(base)) => base,
            other => panic!("{text}: {other:?}"),
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_base_or_refused_in_words_of_ours(text in "(https|ssh|http|file)?(://)?.{0,40}") {
            if let Err(error) = GitBase::parse(&text, true) {
                // Words of a fixed set, so nothing of the text.
                prop_assert!(error.rule.len() < 100);
            }
        }

        #[test]
        fn what_is_accepted_has_one_host_and_no_password(
            user in "[a-z:@-]{0,6}", host in "[a-zA-Z0-9.:@\\[\\]-]{0,12}", path in "[a-z/@:.]{0,12}",
        ) {
            let text = format!("ssh://{user}@{host}/{path}");
            if let Ok(GitBase::Remote(base)) = GitBase::parse(&text, false) {
                let url = base.url_of(&"demo".parse().unwrap());
                let authority = url.strip_prefix("ssh://").and_then(|rest| rest.split('/').next()).unwrap();
                prop_assert_eq!(authority.matches('@').count(), 1);
                prop_assert!(!authority.starts_with('-') && url.ends_with("/demo.git"));
            }
        }
    }
}

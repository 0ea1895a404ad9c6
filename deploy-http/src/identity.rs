//! Who asks, as far as a request is believed. A bad token or a bad header never falls through to anonymous, and a
//! header that is not to be believed is ignored, never compared. It authorizes nothing: that is the core's.

mod trust;

use std::net::IpAddr;
use std::sync::Arc;

use deploy_core::deployer::Caller;
use deploy_core::names::Identity;
use deploy_core::ports::{TokenError, TokenVerifier};
use hyper::header::{self, HeaderMap};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

pub use trust::{Network, Trust};

use crate::gate::Ends;
use crate::problem::{EdgeCode, Problem};
use crate::routes::Access;

/// Which reads need an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ProtectReads {
    /// Those on the external listener.
    External,
    /// All of them.
    All,
    /// None.
    None,
}

/// What a listener believes.
pub struct IdentityRules {
    /// Who may assert the Identity header.
    pub trust: Trust,
    /// Whether reads need an identity.
    pub reads_protected: bool,
    /// Checks tokens; `None` = no token is believed.
    pub tokens: Option<Arc<dyn TokenVerifier>>,
}

/// Who asks, and what for they are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Believed {
    /// Who.
    pub caller: Caller,
    /// What for.
    pub by: Credential,
}

/// What somebody is believed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// The cookie, which a browser sends along whichever page asks.
    Cookie,
    /// `Authorization: Bearer`, which is sent on purpose.
    Bearer,
    /// The Identity header, likewise.
    Header,
}

impl IdentityRules {
    /// Who asks for a route of that access; `None` = anonymous, where that is enough.
    ///
    /// # Errors
    /// 401 where what is there is not to be believed, or nothing is there and the route needs it; 503 where a token
    /// cannot be checked now.
    pub async fn caller(
        &self,
        access: Access,
        headers: &HeaderMap,
        ends: Ends,
    ) -> Result<Option<Believed>, Problem> {
        if access == Access::Open {
            return Ok(None);
        }
        let from_token = match token(headers)? {
            Some((token, by)) => Some(Believed {
                caller: self.verified(token).await?,
                by,
            }),
            None => None,
        };
        let from_header = if self.believes(headers, ends) {
            asserted(headers)?
        } else {
            None
        };
        let believed = match (from_token, from_header) {
            (Some(token), Some(header)) if !same(&token.caller.identity, &header) => {
                return Err(Problem::new(
                    EdgeCode::IdentityConflict,
                    "the token and the Identity header name different people; send one of them",
                ));
            }
            (Some(token), _) => Some(token),
            (None, Some(identity)) => Some(Believed {
                caller: Caller {
                    identity,
                    groups: Vec::new(),
                },
                by: Credential::Header,
            }),
            (None, None) => None,
        };
        if believed.is_none() && self.needed(access) {
            return Err(Problem::new(EdgeCode::IdentityRequired, self.cure(headers, ends)));
        }
        Ok(believed)
    }

    /// Whether a route of that access needs an identity here.
    #[must_use]
    pub const fn needed(&self, access: Access) -> bool {
        match access {
            Access::Open => false,
            Access::Read => self.reads_protected,
            Access::Change | Access::Delete => true,
        }
    }

    /// Whether an Identity header is believed. On a loopback listener what a proxy has passed on is not: its peer is the
    /// proxy, whoever asks.
    fn believes(&self, headers: &HeaderMap, ends: Ends) -> bool {
        let loopback = ends.local.ip().to_canonical().is_loopback();
        self.trust.includes(ends.peer.ip()) && !(loopback && forwarded(headers))
    }

    fn cure(&self, headers: &HeaderMap, ends: Ends) -> &'static str {
        match (self.believes(headers, ends), self.tokens.is_some()) {
            (true, _) => "this route needs an identity; send the header `Identity: you@example.com`",
            (false, true) => {
                "this route needs an identity: the cookie `authtoken` or `Authorization: Bearer`; \
                 no Identity header is believed from here"
            }
            (false, false) => "this route needs an identity, and no Identity header is believed from here",
        }
    }

    async fn verified(&self, token: &str) -> Result<Caller, Problem> {
        let Some(tokens) = &self.tokens else {
            let detail =
                "no key is configured, so no token is believed; leave the cookie and Authorization out";
            return Err(Problem::new(EdgeCode::InvalidToken, detail));
        };
        match tokens.verify(token).await {
            Ok(claims) => Ok(Caller {
                identity: claims.identity,
                groups: claims.groups,
            }),
            Err(TokenError::Invalid { rule }) => Err(Problem::new(
                EdgeCode::InvalidToken,
                format!("the token is not believed: {rule}"),
            )),
            Err(error @ TokenError::Unavailable(_)) => {
                let detail = "the keys that tokens are checked with cannot be read now; try again";
                Err(Problem::new(EdgeCode::KeysUnavailable, detail).because(error))
            }
        }
    }
}

/// Refuses a Host that is not the loopback listener's own, so that no web page reaches a laptop's server by pointing
/// a name of its own at 127.0.0.1 (DNS rebinding). The port is not compared: a forwarded port is another one.
///
/// # Errors
/// 421.
pub fn check_host(local: IpAddr, request: &Parts) -> Result<(), Problem> {
    let local = local.to_canonical();
    if !local.is_loopback() {
        return Ok(());
    }
    let own = |authority: &Authority| {
        let host = authority.host();
        // Nothing before the host, and a port or nothing after it.
        let after = authority.as_str().strip_prefix(host);
        let port = after.map(|after| after.strip_prefix(':').map(str::parse::<u16>));
        let whole = matches!(port, Some(Some(Ok(_)))) || after == Some("");
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let named = host.eq_ignore_ascii_case("localhost");
        whole && (named || matches!(host, "127.0.0.1" | "::1") || host.parse() == Ok(local))
    };
    // HTTP/2 has the authority alone, HTTP/1 the header, and an absolute target both: each one there must be ours.
    let target = request.uri.authority().map(own);
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let header = hosts.next().map(|host| {
        let authority = host.to_str().ok().and_then(|host| host.parse().ok());
        authority.as_ref().is_some_and(own)
    });
    let any = target.is_some() || header.is_some();
    if any && target.unwrap_or(true) && header.unwrap_or(true) && hosts.next().is_none() {
        Ok(())
    } else {
        let detail = "this listener answers to the Hosts localhost, 127.0.0.1 and [::1] alone";
        Err(Problem::new(EdgeCode::Misdirected, detail))
    }
}

const IDENTITY: &str = "identity";
const COOKIE: &[u8] = b"authtoken";

/// The one token of a request: the cookie's, or the Bearer's.
fn token(headers: &HeaderMap) -> Result<Option<(&str, Credential)>, Problem> {
    let cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter_map(|pair| match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (pair[..at].trim_ascii() == COOKIE).then_some(&pair[at + 1..]),
            // A cookie without a value is a bad one, not none.
            None => (pair == COOKIE).then_some(b""),
        });
    let bearers = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| {
        let value = value.as_bytes().trim_ascii();
        let (scheme, rest) = value.split_at_checked(6)?;
        let ends = rest.first().is_none_or(|byte| *byte == b' ');
        (ends && scheme.eq_ignore_ascii_case(b"bearer")).then_some(rest)
    });
    let cookies = cookies.map(|token| (token, Credential::Cookie));
    let bearers = bearers.map(|token| (token, Credential::Bearer));
    let mut tokens = cookies.chain(bearers);
    let first = tokens.next();
    if tokens.next().is_some() {
        let detail = "the request carries more than one token; send one, as the cookie or as Authorization";
        return Err(Problem::new(EdgeCode::InvalidToken, detail));
    }
    match first.map(|(token, by)| (std::str::from_utf8(token.trim_ascii()), by)) {
        None => Ok(None),
        Some((Ok(token), by)) if !token.is_empty() => Ok(Some((token, by))),
        Some(_) => Err(Problem::new(
            EdgeCode::InvalidToken,
            "the token is empty or not text",
        )),
    }
}

fn asserted(headers: &HeaderMap) -> Result<Option<Identity>, Problem> {
    let mut values = headers.get_all(IDENTITY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let identity = value.to_str().ok().and_then(|text| text.parse().ok());
    match identity {
        Some(identity) if values.next().is_none() => Ok(Some(identity)),
        _ => Err(Problem::new(
            EdgeCode::InvalidIdentity,
            "the Identity header is not exactly one mailbox of at most 254 bytes, as in ada@example.com",
        )),
    }
}

/// Whether a proxy says that it has passed the request on: then the peer's address says nothing about who asks.
fn forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded")
    })
}

fn same(one: &Identity, other: &Identity) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

#[cfg(test)]
mod tests;

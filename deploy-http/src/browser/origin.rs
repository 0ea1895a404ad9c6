//! An origin (RFC 6454): scheme, host and port. `null` is none, and so is anything with a path.

use std::fmt;
use std::str::FromStr;

use hyper::http::uri::Authority;

/// Where a page comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Origin {
    /// The origin of a URL, as Referer has it.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let authority = url.find("://")? + 3;
        let end = url[authority..]
            .find(['/', '?', '#'])
            .map_or(url.len(), |at| authority + at);
        url[..end].parse().ok()
    }

    /// Whether a page of this origin is this server's own: it came from the host that the request is addressed to. The
    /// scheme is the page's word, for what ends TLS in front of the server does not say it.
    pub(super) fn is_at(&self, addressed_to: &Authority) -> bool {
        let port = addressed_to.port_u16().unwrap_or(self.scheme.port());
        self.port == port && self.host.eq_ignore_ascii_case(addressed_to.host())
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "an origin is https://host or https://host:port, without a path";
        let (scheme, rest) = text.split_once("://").ok_or(RULE)?;
        let scheme = [Scheme::Http, Scheme::Https]
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(scheme))
            .ok_or(RULE)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
        if !rest.bytes().all(plain) {
            return Err(RULE);
        }
        let authority: Authority = rest.parse().map_err(|_| RULE)?;
        // `host:` and `host:99999` have a port that is no number.
        let after = &rest[authority.host().len()..];
        let port = match after.strip_prefix(':') {
            None if after.is_empty() => scheme.port(),
            None => return Err(RULE),
            Some(port) => port.parse().map_err(|_| RULE)?,
        };
        if authority.host().is_empty() {
            return Err(RULE);
        }
        Ok(Self {
            scheme,
            host: authority.host().to_ascii_lowercase(),
            port,
        })
    }
}

impl fmt::Display for Origin {
    /// As browsers write it: without the scheme's own port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if self.port != self.scheme.port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// The origins whose pages may use the cookie.
#[derive(Debug, Clone, Default)]
pub struct Origins(Vec<Origin>);

impl Origins {
    /// Exactly these.
    #[must_use]
    pub fn new(origins: impl IntoIterator<Item = Origin>) -> Self {
        Self(origins.into_iter().collect())
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn allow(&self, origin: &Origin) -> bool {
        self.0.contains(origin)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        for (text, shown) in [
            ("https://app.example", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("HTTPS://App.Example:8443", "https://app.example:8443"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://localhost:80", "http://localhost"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), shown, "{text}");
        }
        for text in [
            "",
            "null",
            "app.example",
            "https://",
            "https://:443",
            "https://app.example:",
            "https://app.example:99999",
            "https://app.example/",
            "https://app.example?",
            "https://ada@app.example",
            "https://*.example",
            "https://app.example https://b.example",
            "ftp://app.example",
            "https://app.example\r\nX: y",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_referer_gives_the_origin_of_its_page() {
        let of = |url| Origin::of_url(url).map(|origin| origin.to_string());
        assert_eq!(
            of("https://a.example/x/y?z"),
            Some("https://a.example".to_owned())
        );
        assert_eq!(
            of("https://a.example:8443"),
            Some("https://a.example:8443".to_owned())
        );
        assert_eq!(of("https://a.example#x"), Some("https://a.example".to_owned()));
        for url in [
            "",
            "about:blank",
            "/x",
            "https://a.example@evil.example/",
            "file:///x",
        ] {
            assert_eq!(of(url), None, "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_an_origin_panic(text in any::<String>()) {
            let _ = (text.parse::<Origin>(), Origin::of_url(&text));
        }

        #[test]
        fn an_origin_reads_as_it_is_written(host in "[a-z0-9.-]{1,20}", port in any::<u16>(), tls in any::<bool>()) {
            let scheme = if tls { "https" } else { "http" };
            let Ok(origin) = format!("{scheme}://{host}:{port}").parse::<Origin>() else {
                return Ok(());
            };
            proptest::prop_assert_eq!(origin.to_string().parse(), Ok(origin));
        }
    }
}

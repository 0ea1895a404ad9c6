//! User and password for an https server, in the format of git-credential-store(1): one URL a line,
//! `https://user:password@host[:port]`, percent-encoded. Only the first line for the base URL's scheme, host and port is
//! ever used; a path in it is ignored, as git does. Empty lines and lines that begin with `#` are passed over.
//!
//! It refuses a line it cannot read rather than to pass over a credential that somebody meant, and shows none.

use data_encoding::BASE64;
use deploy_core::secret::Secret;
use percent_encoding::percent_decode_str;

use super::access::Flaw;
use super::base::{RemoteBase, Scheme, host_and_port_of};

/// The value of an Authorization header (RFC 7617).
pub(super) type Authorization = Secret<String>;

/// The credentials for `base`.
pub(super) fn parse(bytes: &[u8], base: &RemoteBase) -> Result<Authorization, Flaw> {
    let text = std::str::from_utf8(bytes).map_err(|_| Flaw::Whole("it is not UTF-8".to_owned()))?;
    let mut found = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = Entry::parse(line).map_err(|rule| Flaw::Line(index + 1, rule))?;
        if found.is_none() && entry.is_for(base) {
            found = Some(entry.authorization());
        }
    }
    found.ok_or_else(|| {
        let origin = base.origin();
        let (scheme, host) = origin.split_once("://").unwrap_or(("https", origin));
        Flaw::Whole(format!(
            "no line is for {origin}; write {scheme}://USER:PASSWORD@{host}"
        ))
    })
}

struct Entry {
    scheme: Scheme,
    host: String,
    port: u16,
    user: String,
    password: String,
}

impl Entry {
    fn parse(line: &str) -> Result<Self, &'static str> {
        const RULE: &str = "a line is https://USER:PASSWORD@HOST";
        let (scheme, rest) = line.split_once("://").ok_or(RULE)?;
        let scheme = match Scheme::named(scheme) {
            Some(scheme @ (Scheme::Http | Scheme::Https)) => scheme,
            _ => return Err(RULE),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let (login, host) = authority.rsplit_once('@').ok_or(RULE)?;
        let (user, password) = login.split_once(':').ok_or(RULE)?;
        let (host, port) = host_and_port_of(host)?;
        let user = decoded(user)?;
        if user.contains(':') {
            return Err("a user with a colon cannot be sent");
        }
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
            user,
            password: decoded(password)?,
        })
    }

    fn is_for(&self, base: &RemoteBase) -> bool {
        (self.scheme, self.host.as_str(), self.port) == (base.scheme(), base.host(), base.port())
    }

    fn authorization(&self) -> Authorization {
        let login = format!("{}:{}", self.user, self.password);
        Secret::new(format!("Basic {}", BASE64.encode(login.as_bytes())))
    }
}

fn decoded(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("neither the user nor the password is empty");
    }
    let mut escapes = text.split('%').skip(1);
    if !escapes.all(|escape| escape.len() >= 2 && escape.bytes().take(2).all(|b| b.is_ascii_hexdigit())) {
        return Err("a % that is not followed by two hexadecimal digits is written %25");
    }
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| "the user and the password are UTF-8")?;
    if decoded.chars().any(char::is_control) {
        return Err("no control characters in the user and the password");
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::GitBase;
    use proptest::prelude::*;

    fn base(text: &str) -> RemoteBase {
        match GitBase::parse(text, true) {
            Ok(GitBase::Remote(base)) => base,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn login(text: &str, for_base: &str) -> Result<String, Flaw> {
        let authorization = parse(text.as_bytes(), &base(for_base))?;
        let encoded = authorization.expose().strip_prefix("Basic ").unwrap();
        Ok(String::from_utf8(BASE64.decode(encoded.as_bytes()).unwrap()).unwrap())
    }

    #[test]
    fn only_the_line_of_the_base_s_scheme_host_and_port_is_used() {
        let store = "\
            # tokens\n\n\
            https://a:1@other.example\n\
            http://b:2@git.example\n\
            https://c:3@git.example:8443/team\n\
            https://d:4%40%3a%25@Git.Example\n\
            https://e:5@git.example\n";
        let login = |base| login(store, base);
        assert_eq!(login("https://git.example/team/").unwrap(), "d:4@:%");
        assert_eq!(login("https://git.example:443/").unwrap(), "d:4@:%");
        assert_eq!(login("https://git.example:8443/").unwrap(), "c:3");
        assert_eq!(login("http://git.example/").unwrap(), "b:2");
        for base in [
            "https://it.example/",
            "https://git.example.evil.example/",
            "https://git.example:444/",
            "http://other.example/",
        ] {
            let flaw = login(base).unwrap_err();
            assert!(matches!(flaw, Flaw::Whole(_)), "{base}: {flaw}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_told_by_its_number_and_not_shown() {
        for line in [
            "canary",
            "https://canary",
            "https://canary@git.example",
            "https://:canary@git.example",
            "https://canary:@git.example",
            "https://u:canary%@git.example",
            "https://u:canary%0a@git.example",
            "https://u:canary%ff@git.example",
            "https://u%3a:canary@git.example",
            "https://u:canary@",
            "https://u:canary@git.example:x",
            "ssh://u:canary@git.example",
        ] {
            let store = format!("https://u:p@git.example\n{line}\n");
            let flaw = login(&store, "https://git.example/").unwrap_err();
            assert!(matches!(flaw, Flaw::Line(2, _)), "{line}: {flaw:?}");
            assert!(!format!("{flaw} {flaw:?}").contains("canary"), "{flaw}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_store_or_refused_without_showing_them(
            junk in "\\PC{0,30}", canary in "canary[0-9]{6}", end in "[@:/%]{0,3}[a-z.]{0,8}",
        ) {
            let text = format!("https://{junk}{canary}{end}");
            let parsed = parse(text.as_bytes(), &base("https://git.example/"));
            let shown = format!("{parsed:?}");
            prop_assert!(!shown.contains(&canary));
            if let Err(flaw) = parsed {
                prop_assert!(!flaw.to_string().contains(&canary));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let parsed = parse(&bytes, &base("https://git.example/"));
            prop_assert!(parsed.is_err());
        }
    }
}

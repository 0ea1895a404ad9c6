//! Whether an ssh server is who it is said to be: the keys pinned in a file of sshd(8)'s format, hashed names included.
//!
//! It refuses a line it cannot read, for a pin that is passed over is a pin that is missing. Certificate authorities
//! are passed over, and counted, since libssh2 knows no host certificates: they can only fail to admit, never admit.

use data_encoding::BASE64;
use ring::hmac;

use super::access::Flaw;

/// Pinned keys.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    pins: Vec<Pin>,
    /// Lines of certificate authorities.
    pub(super) authorities: usize,
}

#[derive(Debug)]
struct Pin {
    hosts: Hosts,
    kind: String,
    key: Vec<u8>,
    revoked: bool,
}

#[derive(Debug)]
enum Hosts {
    /// Patterns, and whether each is negated.
    Named(Vec<(bool, String)>),
    /// HMAC-SHA1 of the name.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// What the pins say of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is pinned.
    Known,
    /// Nothing is pinned for the host.
    UnknownHost,
    /// Other keys are pinned for the host, of these kinds.
    OtherKey(Vec<String>),
    /// It is marked as revoked.
    Revoked,
}

/// What a host is called in such a file.
pub(super) fn name_of(host: &str, port: u16) -> String {
    if port == 22 {
        host.to_owned()
    } else {
        format!("[{host}]:{port}")
    }
}

impl KnownHosts {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        let text = std::str::from_utf8(bytes).map_err(|_| Flaw::Whole("it is not UTF-8".to_owned()))?;
        let mut known = Self::default();
        for (index, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let (revoked, words) = match words.as_slice() {
                [] => continue,
                [first, ..] if first.starts_with('#') => continue,
                ["@revoked", rest @ ..] => (true, rest),
                ["@cert-authority", ..] => {
                    known.authorities += 1;
                    continue;
                }
                words => (false, words),
            };
            let pin = Pin::parse(words, revoked).map_err(|rule| Flaw::Line(index + 1, rule))?;
            known.pins.push(pin);
        }
        Ok(known)
    }

    /// What is to be thought of `key`, in the encoding of RFC 4253.
    pub(super) fn judge(&self, host: &str, port: u16, key: &[u8]) -> Judgement {
        let of_host: Vec<&Pin> = self.of(host, port).collect();
        let same = |pin: &&&Pin| pin.key == key;
        if of_host.iter().filter(same).any(|pin| pin.revoked) {
            return Judgement::Revoked;
        }
        if of_host.iter().any(|pin| pin.key == key) {
            return Judgement::Known;
        }
        let mut kinds: Vec<String> = of_host
            .iter()
            .filter(|pin| !pin.revoked)
            .map(|pin| pin.kind.clone())
            .collect();
        kinds.sort();
        kinds.dedup();
        if kinds.is_empty() {
            Judgement::UnknownHost
        } else {
            Judgement::OtherKey(kinds)
        }
    }

    /// Whether any key is pinned for a host.
    pub(super) fn has(&self, host: &str, port: u16) -> bool {
        self.of(host, port).any(|pin| !pin.revoked)
    }

    /// The pins of a host as lines of plain names, for those who do not know the rest of the format.
    pub(super) fn plain_lines(&self, host: &str, port: u16) -> String {
        let name = name_of(host, port);
        let pins = self.of(host, port).filter(|pin| !pin.revoked);
        pins.map(|pin| format!("{name} {} {}\n", pin.kind, BASE64.encode(&pin.key)))
            .collect()
    }

    fn of(&self, host: &str, port: u16) -> impl Iterator<Item = &Pin> {
        let name = name_of(host, port);
        self.pins.iter().filter(move |pin| pin.hosts.include(&name))
    }
}

impl Pin {
    fn parse(words: &[&str], revoked: bool) -> Result<Self, &'static str> {
        let [hosts, kind, key, ..] = words else {
            return Err("a line is HOST TYPE KEY");
        };
        let key = BASE64
            .decode(key.as_bytes())
            .map_err(|_| "the key is not base64")?;
        // RFC 4253, 6.6: a key begins with the name of its type.
        let length = key.first_chunk().map(|length| u32::from_be_bytes(*length));
        let named = length.and_then(|length| key.get(4..)?.get(..usize::try_from(length).ok()?));
        if named != Some(kind.as_bytes()) {
            return Err("the key is not of the type that is written before it");
        }
        Ok(Self {
            hosts: Hosts::parse(hosts)?,
            kind: (*kind).to_owned(),
            key,
            revoked,
        })
    }
}

impl Hosts {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(hashed) = text.strip_prefix("|1|") {
            const RULE: &str = "a hashed name is |1|SALT|HASH";
            let (salt, hash) = hashed.split_once('|').ok_or(RULE)?;
            let bytes = |text: &str| BASE64.decode(text.as_bytes()).map_err(|_| RULE);
            return Ok(Self::Hashed {
                salt: bytes(salt)?,
                hash: bytes(hash)?,
            });
        }
        if text.starts_with('|') {
            return Err("a name is hashed in a way that is not known");
        }
        let pattern = |text: &str| match text.strip_prefix('!') {
            Some(rest) => (true, rest.to_ascii_lowercase()),
            None => (false, text.to_ascii_lowercase()),
        };
        Ok(Self::Named(text.split(',').map(pattern).collect()))
    }

    fn include(&self, name: &str) -> bool {
        match self {
            Self::Named(patterns) => {
                let matching = |negated: bool| {
                    patterns
                        .iter()
                        .any(|(not, pattern)| *not == negated && matches(pattern.as_bytes(), name.as_bytes()))
                };
                matching(false) && !matching(true)
            }
            Self::Hashed { salt, hash } => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
        }
    }
}

/// A pattern of `*` and `?`. In time of pattern by name, whatever the pattern.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go back to: the last star, and how much of the name it has taken.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(kind: &str, content: &str) -> Vec<u8> {
        let mut key = u32::try_from(kind.len()).unwrap().to_be_bytes().to_vec();
        key.extend_from_slice(kind.as_bytes());
        key.extend_from_slice(content.as_bytes());
        key
    }

    fn line(hosts: &str, kind: &str, content: &str) -> String {
        format!(
            "{hosts} {kind} {} a comment\n",
            BASE64.encode(&key(kind, content))
        )
    }

    fn hashed(name: &str) -> String {
        let salt = b"0123456789abcdefghij";
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt),
            name.as_bytes(),
        );
        format!("|1|{}|{}", BASE64.encode(salt), BASE64.encode(tag.as_ref()))
    }

    #[test]
    fn a_key_is_known_only_for_the_hosts_it_is_pinned_for() {
        let file = [
            "# comment\n\n".to_owned(),
            line("git.example,192.0.2.1", "ssh-ed25519", "a"),
            line("[git.example]:2222", "ssh-ed25519", "b"),
            line(&hashed("hidden.example"), "ssh-ed25519", "c"),
            line(&hashed("[hidden.example]:2222"), "ssh-ed25519", "d"),
            line("*.wild.example,!not.wild.example", "ssh-ed25519", "e"),
            format!("@revoked {}", line("git.example", "ssh-ed25519", "old")),
            format!("@revoked {}", line("*", "ssh-ed25519", "stolen")),
            format!("@cert-authority {}", line("*", "ssh-ed25519", "ca")),
        ]
        .concat();
        let known = KnownHosts::parse(file.as_bytes()).unwrap();
        assert_eq!(known.authorities, 1);
        let other = || Judgement::OtherKey(vec!["ssh-ed25519".to_owned()]);
        let table = [
            ("git.example", 22, "a", Judgement::Known),
            ("192.0.2.1", 22, "a", Judgement::Known),
            ("git.example", 22, "b", other()),
            ("git.example", 22, "ca", other()),
            ("git.example", 2222, "a", other()),
            ("git.example", 2222, "b", Judgement::Known),
            ("git.example", 23, "a", Judgement::UnknownHost),
            ("it.example", 22, "a", Judgement::UnknownHost),
            ("hidden.example", 22, "c", Judgement::Known),
            ("hidden.example", 2222, "d", Judgement::Known),
            ("hidden.example", 2222, "c", other()),
            ("hidden.example", 23, "c", Judgement::UnknownHost),
            ("x.wild.example", 22, "e", Judgement::Known),
            ("not.wild.example", 22, "e", Judgement::UnknownHost),
            ("git.example", 22, "old", Judgement::Revoked),
            ("x.wild.example", 22, "stolen", Judgement::Revoked),
        ];
        for (host, port, content, expected) in table {
            let found = known.judge(host, port, &key("ssh-ed25519", content));
            assert_eq!(found, expected, "{host}:{port} {content}");
        }
        assert!(known.has("git.example", 22) && !known.has("nowhere.example", 22));
        assert_eq!(
            known.plain_lines("hidden.example", 2222),
            line("[hidden.example]:2222", "ssh-ed25519", "d").replace(" a comment", "")
        );
    }

    #[test]
    fn lines_that_cannot_be_read_are_told_by_their_number() {
        for bad in [
            "git.example".to_owned(),
            "git.example ssh-ed25519".to_owned(),
            "git.example ssh-ed25519 %%%".to_owned(),
            "git.example ssh-ed25519 AAAA".to_owned(),
            "git.example 1024 35 1234567".to_owned(),
            line("|1|x", "ssh-ed25519", "a"),
            line("|2|x|y", "ssh-ed25519", "a"),
            line("git.example", "ssh-ed25519", "a").replace("ssh-ed25519", "ssh-rsa"),
        ] {
            let file = line("git.example", "ssh-ed25519", "a") + &bad;
            let parsed = KnownHosts::parse(file.as_bytes());
            assert!(matches!(parsed, Err(Flaw::Line(2, _))), "{bad}: {parsed:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_admit_a_key(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), lines in "(\\PC{0,20} ){0,4}",
        ) {
            for bytes in [&bytes[..], lines.as_bytes()] {
                if let Ok(known) = KnownHosts::parse(bytes) {
                    let judged = known.judge("git.example", 22, &key("ssh-ed25519", "a"));
                    prop_assert_ne!(judged, Judgement::Known);
                }
            }
        }

        #[test]
        fn a_pattern_matches_as_its_parts_do(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            // By the definition, in time without bound.
            fn slow(pattern: &[u8], name: &[u8]) -> bool {
                match (pattern.split_first(), name.split_first()) {
                    (None, None) => true,
                    (Some((b'*', rest)), _) => {
                        (0..=name.len()).any(|taken| slow(rest, &name[taken..]))
                    }
                    (Some((p, rest)), Some((n, after))) => (*p == b'?' || p == n) && slow(rest, after),
                    _ => false,
                }
            }
            let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(matches(pattern, name), slow(pattern, name));
        }
    }
}

//! Text that came from outside: decoded strictly, shown carefully. It repairs nothing: what is not well formed is
//! refused, so that two readers of one request never understand it differently.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The bytes a percent-encoded text stands for; `None` where a `%` is not followed by two hexadecimal digits.
#[must_use]
pub fn percent_decoded(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let digits = rest.get(at + 1..at + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        rest = &rest[at + 3..];
    }
    Some(percent_decode(text).into())
}

/// The pairs of an `application/x-www-form-urlencoded` text, in order, as bytes: `+` is a blank, a pair without `=`
/// has an empty value, an empty pair is passed over. `None` in place of a pair that is not percent-encoded correctly.
pub fn urlencoded(text: &[u8]) -> impl Iterator<Item = Option<(Vec<u8>, Vec<u8>)>> + '_ {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &pair[pair.len()..]),
            };
            Some((form_decoded(name)?, form_decoded(value)?))
        })
}

fn form_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let blanks: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decoded(&blanks).map(Cow::into_owned)
}

/// A name from outside as it may stand in an answer or a log line: at most 40 characters, nothing but printable ASCII.
#[must_use]
pub fn shown(name: &str) -> String {
    const LONGEST: usize = 40;
    let mut shown: String = name
        .chars()
        .take(LONGEST)
        .map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' })
        .collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_sign_without_two_digits_is_refused() {
        for (text, expected) in [
            ("a%2Fb", Some("a/b")),
            ("%25", Some("%")),
            ("plain", Some("plain")),
            ("a+b", Some("a+b")),
            ("%", None),
            ("%2", None),
            ("%zz", None),
            ("a%2Fb%", None),
        ] {
            let decoded = percent_decoded(text.as_bytes());
            assert_eq!(decoded.as_deref(), expected.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn pairs_are_split_before_they_are_decoded() {
        let pairs: Vec<_> = urlencoded(b"a=1&&b=x%26y+z&c&d=%").collect();
        let pair = |name: &str, value: &str| Some((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        assert_eq!(pairs, [pair("a", "1"), pair("b", "x&y z"), pair("c", ""), None]);
    }

    #[test]
    fn a_shown_name_is_short_and_printable() {
        assert_eq!(shown("branch"), "branch");
        assert_eq!(shown("a\r\nb\u{202e}"), "a??b?");
        assert_eq!(shown(&"x".repeat(100)), format!("{}...", "x".repeat(40)));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(bytes: Vec<u8>) {
            let _ = percent_decoded(&bytes).is_some();
            let _ = urlencoded(&bytes).count();
            proptest::prop_assert!(shown(&String::from_utf8_lossy(&bytes)).len() <= 43);
        }
    }
}

//! Who asks. Two kinds share one type, and no text is of both: a mailbox, and what a token's issuer calls somebody whose
//! mailbox it does not tell. It refuses a subject that only looks like a mailbox: a rule for `*@example.com` never
//! matches anybody but a mailbox there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{NameError, is_mailbox};

/// Who asks: a mailbox, as in `ada@example.com`, or a token's subject.
///
/// [`FromStr`] takes a mailbox alone, for that is all a person may write; a subject comes in through
/// [`Identity::subject`], and both through serde, which reads back what was stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Identity(String);

impl Identity {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a mailbox.
    #[must_use]
    pub fn is_mailbox(&self) -> bool {
        self.0.contains('@')
    }

    /// Whom an issuer means by a `sub` claim. OpenID Connect Core §2 keeps it to ASCII, so no two that look alike differ.
    /// One with an `@` has to be a mailbox.
    ///
    /// # Errors
    /// It breaks that rule.
    pub fn subject(text: &str) -> Result<Self, NameError> {
        let printable = |b: u8| b == b' ' || b.is_ascii_graphic();
        let fine = (1..=254).contains(&text.len())
            && text.bytes().all(printable)
            && text.trim() == text
            && (!text.contains('@') || is_mailbox(text));
        if fine {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError {
                what: "subject",
                rule: "1 to 254 printable ASCII characters, no blanks at either end, a mailbox where there is an '@'",
            })
        }
    }
}

impl FromStr for Identity {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_mailbox(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError {
                what: "identity",
                rule: "one mailbox of at most 254 bytes, as in ada@example.com",
            })
        }
    }
}

impl TryFrom<String> for Identity {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::subject(&text)
    }
}

impl From<Identity> for String {
    fn from(identity: Identity) -> Self {
        identity.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_printable_and_never_half_a_mailbox() {
        for text in [
            "1",
            "auth0|5f7c",
            "CN=Ada Lovelace,O=x",
            "ada@example.com",
            &"s".repeat(254),
        ] {
            let subject = Identity::subject(text).unwrap();
            assert_eq!(subject.as_str(), text);
            assert_eq!(subject.is_mailbox(), text.parse::<Identity>().is_ok(), "{text:?}");
        }
        for text in [
            "",
            " ada",
            "ada ",
            "ada\r\n",
            "a\0b",
            "gr\u{f6}\u{df}e",
            "\u{430}da@example.com",
            "ada@example.com\u{200b}",
            "ada@example.com@evil.example",
            "Ada <ada@example.com>",
            "@example.com",
            "ada@",
            &"s".repeat(255),
        ] {
            assert!(Identity::subject(text).is_err(), "accepted: {text:?}");
        }
    }

    #[test]
    fn what_was_stored_is_read_back_whichever_it_is() {
        for text in ["\"ada@example.com\"", "\"auth0|5f7c\""] {
            let identity: Identity = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&identity).unwrap(), text);
        }
        assert!(serde_json::from_str::<Identity>("\"a@b@c\"").is_err());
    }
}

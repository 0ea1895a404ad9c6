//! Globs of a policy: `*` stands for any run of characters, also for none, and nothing else is special.

use crate::names::Identity;

/// One glob, made once when the policy is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    /// In lower case where case does not count; never two `*` in a row, which say no more than one.
    text: String,
    any_case: bool,
}

impl Glob {
    /// A glob that takes letters as they are written.
    pub(super) fn exact(text: &str) -> Self {
        let mut collapsed = String::with_capacity(text.len());
        for letter in text.chars() {
            if letter != '*' || !collapsed.ends_with('*') {
                collapsed.push(letter);
            }
        }
        Self {
            text: collapsed,
            any_case: false,
        }
    }

    /// A glob to which `A` and `a` are one letter.
    pub(super) fn any_case(text: &str) -> Self {
        let Self { text, .. } = Self::exact(&text.to_ascii_lowercase());
        Self { text, any_case: true }
    }

    /// Whether it matches everything.
    pub(super) fn is_any(&self) -> bool {
        self.text == "*"
    }

    /// Whether every text that `other` matches is matched by this one too: only a `*` of ours takes a `*` of `other`.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.matches(&other.text)
    }

    /// Whether each `*` can be filled so that it reads `text`.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.reads(text, self.any_case)
    }

    /// Whether it matches who asks: a mailbox in any case, as mail does; a token's subject as it is written, for there
    /// case tells two apart (RFC 7519 §4.1.2).
    pub(super) fn matches_identity(&self, identity: &Identity) -> bool {
        self.reads(identity.as_str(), self.any_case || identity.is_mailbox())
    }

    /// Linear but for backing up to the last `*`.
    fn reads(&self, text: &str, any_case: bool) -> bool {
        let (glob, text) = (self.text.as_bytes(), text.as_bytes());
        let same = |ours: u8, theirs: u8| ours == theirs || (any_case && ours.eq_ignore_ascii_case(&theirs));
        let (mut g, mut t, mut last_star) = (0, 0, None);
        while let Some(byte) = text.get(t) {
            match glob.get(g) {
                Some(b'*') => {
                    last_star = Some((g, t));
                    g += 1;
                }
                Some(ours) if same(*ours, *byte) => {
                    g += 1;
                    t += 1;
                }
                _ => match last_star {
                    Some((star, from)) => {
                        g = star + 1;
                        t = from + 1;
                        last_star = Some((star, from + 1));
                    }
                    None => return false,
                },
            }
        }
        glob.get(g..)
            .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_glob_matches_as_written() {
        for (glob, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("*ab*ab", "abab", true),
            ("kube-*", "kube-", true),
            ("kube-*", "kube", false),
            ("a**b", "a-b", true),
            ("a", "A", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::exact(glob).matches(text), expected, "{glob:?} {text:?}");
        }
        assert!(Glob::any_case("Ada@*").matches("aDA@X"));
        assert!(Glob::exact("**").is_any() && !Glob::exact("a*").is_any());
    }

    #[test]
    fn a_glob_covers_another_where_nothing_escapes_it() {
        for (wide, narrow, expected) in [
            ("*", "a*", true),
            ("a*", "ab*", true),
            ("a*", "a", true),
            ("ab*", "a*", false),
            ("a*b", "a*", false),
            ("a", "a", true),
        ] {
            let (wide, narrow) = (Glob::exact(wide), Glob::exact(narrow));
            assert_eq!(wide.covers(&narrow), expected, "{wide:?} {narrow:?}");
        }
    }

    /// What a glob means, as it would be told: a `*` takes nothing, or one character and goes on.
    fn model(glob: &[u8], text: &[u8]) -> bool {
        match (glob.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => model(rest, text),
            (Some((b'*', rest)), Some((_, left))) => model(rest, text) || model(glob, left),
            (Some((ours, rest)), Some((theirs, left))) => ours == theirs && model(rest, left),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_model(glob in "[ab*]{0,8}", text in "[ab*]{0,10}") {
            prop_assert_eq!(Glob::exact(&glob).matches(&text), model(glob.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn matching_in_any_case_is_matching_in_lower_case(glob in "[aAbB*]{0,8}", text in "[aAbB]{0,10}") {
            let (lower_glob, lower) = (glob.to_lowercase(), text.to_lowercase());
            prop_assert_eq!(Glob::any_case(&glob).matches(&text), model(lower_glob.as_bytes(), lower.as_bytes()));
        }

        #[test]
        fn what_is_covered_matches_nothing_more(wide in "[ab*]{0,6}", narrow in "[ab*]{0,6}", text in "[ab]{0,8}") {
            let (wide, narrow) = (Glob::exact(&wide), Glob::exact(&narrow));
            prop_assert!(!wide.covers(&narrow) || !narrow.matches(&text) || wide.matches(&text));
        }

        #[test]
        fn no_text_makes_it_panic(glob: String, text: String) {
            Glob::any_case(&glob).matches(&text);
        }
    }
}

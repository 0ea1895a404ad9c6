//! Taking values out of a JSON object: each reader answers the value, or records what was found and what was expected
//! and answers nothing. Shared by manifest.json, pipeline.json and the policy. It never repeats a value in a message, only
//! keys, short and escaped: what stands in a document may be a password in the wrong place.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::Violation;
use super::nearest::nearest;

/// The violations found so far.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    list: Vec<Violation>,
    left_out: bool,
}

impl Violations {
    /// An answer holds this many: a document of 256 KiB has room for 100,000 mistakes.
    pub(crate) const MAX: usize = 1000;

    pub(crate) fn push(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.list.len() < Self::MAX {
            self.list.push(Violation::new(pointer, message));
        } else {
            self.left_out = true;
        }
    }

    /// How many were found, up to [`Violations::MAX`].
    pub(crate) const fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn into_list(mut self) -> Vec<Violation> {
        if self.left_out {
            let message = format!("there are more than these {}; mend them first", Self::MAX);
            self.list.push(Violation::new("", message));
        }
        self.list
    }
}

/// An object of known keys.
pub(crate) struct Fields<'a> {
    pointer: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// `value` as an object that has no other keys than `known`.
    pub(crate) fn of(value: &'a Value, pointer: &str, known: &[&str], out: &mut Violations) -> Option<Self> {
        let Value::Object(map) = value else {
            out.push(pointer, unexpected(value, "an object"));
            return None;
        };
        let fields = Self {
            pointer: pointer.to_owned(),
            map,
        };
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            let cure = match nearest(key, known.iter().copied()) {
                Some(near) => format!("the nearest known one is \"{near}\""),
                None => format!("the known ones are {}", known.join(", ")),
            };
            out.push(fields.at(key), format!("unknown key {}; {cure}", quoted(key)));
        }
        Some(fields)
    }

    /// The pointer to a member.
    pub(crate) fn at(&self, key: &str) -> String {
        member(&self.pointer, key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Says that `key` has to be there, if it is not.
    pub(crate) fn require(&self, key: &str, what: &str, out: &mut Violations) {
        if !self.has(key) {
            out.push(self.at(key), format!("missing: expected {what}"));
        }
    }

    pub(crate) fn string(&self, key: &str, out: &mut Violations) -> Option<&'a str> {
        let value = self.get(key)?;
        string(value, &self.at(key), out)
    }

    pub(crate) fn bool(&self, key: &str, out: &mut Violations) -> Option<bool> {
        let value = self.get(key)?;
        let found = value.as_bool();
        if found.is_none() {
            out.push(self.at(key), unexpected(value, "true or false"));
        }
        found
    }

    pub(crate) fn integer<T>(&self, key: &str, range: RangeInclusive<T>, out: &mut Violations) -> Option<T>
    where
        T: TryFrom<u64> + PartialOrd + fmt::Display,
    {
        let value = self.get(key)?;
        let found = value.as_u64().and_then(|number| T::try_from(number).ok());
        let found = found.filter(|number| range.contains(number));
        if found.is_none() {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            out.push(self.at(key), unexpected(value, &expected));
        }
        found
    }

    /// A string that is one of `choices`, as what it stands for.
    pub(crate) fn choice<T: Copy>(
        &self,
        key: &str,
        choices: &[(&str, T)],
        out: &mut Violations,
    ) -> Option<T> {
        let text = self.string(key, out)?;
        let found = choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, choice)| *choice);
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            out.push(self.at(key), format!("expected one of {}", words.join(", ")));
        }
        found
    }

    /// A string that parses.
    pub(crate) fn parsed<T>(&self, key: &str, out: &mut Violations) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let text = self.string(key, out)?;
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                out.push(self.at(key), error.to_string());
                None
            }
        }
    }
}

/// `value` as text.
pub(crate) fn string<'a>(value: &'a Value, pointer: &str, out: &mut Violations) -> Option<&'a str> {
    let found = value.as_str();
    if found.is_none() {
        out.push(pointer, unexpected(value, "a string"));
    }
    found
}

/// `value` as an array, each element with the pointer to it.
pub(crate) fn array<'a>(
    value: &'a Value,
    pointer: &str,
    expected: &str,
    out: &mut Violations,
) -> Option<Vec<(String, &'a Value)>> {
    let Value::Array(elements) = value else {
        out.push(pointer, unexpected(value, expected));
        return None;
    };
    let elements = elements.iter().enumerate();
    Some(
        elements
            .map(|(index, element)| (format!("{pointer}/{index}"), element))
            .collect(),
    )
}

/// What was found in place of what was expected; of what was found only the type.
pub(crate) fn unexpected(found: &Value, expected: &str) -> String {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    format!("found {found}, expected {expected}")
}

/// The pointer to a member of what `parent` points to (RFC 6901). A key too long or too odd to be shown is left out: then it is the
/// parent that is pointed to.
pub(crate) fn member(parent: &str, key: &str) -> String {
    let is_odd = |c: char| c.is_control() || is_direction(c);
    if key.len() > MAX_SHOWN || key.chars().any(is_odd) {
        return parent.to_owned();
    }
    format!("{parent}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// What changes the order in which a terminal or an editor shows the characters around it (Unicode's explicit
/// directional formatting): a pointer with one in it would be read as another one.
const fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A key or name in quotes, escaped, and cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown = String::from("\"");
    shown.extend(text.chars().take(MAX_SHOWN).flat_map(char::escape_debug));
    shown.push_str(if text.chars().count() > MAX_SHOWN {
        "…\""
    } else {
        "\""
    });
    shown
}

/// How much of a text from outside is shown.
const MAX_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_short_and_escaped() {
        for (key, shown, pointer) in [
            ("cmd", "\"cmd\"", "/x/cmd"),
            ("a/b~c", "\"a/b~c\"", "/x/a~1b~0c"),
            ("a\u{1b}[2J\r\n", "\"a\\u{1b}[2J\\r\\n\"", "/x"),
            ("\u{202e}abc", "\"\\u{202e}abc\"", "/x"),
            ("", "\"\"", "/x/"),
        ] {
            assert_eq!(quoted(key), shown);
            assert_eq!(member("/x", key), pointer);
        }
        let long = "ü".repeat(100_000);
        assert!(quoted(&long).chars().count() < 70);
        assert_eq!(member("/x", &long), "/x");
    }

    #[test]
    fn an_answer_stays_small_however_much_is_wrong() {
        let mut out = Violations::default();
        for _ in 0..100_000 {
            out.push("/x", "wrong");
        }
        let list = out.into_list();
        assert_eq!(list.len(), Violations::MAX + 1);
        assert!(list.last().unwrap().message.contains("more than these 1000"));
    }
}

//! JSON documents as users write them: bytes to a value, within limits, and a pointer back to its place in the text.
//!
//! It refuses what serde_json would let pass: a key given twice, deep nesting, enormous files. It knows nothing of what a
//! document means.

mod position;

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::Violation;
use super::fields::{Violations, member, quoted};
pub use position::Position;

/// A document that is well-formed JSON within our limits: at most 256 KiB, UTF-8, nested at most 32 deep, no key twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it says.
    pub value: Value,
}

impl Document {
    /// The most bytes a document may have.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// The most arrays and objects inside one another.
    pub const MAX_DEPTH: usize = 32;

    /// Reads a document.
    ///
    /// # Errors
    /// Every key that stands twice; or the one reason why it is no JSON within the limits, with line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Violation>> {
        let refused = |message: String| vec![Violation::new("", message)];
        if bytes.len() > Self::MAX_BYTES {
            return Err(refused(format!("larger than {} KiB", Self::MAX_BYTES / 1024)));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let (good, _) = bytes.split_at(error.valid_up_to());
            let Position { line, column } = Position::after(&String::from_utf8_lossy(good));
            refused(format!("not UTF-8: line {line}, column {column}"))
        })?;
        if text.starts_with('\u{feff}') {
            return Err(refused(
                "begins with a byte order mark: save it without one".to_owned(),
            ));
        }
        let twice = RefCell::new(Violations::default());
        let value = read(text, &twice);
        let value = value.map_err(|error| refused(syntax(text, &error)))?;
        let twice = twice.into_inner();
        if twice.is_empty() {
            Ok(Self { value })
        } else {
            Err(twice.into_list())
        }
    }

    /// Where a JSON pointer points to in the text the document was read from; the nearest parent that exists where it
    /// points to something absent. Where a key stands twice, the last one: that is the one too many. The whole of a text
    /// that is no document is where it stops being one.
    #[must_use]
    pub fn position(text: &str, pointer: &str) -> Position {
        if pointer.is_empty()
            && let Err(error) = read(text, &RefCell::default())
        {
            return broken(text, &error);
        }
        position::find(text, pointer)
    }
}

/// The value of a text; what stands twice in it is written down aside.
fn read(text: &str, twice: &RefCell<Violations>) -> Result<Value, serde_json::Error> {
    let node = Node {
        place: &Place::Root,
        depth: 0,
        twice,
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let value = node.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// serde_json's error in our words.
fn syntax(text: &str, error: &serde_json::Error) -> String {
    let own = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&own).unwrap_or(&message);
    let Position { line, column } = broken(text, error);
    format!("not JSON as expected: {message}: line {line}, column {column}")
}

/// Where serde_json stopped, its column counted in characters.
fn broken(text: &str, error: &serde_json::Error) -> Position {
    let line = text
        .split('\n')
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let column = line
        .char_indices()
        .take_while(|(start, _)| *start < error.column())
        .count();
    Position {
        line: error.line().max(1),
        // The end of an empty line is its first column.
        column: column.max(1),
    }
}

/// Where in the document a value stands: a chain up the stack, so that a pointer is only written when it is needed.
enum Place<'a> {
    Root,
    Member(&'a Self, &'a str),
    Element(&'a Self, usize),
}

impl Place<'_> {
    fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Member(parent, key) => member(&parent.pointer(), key),
            Self::Element(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

/// Reads one value, and writes down the keys that stand twice in it.
struct Node<'a> {
    place: &'a Place<'a>,
    /// How many arrays and objects it stands in.
    depth: usize,
    twice: &'a RefCell<Violations>,
}

impl Node<'_> {
    /// Refused before the parser goes down further, so that no document exhausts the stack.
    fn check_depth<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth < Document::MAX_DEPTH {
            return Ok(());
        }
        Err(E::custom(format_args!(
            "nested more than {} deep",
            Document::MAX_DEPTH
        )))
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut array = Vec::new();
        loop {
            let element = Node {
                place: &Place::Element(self.place, array.len()),
                depth: self.depth + 1,
                twice: self.twice,
            };
            match elements.next_element_seed(element)? {
                Some(element) => array.push(element),
                None => return Ok(Value::Array(array)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let place = Place::Member(self.place, &key);
            if object.contains_key(&key) {
                let message = format!("the key {} stands here twice", quoted(&key));
                self.twice.borrow_mut().push(place.pointer(), message);
            }
            let value = members.next_value_seed(Node {
                place: &place,
                depth: self.depth + 1,
                twice: self.twice,
            })?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What [`Document::parse`] answers, each violation as `pointer: message`.
    fn violations(bytes: &[u8]) -> Vec<String> {
        let violations = Document::parse(bytes).unwrap_err();
        let line = |v: &Violation| format!("{}: {}", v.pointer, v.message);
        violations.iter().map(line).collect()
    }

    #[test]
    fn a_good_document_is_read_as_serde_json_reads_it() {
        let deepest = format!("{}{}", "[".repeat(32), "]".repeat(32));
        for text in [
            r#"{"a":[1,-2,3.5,"x",null,true,{"b":{}}],"c":"é\u00e9\n"}"#,
            "18446744073709551615",
            "-9223372036854775808",
            " [] ",
            "\"\"",
            &deepest,
        ] {
            let document = Document::parse(text.as_bytes()).unwrap();
            assert_eq!(
                document.value,
                serde_json::from_str::<Value>(text).unwrap(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_document_is_refused_with_its_place() {
        let deep = "[".repeat(100_000);
        let deep_objects = r#"{"a":"#.repeat(30_000);
        let large = format!("\"{}\"", "x".repeat(Document::MAX_BYTES));
        for (bytes, expected) in [
            (
                &b""[..],
                "not JSON as expected: EOF while parsing a value: line 1, column 1",
            ),
            (
                b"{\n  \"a\": 1,\n}",
                "not JSON as expected: trailing comma: line 3, column 1",
            ),
            (
                "{\"é\": é}".as_bytes(),
                "not JSON as expected: expected value: line 1, column 7",
            ),
            (
                b"{} {}",
                "not JSON as expected: trailing characters: line 1, column 4",
            ),
            (b"[1e400]", "not JSON as expected: number out of range"),
            (b"\"\\ud800\"", "not JSON as expected: "),
            (b"{\"a\": 1\n,\"\xff\"}", "not UTF-8: line 2, column 3"),
            (b"\xef\xbb\xbf{}", "begins with a byte order mark"),
            (b"NaN", "not JSON as expected: expected value"),
            (
                deep.as_bytes(),
                "not JSON as expected: nested more than 32 deep: line 1, column 33",
            ),
            (
                deep_objects.as_bytes(),
                "not JSON as expected: nested more than 32 deep",
            ),
            (large.as_bytes(), "larger than 256 KiB"),
        ] {
            let found = violations(bytes);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0].starts_with(&format!(": {expected}")),
                "{found:?}, expected {expected}"
            );
        }
    }

    #[test]
    fn the_place_of_a_text_that_is_no_document_is_where_it_stops_being_one() {
        for (text, line, column) in [
            ("", 1, 1),
            ("{\n  \"a\": \n", 3, 1),
            ("{\n  \"a\": 1,\n}", 3, 1),
            ("{\"é\": é}", 1, 7),
            ("[1, 2]", 1, 1),
        ] {
            assert_eq!(Document::position(text, ""), Position { line, column }, "{text}");
        }
    }

    #[test]
    fn every_key_that_stands_twice_is_named_with_its_pointer() {
        assert_eq!(
            violations(br#"{"a": 1, "b": [{"x/y": 1, "x\u002fy": 2}], "a": {"c": 1, "c": 2}}"#),
            [
                "/b/0/x~1y: the key \"x/y\" stands here twice",
                "/a: the key \"a\" stands here twice",
                "/a/c: the key \"c\" stands here twice",
            ]
        );
    }

    #[test]
    fn keys_that_stand_twice_under_a_long_key_do_not_multiply_it() {
        let text = format!(
            "{{\"{}\": {{{}\"a\":1}}}}",
            "k".repeat(100_000),
            "\"a\":1,".repeat(20_000)
        );
        let answer: usize = violations(text.as_bytes()).iter().map(String::len).sum();
        assert!(answer < 100_000, "{answer}");
    }
}

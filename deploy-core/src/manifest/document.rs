//! JSON documents as users write them.
use super::Violation;
use serde_json::Value;

/// A document that is well-formed JSON within our limits: at most 256 KiB, UTF-8, nested at most 32 deep, no key twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it says.
    pub value: Value,
}

/// A place in a text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Document {
    /// The most bytes a document may have.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// Reads a document.
    pub fn parse(_bytes: &[u8]) -> Result<Self, Vec<Violation>> {
        todo!()
    }

    /// Where a JSON pointer points to in the text the document was read from; the nearest parent that exists where it
    /// points to something absent.
    #[must_use]
    pub fn position(_text: &str, _pointer: &str) -> Position {
        todo!()
    }
}

//! From a JSON pointer to line and column. It scans the text and builds nothing, and it never fails: in a text that is no
//! JSON it answers the last place that made sense.

/// A place in a text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Position {
    /// The place of what comes after `text`.
    pub(super) fn after(text: &str) -> Self {
        let line = text.rsplit('\n').next().unwrap_or_default();
        Self {
            line: text.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

/// The place of the value that `pointer` points to, or of its nearest parent that exists.
pub(super) fn find(text: &str, pointer: &str) -> Position {
    let mut scan = Scan { text, at: 0 };
    scan.skip_blanks();
    for part in pointer.split('/').skip(1) {
        match scan.child(&part.replace("~1", "/").replace("~0", "~")) {
            Some(child) => scan.at = child,
            None => break,
        }
    }
    Position::after(text.get(..scan.at).unwrap_or(text))
}

/// A place in a text, as an offset in bytes.
#[derive(Clone, Copy)]
struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    /// Where the member or element `part` of the value at hand begins.
    fn child(mut self, part: &str) -> Option<usize> {
        match self.next()? {
            b'{' => self.member(part),
            b'[' => self.element(part.parse().ok()?),
            _ => None,
        }
    }

    fn member(mut self, key: &str) -> Option<usize> {
        let mut found = None;
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return found;
            }
            let name: Option<String> = serde_json::from_str(self.string()).ok();
            self.skip_blanks();
            if self.next() != Some(b':') {
                return found;
            }
            self.skip_blanks();
            if name.as_deref() == Some(key) {
                found = Some(self.at);
            }
            if !self.skip_to_next() {
                return found;
            }
        }
    }

    fn element(mut self, index: usize) -> Option<usize> {
        self.skip_blanks();
        if self.peek() == Some(b']') {
            return None;
        }
        for _ in 0..index {
            if !self.skip_to_next() {
                return None;
            }
        }
        self.skip_blanks();
        Some(self.at)
    }

    /// Goes over a value and the comma behind it; whether there was one.
    fn skip_to_next(&mut self) -> bool {
        self.skip_value();
        self.skip_blanks();
        self.next() == Some(b',')
    }

    /// Goes over a value, up to what follows it. Counts brackets instead of descending.
    fn skip_value(&mut self) {
        let mut open = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.string();
                    continue;
                }
                b'{' | b'[' => open += 1,
                b',' | b'}' | b']' if open == 0 => return,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Goes over a string; the string, with its quotes.
    fn string(&mut self) -> &'t str {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.next() {
            match byte {
                b'"' => break,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        while self
            .peek()
            .is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
        {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_its_line_and_column() {
        let text = "\n{\n  \"name\": \"é, \\\"x\\\"\", \"n\": 1,\n  \"env\": [ {\"a/b\": [1, 2]},\n    {\"~\": {}} ],\n  \"d\": 1, \"d\": 2\n}";
        for (pointer, line, column) in [
            ("", 2, 1),
            ("/name", 3, 11),
            ("/n", 3, 28),
            ("/env", 4, 10),
            ("/env/0", 4, 12),
            ("/env/0/a~1b", 4, 20),
            ("/env/0/a~1b/1", 4, 24),
            ("/env/1/~0", 5, 11),
            // The last of two.
            ("/d", 6, 16),
            // Absent: the nearest parent.
            ("/absent", 2, 1),
            ("/env/2", 4, 10),
            ("/env/1/x/y", 5, 5),
            ("/name/0", 3, 11),
            ("/env/0/a~1b/x", 4, 20),
            ("no pointer", 2, 1),
        ] {
            assert_eq!(find(text, pointer), Position { line, column }, "{pointer}");
        }
    }

    #[test]
    fn a_text_that_is_no_json_has_positions_too() {
        let open = "[".repeat(100_000);
        for text in [
            "", "{", "{\"a", "{\"a\"", "{\"a\":", "[", "[1", "\"\\", "}", "{\"a\\", "é", &open,
        ] {
            for pointer in ["", "/a", "/0", "/99999999999999999999", "/0/0/0/a"] {
                assert!(find(text, pointer).line == 1, "{text:.20} {pointer}");
            }
        }
    }
}

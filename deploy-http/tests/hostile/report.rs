//! How much was sent and what was answered otherwise than it should be: all of it at once, each cause once.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::server::Answer;

/// A report under way.
#[derive(Default)]
pub struct Report {
    sent: usize,
    /// By cause: how often, and the first time.
    causes: BTreeMap<String, (usize, String)>,
}

impl Report {
    /// One answer, and what is wrong with it. `what` was sent; `place` is where.
    pub fn add<T>(
        &mut self,
        what: &str,
        place: &str,
        answer: &Answer,
        judged: Result<T, String>,
    ) -> Option<T> {
        self.sent += 1;
        let why = match judged {
            Ok(fine) => return Some(fine),
            Err(why) => why,
        };
        let body = String::from_utf8_lossy(&answer.body);
        let first = || (0, format!("{place}\n      {} {body:.250}", answer.status));
        self.causes
            .entry(format!("{what}: {why}"))
            .or_insert_with(first)
            .0 += 1;
        None
    }

    /// Fails where anything was wrong, or where too little was sent for that to mean anything.
    #[track_caller]
    pub fn end(self, at_least: usize) {
        const SHOWN: usize = 60;
        let mut text = String::new();
        for (cause, (count, first)) in self.causes.iter().take(SHOWN) {
            writeln!(text, "  {cause}\n      {count} times, first: {first}").unwrap();
        }
        let (causes, sent) = (self.causes.len(), self.sent);
        assert!(causes == 0, "{causes} causes in {sent} requests:\n{text}");
        assert!(
            sent >= at_least,
            "only {sent} requests came of the data and the table"
        );
        println!("{sent} requests");
    }
}

/// A text as it may stand in a report.
pub fn short(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .take(60)
        .flat_map(char::escape_debug)
        .collect()
}

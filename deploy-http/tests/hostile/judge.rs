//! What every refusal has to be, whoever refuses and whatever was sent.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::corpus::documented_codes;
use crate::server::Answer;

/// Judges answers by docs/errors.md.
pub struct Judge {
    codes: BTreeMap<&'static str, u16>,
}

/// The codes by which something was refused after the world outside was asked about it.
const ASKED_FIRST: [u16; 5] = [404, 409, 502, 503, 504];

impl Judge {
    /// One who has read the document.
    pub fn new() -> Self {
        Self {
            codes: documented_codes(),
        }
    }

    /// The code of an answer, `-` where it is no problem, after everything was checked that holds for any answer.
    pub fn code<'a>(&self, answer: &'a Answer, problem: Option<&'a Value>) -> Result<&'a str, String> {
        let Answer {
            status,
            headers,
            body,
        } = answer;
        if body.iter().any(|byte| byte.is_ascii_control()) {
            return Err("a control character in the body".to_owned());
        }
        if !headers.contains_key("x-request-id") || headers.get("x-content-type-options").is_none() {
            return Err(format!("a header is missing that every answer has: {headers:?}"));
        }
        if *status < 400 {
            return Ok("-");
        }
        let problem = problem.ok_or("the problem is no JSON")?;
        if headers["content-type"] != "application/problem+json" {
            return Err(format!("a problem of the type {:?}", headers["content-type"]));
        }
        let text = |key: &str| problem[key].as_str().unwrap_or_default();
        let code = text("type")
            .strip_prefix("urn:deploy:problem:")
            .unwrap_or_default();
        match self.codes.get(code) {
            None => return Err(format!("the code {code} is not in docs/errors.md")),
            Some(written) if written != status || problem["status"] != *status => {
                return Err(format!("{code} is a {written} in docs/errors.md, not a {status}"));
            }
            Some(_) => {}
        }
        if *status >= 500 {
            return Err(format!("a {status}: {code}"));
        }
        if text("request_id") != headers["x-request-id"].to_str().unwrap_or_default() {
            return Err("the request id of the body is not that of the header".to_owned());
        }
        let words = violations(problem).flat_map(|(pointer, message)| [pointer, message]);
        let shown = |c: char| !c.is_control() && !is_direction(c);
        if let Some(odd) = words
            .chain([text("detail")])
            .find(|words| !words.chars().all(shown))
        {
            return Err(format!("words that no terminal should see: {odd:?}"));
        }
        Ok(code)
    }

    /// The status of a code.
    pub fn status(&self, code: &str) -> u16 {
        self.codes[code]
    }

    /// Whether a refusal by that code may have asked the world outside, to read.
    pub fn asks_first(&self, code: &str) -> bool {
        code == "-" || code != "route-not-found" && ASKED_FIRST.contains(&self.codes[code])
    }
}

/// Characters that change the order in which a terminal or an editor shows the others.
const fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The violations of a problem, each as pointer and message.
pub fn violations(problem: &Value) -> impl Iterator<Item = (&str, &str)> {
    let list = problem["violations"].as_array().into_iter().flatten();
    list.map(|violation| {
        let text = |key: &str| violation[key].as_str().unwrap_or_default();
        (text("pointer"), text("message"))
    })
}

/// The problem, where the body is JSON.
pub fn problem(answer: &Answer) -> Option<Value> {
    serde_json::from_slice(&answer.body).ok()
}

/// Whether a value stands in an answer: as it is, as JSON writes it, or percent-encoded. Short values and plain words
/// are not looked for: a rule or an id may hold them by chance.
pub fn repeats(answer: &Answer, value: &[u8], sent: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if value.len() <= 3 || value.iter().all(plain) {
        return false;
    }
    let text = String::from_utf8_lossy(value);
    let escaped = serde_json::to_string(&text).unwrap_or_default();
    let forms = [&*text, escaped.trim_matches('"'), sent];
    let within = |bytes: &[u8]| {
        let answered = String::from_utf8_lossy(bytes);
        forms.iter().any(|form| form.len() > 3 && answered.contains(form))
    };
    within(&answer.body) || answer.headers.values().any(|header| within(header.as_bytes()))
}

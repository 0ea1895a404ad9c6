//! Query parameters, by the allow-list of the route. It refuses what it does not know: a misspelt parameter that is
//! passed over would do something else than was asked.

use std::ops::RangeInclusive;

use crate::problem::Problem;
use crate::text::{shown, urlencoded};

/// The parameters of one request.
#[derive(Debug, Default)]
pub struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// 400, naming the parameter that is unknown, given twice or not encoded correctly.
    pub fn parse(query: &str, allowed: &'static [&'static str]) -> Result<Self, Problem> {
        let mut parameters: Vec<(&'static str, String)> = Vec::new();
        for pair in urlencoded(query.as_bytes()) {
            let (name, value) =
                pair.ok_or_else(|| Problem::parameter("the query is not percent-encoded correctly"))?;
            let name = String::from_utf8_lossy(&name);
            let Some(known) = allowed.iter().find(|known| **known == name) else {
                return Err(Problem::parameter(unknown(&name, allowed)));
            };
            if parameters.iter().any(|(given, _)| given == known) {
                return Err(Problem::parameter(format!(
                    "`{known}` is in the query twice; give it once"
                )));
            }
            let value = String::from_utf8(value)
                .map_err(|_| Problem::parameter(format!("`{known}` in the query is not UTF-8")))?;
            parameters.push((known, value));
        }
        Ok(Self(parameters))
    }

    /// A parameter's text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(given, _)| *given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A switch; absent = off.
    ///
    /// # Errors
    /// 400 for anything but `true` and `false`.
    pub fn switch(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::parameter(format!(
                "`{name}` in the query is not `true` or `false`"
            ))),
        }
    }

    /// A number in a range.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn number(&self, name: &str, within: RangeInclusive<u32>) -> Result<Option<u32>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        // Digits alone: `parse` would take a sign.
        let number = if text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse().ok()
        } else {
            None
        };
        match number.filter(|number| within.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(Problem::parameter(format!(
                "`{name}` in the query is not a number from {} to {}",
                within.start(),
                within.end()
            ))),
        }
    }
}

fn unknown(name: &str, allowed: &[&str]) -> String {
    let name = shown(name);
    if allowed.is_empty() {
        format!("the query has a parameter `{name}`, and this route takes none")
    } else {
        format!(
            "the query has an unknown parameter `{name}`; this route takes {}",
            allowed.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &[&str] = &["limit", "replace"];

    #[test]
    fn parameters_are_read_or_refused_by_name() {
        let check = |query: &str, expected: &str| {
            let result = Query::parse(query, ALLOWED).and_then(|query| {
                let limit = query.number("limit", 1..=1000)?;
                let replace = query.switch("replace")?;
                Ok(format!("{limit:?} {replace}"))
            });
            let text = result.unwrap_or_else(|problem| problem.detail().to_owned());
            assert!(text.contains(expected), "{query}: {text}");
        };
        check("", "None false");
        check("limit=7&replace=true", "Some(7) true");
        check("limit=1000&replace=false", "Some(1000) false");
        check("limit=%37", "Some(7)");
        for bad in ["0", "1001", "-1", "+1", "", "x", "99999999999"] {
            check(
                &format!("limit={bad}"),
                "`limit` in the query is not a number from 1 to 1000",
            );
        }
        check("replace", "`replace` in the query is not");
        check("replace=TRUE", "`replace` in the query is not");
        check("limit=1&limit=1", "`limit` is in the query twice");
        check(
            "limt=1",
            "unknown parameter `limt`; this route takes limit, replace",
        );
        check("a%0d%0ab=1", "unknown parameter `a??b`");
        check("limit=%", "not percent-encoded");
        check("limit=%ff", "`limit` in the query is not UTF-8");
    }
}

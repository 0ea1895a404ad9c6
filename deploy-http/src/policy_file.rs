//! The policy's file: read and parsed for the server, which does not start with a bad one, and told place by place, as
//! `check` tells it.

use std::fs;
use std::path::Path;

use deploy_core::authz::Policy;
use deploy_core::manifest::{Document, Violation};

use crate::config::Stop;

/// How many violations the one line has that a server ends with.
const SHOWN: usize = 10;

/// The policy of a file.
///
/// # Errors
/// 2 where it cannot be read, or is no policy; with the place of each violation, up to ten.
pub fn load(file: &Path) -> Result<Policy, Stop> {
    let bytes = read(file)?;
    Policy::parse(&bytes).map_err(|violations| {
        let text = String::from_utf8_lossy(&bytes);
        let shown = violations.iter().take(SHOWN);
        let mut found: Vec<String> = shown.map(|violation| placed(file, &text, violation)).collect();
        let more = violations.len().saturating_sub(SHOWN);
        if more > 0 {
            found.push(format!(
                "and {more} more, which `deploy-http check --policy` lists"
            ));
        }
        Stop::wrong(format!(
            "--policy {} is not a policy: {}",
            file.display(),
            found.join("; ")
        ))
    })
}

/// The bytes of a policy's file.
///
/// # Errors
/// 2 where it cannot be read.
pub fn read(file: &Path) -> Result<Vec<u8>, Stop> {
    fs::read(file).map_err(|error| {
        let shown = file.display();
        Stop::wrong(format!(
            "--policy {shown} cannot be read ({error}); give a file that can be read"
        ))
    })
}

/// A violation as `file:line:column: message`.
#[must_use]
pub fn placed(file: &Path, text: &str, violation: &Violation) -> String {
    let Violation { pointer, message } = violation;
    let place = Document::position(text, pointer);
    format!("{}:{}:{}: {message}", file.display(), place.line, place.column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> Result<Policy, Stop> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.json");
        fs::write(&file, text).unwrap();
        load(&file)
    }

    #[test]
    fn a_server_that_does_not_start_says_where_its_policy_is_wrong_in_one_line() {
        let stop = loaded(
            "{\"rules\": [\n  {\"effect\": \"permit\"},\n  {\"effect\": \"allow\", \"acions\": []}\n]}\n",
        );
        let Stop { code, text } = stop.unwrap_err();
        assert_eq!(code, 2);
        assert!(
            text.contains("policy.json:2:14: expected one of \"allow\", \"deny\""),
            "{text}"
        );
        assert!(text.contains("; ") && text.contains("policy.json:3:"), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }

    #[test]
    fn however_much_is_wrong_the_line_stays_readable() {
        let rules = vec!["{\"effect\": \"permit\"}"; 500].join(",");
        let text = loaded(&format!("{{\"rules\": [{rules}]}}")).unwrap_err().text;
        assert!(
            text.ends_with("and 490 more, which `deploy-http check --policy` lists"),
            "{text}"
        );
        assert_eq!(text.matches("policy.json:1:").count(), SHOWN);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told() {
        let Stop { code, text } = load(Path::new("no/such/policy.json")).unwrap_err();
        assert_eq!(code, 2);
        assert!(
            text.starts_with("--policy no/such/policy.json cannot be read"),
            "{text}"
        );
    }
}

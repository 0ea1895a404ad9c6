//! Parsed names. The only way in is [`FromStr`], and for a token's subject [`Identity::subject`]: a value of these types
//! is known to be well formed, so nothing behind the edge checks a string twice. What they refuse to do: trim,
//! lower-case or otherwise repair input.
//!
//! An error names the rule, never the offending text: names come from outside and go into answers and logs.

mod identity;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use identity::Identity;

/// Why a name was refused: what it is called, and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: {rule}")]
pub struct NameError {
    /// What was being parsed, in the user's terms: "namespace", "branch".
    pub what: &'static str,
    /// The rule, so that the user can mend the value without looking it up.
    pub rule: &'static str,
}

/// A newtype over `String` with `FromStr` as its only constructor, and serde going through it.
macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError { what: $what, rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_name!(
    /// A Kubernetes namespace: an RFC 1123 label.
    Namespace,
    "namespace",
    "1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit (RFC 1123 label)",
    is_dns_1123_label
);

text_name!(
    /// The name an object is deployed under: an RFC 1123 label. Kinds that allow less are checked by
    /// [`crate::workload::Kind::accepts_name`].
    ResourceName,
    "name",
    "1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit (RFC 1123 label)",
    is_dns_1123_label
);

text_name!(
    /// A repository: a name joined to the configured base URL, never a URL or a path. git takes `etl` and `etl.git` for
    /// one repository, so it has one name here: two would be two to whoever says what may be done with it.
    RepositoryName,
    "repository",
    "1 to 100 of letters, digits, '.', '_' and '-', beginning with a letter or digit, without .git at its end",
    |text| {
        text.len() <= 100
            && !text.to_ascii_lowercase().ends_with(".git")
            && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    }
);

text_name!(
    /// A directory inside a repository: relative, of plain parts separated by '/'.
    Directory,
    "directory",
    "at most 255 bytes of parts separated by '/', each of letters, digits, '.', '_' and '-', not beginning with '.' or '-'",
    |text| text.len() <= 255 && text.split('/').all(is_path_part)
);

text_name!(
    /// A template's path below its folder (`tasks/` or `pipelines/`), as the template lists give it.
    TemplatePath,
    "template path",
    "a relative path of at most 255 bytes ending in .json, its parts of letters, digits, '.', '_' and '-', not beginning with '.' or '-'",
    |text| text.len() <= 255 && text.ends_with(".json") && text.split('/').all(is_path_part)
);

text_name!(
    /// A branch, by the rules of git-check-ref-format(1). `HEAD` and anything that reads as a commit is refused.
    Branch,
    "branch",
    "a git branch name of at most 200 bytes, without spaces, control characters, '..', '@{' or any of ~^:?*[\\, not HEAD, not a commit id",
    is_branch
);

text_name!(
    /// A commit: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
    CommitId,
    "commit",
    "40 or 64 lower-case hexadecimal digits",
    |text| matches!(text.len(), 40 | 64) && is_lower_hex(text)
);

text_name!(
    /// A step's name inside one pipeline. It is shown and referred to; objects are named by a slug of it.
    StepName,
    "step name",
    "1 to 128 characters, no control characters, no blanks at either end",
    |text| is_free_text(text, 128)
);

text_name!(
    /// A pipeline's or run's name: free text.
    PipelineName,
    "pipeline name",
    "1 to 128 characters, no control characters, no blanks at either end",
    |text| is_free_text(text, 128)
);

impl RepositoryName {
    /// The namespace this repository deploys into when none is given: its name in lower case with `_` and `.` as
    /// `-`. `None` where that is no namespace name; the caller then has to name one.
    #[must_use]
    pub fn default_namespace(&self) -> Option<Namespace> {
        self.0.to_ascii_lowercase().replace(['_', '.'], "-").parse().ok()
    }
}

impl StepName {
    /// The step's name as the first part of an object's name: at most 40 of a-z, 0-9 and '-'.
    #[must_use]
    pub fn slug(&self) -> String {
        let mapped = self.0.chars().map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        });
        let slug: String = mapped.skip_while(|c| *c == '-').take(40).collect();
        let slug = slug.trim_end_matches('-');
        if slug.is_empty() {
            "step".to_owned()
        } else {
            slug.to_owned()
        }
    }
}

/// A newtype over a UUID, written as 36 characters.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID; new ones come from [`crate::ports::Ids`].
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                const ERROR: NameError = NameError { what: $what, rule: "a UUID of 36 characters" };
                if text.len() != 36 {
                    return Err(ERROR);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| ERROR)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
    };
}

id!(
    /// One deploy of one task. UUIDv7, so ids sort by time.
    TaskId,
    "task id"
);
id!(
    /// One run of a pipeline. UUIDv7.
    PipelineId,
    "pipeline id"
);
id!(
    /// One load of a configuration from git. UUIDv7.
    WorkId,
    "work id"
);

/// RFC 1123 label, as Kubernetes reads it.
fn is_dns_1123_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_path_part(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !part.is_empty() && !part.starts_with(['.', '-']) && part.bytes().all(plain)
}

/// git-check-ref-format(1), rules 1 to 10, and what would be ambiguous as a branch.
fn is_branch(text: &str) -> bool {
    let forbidden = |c: char| c.is_control() || " ~^:?*[\\\u{7f}".contains(c);
    let part_is_fine = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    !text.is_empty()
        && text.len() <= 200
        && !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && !text.contains("@{")
        && text != "@"
        && text != "HEAD"
        && !text.starts_with("refs/")
        && !text.chars().any(forbidden)
        && text.split('/').all(part_is_fine)
        && !(matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The dot-atom form of RFC 5321's mailbox, which is what identity providers issue; no quoting, no comments.
fn is_mailbox(text: &str) -> bool {
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    let host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let dots_are_inside =
        |s: &str| !s.is_empty() && !s.starts_with('.') && !s.ends_with('.') && !s.contains("..");
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    text.len() <= 254
        && local.len() <= 64
        && local.bytes().all(atom)
        && domain.bytes().all(host)
        && dots_are_inside(local)
        && dots_are_inside(domain)
}

fn is_free_text(text: &str, max_chars: usize) -> bool {
    !text.is_empty()
        && text.chars().count() <= max_chars
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every name of `good` parses as `T`, none of `bad` does.
    #[track_caller]
    fn check<T: FromStr>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(text.parse::<T>().is_ok(), "refused: {text:?}");
        }
        for text in bad {
            assert!(text.parse::<T>().is_err(), "accepted: {text:?}");
        }
    }

    #[test]
    fn names_are_accepted_and_refused_by_their_rules() {
        let long = "a".repeat(64);
        check::<Namespace>(
            &["a", "team-1", &long[..63]],
            &["", "A", "-a", "a-", "a.b", "a_b", "*", &long, "a\0"],
        );
        check::<RepositoryName>(
            &["demo", "Team_repo.v2", "1a"],
            &[
                "",
                "..",
                "-repo",
                "a/b",
                "a%2fb",
                "evil@host",
                "a#b",
                "ext::sh -c x",
                "a\r\nb",
                "a\0b",
                "demo.git",
                "demo.GIT",
                "demo.git.git",
                &"r".repeat(101),
            ],
        );
        check::<Directory>(
            &["load", "etl/load", "a.b/c_d-e"],
            &[
                "",
                "..",
                "../../etc",
                "/abs",
                ".git",
                "a/.git",
                "a//b",
                "a/",
                "a\\b",
                "a b",
                "-x",
                &"d/".repeat(200),
            ],
        );
        check::<TemplatePath>(
            &["job.json", "python/job.json"],
            &["../../etc/passwd", "/job.json", "job.yaml", ".json"],
        );
        check::<Branch>(
            &["master", "feature/x", "v1.0"],
            &[
                "",
                "--upload-pack=x",
                "a..b",
                "@{-1}",
                "HEAD",
                "@",
                "a b",
                "a.lock",
                "/a",
                "a/",
                "a//b",
                "a~1",
                "refs/heads/x",
                "0123456789abcdef0123456789abcdef01234567",
            ],
        );
        check::<Identity>(
            &["ada@example.com", "a.b+c@x-y.example"],
            &[
                "",
                "ada",
                "@x",
                "a@",
                "a@b@c",
                "a b@c",
                "Ada <ada@example.com>",
                "a@x..y",
                "a@b\r\n",
                &format!("{}@x", "a".repeat(254)),
            ],
        );
        check::<StepName>(
            &["load", "load data", "größe"],
            &["", " a", "a\n", &"s".repeat(129)],
        );
        check::<TaskId>(
            &["01890a5d-ac96-774b-bcce-b302099a8057"],
            &[
                "",
                "1",
                "01890a5dac96774bbcceb302099a8057",
                "{01890a5d-ac96-774b-bcce-b302099a8057}",
            ],
        );
    }

    #[test]
    fn a_repository_gives_its_namespace_or_none() {
        let namespace = |repository: &str| {
            repository
                .parse::<RepositoryName>()
                .unwrap()
                .default_namespace()
                .map(String::from)
        };
        assert_eq!(namespace("Team_repo.v2").as_deref(), Some("team-repo-v2"));
        assert_eq!(namespace("ends-with_"), None);
        assert_eq!(namespace(&"r".repeat(64)), None);
    }

    #[test]
    fn a_step_name_becomes_a_slug() {
        let slug = |step: &str| step.parse::<StepName>().unwrap().slug();
        assert_eq!(slug("Load_Data"), "load-data");
        assert_eq!(slug("--x--"), "x");
        assert_eq!(slug("ß"), "step");
        assert_eq!(slug(&"a".repeat(60)).len(), 40);
        assert_eq!(slug(&format!("{}_b", "a".repeat(39))), "a".repeat(39));
    }

    #[test]
    fn an_error_never_repeats_the_text() {
        let error = "secret token".parse::<Namespace>().unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

//! The data: bad values by kind, and which place of which route takes which kind. A place that nobody has given a kind
//! is not passed over: it fails the tests, with the sentence that says what to add.

use std::collections::BTreeMap;

use deploy_http::routes::Route;
use serde::Deserialize;

const INPUT: &str = include_str!("bad_input.json");
const DOCUMENTS: &str = include_str!("bad_documents.json");
const ERRORS: &str = include_str!("../../../docs/errors.md");

/// Everything that is sent.
pub struct Corpus {
    places: BTreeMap<String, BTreeMap<String, String>>,
    /// By its name.
    pub kinds: BTreeMap<String, Kind>,
}

/// A kind of value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// One that is accepted; empty where the place is best left out. `{task}`, `{run}` and `{work}` stand for ids.
    pub good: String,
    /// What a bad one is answered with.
    pub codes: Vec<String>,
    /// The bad ones.
    pub values: Vec<Entry>,
}

/// A bad value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// It.
    pub value: Text,
    /// What is bad about it.
    pub why: String,
    /// It is percent-encoded already, or wrongly on purpose: it goes into a path or a query as it stands, and into no
    /// form.
    #[serde(default)]
    pub raw: bool,
    /// The one part of a request it is bad in.
    pub only: Option<Part>,
    /// What it is answered with, where that differs from its kind; `-` is success.
    pub codes: Option<Vec<String>>,
    /// It parses, so that the world outside may be asked about it.
    #[serde(default)]
    pub reaches: bool,
    /// A rule may say these words, so that finding them in an answer is no echo.
    #[serde(default)]
    pub rule: bool,
    /// A pointer of a violation that must be among those answered.
    pub at: Option<String>,
}

/// Text, or bytes that are none.
#[derive(Debug, Deserialize)]
#[serde(from = "Written")]
pub struct Text(Vec<u8>);

impl Text {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// How it stands in the data.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Written {
    /// As it is.
    Plain(String),
    /// In hexadecimal.
    Bytes { hex: String },
    /// The same again and again; `{n}` is the number of the time, `{next}` that of the next, the last being followed by
    /// the first.
    Long {
        #[serde(default)]
        before: String,
        repeat: String,
        #[serde(default)]
        between: String,
        times: usize,
        #[serde(default)]
        after: String,
    },
}

impl From<Written> for Text {
    fn from(written: Written) -> Self {
        Self(match written {
            Written::Plain(text) => text.into_bytes(),
            Written::Bytes { hex } => (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect(),
            Written::Long {
                before,
                repeat,
                between,
                times,
                after,
            } => {
                let numbered = |n: usize| {
                    let next = ((n + 1) % times).to_string();
                    repeat.replace("{n}", &n.to_string()).replace("{next}", &next)
                };
                let middle = if repeat.contains("{n}") || !between.is_empty() {
                    (0..times).map(numbered).collect::<Vec<_>>().join(&between)
                } else {
                    repeat.repeat(times)
                };
                format!("{before}{middle}{after}").into_bytes()
            }
        })
    }
}

/// A part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// A placeholder of the path.
    Path,
    /// A field of the form.
    Form,
    /// A parameter of the query.
    Query,
}

impl Part {
    /// As answers call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Form => "form",
            Self::Query => "query",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    places: BTreeMap<String, BTreeMap<String, String>>,
    kinds: BTreeMap<String, Kind>,
}

impl Corpus {
    /// Reads the data.
    pub fn read() -> Self {
        let File { places, mut kinds } = serde_json::from_str(INPUT).unwrap();
        let documents: File = serde_json::from_str(DOCUMENTS).unwrap();
        kinds.extend(documents.kinds);
        Self { places, kinds }
    }

    /// The kind of value that a place of a route takes.
    pub fn kind_of(&self, route: &Route, part: Part, name: &str) -> Result<&str, String> {
        let (path, part) = (route.path, part.as_str());
        let told = || {
            format!(
                "`{name}` in the {part} of {path} has no kind: add it under \"places\" in bad_input.json, so that \
                 everything bad of that kind is sent there"
            )
        };
        let mut kinds = self.places.get(name).into_iter().flatten();
        let (_, kind) = kinds
            .find(|(within, _)| path.contains(*within))
            .ok_or_else(told)?;
        if self.kinds.contains_key(kind) {
            Ok(kind)
        } else {
            Err(format!(
                "`{name}` is said to be a {kind}, and bad_input.json has no such kind"
            ))
        }
    }

    /// Every place of a route, with its kind.
    pub fn places_of<'a>(
        &'a self,
        route: &'static Route,
    ) -> Result<Vec<(Part, &'static str, &'a str)>, String> {
        let path = route.placeholders().map(|name| (Part::Path, name));
        let form = route.form.iter().map(|field| (Part::Form, field.name));
        let query = route.shape.query.iter().map(|name| (Part::Query, *name));
        path.chain(form)
            .chain(query)
            .map(|(part, name)| Ok((part, name, self.kind_of(route, part, name)?)))
            .collect()
    }
}

impl Entry {
    /// What it may be answered with.
    pub fn codes<'a>(&'a self, kind: &'a Kind) -> &'a [String] {
        self.codes.as_ref().unwrap_or(&kind.codes)
    }

    /// Whether it can be sent in that part of a request, and is bad there.
    pub fn fits(&self, part: Part) -> bool {
        let slash_in_query = || {
            self.codes
                .as_ref()
                .is_some_and(|codes| codes[0] == "route-not-found")
        };
        let raw_fits = match part {
            Part::Path => true,
            Part::Query => !slash_in_query(),
            Part::Form => false,
        };
        self.only.is_none_or(|only| only == part) && (!self.raw || raw_fits)
    }
}

/// The status of every code that docs/errors.md lists.
pub fn documented_codes() -> BTreeMap<&'static str, u16> {
    let rows = ERRORS.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`'), cells[2].parse().unwrap())
    });
    cells.collect()
}

//! Label and field selectors, as lists and watches take them.

use serde_json::Value;

use super::kinds::{EVENTS, Kind, PODS};
use super::object::{Object, text};

/// The fields that can be selected by, of every kind and of some; a real server knows no others either.
const FIELDS: &[(&str, &[&str])] = &[
    ("", &["metadata.name", "metadata.namespace"]),
    (
        PODS,
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "status.phase",
            "status.podIP",
        ],
    ),
    (
        EVENTS,
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "reason",
            "type",
            "reportingComponent",
        ],
    ),
];

/// What a list or a watch is about.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    /// Empty = all.
    namespace: String,
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Debug, Clone)]
enum Requirement {
    Is(String, bool, String),
    In(String, bool, Vec<String>),
    Exists(String, bool),
}

impl Selector {
    /// Reads both selectors of a kind; an error says which is wrong.
    pub(super) fn new(kind: &Kind, namespace: &str, labels: &str, fields: &str) -> Result<Self, String> {
        let fields = field_terms(fields)?;
        for (path, ..) in &fields {
            let known = FIELDS
                .iter()
                .any(|(of, known)| (of.is_empty() || *of == kind.plural) && known.contains(&path.as_str()));
            if !known {
                return Err(format!("field label {path:?} not supported for {}", kind.kind));
            }
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            labels: requirements(labels)?,
            fields,
        })
    }

    pub(super) fn takes(&self, object: &Object) -> bool {
        (self.namespace.is_empty() || self.namespace == object.namespace())
            && self.labels.iter().all(|term| term.holds(&object.value))
            && self
                .fields
                .iter()
                .all(|(path, equal, wanted)| (field(&object.value, path) == wanted) == *equal)
    }

    /// Whether it takes everything of its namespace: then a list can say how many remain.
    pub(super) fn is_open(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

impl Requirement {
    fn holds(&self, value: &Value) -> bool {
        let label = |key: &str| value.pointer("/metadata/labels")?.get(key)?.as_str();
        match self {
            Self::Is(key, equal, wanted) => (label(key) == Some(wanted)) == *equal,
            Self::In(key, within, wanted) => {
                label(key).is_some_and(|found| wanted.iter().any(|one| one == found)) == *within
            }
            Self::Exists(key, there) => label(key).is_some() == *there,
        }
    }
}

fn requirements(selector: &str) -> Result<Vec<Requirement>, String> {
    split(selector)
        .into_iter()
        .map(|term| requirement(term.trim()))
        .collect()
}

fn requirement(term: &str) -> Result<Requirement, String> {
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = term.split_once(operator) {
            return Ok(Requirement::Is(
                key.trim().to_owned(),
                equal,
                value.trim().to_owned(),
            ));
        }
    }
    for (operator, within) in [(" notin ", false), (" in ", true)] {
        if let Some((key, values)) = term.split_once(operator) {
            let values = values.trim().trim_start_matches('(').trim_end_matches(')');
            let values = values.split(',').map(|value| value.trim().to_owned()).collect();
            return Ok(Requirement::In(key.trim().to_owned(), within, values));
        }
    }
    let (key, there) = match term.strip_prefix('!') {
        Some(key) => (key.trim(), false),
        None => (term, true),
    };
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(format!("unable to parse requirement: {term:?}"));
    }
    Ok(Requirement::Exists(key.to_owned(), there))
}

/// The terms between commas that are in no parentheses.
fn split(selector: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut begin, mut depth) = (0_usize, 0_usize);
    for (at, c) in selector.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                terms.push(&selector[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&selector[begin..]);
    terms.retain(|term| !term.trim().is_empty());
    terms
}

fn field_terms(selector: &str) -> Result<Vec<(String, bool, String)>, String> {
    let terms = selector.split(',').filter(|term| !term.is_empty());
    terms
        .map(|term| {
            let split = term.split_once("!=").map(|(path, value)| (path, false, value));
            let split = split.or_else(|| term.split_once("==").map(|(path, value)| (path, true, value)));
            let split = split.or_else(|| term.split_once('=').map(|(path, value)| (path, true, value)));
            let (path, equal, value) = split.ok_or_else(|| format!("invalid field selector: {term:?}"))?;
            Ok((path.to_owned(), equal, value.to_owned()))
        })
        .collect()
}

fn field<'a>(value: &'a Value, path: &str) -> &'a str {
    text(value, &format!("/{}", path.replace('.', "/")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::kinds;

    #[test]
    fn a_selector_takes_what_it_says_and_nothing_else() {
        let value = json!({
            "metadata": {"name": "a", "namespace": "demo", "labels": {"app": "web", "x.io/tier": "1"}},
            "reason": "FailedCreate",
        });
        let kind = kinds::by_plural("events").expect("events are known");
        let object = Object::new(kind, 1, value);
        let check = |namespace: &str, labels: &str, fields: &str, wanted: bool| {
            let selector = Selector::new(kind, namespace, labels, fields).expect("it can be read");
            assert_eq!(selector.takes(&object), wanted, "{namespace} {labels} {fields}");
        };
        check("", "", "", true);
        check("demo", "", "", true);
        check("other", "", "", false);
        check("", "app=web,x.io/tier=1", "", true);
        check("", "app==web,x.io/tier!=1", "", false);
        check("", "app in (db, web),x.io/tier notin (2)", "", true);
        check("", "app notin (db, web)", "", false);
        check("", "app,!gone", "", true);
        check("", "!app", "", false);
        check("", "", "metadata.name=a,reason==FailedCreate", true);
        check("", "", "metadata.name!=a", false);
    }

    #[test]
    fn a_selector_that_cannot_be_read_is_refused() {
        let kind = kinds::by_plural("jobs").expect("jobs are known");
        for (labels, fields) in [("a b", ""), ("", "name"), ("", "reason=x"), ("", "spec.foo=x")] {
            assert!(
                Selector::new(kind, "", labels, fields).is_err(),
                "{labels} {fields}"
            );
        }
    }
}

//! Where a list goes on: the text of `?continue=`. Opaque to clients; what comes back is parsed like any other input,
//! so a forged one can at most skip items.

use std::fmt::Write as _;

use deploy_core::names::{Namespace, PipelineId, ResourceName, TemplatePath};
use deploy_core::ports::TaskCursor;
use deploy_core::workload::{Kind, Pod};

use crate::problem::Problem;

/// A place in a list.
pub trait Cursor: Sized {
    /// Which list it belongs to: a cursor of one list is refused by the others.
    const LIST: &'static str;

    /// Its parts; none of them holds a blank.
    fn parts(&self) -> Vec<&str>;

    /// The place these parts name.
    fn from_parts(parts: &[&str]) -> Option<Self>;
}

/// The text of a place.
#[must_use]
pub fn encode<C: Cursor>(cursor: &C) -> String {
    let mut plain = C::LIST.to_owned();
    for part in cursor.parts() {
        plain.push(' ');
        plain.push_str(part);
    }
    plain
        .bytes()
        .fold(String::with_capacity(plain.len() * 2), |mut hex, byte| {
            // Writing to a String cannot fail.
            write!(hex, "{byte:02x}").unwrap_or_default();
            hex
        })
}

/// The place of a text.
///
/// # Errors
/// 400 for anything that no answer of this list gave.
pub fn decode<C: Cursor>(text: &str) -> Result<C, Problem> {
    const RULE: &str = "`continue` in the query is not what the last answer of this list gave";
    let place = || {
        let plain = unhex(text)?;
        let mut parts = plain.split(' ');
        if parts.next() != Some(C::LIST) {
            return None;
        }
        C::from_parts(&parts.collect::<Vec<_>>())
    };
    place().ok_or_else(|| Problem::parameter(RULE))
}

fn unhex(text: &str) -> Option<String> {
    const LONGEST: usize = 2048;
    if text.len() > LONGEST || !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let bytes = text
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?));
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

/// A place in a list of pods, as the core takes it: namespace and name.
pub type PodCursor = (String, String);

/// The place of a pod.
#[must_use]
pub fn of_pod(pod: &Pod) -> PodCursor {
    (pod.namespace.as_str().to_owned(), pod.name.clone())
}

impl Cursor for TaskCursor {
    const LIST: &'static str = "tasks";

    fn parts(&self) -> Vec<&str> {
        vec![self.kind.as_str(), self.namespace.as_str(), &self.name]
    }

    fn from_parts(parts: &[&str]) -> Option<Self> {
        let [kind, namespace, name] = parts else {
            return None;
        };
        let kinds = [Kind::Job, Kind::CronJob, Kind::Deployment, Kind::Service];
        let kind = kinds.into_iter().find(|known| known.as_str() == *kind)?;
        let namespace = namespace.parse().ok()?;
        let name: ResourceName = name.parse().ok()?;
        Some(Self {
            kind,
            namespace,
            name: name.into(),
        })
    }
}

impl Cursor for PodCursor {
    const LIST: &'static str = "pods";

    fn parts(&self) -> Vec<&str> {
        vec![&self.0, &self.1]
    }

    fn from_parts(parts: &[&str]) -> Option<Self> {
        let [namespace, name] = parts else {
            return None;
        };
        let namespace: Namespace = namespace.parse().ok()?;
        // A pod's name is a DNS subdomain (RFC 1123) of at most 253 characters.
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
        let fine = (1..=253).contains(&name.len()) && name.bytes().all(plain);
        fine.then(|| (namespace.into(), (*name).to_owned()))
    }
}

macro_rules! one_part {
    ($type:ty, $list:literal) => {
        impl Cursor for $type {
            const LIST: &'static str = $list;

            fn parts(&self) -> Vec<&str> {
                vec![self.as_str()]
            }

            fn from_parts(parts: &[&str]) -> Option<Self> {
                let [part] = parts else {
                    return None;
                };
                part.parse().ok()
            }
        }
    };
}

one_part!(Namespace, "namespaces");
one_part!(TemplatePath, "templates");

/// A place in the list of runs. An id has no text of its own to lend, so it is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunCursor {
    id: PipelineId,
    text: String,
}

impl RunCursor {
    /// The run it names.
    #[must_use]
    pub const fn id(&self) -> PipelineId {
        self.id
    }
}

impl From<PipelineId> for RunCursor {
    fn from(id: PipelineId) -> Self {
        Self {
            id,
            text: id.to_string(),
        }
    }
}

impl Cursor for RunCursor {
    const LIST: &'static str = "pipelines";

    fn parts(&self) -> Vec<&str> {
        vec![&self.text]
    }

    fn from_parts(parts: &[&str]) -> Option<Self> {
        let [part] = parts else {
            return None;
        };
        part.parse::<PipelineId>().ok().map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    #[track_caller]
    fn comes_back<C: Cursor + PartialEq + Debug>(cursor: C) {
        assert_eq!(decode::<C>(&encode(&cursor)).ok(), Some(cursor));
    }

    #[test]
    fn a_place_comes_back_as_it_went() {
        comes_back(TaskCursor {
            kind: Kind::Service,
            namespace: "team-1".parse().unwrap(),
            name: "hello".to_owned(),
        });
        comes_back::<PodCursor>(("team-1".to_owned(), "hello-7f.x".to_owned()));
        comes_back::<Namespace>("team-1".parse().unwrap());
        comes_back::<TemplatePath>("python/job.json".parse().unwrap());
        let id: PipelineId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        comes_back(RunCursor::from(id));
    }

    #[test]
    fn what_no_list_gave_is_refused() {
        let namespace: Namespace = "team".parse().unwrap();
        let hex = |plain: &str| plain.bytes().map(|b| format!("{b:02x}")).collect::<String>();
        for text in [
            String::new(),
            "0".to_owned(),
            "zz".to_owned(),
            "+1".to_owned(),
            "é".to_owned(),
            "ff".repeat(2000),
            encode(&namespace),
            hex("tasks"),
            hex("tasks pod a b"),
            hex("tasks job A b"),
            hex("tasks job a ../b"),
            hex("tasks job a b c"),
        ] {
            assert!(decode::<TaskCursor>(&text).is_err(), "{text}");
        }
        assert!(decode::<PodCursor>(&hex("pods a B")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            proptest::prop_assert!(decode::<TaskCursor>(&text).is_err());
        }
    }
}

//! The log of what was asked, and how to count in it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::request::{Asked, Verb};

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What was to be done.
    pub verb: Verb,
    /// The plural of the kind, `jobs`; empty where it is no resource.
    pub resource: String,
    /// The API group; empty for the core's.
    pub group: String,
    /// Empty where none was named.
    pub namespace: String,
    /// Empty for a list, a watch, and a create.
    pub name: String,
    /// `status`, `log`; empty for the object itself.
    pub subresource: String,
    /// The path.
    pub path: String,
    /// The query as it was sent.
    pub query: String,
    /// The status it was answered with; `None` while it was not, and where the connection was cut.
    pub status: Option<u16>,
}

/// A place in the log, to count from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

/// Some calls, in the order they came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls(Vec<Call>);

impl Calls {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Call> {
        self.0.iter()
    }

    /// Those that this says yes to.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&Call) -> bool) -> Self {
        Self(self.0.iter().filter(|call| wanted(call)).cloned().collect())
    }

    /// Those on a resource.
    #[must_use]
    pub fn on(&self, resource: &str) -> Self {
        self.only(|call| call.resource == resource)
    }

    /// Those of a verb.
    #[must_use]
    pub fn of(&self, verb: Verb) -> Self {
        self.only(|call| call.verb == verb)
    }

    /// How many could change something.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.only(|call| call.verb.writes()).len()
    }

    /// How many read one object, or one log.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.of(Verb::Get).len()
    }

    /// How many were lists.
    #[must_use]
    pub fn lists(&self) -> usize {
        self.of(Verb::List).len()
    }

    /// How many were watches.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.of(Verb::Watch).len()
    }
}

impl<'a> IntoIterator for &'a Calls {
    type Item = &'a Call;
    type IntoIter = std::slice::Iter<'a, Call>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The log of a server.
#[derive(Debug, Default)]
pub(super) struct Log {
    calls: Mutex<Vec<Call>>,
    /// Moves whenever a call comes in or is answered.
    moved: watch::Sender<u64>,
}

impl Log {
    /// Writes a call down; the number is for [`Log::answered`].
    pub(super) fn received(&self, asked: &Asked, query: &str) -> usize {
        let call = Call {
            verb: asked.verb,
            resource: asked.kind.map_or("", |kind| kind.plural).to_owned(),
            group: asked.kind.map_or("", |kind| kind.group).to_owned(),
            namespace: asked.namespace.clone(),
            name: asked.name.clone(),
            subresource: asked.subresource.clone(),
            path: asked.path.clone(),
            query: query.to_owned(),
            status: None,
        };
        let number = {
            let mut calls = self.lock();
            calls.push(call);
            calls.len() - 1
        };
        self.moved.send_modify(|moved| *moved += 1);
        number
    }

    pub(super) fn answered(&self, number: usize, status: u16) {
        if let Some(call) = self.lock().get_mut(number) {
            call.status = Some(status);
        }
        self.moved.send_modify(|moved| *moved += 1);
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.lock().len())
    }

    pub(super) fn since(&self, mark: Option<Mark>) -> Calls {
        let from = mark.map_or(0, |Mark(from)| from);
        Calls(self.lock().get(from..).unwrap_or_default().to_vec())
    }

    /// Waits until the calls since a mark are as wanted.
    pub(super) async fn until(&self, mark: Mark, wanted: impl Fn(&Calls) -> bool) -> Calls {
        let mut moved = self.moved.subscribe();
        loop {
            moved.borrow_and_update();
            let calls = self.since(Some(mark));
            // The sender lives as long as the log: only a wanted log ends the wait.
            if wanted(&calls) || moved.changed().await.is_err() {
                return calls;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

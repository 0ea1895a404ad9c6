//! One watch: what changed since a revision, as lines of JSON, pulled by the connection that sends them. A change is told
//! as the selector sees it: an object that begins to match is ADDED, one that ceases to is DELETED.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::kinds::Kind;
use super::object::{Object, set};
use super::request::Asked;
use super::select::Selector;
use super::server::Shared;
use super::status::Refusal;
use super::store::{Change, State};
use super::watches::{Control, EventFault};

/// How many changes are turned into lines before the connection takes them.
const BATCH: usize = 256;

/// A watch that is open.
pub(super) struct Watch {
    shared: Arc<Shared>,
    kind: &'static Kind,
    selector: Selector,
    /// Everything up to here was told.
    revision: u64,
    changed: watch::Receiver<u64>,
    control: watch::Receiver<Control>,
    /// How often watches of this kind were closed when it began.
    closed: u64,
    deadline: Option<Instant>,
    bookmarks: bool,
    lines: VecDeque<Bytes>,
    /// Held back until one event more has passed.
    held: Option<Bytes>,
    ended: bool,
}

impl Watch {
    /// Begins a watch.
    pub(super) fn begin(
        shared: &Arc<Shared>,
        state: &State,
        kind: &'static Kind,
        asked: &Asked,
        selector: Selector,
    ) -> Result<Self, Refusal> {
        let control = shared.watches.control();
        let closed = control.borrow().closed(kind.plural);
        let seconds: Option<u64> = asked.get("timeoutSeconds").parse().ok();
        let mut watch = Self {
            shared: Arc::clone(shared),
            kind,
            selector,
            revision: state.revision(),
            changed: state.changes(kind.plural).ok_or_else(Refusal::no_such_path)?,
            control,
            closed,
            deadline: seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            bookmarks: asked.is_set("allowWatchBookmarks"),
            lines: VecDeque::new(),
            held: None,
            ended: false,
        };
        let streams_a_list = asked.is_set("sendInitialEvents");
        match asked.get("resourceVersion") {
            version if streams_a_list || matches!(version, "" | "0") => {
                let objects: Vec<Arc<Object>> = state.all(kind.plural, "").cloned().collect();
                for object in objects.iter().filter(|object| watch.selector.takes(object)) {
                    watch.lines.push_back(line("ADDED", object));
                }
                if streams_a_list && watch.bookmarks {
                    watch.lines.push_back(watch.bookmark(true));
                }
            }
            version => match version.parse() {
                Ok(revision) => watch.revision = revision,
                Err(_) => {
                    return Err(Refusal::unexplained(format!(
                        "resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax"
                    )));
                }
            },
        }
        Ok(watch)
    }

    /// Answers with an error event, as the server does where a watch cannot be begun or gone on with.
    pub(super) fn end_with(&mut self, refusal: &Refusal) {
        let line = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", refusal.body());
        self.lines.push_back(line.into());
        self.ended = true;
    }

    /// The next lines; `None` = it is over.
    pub(super) async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            if self.control.borrow_and_update().is_frozen(self.kind.plural) {
                // Not even its own deadline ends what is frozen: that is how a connection dies that no one closes.
                self.control.changed().await.ok()?;
                continue;
            }
            if let Some(lines) = self.take_lines() {
                return Some((lines, self));
            }
            if self.ended || self.control.borrow().closed(self.kind.plural) != self.closed {
                return None;
            }
            self.changed.borrow_and_update();
            let pause = self.read();
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            if !self.lines.is_empty() {
                continue;
            }
            let deadline = self.deadline;
            let over = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.changed.changed() => changed.ok()?,
                changed = self.control.changed() => changed.ok()?,
                () = over => {
                    self.lines.extend(self.held.take());
                    if self.bookmarks {
                        self.lines.push_back(self.bookmark(false));
                    }
                    self.ended = true;
                }
            }
        }
    }

    fn take_lines(&mut self) -> Option<Bytes> {
        if self.lines.len() <= 1 {
            return self.lines.pop_front();
        }
        let mut all = Vec::new();
        for line in self.lines.drain(..) {
            all.extend_from_slice(&line);
        }
        Some(all.into())
    }

    /// Turns what changed into lines; a delay is how long to wait before they are sent.
    fn read(&mut self) -> Option<Duration> {
        let changes: Option<Vec<Change>> = {
            let state = self.shared.lock();
            state
                .since(self.kind.plural, self.revision)
                .map(|changes| changes.take(BATCH).cloned().collect())
        };
        let Some(changes) = changes else {
            let message = format!(
                "too old resource version: {} ({})",
                self.revision,
                self.shared.lock().revision()
            );
            self.end_with(&Refusal::expired(message));
            return None;
        };
        let mut pause = None;
        for change in changes {
            self.revision = change.after.revision;
            let Some(line) = self.tell(&change) else { continue };
            match self.shared.watches.fault(self.kind.plural) {
                None => self.push(line),
                Some(EventFault::Drop) => {}
                Some(EventFault::Repeat) => {
                    self.push(line.clone());
                    self.push(line);
                }
                Some(EventFault::Reorder) => self.held = Some(line),
                Some(EventFault::Delay(by)) => {
                    pause = Some(pause.unwrap_or_default() + by);
                    self.push(line);
                }
            }
        }
        pause
    }

    fn push(&mut self, line: Bytes) {
        self.lines.push_back(line);
        self.lines.extend(self.held.take());
    }

    fn tell(&self, change: &Change) -> Option<Bytes> {
        let before = change
            .before
            .as_ref()
            .filter(|before| self.selector.takes(before));
        let after = (!change.removed && self.selector.takes(&change.after)).then_some(&change.after);
        match (before, after) {
            (None, None) => None,
            (None, Some(after)) => Some(line("ADDED", after)),
            (Some(_), Some(after)) => Some(line("MODIFIED", after)),
            // The last state that matched, with the revision of its end.
            (Some(before), None) => {
                let mut value = before.value.clone();
                set(
                    &mut value,
                    "/metadata/resourceVersion",
                    json!(change.after.revision.to_string()),
                );
                Some(line(
                    "DELETED",
                    &Object::new(self.kind, change.after.revision, value),
                ))
            }
        }
    }

    fn bookmark(&self, ends_the_list: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": self.revision.to_string()});
        if ends_the_list {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object =
            json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata});
        format!("{{\"type\":\"BOOKMARK\",\"object\":{object}}}\n").into()
    }
}

fn line(what: &str, object: &Object) -> Bytes {
    let mut line = Vec::with_capacity(object.item().len() + 128);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(what.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    object.document(&mut line);
    line.extend_from_slice(b"}\n");
    line.into()
}

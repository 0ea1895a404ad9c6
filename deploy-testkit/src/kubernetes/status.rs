//! Refusals, as the API server words them: a Status with a code, a reason and details, from which clients decide.

use serde_json::{Value, json};

use super::kinds::Kind;

/// A refusal.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) code: u16,
    reason: &'static str,
    message: String,
    /// On the heap: refusals are passed on often, and rarely made.
    details: Box<Value>,
    /// Seconds, for the header Retry-After.
    pub(super) retry_after: Option<u64>,
}

impl Refusal {
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Box::default(),
            retry_after: None,
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(super) fn no_such_path() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(
            404,
            "NotFound",
            format!("{} {name:?} not found", kind.qualified()),
        )
        .about(kind, name)
    }

    pub(super) fn already_exists(kind: &Kind, name: &str, is_going: bool) -> Self {
        let going = if is_going { "object is being deleted: " } else { "" };
        let message = format!("{going}{} {name:?} already exists", kind.qualified());
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    pub(super) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            kind.qualified()
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// Of a write for another incarnation. A real server takes it for a change of a field that never changes: it is no
    /// conflict to it.
    pub(super) fn other_incarnation(kind: &Kind, name: &str, uid: &str) -> Self {
        let what = format!("Invalid value: {uid:?}: field is immutable");
        Self::invalid(kind, name, "metadata.uid", "FieldValueInvalid", &what)
    }

    /// Of a delete whose precondition does not hold.
    pub(super) fn precondition(kind: &Kind, name: &str, why: &str) -> Self {
        let named = qualified_kind(kind);
        let message = format!("Operation cannot be fulfilled on {named} {name:?}: {why}");
        let mut refusal = Self::new(409, "Conflict", message).about(kind, name);
        refusal.details["kind"] = json!(kind.kind);
        refusal
    }

    /// Of a write whose resourceVersion is another.
    pub(super) fn modified(kind: &Kind, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    pub(super) fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", kind.qualified());
        Self::new(403, "Forbidden", message).about(kind, name)
    }

    /// Of one field: `what` is the message of its cause, `reason` that cause's.
    pub(super) fn invalid(kind: &Kind, name: &str, field: &str, reason: &str, what: &str) -> Self {
        let message = format!("{} {name:?} is invalid: {field}: {what}", qualified_kind(kind));
        let mut refusal = Self::new(422, "Invalid", message);
        let causes = json!([{"reason": reason, "message": what, "field": field}]);
        refusal.details = Box::new(json!({"name": name, "kind": kind.kind, "causes": causes}));
        if !kind.group.is_empty() {
            refusal.details["group"] = json!(kind.group);
        }
        refusal
    }

    /// What a real server says without a reason, though it is the client's doing.
    pub(super) fn unexplained(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// Too old a resourceVersion, or an expired `continue`.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(super) fn retry_after(mut self, seconds: Option<u64>) -> Self {
        self.retry_after = seconds;
        if let Some(seconds) = seconds {
            self.details["retryAfterSeconds"] = json!(seconds);
        }
        self
    }

    /// Adds a cause to what is told about it.
    pub(super) fn because(mut self, reason: &str, message: &str, field: Option<&str>) -> Self {
        let mut cause = json!({"reason": reason, "message": message});
        if let Some(field) = field {
            cause["field"] = json!(field);
        }
        self.details["causes"] = json!([cause]);
        self
    }

    pub(super) fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        });
        if !self.reason.is_empty() {
            body["reason"] = json!(self.reason);
        }
        if !self.details.is_null() {
            body["details"] = (*self.details).clone();
        }
        body["code"] = json!(self.code);
        body
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = Box::new(json!({"name": name, "kind": kind.plural}));
        if !kind.group.is_empty() {
            self.details["group"] = json!(kind.group);
        }
        self
    }
}

/// As messages of invalid bodies name a kind: `Job.batch`.
pub(super) fn qualified_kind(kind: &Kind) -> String {
    if kind.group.is_empty() {
        kind.kind.to_owned()
    } else {
        format!("{}.{}", kind.kind, kind.group)
    }
}

//! Deletion: preconditions, propagation, graceful ends of pods. What then happens to dependents is the garbage
//! collector's (`controllers/garbage.rs`).

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::kinds::{JOBS, Kind, NAMESPACES, PODS};
use super::object::{Object, list, number, set, text};
use super::status::Refusal;
use super::store::{State, is_over, stamp};

/// The finalizer of a foreground deletion.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of a deletion that leaves its dependents.
pub(super) const ORPHAN: &str = "orphan";

/// What a delete says beside the name.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    uid: Option<String>,
    resource_version: Option<String>,
    propagation: Option<String>,
    grace: Option<i64>,
    pub(super) dry_run: bool,
}

/// What a delete came to.
pub(super) enum Deleted {
    /// It is gone.
    Gone(Arc<Object>),
    /// It is being deleted.
    Going(Arc<Object>),
}

impl Options {
    /// Reads a DeleteOptions, and the same fields of the query where they are not in it.
    pub(super) fn read(body: &Value, query: impl Fn(&str) -> String) -> Self {
        let from_query = |name: &str| Some(query(name)).filter(|value| !value.is_empty());
        let field = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Self {
            uid: field("/preconditions/uid"),
            resource_version: field("/preconditions/resourceVersion"),
            propagation: field("/propagationPolicy").or_else(|| from_query("propagationPolicy")),
            grace: body
                .get("gracePeriodSeconds")
                .and_then(Value::as_i64)
                .or_else(|| from_query("gracePeriodSeconds")?.parse().ok()),
            dry_run: from_query("dryRun").is_some() || !list(body, "/dryRun").is_empty(),
        }
    }

    /// As the garbage collector deletes.
    pub(super) fn of_collector(propagation: &str) -> Self {
        Self {
            propagation: Some(propagation.to_owned()),
            ..Self::default()
        }
    }

    /// As the kubelet deletes a pod whose containers have ended.
    pub(super) fn at_once() -> Self {
        Self {
            grace: Some(0),
            ..Self::default()
        }
    }
}

/// Deletes an object, or begins to.
pub(super) fn delete(state: &mut State, object: &Arc<Object>, options: &Options) -> Result<Deleted, Refusal> {
    check(object, options)?;
    let kind = object.kind;
    if options.dry_run {
        return Ok(Deleted::Gone(Arc::clone(object)));
    }
    let mut value = object.value.clone();
    let finalizers = finalizers(kind, &value, options.propagation.as_deref());
    let grace = grace(object, options);
    let is_held = !finalizers.is_empty() || grace > 0 || kind.plural == NAMESPACES;
    if !is_held {
        return Ok(Deleted::Gone(state.remove(object)));
    }
    if !finalizers.is_empty() {
        set(&mut value, "/metadata/finalizers", json!(finalizers));
    }
    if object.is_going() {
        // A second delete can only shorten the time.
        if kind.plural == PODS && grace < number(&value, "/metadata/deletionGracePeriodSeconds", 0) {
            set(&mut value, "/metadata/deletionGracePeriodSeconds", json!(grace));
        }
    } else {
        let end = state.now() + TimeDelta::seconds(grace);
        set(&mut value, "/metadata/deletionTimestamp", json!(stamp(end)));
        set(&mut value, "/metadata/deletionGracePeriodSeconds", json!(grace));
        if kind.plural == NAMESPACES {
            set(&mut value, "/status/phase", json!("Terminating"));
            value["metadata"]
                .as_object_mut()
                .and_then(|fields| fields.remove("deletionGracePeriodSeconds"));
        }
        if kind.generation {
            let generation = number(&value, "/metadata/generation", 1) + 1;
            set(&mut value, "/metadata/generation", json!(generation));
        }
    }
    let written = state.update(object, value);
    Ok(if written.removed {
        Deleted::Gone(written.object)
    } else {
        Deleted::Going(written.object)
    })
}

fn check(object: &Object, options: &Options) -> Result<(), Refusal> {
    let found = (object.uid(), object.revision.to_string());
    let checks = [
        ("UID", &options.uid, found.0, "deleted and then recreated"),
        (
            "ResourceVersion",
            &options.resource_version,
            &*found.1,
            "modified",
        ),
    ];
    for (what, wanted, found, perhaps) in checks {
        if let Some(wanted) = wanted
            && wanted != found
        {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object \
                 might have been {perhaps}"
            );
            return Err(Refusal::precondition(object.kind, object.name(), &why));
        }
    }
    Ok(())
}

fn finalizers(kind: &Kind, value: &Value, propagation: Option<&str>) -> Vec<String> {
    let mut all: Vec<String> = list(value, "/metadata/finalizers")
        .iter()
        .filter_map(|finalizer| Some(finalizer.as_str()?.to_owned()))
        .collect();
    // For compatibility batch/v1 still leaves a Job's pods behind where nothing is said.
    let unsaid = if kind.plural == JOBS {
        "Orphan"
    } else {
        "Background"
    };
    let added = match propagation.unwrap_or(unsaid) {
        "Foreground" => FOREGROUND,
        "Orphan" => ORPHAN,
        _ => return all,
    };
    if !all.iter().any(|one| one == added) {
        all.push(added.to_owned());
    }
    all
}

/// Seconds until its end is forced; only a pod that may run has any.
fn grace(object: &Object, options: &Options) -> i64 {
    let never_ran = text(&object.value, "/spec/nodeName").is_empty();
    if object.kind.plural != PODS || never_ran || is_over(object) {
        return 0;
    }
    let own = number(&object.value, "/spec/terminationGracePeriodSeconds", 30);
    options.grace.unwrap_or(own)
}

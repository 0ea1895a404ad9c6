//! What the API server refuses of a body: fields it does not know, names that are no names, and changes of what cannot
//! change. The rules are those that a client of workloads can break; the rest of Kubernetes' validation is not here.

use deploy_core::manifest::Schedule;
use serde_json::Value;

use super::kinds::{CRON_JOBS, DEPLOYMENTS, JOBS, Kind, NAMESPACES, PODS, REPLICA_SETS, SERVICES};
use super::object::{list, text};
use super::status::Refusal;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
     and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
     validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Takes the fields out that the kind does not know; with `strict` their presence is refused.
pub(super) fn decode(kind: &Kind, body: Value, strict: bool) -> Result<Value, Refusal> {
    let known = (kind.check)(&body).map_err(|error| {
        Refusal::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {error}",
            kind.kind, kind.version, kind.kind
        ))
    })?;
    let mut unknown = Vec::new();
    let body = keep_known(body, &known, "", &mut unknown);
    if strict && !unknown.is_empty() {
        let fields: Vec<String> = unknown
            .iter()
            .map(|path| format!("unknown field \"{path}\""))
            .collect();
        return Err(Refusal::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
            kind.kind,
            kind.version,
            kind.kind,
            fields.join(", ")
        )));
    }
    Ok(body)
}

/// As [`decode`], of a configuration that is applied: a real server answers an unknown field of one by an error of its own,
/// with neither a reason nor a client's status.
pub(super) fn decode_applied(kind: &Kind, config: &Value) -> Result<Value, Refusal> {
    let cannot = |why: String| {
        let (name, version, kind) = (text(config, "/metadata/name"), kind.api_version(), kind.kind);
        Refusal::unexplained(format!(
            "failed to create typed patch object (/{name}; {version}, Kind={kind}): {why}"
        ))
    };
    let known = (kind.check)(config).map_err(cannot)?;
    let mut unknown = Vec::new();
    let config = keep_known(config.clone(), &known, "", &mut unknown);
    match unknown.first() {
        Some(path) => Err(cannot(format!(".{path}: field not declared in schema"))),
        None => Ok(config),
    }
}

/// Checks a whole object.
pub(super) fn check(kind: &Kind, value: &Value) -> Result<(), Refusal> {
    let name = text(value, "/metadata/name");
    let refuse = |field: &str, shown: &str, what: &str| {
        let message = format!("Invalid value: {shown}: {what}");
        Err(Refusal::invalid(kind, name, field, "FieldValueInvalid", &message))
    };
    let (fits, rule) = match kind.plural {
        NAMESPACES => (is_label(name), LABEL),
        SERVICES => (
            is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase()),
            LABEL_1035,
        ),
        _ => (name.len() <= 253 && name.split('.').all(is_part), SUBDOMAIN),
    };
    if name.is_empty() {
        let message = "Required value: name or generateName is required";
        return Err(Refusal::invalid(
            kind,
            name,
            "metadata.name",
            "FieldValueRequired",
            message,
        ));
    }
    if !fits {
        return refuse("metadata.name", &format!("{name:?}"), rule);
    }
    let longest = match kind.plural {
        CRON_JOBS => 52,
        JOBS => 63,
        _ => 253,
    };
    if name.len() > longest {
        let what = format!("must be no more than {longest} characters");
        // A Job's name becomes a label of its pods.
        let field = if kind.plural == JOBS {
            "spec.template.labels"
        } else {
            "metadata.name"
        };
        return refuse(field, &format!("{name:?}"), &what);
    }
    let labels = value.pointer("/metadata/labels").and_then(Value::as_object);
    for (_, label) in labels.into_iter().flatten() {
        let label = label.as_str().unwrap_or_default();
        if !is_label_value(label) {
            return refuse(
                "metadata.labels",
                &format!("{label:?}"),
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            );
        }
    }
    check_spec(kind, name, value)
}

fn check_spec(kind: &Kind, name: &str, value: &Value) -> Result<(), Refusal> {
    let pod = match kind.plural {
        PODS => "/spec",
        JOBS | DEPLOYMENTS | REPLICA_SETS => "/spec/template/spec",
        CRON_JOBS => "/spec/jobTemplate/spec/template/spec",
        _ => return Ok(()),
    };
    let path = pod.trim_start_matches('/').replace('/', ".");
    if list(value, &format!("{pod}/containers")).is_empty() {
        let field = format!("{path}.containers");
        return Err(Refusal::invalid(
            kind,
            name,
            &field,
            "FieldValueRequired",
            "Required value",
        ));
    }
    let policy = text(value, &format!("{pod}/restartPolicy"));
    let field = format!("{path}.restartPolicy");
    match kind.plural {
        JOBS | CRON_JOBS if !matches!(policy, "OnFailure" | "Never") => {
            let what = "Required value: valid values: \"OnFailure\", \"Never\"";
            return Err(Refusal::invalid(kind, name, &field, "FieldValueRequired", what));
        }
        DEPLOYMENTS | REPLICA_SETS if policy != "Always" => {
            let what = format!("Unsupported value: {policy:?}: supported values: \"Always\"");
            return Err(Refusal::invalid(
                kind,
                name,
                &field,
                "FieldValueNotSupported",
                &what,
            ));
        }
        _ => {}
    }
    if kind.plural == CRON_JOBS
        && let Err(error) = text(value, "/spec/schedule").parse::<Schedule>()
    {
        let what = format!("Invalid value: {:?}: {error}", text(value, "/spec/schedule"));
        return Err(Refusal::invalid(
            kind,
            name,
            "spec.schedule",
            "FieldValueInvalid",
            &what,
        ));
    }
    if matches!(kind.plural, DEPLOYMENTS | REPLICA_SETS) {
        let labels = value.pointer("/spec/template/metadata/labels");
        let selector = value
            .pointer("/spec/selector/matchLabels")
            .and_then(Value::as_object);
        let selects = selector.is_some_and(|selector| {
            !selector.is_empty()
                && selector
                    .iter()
                    .all(|(key, wanted)| labels.and_then(|found| found.get(key)) == Some(wanted))
        });
        if !selects {
            let shown = labels.cloned().unwrap_or_default();
            let what = format!("Invalid value: {shown}: `selector` does not match template `labels`");
            return Err(Refusal::invalid(
                kind,
                name,
                "spec.template.metadata.labels",
                "FieldValueInvalid",
                &what,
            ));
        }
    }
    Ok(())
}

/// Checks what may not change.
pub(super) fn check_change(kind: &Kind, before: &Value, after: &Value) -> Result<(), Refusal> {
    let fixed: &[&str] = match kind.plural {
        JOBS => &[
            "/spec/completions",
            "/spec/selector",
            "/spec/template",
            "/spec/completionMode",
            "/spec/podFailurePolicy",
        ],
        DEPLOYMENTS | REPLICA_SETS => &["/spec/selector"],
        SERVICES => &["/spec/clusterIP"],
        PODS => &[
            "/spec/restartPolicy",
            "/spec/serviceAccountName",
            "/spec/nodeName",
        ],
        _ => &[],
    };
    let name = text(before, "/metadata/name");
    for pointer in fixed {
        // A pod may be bound; what the server itself gives is not asked of the client again.
        let is_given = before.pointer(pointer).is_some_and(|value| !value.is_null());
        if is_given && before.pointer(pointer) != after.pointer(pointer) {
            let field = pointer.trim_start_matches('/').replace('/', ".");
            let shown = after.pointer(pointer).cloned().unwrap_or_default();
            let what = format!("Invalid value: {shown}: field is immutable");
            return Err(Refusal::invalid(kind, name, &field, "FieldValueInvalid", &what));
        }
    }
    Ok(())
}

/// `body` without what `known` has not; the paths of what is gone are told. Nulls say nothing, so they go silently.
fn keep_known(body: Value, known: &Value, path: &str, unknown: &mut Vec<String>) -> Value {
    match body {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter_map(|(key, value)| {
                let at = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                match known.get(&key) {
                    Some(known) => Some((key, keep_known(value, known, &at, unknown))),
                    None => {
                        if !value.is_null() {
                            unknown.push(at);
                        }
                        None
                    }
                }
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(at, item)| match known.get(at) {
                Some(known) => keep_known(item, known, &format!("{path}[{at}]"), unknown),
                None => item,
            })
            .collect(),
        other => other,
    }
}

fn is_label(name: &str) -> bool {
    name.len() <= 63 && is_part(name)
}

fn is_part(part: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !part.is_empty() && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-')
}

fn is_label_value(value: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    value.is_empty()
        || (value.len() <= 63
            && value.chars().all(|c| edge(c) || matches!(c, '-' | '_' | '.'))
            && value.starts_with(edge)
            && value.ends_with(edge))
}

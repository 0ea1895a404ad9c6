//! What pods have written: `here`, each of them, unless a test wrote something else for them.

use super::kinds::{PODS, by_plural};
use super::object::{Key, list, text};
use super::request::Asked;
use super::status::Refusal;
use super::store::State;

/// What every container writes first.
const HERE: &str = "here\n";

/// A pod's log, or the end of it. There is no following: a log is what was written so far.
pub(super) fn read(state: &State, asked: &Asked) -> Result<String, Refusal> {
    let kind = by_plural(PODS).ok_or_else(Refusal::no_such_path)?;
    let key = Key::new(PODS, &asked.namespace, &asked.name);
    let pod = state
        .get(&key)
        .ok_or_else(|| Refusal::not_found(kind, &asked.name))?;
    let containers = list(&pod.value, "/spec/containers");
    let wanted = asked.get("container");
    let names: Vec<&str> = containers
        .iter()
        .map(|container| text(container, "/name"))
        .collect();
    let Some(container) = names.iter().find(|name| wanted.is_empty() || **name == wanted) else {
        let message = format!("container {wanted} is not valid for pod {}", asked.name);
        return Err(Refusal::bad_request(message));
    };
    if wanted.is_empty() && names.len() > 1 {
        let message = format!(
            "a container name must be specified for pod {}, choose one of: [{}]",
            asked.name,
            names.join(" ")
        );
        return Err(Refusal::bad_request(message));
    }
    let status = list(&pod.value, "/status/containerStatuses")
        .iter()
        .find(|status| status["name"] == *container);
    let waiting = status.map_or(Some("ContainerCreating"), |status| {
        status
            .pointer("/state/waiting/reason")
            .and_then(|reason| reason.as_str())
    });
    if let Some(reason) = waiting
        && status.is_none_or(|status| status.pointer("/lastState/terminated").is_none())
    {
        let message = format!(
            "container {container:?} in pod {:?} is waiting to start: {reason}",
            asked.name
        );
        return Err(Refusal::bad_request(message));
    }
    let written = state.memory.logs.get(&key).map_or(HERE, String::as_str);
    Ok(end_of(written, asked))
}

fn end_of(written: &str, asked: &Asked) -> String {
    let mut end = written;
    if let Ok(lines) = asked.get("tailLines").parse::<usize>() {
        let skipped = written.lines().count().saturating_sub(lines);
        let start: usize = written.split_inclusive('\n').take(skipped).map(str::len).sum();
        end = written.get(start..).unwrap_or_default();
    }
    if let Ok(limit) = asked.get("limitBytes").parse::<usize>() {
        end = end.get(..limit).unwrap_or(end);
    }
    end.to_owned()
}

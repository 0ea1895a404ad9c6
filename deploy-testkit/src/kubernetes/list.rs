//! Lists: one consistent view, whole or in pages.

use std::sync::Arc;

use bytes::Bytes;

use super::kinds::Kind;
use super::object::Object;
use super::request::Asked;
use super::select::Selector;
use super::status::Refusal;
use super::store::{Paged, State};

/// The body of a list.
pub(super) fn list(
    state: &mut State,
    kind: &Kind,
    asked: &Asked,
    selector: &Selector,
) -> Result<Bytes, Refusal> {
    let limit: usize = asked.get("limit").parse().unwrap_or(0);
    if limit == 0 && asked.get("continue").is_empty() {
        let objects: Vec<Arc<Object>> = selected(state, kind, asked, selector).cloned().collect();
        return Ok(body(kind, state.revision(), &objects, None, None));
    }
    let (number, from, paged) = if asked.get("continue").is_empty() {
        let paged = Paged {
            revision: state.revision(),
            objects: selected(state, kind, asked, selector).cloned().collect(),
        };
        (state.page(paged.clone()), 0, paged)
    } else {
        let (number, from) =
            token(asked.get("continue")).ok_or_else(|| Refusal::bad_request("continue key is not valid"))?;
        let paged = state.paged(number).ok_or_else(|| {
            Refusal::expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new \
                 list without the continue parameter, or use the continue token in this response to retrieve the \
                 remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
                 that were created, modified, or deleted between the time the first chunk was returned and now may show \
                 up in the list.",
            )
        })?;
        (number, from, paged)
    };
    let rest = paged.objects.get(from..).unwrap_or_default();
    let page = if limit == 0 {
        rest
    } else {
        rest.get(..limit).unwrap_or(rest)
    };
    let remaining = rest.len() - page.len();
    let next = (remaining > 0).then(|| format!("{number}.{}", from + page.len()));
    // As on a real server: the count is told only where it costs nothing.
    let remaining = (remaining > 0 && selector.is_open()).then_some(remaining);
    Ok(body(kind, paged.revision, page, next.as_deref(), remaining))
}

fn selected<'a>(
    state: &'a State,
    kind: &Kind,
    asked: &'a Asked,
    selector: &'a Selector,
) -> impl Iterator<Item = &'a Arc<Object>> {
    state
        .all(kind.plural, &asked.namespace)
        .filter(|object| selector.takes(object))
}

fn token(text: &str) -> Option<(u64, usize)> {
    let (number, from) = text.split_once('.')?;
    Some((number.parse().ok()?, from.parse().ok()?))
}

fn body(
    kind: &Kind,
    revision: u64,
    objects: &[Arc<Object>],
    next: Option<&str>,
    remaining: Option<usize>,
) -> Bytes {
    let size: usize = objects.iter().map(|object| object.item().len() + 1).sum();
    let mut body = Vec::with_capacity(size + 256);
    let head = format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{revision}\"",
        kind.kind,
        kind.api_version()
    );
    body.extend_from_slice(head.as_bytes());
    if let Some(next) = next {
        body.extend_from_slice(format!(",\"continue\":\"{next}\"").as_bytes());
    }
    if let Some(remaining) = remaining {
        body.extend_from_slice(format!(",\"remainingItemCount\":{remaining}").as_bytes());
    }
    body.extend_from_slice(b"},\"items\":[");
    for (at, object) in objects.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        if kind.is_custom() {
            object.document(&mut body);
        } else {
            body.extend_from_slice(object.item());
        }
    }
    body.extend_from_slice(b"]}");
    body.into()
}

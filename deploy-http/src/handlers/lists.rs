//! The lists. Each takes `?limit=` and `?continue=`, and says in `Age` how old is what it read.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::names::Namespace;
use deploy_core::ports::{Page, TaskCursor};
use hyper::{StatusCode, header};
use serde::Serialize;

use super::Services;
use crate::cursor::{Cursor, PodCursor, RunCursor, decode, encode, of_pod};
use crate::gate::Call;
use crate::problem::Problem;
use crate::reply::{Reply, json, number};
use crate::wire::{Continued, Namespaces, Pods, Runs, Tasks};

/// Row 21.
///
/// # Errors
/// 400, and the use case's.
pub async fn namespaces(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    let Paging { limit, after } = Paging::<Namespace>::of(&call)?;
    let (page, age) = services
        .deployer
        .list_namespaces(call.reader()?, after.as_ref(), limit)
        .await?;
    let continued = continued(&page, |namespace| namespace.name.clone());
    aged(&Namespaces::new(&page.items, continued), age)
}

/// Rows 22 and 23.
///
/// # Errors
/// 400, and the use case's.
pub async fn tasks(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    let namespace = within(&call)?;
    let Paging { limit, after } = Paging::<TaskCursor>::of(&call)?;
    let (page, age) = services
        .deployer
        .list_tasks(call.reader()?, namespace.as_ref(), after.as_ref(), limit)
        .await?;
    let continued = continued(&page, |task| TaskCursor {
        kind: task.kind(),
        namespace: task.workload.namespace.clone(),
        name: task.workload.name.as_str().to_owned(),
    });
    aged(&Tasks::new(&page.items, continued), age)
}

/// Rows 24 and 25.
///
/// # Errors
/// 400, and the use case's.
pub async fn pods(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    let namespace = within(&call)?;
    let Paging { limit, after } = Paging::<PodCursor>::of(&call)?;
    let (page, age) = services
        .deployer
        .list_pods(call.reader()?, namespace.as_ref(), after.as_ref(), limit)
        .await?;
    let continued = continued(&page, of_pod);
    aged(&Pods::new(&page.items, continued), age)
}

/// Rows 26 and 27.
///
/// # Errors
/// 400, and the use case's.
pub async fn pipelines(services: Arc<Services>, call: Call) -> Result<Reply, Problem> {
    let namespace = within(&call)?;
    let Paging { limit, after } = Paging::<RunCursor>::of(&call)?;
    let after = after.map(|cursor| cursor.id());
    let page = services
        .deployer
        .list_pipelines(call.reader()?, namespace.as_ref(), after, limit)
        .await?;
    let continued = continued(&page, |run| RunCursor::from(run.id));
    // Read from the database itself, so it is as old as this answer.
    aged(&Runs::new(&page.items, continued), Duration::ZERO)
}

/// Which part of a list is asked for.
pub(super) struct Paging<C> {
    /// At most so many.
    pub(super) limit: usize,
    /// Those after this one.
    pub(super) after: Option<C>,
}

impl<C: Cursor> Paging<C> {
    pub(super) fn of(call: &Call) -> Result<Self, Problem> {
        const LIMIT: u32 = 500;
        const HIGHEST: u32 = 1000;
        let limit = call.query.number("limit", 1..=HIGHEST)?.unwrap_or(LIMIT);
        let limit = usize::try_from(limit).map_err(Problem::bug)?;
        let after = call.query.get("continue").map(decode).transpose()?;
        Ok(Self { limit, after })
    }
}

/// Where a list goes on: after the last item that is shown.
pub(super) fn continued<T, C: Cursor>(page: &Page<T>, place: impl Fn(&T) -> C) -> Continued {
    let last = page.items.last().filter(|_| page.more);
    Continued {
        at: last.map(|item| encode(&place(item))),
    }
}

/// A list, with its age in whole seconds (RFC 9111 §5.1).
pub(super) fn aged(list: &impl Serialize, age: Duration) -> Result<Reply, Problem> {
    let mut reply = json(StatusCode::OK, list)?;
    reply.headers_mut().insert(header::AGE, number(age.as_secs()));
    Ok(reply)
}

fn within(call: &Call) -> Result<Option<Namespace>, Problem> {
    if call.has("namespace") {
        call.namespace().map(Some)
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_after_its_last_item_where_more_follow() {
        let items: Vec<Namespace> = ["a", "b"].iter().map(|name| name.parse().unwrap()).collect();
        let at = |more: bool| {
            let items = items.clone();
            continued(&Page { items, more }, Namespace::clone).at
        };
        assert_eq!(decode::<Namespace>(&at(true).unwrap()).unwrap().as_str(), "b");
        assert_eq!(at(false), None);
    }

    #[test]
    fn a_list_says_how_old_it_is() {
        let reply = aged(
            &Pods::new(&[], Continued::default()),
            Duration::from_millis(61_900),
        )
        .unwrap();
        assert_eq!(reply.headers()[header::AGE], "61");
    }
}

//! Finds the row of the table a path belongs to. Built once. It matches the path as it was sent, before any
//! decoding, so that `%2F` never makes a segment.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::routes::{Route, TABLE};

static ROUTER: LazyLock<matchit::Router<&'static Route>> = LazyLock::new(|| {
    let mut router = matchit::Router::new();
    for route in TABLE {
        #[allow(
            clippy::expect_used,
            reason = "the table is a constant; a test routes every row of it"
        )]
        router
            .insert(pattern(route.path), route)
            .expect("invariant: the paths of the table do not collide");
    }
    router
});

/// Builds the router now, so that no request pays for it.
pub fn prepare() {
    LazyLock::force(&ROUTER);
}

/// The row of that path.
#[must_use]
pub fn find(path: &str) -> Option<&'static Route> {
    ROUTER.at(path).ok().map(|found| *found.value)
}

/// The path with `-` in every empty segment inside it: the two mean the same, the default namespace. No other
/// placeholder accepts a `-`, and the trailing one is left alone, so a trailing slash stays a 404.
#[must_use]
pub fn normalized(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut filled = String::with_capacity(path.len() + 8);
    for c in path.chars() {
        if c == '/' && filled.ends_with('/') {
            filled.push('-');
        }
        filled.push(c);
    }
    Cow::Owned(filled)
}

/// The raw text in the place of a placeholder, where the route has it.
#[must_use]
pub fn segment<'a>(route: &Route, path: &'a str, placeholder: &str) -> Option<&'a str> {
    route
        .path
        .split('/')
        .zip(path.split('/'))
        .find(|(pattern, _)| pattern.strip_prefix(':') == Some(placeholder))
        .map(|(_, segment)| segment)
}

/// matchit writes `{x}` where docs/api.md writes `:x`.
fn pattern(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_path_and_no_other() {
        for route in TABLE {
            let path = route.path.replace(':', "x-");
            assert!(std::ptr::eq(find(&path).unwrap(), route), "{path}");
        }
    }

    #[test]
    fn variants_of_a_path_are_no_route() {
        for path in [
            "",
            "/",
            "/v1",
            "/v1/task/deploy/r/d/",
            "/v1/task/deploy/r",
            "/v1/task/deploy/r/d/e",
            "/V1/task/deploy/r/d",
            "//v1/task/deploy/r/d",
            "/v1//task/deploy/r/d",
            "/v1/list/tasks/",
            "/v1/task%2Fdeploy/r/d",
            "/v1/task/./deploy/r/d",
            "/v1/pipeline/runas/r/d//",
        ] {
            assert!(find(&normalized(path)).is_none(), "{path}");
        }
    }

    #[test]
    fn an_empty_namespace_is_a_dash_and_an_encoded_slash_is_no_slash() {
        let segments = |path: &str, names: &[&str]| {
            let path = normalized(path);
            let route = find(&path).unwrap();
            let found: Vec<_> = names
                .iter()
                .map(|name| segment(route, &path, name).unwrap_or("none"))
                .collect();
            found.join(" ")
        };
        let names = ["repository", "directory", "namespace", "name"];
        assert_eq!(segments("/v1/task/deployinas/r/d//n", &names), "r d - n");
        assert_eq!(segments("/v1/task/deployinas/r/d/-/n", &names), "r d - n");
        assert_eq!(
            segments("/v1/task/deploy/r/etl%2Fload", &names),
            "r etl%2Fload none none"
        );
    }
}

//! *The* route table: one row per route, read by the router, the 405s, the forms, the access check and the test that
//! holds docs/api.md to it. What a row may not do: leave its access open to a default.
//!
//! A row without an access decision does not compile:
//!
//! ```compile_fail
//! # use deploy_http::routes::{PLAIN, Route, Verb};
//! # use deploy_http::handlers::system;
//! const ROW: Route = Route {
//!     number: 99, verb: Verb::Get, path: "/x", shape: &PLAIN, form: &[],
//!     handler: |services, call| Box::pin(system::alive(services, call)),
//! };
//! ```
//!
//! The same row with one does:
//!
//! ```
//! # use deploy_http::routes::{Access, PLAIN, Route, Verb};
//! # use deploy_http::handlers::system;
//! const ROW: Route = Route {
//!     number: 99, verb: Verb::Get, path: "/x", access: Access::Change, shape: &PLAIN, form: &[],
//!     handler: |services, call| Box::pin(system::alive(services, call)),
//! };
//! ```

use std::sync::Arc;

use futures::future::BoxFuture;
use hyper::Method;
use hyper::header::HeaderValue;

use crate::gate::Call;
use crate::handlers::{Services, deletes, lists, pipelines, system, tasks, templates, works};
use crate::problem::Problem;
use crate::reply::Reply;

/// One route.
#[derive(Debug)]
pub struct Route {
    /// Its number in docs/api.md.
    pub number: u8,
    /// The verb it is documented with; [`Route::methods`] has all it answers to.
    pub verb: Verb,
    /// `:x` is one segment.
    pub path: &'static str,
    /// Who may use it, and what it does.
    pub access: Access,
    /// Its query parameters and the media type of its answer.
    pub shape: &'static Shape,
    /// The fields of its form. Any other is refused.
    pub form: &'static [Field],
    /// Carries it out.
    pub handler: Handler,
}

/// Parses, calls one use case, renders.
pub type Handler = fn(Arc<Services>, Call) -> BoxFuture<'static, Result<Reply, Problem>>;

/// The verb of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// GET, and HEAD where nothing changes.
    Get,
    /// POST.
    Post,
}

/// Who may use a route, and what it does. There is no default on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone; no identity is looked for. For probes alone.
    Open,
    /// It changes nothing that runs; needs an identity where reads are protected.
    Read,
    /// It changes state: it needs an identity, and its GET answers to POST too and never to HEAD.
    Change,
    /// As [`Access::Change`], and it answers to DELETE too.
    Delete,
}

impl Access {
    /// Whether the route changes state.
    #[must_use]
    pub const fn changes(self) -> bool {
        matches!(self, Self::Change | Self::Delete)
    }
}

/// What routes of one kind have in common.
#[derive(Debug)]
pub struct Shape {
    /// The query parameters. Any other is refused.
    pub query: &'static [&'static str],
    /// The media type of its answer.
    pub media: Media,
}

/// The media type of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// application/json
    Json,
    /// text/plain
    Text,
}

/// One field of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Whether the form is refused without it.
    pub required: bool,
}

impl Route {
    /// Every method it answers to.
    #[must_use]
    pub const fn methods(&self) -> &'static [Method] {
        self.answers_to().0
    }

    /// The same, as the Allow header writes them.
    #[must_use]
    pub const fn allow(&self) -> HeaderValue {
        HeaderValue::from_static(self.answers_to().1)
    }

    const fn answers_to(&self) -> (&'static [Method], &'static str) {
        match (self.verb, self.access) {
            (Verb::Post, _) => (&[Method::POST], "POST"),
            (Verb::Get, Access::Open | Access::Read) => (&[Method::GET, Method::HEAD], "GET, HEAD"),
            (Verb::Get, Access::Change) => (&[Method::GET, Method::POST], "GET, POST"),
            (Verb::Get, Access::Delete) => {
                (&[Method::GET, Method::POST, Method::DELETE], "GET, POST, DELETE")
            }
        }
    }

    /// The placeholders of its path.
    pub fn placeholders(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|segment| segment.strip_prefix(':'))
    }
}

const fn required(name: &'static str) -> Field {
    Field { name, required: true }
}

const fn optional(name: &'static str) -> Field {
    Field {
        name,
        required: false,
    }
}

/// No query.
pub const PLAIN: Shape = Shape {
    query: &[],
    media: Media::Json,
};
const DEPLOY: Shape = Shape {
    query: &["replace"],
    media: Media::Json,
};
const KILL: Shape = Shape {
    query: &["cleanup"],
    media: Media::Json,
};
const STATE: Shape = Shape {
    query: &["wait"],
    media: Media::Json,
};
const LIST: Shape = Shape {
    query: &["limit", "continue"],
    media: Media::Json,
};
const LOG: Shape = Shape {
    query: &["tail"],
    media: Media::Text,
};

const NAMESPACE: Field = optional("namespace");
const NAME: Field = optional("name");
const BRANCH: Field = optional("branch");
const SCHEDULE: Field = optional("schedule");
const REPOSITORY: Field = optional("repository");
const DIRECTORY: Field = optional("directory");
const IN_NAMESPACE: Field = required("namespace");
const CONFIGURATION: Field = required("configuration");
const TEMPLATE_PATH: Field = required("template_path");

/// One row a line; rustfmt leaves macros of this form alone.
macro_rules! table {
    ($($number:literal $verb:ident $path:literal $access:ident $shape:ident [$($field:ident)*] $handler:path;)+) => {
        /// Every route, in the order of docs/api.md.
        pub static TABLE: &[Route] = &[$(Route {
            number: $number,
            verb: Verb::$verb,
            path: $path,
            access: Access::$access,
            shape: &$shape,
            form: &[$($field),*],
            handler: |services, call| Box::pin($handler(services, call)),
        },)+];
    };
}

table! {
    1  Get  "/v1/task/deploy/:repository/:directory"                                 Change DEPLOY [] tasks::deploy;
    2  Get  "/v1/task/deployas/:repository/:directory/:name"                         Change DEPLOY [] tasks::deploy;
    3  Get  "/v1/task/deployinas/:repository/:directory/:namespace/:name"            Change DEPLOY [] tasks::deploy;
    4  Post "/v1/task/elaborate/deployinas/:repository/:directory/:namespace/:name"  Change DEPLOY [BRANCH SCHEDULE] tasks::deploy;
    5  Post "/v2/task/elaborate/deploy/:repository/:directory"                       Change DEPLOY [NAMESPACE NAME BRANCH SCHEDULE] tasks::deploy;
    6  Post "/v2/task/load/configuration/from-git/:repository/:directory"            Read   PLAIN  [BRANCH] works::load_task;
    7  Get  "/v2/task/get/configuration-loading-state/:work_id"                      Read   STATE  [] works::task_state;
    8  Post "/v2/task/deploy/with-configuration"                                     Change DEPLOY [IN_NAMESPACE CONFIGURATION REPOSITORY DIRECTORY] tasks::deploy_configuration;
    9  Get  "/v1/task/state/:id"                                                     Read   STATE  [] tasks::state;
    10 Post "/v2/task/get/template"                                                  Read   PLAIN  [TEMPLATE_PATH] templates::get_task;
    11 Get  "/v1/pipeline/runas/:repository/:directory/:name"                        Change PLAIN  [] pipelines::run;
    12 Get  "/v1/pipeline/runinas/:repository/:directory/:namespace/:name"           Change PLAIN  [] pipelines::run;
    13 Post "/v1/pipeline/elaborate/runinas/:repository/:directory/:namespace/:name" Change PLAIN  [BRANCH] pipelines::run;
    14 Post "/v2/pipeline/elaborate/run/:repository/:directory/:name"                Change PLAIN  [NAMESPACE BRANCH] pipelines::run;
    15 Post "/v2/pipeline/load/configuration/from-git/:repository/:directory"        Read   PLAIN  [BRANCH] works::load_pipeline;
    16 Get  "/v2/pipeline/get/configuration-loading-state/:work_id"                  Read   STATE  [] works::pipeline_state;
    17 Post "/v2/pipeline/run/with-configuration"                                    Change PLAIN  [IN_NAMESPACE CONFIGURATION] pipelines::run_configuration;
    18 Get  "/v1/pipeline/state/:namespace/:id"                                      Read   STATE  [] pipelines::state;
    19 Get  "/v1/pipeline/kill/:id"                                                  Change KILL   [] pipelines::kill;
    20 Post "/v2/pipeline/get/template"                                              Read   PLAIN  [TEMPLATE_PATH] templates::get_pipeline;
    21 Get  "/v1/list/namespaces"                                                    Read   LIST   [] lists::namespaces;
    22 Get  "/v1/list/tasks"                                                         Read   LIST   [] lists::tasks;
    23 Get  "/v1/list/tasks/:namespace"                                              Read   LIST   [] lists::tasks;
    24 Get  "/v1/list/pods"                                                          Read   LIST   [] lists::pods;
    25 Get  "/v1/list/pods/:namespace"                                               Read   LIST   [] lists::pods;
    26 Get  "/v1/list/pipelines"                                                     Read   LIST   [] lists::pipelines;
    27 Get  "/v1/list/pipelines/:namespace"                                          Read   LIST   [] lists::pipelines;
    28 Get  "/v2/task/list/templates"                                                Read   LIST   [] templates::list_task;
    29 Get  "/v2/pipeline/list/templates"                                            Read   LIST   [] templates::list_pipeline;
    30 Get  "/v1/delete/job/:namespace/:job"                                         Delete PLAIN  [] deletes::job;
    31 Get  "/v1/delete/cronjob/:namespace/:cronjob"                                 Delete PLAIN  [] deletes::cronjob;
    32 Get  "/v1/delete/deployment/:namespace/:deployment"                           Delete PLAIN  [] deletes::deployment;
    33 Get  "/v1/delete/service/:namespace/:service"                                 Delete PLAIN  [] deletes::service;

    34 Get  "/healthz"                                                               Open   PLAIN  [] system::alive;
    35 Get  "/readyz"                                                                Open   PLAIN  [] system::ready;
    36 Get  "/v2/task/logs/:id"                                                      Read   LOG    [] tasks::log;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_lists_exactly_the_table() {
        let document = include_str!("../../docs/api.md");
        let written: Vec<String> = document
            .lines()
            .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
            .map(|line| {
                let cells: Vec<&str> = line.split('|').map(str::trim).collect();
                cells[1..6].join(" | ")
            })
            .collect();
        let coded: Vec<String> = TABLE.iter().map(row).collect();
        assert_eq!(written, coded);
    }

    fn row(route: &Route) -> String {
        let identity = match route.access {
            Access::Open => "never",
            Access::Read => "where reads are protected",
            Access::Change | Access::Delete => "yes",
        };
        let fields = route.form.iter().map(|field| {
            let mark = if field.required { "*" } else { "" };
            format!("`{}`{mark}", field.name)
        });
        let query = route.shape.query.iter().map(|name| format!("`?{name}`"));
        let takes: Vec<String> = fields.chain(query).collect();
        [
            &route.number.to_string(),
            route.allow().to_str().unwrap(),
            &format!("`{}`", route.path),
            identity,
            &takes.join(", "),
        ]
        .join(" | ")
    }

    #[test]
    fn rows_are_numbered_in_order() {
        let numbers: Vec<usize> = TABLE.iter().map(|route| route.number.into()).collect();
        assert_eq!(numbers, (1..=TABLE.len()).collect::<Vec<_>>());
    }

    #[test]
    fn what_the_contract_marks_as_protected_needs_an_identity() {
        let protected: Vec<u8> = TABLE
            .iter()
            .filter(|route| route.access.changes())
            .map(|route| route.number)
            .collect();
        assert_eq!(
            protected,
            [1, 2, 3, 4, 5, 8, 11, 12, 13, 14, 17, 19, 30, 31, 32, 33]
        );
    }

    #[test]
    fn the_allow_header_lists_the_methods() {
        for route in TABLE {
            let methods: Vec<&str> = route.methods().iter().map(Method::as_str).collect();
            assert_eq!(route.allow(), methods.join(", "), "{}", route.path);
        }
    }

    #[test]
    fn head_never_reaches_a_route_that_changes_state() {
        for route in TABLE {
            let head = route.methods().contains(&Method::HEAD);
            assert_eq!(
                head,
                route.verb == Verb::Get && !route.access.changes(),
                "{}",
                route.path
            );
        }
    }
}

//! The lists' JSON: each an array and where the list goes on.

use deploy_core::names::{RepositoryName, TemplatePath};
use deploy_core::pipeline::Run;
use deploy_core::task::Task;
use deploy_core::workload::{Deleted, Kind, NamespaceView, Pod};
use serde::Serialize;

use super::run::RunItem;
use super::task::TaskItem;
use super::{PodJson, Time};

/// Where a list goes on; `None` at its end.
#[derive(Debug, Default, Serialize)]
pub struct Continued {
    /// The text for `?continue=`.
    #[serde(rename = "continue")]
    pub at: Option<String>,
}

/// Tasks by kind.
#[derive(Debug, Serialize)]
pub struct Tasks<'a> {
    jobs: Vec<TaskItem<'a>>,
    cronjobs: Vec<TaskItem<'a>>,
    deployments: Vec<TaskItem<'a>>,
    services: Vec<TaskItem<'a>>,
    #[serde(flatten)]
    continued: Continued,
}

impl<'a> Tasks<'a> {
    /// The JSON of one page.
    #[must_use]
    pub fn new(tasks: &'a [Task], continued: Continued) -> Self {
        let of = |kind: Kind| {
            let of_kind = tasks.iter().filter(|task| task.kind() == kind);
            of_kind.map(TaskItem::new).collect()
        };
        Self {
            jobs: of(Kind::Job),
            cronjobs: of(Kind::CronJob),
            deployments: of(Kind::Deployment),
            services: of(Kind::Service),
            continued,
        }
    }
}

/// Pods.
#[derive(Debug, Serialize)]
pub struct Pods<'a> {
    pods: Vec<PodJson<'a>>,
    #[serde(flatten)]
    continued: Continued,
}

impl<'a> Pods<'a> {
    /// The JSON of one page.
    #[must_use]
    pub fn new(pods: &'a [Pod], continued: Continued) -> Self {
        Self {
            pods: pods.iter().map(PodJson::from).collect(),
            continued,
        }
    }
}

/// Runs.
#[derive(Debug, Serialize)]
pub struct Runs<'a> {
    pipelines: Vec<RunItem<'a>>,
    #[serde(flatten)]
    continued: Continued,
}

impl<'a> Runs<'a> {
    /// The JSON of one page.
    #[must_use]
    pub fn new(runs: &'a [Run], continued: Continued) -> Self {
        Self {
            pipelines: runs.iter().map(RunItem::new).collect(),
            continued,
        }
    }
}

/// Namespaces.
#[derive(Debug, Serialize)]
pub struct Namespaces<'a> {
    namespaces: Vec<NamespaceJson<'a>>,
    #[serde(flatten)]
    continued: Continued,
}

#[derive(Debug, Serialize)]
struct NamespaceJson<'a> {
    name: &'a str,
    repository: Option<&'a RepositoryName>,
    created_at: Time,
}

impl<'a> Namespaces<'a> {
    /// The JSON of one page.
    #[must_use]
    pub fn new(namespaces: &'a [NamespaceView], continued: Continued) -> Self {
        let namespaces = namespaces.iter().map(|namespace| NamespaceJson {
            name: namespace.name.as_str(),
            repository: namespace.repository.as_ref(),
            created_at: Time(namespace.created_at),
        });
        Self {
            namespaces: namespaces.collect(),
            continued,
        }
    }
}

/// Template paths.
#[derive(Debug, Serialize)]
pub struct Templates<'a> {
    /// Sorted.
    pub template_filenames: &'a [TemplatePath],
    /// Where it goes on.
    #[serde(flatten)]
    pub continued: Continued,
}

/// What a delete removed.
#[derive(Debug, Serialize)]
pub struct DeletedJson<'a> {
    /// Every object; one whose record alone was left has no uid.
    pub deleted: &'a [Deleted],
}

//! What we write on objects so that they can be told from everybody else's, and found. An installation's objects carry
//! its instance; selectors are made of our labels alone, so two services that a user labelled alike never share pods.

use std::collections::BTreeMap;

use deploy_core::names::{Identity, ResourceName, TaskId};
use deploy_core::workload::{LabelMap, SlotKind, Workload};

/// Kubernetes' recommended label for the tool that manages an object.
pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Its value on everything we create.
pub(super) const US: &str = "deploy-api";
/// Which installation of ours: two of them never own each other's objects.
pub(super) const INSTANCE: &str = "deploy-api/instance";
/// The name a workload was deployed under; with [`KIND`] it is the selector of its pods.
pub(super) const WORKLOAD: &str = "deploy-api/workload";
/// Which kinds compete for that name ([`SlotKind`]).
pub(super) const KIND: &str = "deploy-api/kind";
/// The task; on the top object only, so that an unchanged redeploy restarts nothing.
pub(super) const TASK: &str = "deploy-api/task";
/// The run whose step it is; on the top object only.
pub(super) const PIPELINE: &str = "deploy-api/pipeline";
/// Who asked for it: an annotation (a mailbox is no label's value), on the top object only.
pub(super) const IDENTITY: &str = "deploy-api/identity";
/// On a builder Job and its pod, in place of [`INSTANCE`]: they are no task's, and belong in no list of ours.
pub(super) const BUILDER: &str = "deploy-api/builder";
/// Which build: the builder Job's name, so that its pod is found too.
pub(super) const BUILD: &str = "deploy-api/build";
/// On a builder Job that has succeeded, an annotation: what it built, which outlives its pod.
pub(super) const DIGEST: &str = "deploy-api/digest";
/// On a namespace: the repository that claimed it by a derived use.
pub(super) const REPOSITORY: &str = "deploy-api/repository";

/// The name of a task's one container; others may be injected beside it.
pub(super) const CONTAINER: &str = "task";

/// The marks of one installation.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    instance: ResourceName,
}

impl Marks {
    pub(super) const fn new(instance: ResourceName) -> Self {
        Self { instance }
    }

    /// What every object of ours carries.
    pub(super) fn ours(&self) -> LabelMap {
        labels([(MANAGED_BY, US), (INSTANCE, self.instance.as_str())])
    }

    /// The label selector that finds everything of ours, for lists and watches.
    pub(super) fn selector(&self) -> String {
        format!("{MANAGED_BY}={US},{INSTANCE}={}", self.instance)
    }

    /// Whether labels are those of an object of ours.
    pub(super) fn are_on(&self, labels: &BTreeMap<String, String>) -> bool {
        let is = |key: &str, value: &str| labels.get(key).is_some_and(|found| found == value);
        is(MANAGED_BY, US) && is(INSTANCE, self.instance.as_str())
    }

    /// What a builder Job and its pod carry.
    pub(super) fn of_build(&self, name: &str) -> LabelMap {
        labels([(MANAGED_BY, US), (BUILDER, self.instance.as_str()), (BUILD, name)])
    }

    /// The installation's name.
    pub(super) const fn instance(&self) -> &ResourceName {
        &self.instance
    }

    /// The labels of a pod: the user's, under ours. They never name a task, or every redeploy would restart them.
    pub(super) fn of_pod(&self, workload: &Workload) -> LabelMap {
        let mut all: LabelMap = workload
            .labels
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        all.extend(self.ours());
        all.extend(pods_of(workload.kind().slot(), &workload.name));
        all
    }

    /// The labels of a top object.
    pub(super) fn of_top(&self, workload: &Workload) -> LabelMap {
        let mut all = self.of_pod(workload);
        all.insert(TASK.to_owned(), workload.task.to_string());
        if let Some(run) = workload.run {
            all.insert(PIPELINE.to_owned(), run.to_string());
        }
        all
    }
}

/// What selects the pods of one name.
pub(super) fn pods_of(kind: SlotKind, name: &ResourceName) -> LabelMap {
    labels([(WORKLOAD, name.as_str()), (KIND, kind.as_str())])
}

/// The annotations of a top object.
pub(super) fn annotations(identity: &Identity) -> BTreeMap<String, String> {
    labels([(IDENTITY, identity.as_str())])
}

/// The task that is written on an object; `None` where it was edited into something else.
pub(super) fn task(labels: &BTreeMap<String, String>) -> Option<TaskId> {
    labels.get(TASK)?.parse().ok()
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> LabelMap {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

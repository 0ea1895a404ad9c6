//! The lists. Each leaves out what its reader may not read and is still as long as was asked for, as far as there is
//! anything; where it goes on is the place of an item that was shown.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use crate::authz::Reader;
use crate::deployer::Deployer;
use crate::error::Error;
use crate::names::{Namespace, PipelineId, RepositoryName, TaskId};
use crate::pipeline::Run;
use crate::ports::{Page, TaskCursor};
use crate::task::Task;
use crate::workload::{NamespaceView, Pod};

use super::cluster_unavailable;
use super::sift::{Sift, chunk};
use super::sight::Sight;

impl Deployer {
    /// The tasks that hold a name, by kind, namespace and name, and the age of what is known of the cluster.
    ///
    /// # Errors
    /// They cannot be read now.
    pub async fn list_tasks(
        &self,
        reader: Reader<'_>,
        namespace: Option<&Namespace>,
        after: Option<&TaskCursor>,
        limit: usize,
    ) -> Result<(Page<Task>, Duration), Error> {
        let sight = self.sight(reader);
        let mut page = Sift::new(limit, after, |task: &Task| TaskCursor {
            kind: task.kind(),
            namespace: task.workload.namespace.clone(),
            name: task.workload.name.as_str().to_owned(),
        });
        if sight.shows(namespace, None) {
            while let Some((count, after)) = page.wants() {
                let read = self.ports.tasks.page(namespace, after, count).await?;
                page.take(read, |task| sight.shows_task(task));
            }
        }
        Ok((page.into_page(), self.ports.inventory.age().await?))
    }

    /// Pods, by namespace and name: at most `limit` of those after `after`, and the age of what is known of the cluster.
    ///
    /// # Errors
    /// Nothing has been seen of the cluster yet; whose pods they are cannot be read now.
    pub async fn list_pods(
        &self,
        reader: Reader<'_>,
        namespace: Option<&Namespace>,
        after: Option<&(String, String)>,
        limit: usize,
    ) -> Result<(Page<Pod>, Duration), Error> {
        let sight = self.sight(reader);
        let mut page = Sift::new(limit, after, |pod: &Pod| {
            (pod.namespace.as_str().to_owned(), pod.name.clone())
        });
        let mut owners = Owners::default();
        let mut age = Duration::ZERO;
        if !sight.shows(namespace, None) {
            age = self.ports.inventory.age().await?;
            return Ok((page.into_page(), age));
        }
        while let Some((count, after)) = page.wants() {
            let read = self.ports.inventory.pods(namespace, after, count).await?;
            age = age.max(read.age);
            owners.learn(self, &sight, &read.items).await?;
            page.take(chunk(read.items, count), |pod| owners.show(&sight, pod));
        }
        Ok((page.into_page(), age))
    }

    /// The namespaces that may be deployed into, by name: at most `limit` of those after `after`, and the age of what is
    /// known of the cluster. Each belongs to the repository that claims it, where one does.
    ///
    /// # Errors
    /// Nothing has been seen of the cluster yet.
    pub async fn list_namespaces(
        &self,
        reader: Reader<'_>,
        after: Option<&Namespace>,
        limit: usize,
    ) -> Result<(Page<NamespaceView>, Duration), Error> {
        let sight = self.sight(reader);
        let mut page = Sift::new(limit, after, |view: &NamespaceView| view.name.clone());
        let mut age = Duration::ZERO;
        while let Some((count, after)) = page.wants() {
            let read = self.ports.namespaces.list(after, count).await;
            let read = read.map_err(cluster_unavailable)?;
            age = age.max(read.age);
            page.take(chunk(read.items, count), |view| {
                sight.shows(Some(&view.name), view.repository.as_ref())
            });
        }
        Ok((page.into_page(), age))
    }

    /// Runs, newest first: at most `limit` of those older than `after`.
    ///
    /// # Errors
    /// They cannot be read now.
    pub async fn list_pipelines(
        &self,
        reader: Reader<'_>,
        namespace: Option<&Namespace>,
        after: Option<PipelineId>,
        limit: usize,
    ) -> Result<Page<Run>, Error> {
        let sight = self.sight(reader);
        let mut page = Sift::new(limit, after.as_ref(), |run: &Run| run.id);
        if sight.shows(namespace, None) {
            while let Some((count, after)) = page.wants() {
                let read = self.ports.runs.page(namespace, after.copied(), count).await?;
                page.take(read, |run| sight.shows_run(run));
            }
        }
        Ok(page.into_page())
    }
}

/// The repositories of the tasks that pods run, for where it depends on them whether a pod may be shown.
#[derive(Default)]
struct Owners(HashMap<TaskId, Option<RepositoryName>>);

impl Owners {
    async fn learn(&mut self, deployer: &Deployer, sight: &Sight<'_>, pods: &[Pod]) -> Result<(), Error> {
        let unsettled = pods
            .iter()
            .filter(|pod| sight.whatever_repository(&pod.namespace).is_none());
        for id in unsettled.filter_map(|pod| pod.task_id) {
            if let Entry::Vacant(unknown) = self.0.entry(id) {
                let task = deployer.ports.tasks.get(id).await?;
                let source = task.and_then(|task| task.source);
                unknown.insert(source.map(|source| source.repository));
            }
        }
        Ok(())
    }

    fn show(&self, sight: &Sight<'_>, pod: &Pod) -> bool {
        let settled = sight.whatever_repository(&pod.namespace);
        settled.unwrap_or_else(|| {
            let owner = pod.task_id.and_then(|id| self.0.get(&id));
            sight.shows(Some(&pod.namespace), owner.and_then(Option::as_ref))
        })
    }
}

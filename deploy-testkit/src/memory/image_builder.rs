//! An image builder in memory: a build ends as it is told to, and the same code at the same destination is built once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use deploy_core::names::TaskId;
use deploy_core::ports::{BuildError, ImageBuilder};
use deploy_core::workload::Code;

/// What becomes of one build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildFate {
    /// It fails, with this as the end of its log.
    Fails(String),
    /// The builder is not reached.
    Unreachable,
}

/// Builds images, as it was told. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct MemoryImageBuilder {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<BuildFate>,
    built: HashMap<(Code, String), String>,
    calls: Vec<(TaskId, Code, String)>,
}

impl MemoryImageBuilder {
    /// What becomes of the next builds, one each; those after them succeed.
    pub fn script(&self, fates: impl IntoIterator<Item = BuildFate>) {
        self.lock().script = fates.into_iter().collect();
    }

    /// Every call so far: for which task, what, to where.
    #[must_use]
    pub fn calls(&self) -> Vec<(TaskId, Code, String)> {
        self.lock().calls.clone()
    }

    /// How many images were built.
    #[must_use]
    pub fn built(&self) -> usize {
        self.lock().built.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ImageBuilder for MemoryImageBuilder {
    async fn build(&self, task: TaskId, code: &Code, destination: &str) -> Result<String, BuildError> {
        let mut state = self.lock();
        state.calls.push((task, code.clone(), destination.to_owned()));
        match state.script.pop_front() {
            Some(BuildFate::Fails(message)) => return Err(BuildError::Failed { message }),
            Some(BuildFate::Unreachable) => {
                return Err(BuildError::Unavailable("the builder is down".into()));
            }
            None => {}
        }
        let next = state.built.len() + 1;
        let reference = state
            .built
            .entry((code.clone(), destination.to_owned()))
            .or_insert_with(|| format!("{destination}@sha256:{next:064x}"));
        Ok(reference.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builders;

    #[tokio::test]
    async fn the_same_code_at_the_same_destination_is_built_once() {
        let builder = MemoryImageBuilder::default();
        let code = builders::workload().code().build().code.unwrap();
        let first = builder.build(builders::task_id(1), &code, "r/a:1").await.unwrap();
        assert_eq!(
            builder.build(builders::task_id(2), &code, "r/a:1").await.unwrap(),
            first
        );
        assert_ne!(
            builder.build(builders::task_id(3), &code, "r/b:1").await.unwrap(),
            first
        );
        assert_eq!((builder.built(), builder.calls().len()), (2, 3));
    }

    #[tokio::test]
    async fn a_build_ends_as_it_is_told_to() {
        let builder = MemoryImageBuilder::default();
        let code = builders::workload().code().build().code.unwrap();
        builder.script([
            BuildFate::Fails("no such base".to_owned()),
            BuildFate::Unreachable,
        ]);
        let failed = builder
            .build(builders::task_id(1), &code, "r/a:1")
            .await
            .unwrap_err();
        assert!(matches!(failed, BuildError::Failed { message } if message == "no such base"));
        let unreachable = builder
            .build(builders::task_id(1), &code, "r/a:1")
            .await
            .unwrap_err();
        assert!(matches!(unreachable, BuildError::Unavailable(_)));
        assert_eq!(builder.built(), 0);
    }
}

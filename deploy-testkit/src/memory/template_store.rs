//! Templates in memory. Failures are scripted, calls are counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use deploy_core::names::TemplatePath;
use deploy_core::ports::{TemplateError, TemplateStore};
use deploy_core::work::DocumentKind;

use crate::contract::template_store::{LIMIT, Publisher};

/// [`TemplateStore`] in memory.
#[derive(Debug, Default)]
pub struct MemoryTemplateStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tasks: BTreeMap<TemplatePath, Vec<u8>>,
    pipelines: BTreeMap<TemplatePath, Vec<u8>>,
    failures: VecDeque<TemplateError>,
    calls: usize,
}

impl MemoryTemplateStore {
    /// No templates.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next call fails with `error`; several are used up in the order given.
    pub fn fail_next(&self, error: TemplateError) {
        self.lock().failures.push_back(error);
    }

    /// How many calls were made.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Result<MutexGuard<'_, State>, TemplateError> {
        let mut state = self.lock();
        state.calls += 1;
        match state.failures.pop_front() {
            Some(error) => Err(error),
            None => Ok(state),
        }
    }
}

impl State {
    fn of(&mut self, kind: DocumentKind) -> &mut BTreeMap<TemplatePath, Vec<u8>> {
        match kind {
            DocumentKind::Task => &mut self.tasks,
            DocumentKind::Pipeline => &mut self.pipelines,
        }
    }
}

impl Publisher for MemoryTemplateStore {
    fn put(&self, kind: DocumentKind, path: &TemplatePath, bytes: &[u8]) {
        self.lock().of(kind).insert(path.clone(), bytes.to_vec());
    }
}

#[async_trait]
impl TemplateStore for MemoryTemplateStore {
    async fn list<'a>(
        &self,
        kind: DocumentKind,
        after: Option<&'a TemplatePath>,
        limit: usize,
    ) -> Result<Vec<TemplatePath>, TemplateError> {
        let mut state = self.begin()?;
        let paths = state.of(kind).keys();
        let later = paths.filter(|path| after.is_none_or(|after| *path > after));
        Ok(later.take(limit).cloned().collect())
    }

    async fn read(&self, kind: DocumentKind, path: &TemplatePath) -> Result<Vec<u8>, TemplateError> {
        let mut state = self.begin()?;
        let bytes = state.of(kind).get(path).ok_or(TemplateError::NotFound)?;
        if bytes.len() as u64 > LIMIT {
            return Err(TemplateError::TooLarge { limit: LIMIT });
        }
        Ok(bytes.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    #[tokio::test]
    async fn it_keeps_the_contract() {
        let memory = MemoryTemplateStore::new();
        contract::template_store::check(&memory, &memory).await;
    }

    #[tokio::test]
    async fn a_scripted_failure_is_used_once() {
        let memory = MemoryTemplateStore::new();
        memory.fail_next(TemplateError::Unavailable("away".into()));
        let first = memory.list(DocumentKind::Task, None, 1).await;
        assert!(matches!(first, Err(TemplateError::Unavailable(_))), "{first:?}");
        assert!(memory.list(DocumentKind::Task, None, 1).await.is_ok());
        assert_eq!(memory.calls(), 2);
    }
}

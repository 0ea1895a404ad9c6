//! Templates of manifests and pipelines, kept beside the service.

use async_trait::async_trait;

use crate::error::BoxError;
use crate::names::TemplatePath;
use crate::work::DocumentKind;

/// Reads templates.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TemplateStore: Send + Sync {
    /// The templates of a kind, sorted; at most `limit` of those after `after`.
    async fn list<'a>(
        &self,
        kind: DocumentKind,
        after: Option<&'a TemplatePath>,
        limit: usize,
    ) -> Result<Vec<TemplatePath>, TemplateError>;

    /// One template's bytes, at most 256 KiB.
    async fn read(&self, kind: DocumentKind, path: &TemplatePath) -> Result<Vec<u8>, TemplateError>;
}

/// Why there is no template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// No such template.
    #[error("there is no such template")]
    NotFound,
    /// Larger than a manifest may be.
    #[error("the template is larger than {limit} bytes")]
    TooLarge {
        /// The limit, bytes.
        limit: u64,
    },
    /// It cannot be read now.
    #[error("the templates cannot be read")]
    Unavailable(#[source] BoxError),
}

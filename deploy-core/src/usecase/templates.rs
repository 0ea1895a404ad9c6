//! Templates of manifests and pipelines.

use std::time::Duration;

use serde_json::Value;

use crate::authz::Reader;
use crate::deployer::Deployer;
use crate::error::{Error, ErrorCode};
use crate::manifest::Document;
use crate::names::TemplatePath;
use crate::ports::{Page, TemplateError};
use crate::work::DocumentKind;

use super::sift::{Sift, chunk};

impl Deployer {
    /// The templates of a kind: at most `limit` of those after `after`. They belong to no namespace and no repository, so
    /// whoever may read anything reads them all.
    ///
    /// # Errors
    /// They cannot be read now.
    pub async fn list_templates(
        &self,
        reader: Reader<'_>,
        kind: DocumentKind,
        after: Option<&TemplatePath>,
        limit: usize,
    ) -> Result<Page<TemplatePath>, Error> {
        let mut page = Sift::new(limit, after, TemplatePath::clone);
        if self.sight(reader).shows(None, None) {
            while let Some((count, after)) = page.wants() {
                let read = self.ports.templates.list(kind, after, count).await?;
                page.take(chunk(read, count), |_| true);
            }
        }
        Ok(page.into_page())
    }

    /// One template, as it stands. It need not be a valid manifest: it is there to be filled in.
    ///
    /// # Errors
    /// No such template that may be read; it is not JSON; it cannot be read now.
    pub async fn template(
        &self,
        reader: Reader<'_>,
        kind: DocumentKind,
        path: &TemplatePath,
    ) -> Result<Value, Error> {
        if !self.sight(reader).shows(None, None) {
            return Err(TemplateError::NotFound.into());
        }
        let bytes = self.ports.templates.read(kind, path).await?;
        let document = Document::parse(&bytes).map_err(|violations| {
            Error::new(ErrorCode::InvalidTemplate, "the template is not a JSON document")
                .with_violations(violations)
        })?;
        Ok(document.value)
    }
}

impl From<TemplateError> for Error {
    fn from(error: TemplateError) -> Self {
        match error {
            TemplateError::NotFound => {
                Self::new(ErrorCode::TemplateNotFound, "there is no template at that path")
            }
            TemplateError::TooLarge { limit } => Self::new(
                ErrorCode::InvalidTemplate,
                format!("the template is larger than {limit} bytes"),
            ),
            TemplateError::Unavailable(source) => Self::new(
                ErrorCode::TemplatesUnavailable,
                "the templates cannot be read now",
            )
            .retry_after(Duration::from_secs(5))
            .because(source),
        }
    }
}

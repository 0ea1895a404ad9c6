//! Templates of manifests and pipelines.

use std::time::Duration;

use serde_json::Value;

use crate::deployer::Deployer;
use crate::error::{Error, ErrorCode};
use crate::manifest::Document;
use crate::names::TemplatePath;
use crate::ports::TemplateError;
use crate::work::DocumentKind;

impl Deployer {
    /// The templates of a kind: at most `limit` of those after `after`.
    ///
    /// # Errors
    /// They cannot be read now.
    pub async fn list_templates(
        &self,
        kind: DocumentKind,
        after: Option<&TemplatePath>,
        limit: usize,
    ) -> Result<Vec<TemplatePath>, Error> {
        Ok(self.ports.templates.list(kind, after, limit).await?)
    }

    /// One template, as it stands. It need not be a valid manifest: it is there to be filled in.
    ///
    /// # Errors
    /// No such template; it is not JSON; it cannot be read now.
    pub async fn template(&self, kind: DocumentKind, path: &TemplatePath) -> Result<Value, Error> {
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

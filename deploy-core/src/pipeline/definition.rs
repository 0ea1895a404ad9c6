//! pipeline.json as a type.
use super::graph::Graph;
use crate::manifest::{EnvVar, Violation};
use crate::names::{Directory, PipelineName, RepositoryName, StepName};

/// A pipeline, as its pipeline.json describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Its name.
    pub name: PipelineName,
    /// The name of the whole.
    pub original: Option<String>,
    /// Its steps, in the order of the file.
    pub steps: Vec<StepDefinition>,
    /// What depends on what; step i of `steps` is node i.
    pub graph: Graph,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepDefinition {
    /// Unique in the file.
    pub name: StepName,
    /// Where its manifest is.
    pub repository: RepositoryName,
    /// Where its manifest is.
    pub directory: Directory,
    /// Overrides and adds to the manifest's.
    pub env: Vec<EnvVar>,
    /// Whether it runs even if another step has failed.
    pub run_if_error: bool,
}

impl Definition {
    /// Reads pipeline.json, or answers every violation.
    pub fn parse(_bytes: &[u8]) -> Result<Self, Vec<Violation>> {
        todo!()
    }
}

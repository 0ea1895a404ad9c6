//! A validated directed acyclic graph of steps.

/// Which steps wait for which. Acyclic by construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    dependances: Vec<Vec<u32>>,
    dependants: Vec<Vec<u32>>,
    run_if_error: Vec<bool>,
}

/// One node, as [`Graph::new`] takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The nodes that must be finished before this one starts.
    pub dependances: Vec<u32>,
    /// Whether it runs even if another has failed.
    pub run_if_error: bool,
}

/// Why there is no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// No nodes, or more than [`Graph::MAX`].
    #[error("a pipeline has 1 to 1000 steps")]
    Size,
    /// A dependance on a node that is not there, or on itself.
    #[error("step {0} depends on a step that does not exist")]
    Unknown(u32),
    /// These nodes wait for one another, in this order.
    #[error("the steps depend on one another in a circle")]
    Cycle(Vec<u32>),
}

impl Graph {
    /// The most nodes a graph may have.
    pub const MAX: usize = 1000;

    /// Checks the nodes and builds the graph, in time linear in nodes and edges.
    pub fn new(_nodes: Vec<Node>) -> Result<Self, GraphError> {
        todo!()
    }

    /// How many nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dependances.len()
    }

    /// Never: an empty graph is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dependances.is_empty()
    }

    /// What a node waits for.
    #[must_use]
    pub fn dependances(&self, node: u32) -> &[u32] {
        self.dependances.get(node as usize).map_or(&[], Vec::as_slice)
    }

    /// What waits for a node.
    #[must_use]
    pub fn dependants(&self, node: u32) -> &[u32] {
        self.dependants.get(node as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether a node runs even if another has failed.
    #[must_use]
    pub fn runs_if_error(&self, node: u32) -> bool {
        self.run_if_error.get(node as usize).copied().unwrap_or(false)
    }
}

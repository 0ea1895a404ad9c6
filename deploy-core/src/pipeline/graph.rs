//! A validated directed acyclic graph of steps. It knows numbers, not names, and nothing of what happens to a step.

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
    #[error("a pipeline has 1 to {} steps", Graph::MAX)]
    Size,
    /// A dependance on a node that is not there, by the node that has it.
    #[error("step {0} depends on a step that does not exist")]
    Unknown(u32),
    /// A node that depends on itself.
    #[error("step {0} depends on itself")]
    OnItself(u32),
    /// These nodes wait for one another: each for the next, and the last for the first.
    #[error("the steps depend on one another in a circle")]
    Cycle(Vec<u32>),
}

impl Graph {
    /// The most nodes a graph may have.
    pub const MAX: usize = 1000;

    /// Checks the nodes and builds the graph, in time linear in nodes and edges (Kahn's algorithm).
    ///
    /// A dependance that is named twice counts once: "finished before this one starts" said twice is still true, and
    /// files in use may say it.
    ///
    /// # Errors
    /// The first of [`GraphError`]'s causes that applies, in their order there.
    pub fn new(nodes: Vec<Node>) -> Result<Self, GraphError> {
        if !(1..=Self::MAX).contains(&nodes.len()) {
            return Err(GraphError::Size);
        }
        let mut graph = Self {
            dependances: Vec::with_capacity(nodes.len()),
            dependants: vec![Vec::new(); nodes.len()],
            run_if_error: nodes.iter().map(|node| node.run_if_error).collect(),
        };
        // The last node that named each: whoever names it again repeats itself.
        let mut named_by: Vec<Option<u32>> = vec![None; nodes.len()];
        for (node, Node { dependances, .. }) in (0..).zip(nodes) {
            let mut once = Vec::with_capacity(dependances.len());
            for dependance in dependances {
                let named = named_by
                    .get_mut(dependance as usize)
                    .ok_or(GraphError::Unknown(node))?;
                if dependance == node {
                    return Err(GraphError::OnItself(node));
                }
                if named.replace(node) != Some(node) {
                    once.push(dependance);
                    graph.dependants[dependance as usize].push(node);
                }
            }
            graph.dependances.push(once);
        }
        graph.check_acyclic()?;
        Ok(graph)
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

    /// What a node waits for, each once, in the order given.
    #[must_use]
    pub fn dependances(&self, node: u32) -> &[u32] {
        self.dependances.get(node as usize).map_or(&[], Vec::as_slice)
    }

    /// What waits for a node, in ascending order.
    #[must_use]
    pub fn dependants(&self, node: u32) -> &[u32] {
        self.dependants.get(node as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether a node runs even if another has failed.
    #[must_use]
    pub fn runs_if_error(&self, node: u32) -> bool {
        self.run_if_error.get(node as usize).copied().unwrap_or(false)
    }

    /// Takes away nodes that wait for nothing that is left, until none is; what is left waits for a circle.
    fn check_acyclic(&self) -> Result<(), GraphError> {
        let mut waits_for: Vec<usize> = self.dependances.iter().map(Vec::len).collect();
        let ready = (0..).zip(&waits_for).filter(|(_, count)| **count == 0);
        let mut ready: Vec<u32> = ready.map(|(node, _)| node).collect();
        while let Some(node) = ready.pop() {
            for &dependant in self.dependants(node) {
                let count = &mut waits_for[dependant as usize];
                *count -= 1;
                if *count == 0 {
                    ready.push(dependant);
                }
            }
        }
        match (0..).zip(&waits_for).find(|(_, count)| **count > 0) {
            None => Ok(()),
            Some((start, _)) => Err(GraphError::Cycle(self.cycle(start, &waits_for))),
        }
    }

    /// The circle that is met when going from `start` from dependance to dependance among the nodes that are left. Each of
    /// those has one that is left too, so that the walk meets itself.
    fn cycle(&self, start: u32, waits_for: &[usize]) -> Vec<u32> {
        let is_left = |node: &&u32| waits_for[**node as usize] > 0;
        let mut place_in_walk: Vec<Option<usize>> = vec![None; self.len()];
        let mut walk = Vec::new();
        let mut node = start;
        loop {
            if let Some(place) = place_in_walk[node as usize] {
                return walk.split_off(place);
            }
            place_in_walk[node as usize] = Some(walk.len());
            walk.push(node);
            match self.dependances(node).iter().find(is_left) {
                Some(next) => node = *next,
                None => return walk,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(dependances: &[&[u32]]) -> Result<Graph, GraphError> {
        let node = |dependances: &&[u32]| Node {
            dependances: dependances.to_vec(),
            run_if_error: false,
        };
        Graph::new(dependances.iter().map(node).collect())
    }

    #[test]
    fn edges_are_known_from_both_ends_and_once() {
        let graph = graph(&[&[], &[0, 0], &[0], &[2, 1, 2]]).unwrap();
        assert_eq!(graph.len(), 4);
        assert!(!graph.is_empty());
        assert_eq!(graph.dependances(3), [2, 1]);
        assert_eq!(graph.dependances(1), [0]);
        assert_eq!(graph.dependants(0), [1, 2]);
        assert_eq!(graph.dependants(3), [0_u32; 0]);
        assert_eq!(graph.dependants(99), [0_u32; 0]);
        assert!(!graph.runs_if_error(99));
    }

    #[test]
    fn what_is_no_acyclic_graph_is_refused() {
        use GraphError::{Cycle, OnItself, Size, Unknown};
        let refused: [(&[&[u32]], GraphError); 6] = [
            (&[], Size),
            (&[&[1]], Unknown(0)),
            (&[&[], &[u32::MAX]], Unknown(1)),
            (&[&[], &[1]], OnItself(1)),
            (&[&[1], &[0]], Cycle(vec![0, 1])),
            // 0 waits for a circle and is no member of it; 4 waits for nothing.
            (&[&[1], &[4, 2], &[3], &[1], &[]], Cycle(vec![1, 2, 3])),
        ];
        for (dependances, expected) in refused {
            assert_eq!(graph(dependances), Err(expected));
        }
        let none: &[u32] = &[];
        assert!(graph(&[none; Graph::MAX]).is_ok());
        assert_eq!(graph(&[none; Graph::MAX + 1]), Err(Size));
    }

    #[test]
    fn the_longest_chain_and_the_longest_circle_are_walked_without_recursion() {
        let chain = |first: Vec<u32>| {
            let node = |dependances| Node {
                dependances,
                run_if_error: true,
            };
            let rest = (0..Graph::MAX as u32 - 1).map(|before| node(vec![before]));
            Graph::new(std::iter::once(node(first)).chain(rest).collect())
        };
        assert!(chain(vec![]).unwrap().runs_if_error(999));
        let Err(GraphError::Cycle(members)) = chain(vec![999]) else {
            panic!("no circle found");
        };
        assert_eq!(members.len(), Graph::MAX);
    }
}

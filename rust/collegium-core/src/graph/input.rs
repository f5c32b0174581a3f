//! Graphs as flat arrays.

use crate::error::{Error, Result};

/// G graphs with N nodes, K tokens and P parent links.
#[derive(Debug, Clone, Copy)]
pub struct Graphs<'a> {
    /// `[K]` token ids of all nodes, one after another.
    pub tokens: &'a [i64],
    /// `[N+1]` where each node's tokens begin.
    pub token_offsets: &'a [i64],
    /// `[P]` parents, numbered within the graph, the primary one first.
    pub parents: &'a [i64],
    /// `[N+1]` where each node's parents begin.
    pub parent_offsets: &'a [i64],
    /// `[N]` loss weight of each token of the node.
    pub weight: &'a [f32],
    /// `[N]` objective of the node.
    pub objective: &'a [i64],
    /// `[G+1]` where each graph's nodes begin.
    pub graph_offsets: &'a [i64],
}

impl Graphs<'_> {
    /// Number of graphs.
    pub fn len(&self) -> usize {
        self.graph_offsets.len().saturating_sub(1)
    }

    /// Whether there is no graph.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nodes of a graph, counted over all graphs.
    pub fn nodes(&self, graph: usize) -> std::ops::Range<usize> {
        self.graph_offsets[graph] as usize..self.graph_offsets[graph + 1] as usize
    }

    /// Tokens of a node, counted over all graphs.
    pub fn node_tokens(&self, node: usize) -> &[i64] {
        &self.tokens[self.token_offsets[node] as usize..self.token_offsets[node + 1] as usize]
    }

    /// Parents of a node, counted over all graphs.
    pub fn node_parents(&self, node: usize) -> &[i64] {
        &self.parents[self.parent_offsets[node] as usize..self.parent_offsets[node + 1] as usize]
    }

    /// Weights of a graph's nodes.
    pub fn node_weights(&self, graph: usize) -> &[f32] {
        &self.weight[self.nodes(graph)]
    }

    /// Check that the arrays describe graphs.
    ///
    /// # Errors
    ///
    /// [`Error::Combination`] names the array that does not fit.
    pub fn check(&self) -> Result<()> {
        let nodes = self.weight.len();
        offsets("graph_offsets", self.graph_offsets, None, nodes)?;
        offsets(
            "token_offsets",
            self.token_offsets,
            Some(nodes),
            self.tokens.len(),
        )?;
        offsets(
            "parent_offsets",
            self.parent_offsets,
            Some(nodes),
            self.parents.len(),
        )?;
        if self.objective.len() != nodes {
            return Err(Error::Combination(format!(
                "objective has {} entries, weight {nodes}; both have one a node",
                self.objective.len()
            )));
        }
        let most = i64::from(i32::MAX);
        for (name, values) in [("tokens", self.tokens), ("objective", self.objective)] {
            if let Some(place) = values.iter().position(|&v| !(0..=most).contains(&v)) {
                return Err(Error::Combination(format!(
                    "{name}[{place}] = {} is out of range: expected 0 or more, below 2^31",
                    values[place]
                )));
            }
        }
        Ok(())
    }
}

fn offsets(name: &str, values: &[i64], rows: Option<usize>, total: usize) -> Result<()> {
    let fits = values.first() == Some(&0)
        && values.last() == Some(&(total as i64))
        && values.windows(2).all(|pair| pair[0] <= pair[1])
        && rows.is_none_or(|rows| values.len() == rows + 1);
    if fits {
        return Ok(());
    }
    Err(Error::Combination(format!(
        "{name}: expected offsets that rise from 0 to {total}{}",
        rows.map(|rows| format!(", {} of them", rows + 1))
            .unwrap_or_default()
    )))
}

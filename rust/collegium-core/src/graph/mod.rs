//! Thought graphs into rows: every node's context becomes exactly a plain text.
//!
//! | module | what |
//! |---|---|
//! | [`input`] | the graphs, as flat arrays |
//! | [`order`] | checks, and a topological order |
//! | [`closure`] | ancestors of each node, longest-path positions |
//! | [`trie`] | a DAG unrolled into a tree: `linear`, `primary`, `paths` |
//! | [`split`] | a tree longer than a row into several, ancestors repeated |
//! | [`layout`] | tokens, path positions, subtree ends and loss edges of a tree |

pub mod closure;
pub mod input;
pub mod layout;
pub mod order;
pub mod problem;
pub mod split;
pub mod trie;

pub use input::Graphs;
pub use layout::Trees;
pub use problem::{Problem, Rejected};
pub use trie::Mode;

use crate::error::{Error, Result};

/// Most tokens that one graph may unroll into.
pub const MOST_TOKENS: u64 = 1 << 24;

/// How the loss weight of a node is shared by its copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// The weights of an authored token's copies sum to its own weight.
    Once,
    /// Each copy counts as often as there are leaves below it: the sum over all paths.
    Paths,
}

/// What [`unroll`] is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Which tree a graph becomes.
    pub mode: Mode,
    /// How often a token counts.
    pub count: Count,
    /// Most tokens of a tree; a longer one is split.
    pub capacity: usize,
    /// Most tokens of a path from the root to a leaf.
    pub max_depth: usize,
}

/// Unroll `graphs` into trees of at most `capacity` tokens.
///
/// A graph that cannot be unrolled is left out and listed in [`Trees::rejected`]. The last token of
/// a leaf predicts nothing and is therefore no input, only a target.
///
/// # Errors
///
/// [`Error::Range`] for a limit below 1 and for arrays that do not describe graphs.
pub fn unroll(graphs: &Graphs<'_>, options: &Options) -> Result<Trees> {
    for (name, value) in [
        ("capacity", options.capacity),
        ("max_depth", options.max_depth),
    ] {
        if value == 0 {
            return Err(Error::Range {
                name,
                value: value.to_string(),
                allowed: "at least 1",
            });
        }
    }
    graphs.check()?;
    let mut out = Trees::default();
    let mut work = Work::default();
    for graph in 0..graphs.len() {
        if let Err(problem) = work.unroll(graphs, graph, options, &mut out) {
            out.rejected.push(Rejected { graph, problem });
        }
    }
    Ok(out)
}

/// What is used again from one graph to the next.
#[derive(Default)]
struct Work {
    dag: order::Dag,
    closure: closure::Closure,
    trie: trie::Trie,
    parts: split::Parts,
    layout: layout::Layout,
}

impl Work {
    fn unroll(
        &mut self,
        graphs: &Graphs<'_>,
        graph: usize,
        options: &Options,
        out: &mut Trees,
    ) -> std::result::Result<(), Problem> {
        self.dag.read(graphs, graph)?;
        if options.mode == Mode::Linear && self.dag.merges {
            self.closure.clear();
            let dag = &self.dag;
            self.closure
                .append(&dag.parents, &dag.offsets, &dag.lengths);
        }
        self.trie.build(&self.dag, &self.closure, options.mode)?;
        self.trie.measure(&self.dag, options.max_depth)?;
        self.parts.cut(&self.trie, &self.dag, options.capacity)?;
        let weights = graphs.node_weights(graph);
        self.trie.count(&self.dag, weights, options.count);
        for part in 0..self.parts.len() {
            self.layout
                .write(graphs, graph, &self.dag, &self.trie, &self.parts, part, out);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! Why a graph cannot be unrolled.

use std::fmt;

/// A graph that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its number.
    pub graph: usize,
    /// Why.
    pub problem: Problem,
}

/// What is wrong with a graph; nodes are numbered within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It has no nodes.
    NoNodes,
    /// A node without tokens.
    EmptyNode(usize),
    /// A parent that is no node of this graph.
    Dangling {
        /// The node.
        node: usize,
        /// The parent, as given.
        parent: i64,
    },
    /// A node names a parent twice.
    RepeatedParent {
        /// The node.
        node: usize,
        /// The parent.
        parent: usize,
    },
    /// Several nodes without parents.
    SecondRoot {
        /// The first.
        first: usize,
        /// The second.
        second: usize,
    },
    /// A node that is its own ancestor, or none without parents.
    Cycle(usize),
    /// A weight that is negative or not finite.
    Weight(usize),
    /// A path longer than the model's positions.
    TooDeep {
        /// The node at which it ends.
        node: usize,
        /// Its tokens.
        length: u64,
        /// The limit.
        limit: usize,
    },
    /// A path longer than a row: it cannot be split.
    TooLong {
        /// The node at which it ends.
        node: usize,
        /// Its tokens.
        length: u64,
        /// The capacity of a row.
        capacity: usize,
    },
    /// More tokens than [`super::MOST_TOKENS`] after unrolling.
    TooMany(u64),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNodes => write!(f, "it has no nodes; leave it out"),
            Self::EmptyNode(node) => write!(
                f,
                "node {node} has no tokens; give it a text or link its children to its parents"
            ),
            Self::Dangling { node, parent } => write!(
                f,
                "node {node} has the parent {parent}, which is no node of this graph; remove the link"
            ),
            Self::RepeatedParent { node, parent } => {
                write!(
                    f,
                    "node {node} names the parent {parent} twice; name it once"
                )
            }
            Self::SecondRoot { first, second } => write!(
                f,
                "nodes {first} and {second} both have no parents; only the problem may have none"
            ),
            Self::Cycle(node) => write!(
                f,
                "node {node} is its own ancestor; remove a link of the cycle"
            ),
            Self::Weight(node) => {
                write!(f, "node {node} has a weight that is negative or not finite")
            }
            Self::TooDeep {
                node,
                length,
                limit,
            } => write!(
                f,
                "the path to node {node} has {length} tokens, more than the limit of {limit}; \
                 shorten the texts on it, or use a model with more positions"
            ),
            Self::TooLong {
                node,
                length,
                capacity,
            } => write!(
                f,
                "the path to node {node} has {length} tokens and cannot be split, a row holds \
                 {capacity}; raise the capacity or shorten the texts on it"
            ),
            Self::TooMany(tokens) => write!(
                f,
                "it unrolls into {tokens} tokens or more; use mode 'primary', or merge less"
            ),
        }
    }
}

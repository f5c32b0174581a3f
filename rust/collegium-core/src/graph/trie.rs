//! A graph unrolled into a tree whose every root-leaf path is a plain text.

use super::closure::{Closure, bits};
use super::order::Dag;
use super::problem::Problem;
use super::{Count, MOST_TOKENS};

/// Which tree a graph becomes. A graph that is a tree stays as it is in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The trie of all nodes' linearisations: before a node stand all its ancestors, in order.
    Linear,
    /// Every node under its first parent alone.
    Primary,
    /// The trie of all paths from the root: a node is copied for each way to it.
    Paths,
}

const NONE: u32 = u32::MAX;

/// A tree; parents come before their children.
#[derive(Debug, Default)]
pub struct Trie {
    /// Parent of each tree node; the root's is `u32::MAX`.
    pub parent: Vec<u32>,
    /// The graph's node that it is a copy of.
    pub node: Vec<u32>,
    /// Input tokens: all, but without the last one in a leaf.
    pub inputs: Vec<u32>,
    /// Position of the first token along the path.
    pub start: Vec<u32>,
    /// Loss weight of each token.
    pub weight: Vec<f32>,
    leaf: Vec<bool>,
    child: Vec<u32>,
    sibling: Vec<u32>,
}

impl Trie {
    /// Number of tree nodes.
    pub fn len(&self) -> usize {
        self.parent.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.parent.is_empty()
    }

    /// Unroll `dag`; `closure` is read in linear mode where nodes have several parents.
    ///
    /// # Errors
    ///
    /// [`Problem::TooMany`].
    pub fn build(&mut self, dag: &Dag, closure: &Closure, mode: Mode) -> Result<(), Problem> {
        for column in [
            &mut self.parent,
            &mut self.node,
            &mut self.child,
            &mut self.sibling,
        ] {
            column.clear();
        }
        if mode == Mode::Primary || !dag.merges {
            self.node.extend(0..dag.len() as u32);
            self.parent.extend(
                (0..dag.len()).map(|v| dag.node_parents(v).first().copied().unwrap_or(NONE)),
            );
            return Ok(());
        }
        match mode {
            Mode::Paths => self.paths(dag),
            _ => self.linear(dag, closure),
        }
    }

    fn paths(&mut self, dag: &Dag) -> Result<(), Problem> {
        let mut copies = vec![0u64; dag.len()];
        let mut total = 0u64;
        for v in 0..dag.len() {
            let parents = dag.node_parents(v);
            copies[v] = parents
                .iter()
                .fold(u64::from(parents.is_empty()), |sum, &p| {
                    sum.saturating_add(copies[p as usize])
                });
            total = total.saturating_add(copies[v].saturating_mul(u64::from(dag.lengths[v])));
        }
        if total > MOST_TOKENS {
            return Err(Problem::TooMany(total));
        }
        // The copies of a node are neighbours.
        let mut first = vec![0u32; dag.len() + 1];
        for v in 0..dag.len() {
            first[v] = self.len() as u32;
            let parents = dag.node_parents(v);
            if parents.is_empty() {
                self.parent.push(NONE);
            }
            for &p in parents {
                let p = p as usize;
                self.parent.extend(first[p]..first[p + 1]);
            }
            self.node.resize(self.parent.len(), v as u32);
            first[v + 1] = self.parent.len() as u32;
        }
        Ok(())
    }

    fn linear(&mut self, dag: &Dag, closure: &Closure) -> Result<(), Problem> {
        let mut own = vec![0u32; dag.len()];
        let mut total = 0u64;
        for v in 0..dag.len() {
            let reach = closure.of(v);
            let last = bits(reach).take_while(|&a| a < v).last();
            let under = match last {
                None => NONE,
                Some(last) if follows(closure, v, last) => own[last],
                Some(_) => {
                    let mut at = own[0];
                    for a in bits(reach).filter(|&a| a > 0 && a < v) {
                        at = match self.find(at, a as u32) {
                            Some(found) => found,
                            None => {
                                total += u64::from(dag.lengths[a]);
                                self.add(at, a as u32)
                            }
                        };
                    }
                    at
                }
            };
            total += u64::from(dag.lengths[v]);
            if total > MOST_TOKENS {
                return Err(Problem::TooMany(total));
            }
            own[v] = self.add(under, v as u32);
        }
        Ok(())
    }

    fn find(&self, at: u32, node: u32) -> Option<u32> {
        let mut child = self.child[at as usize];
        while child != NONE && self.node[child as usize] != node {
            child = self.sibling[child as usize];
        }
        (child != NONE).then_some(child)
    }

    fn add(&mut self, parent: u32, node: u32) -> u32 {
        let new = self.len() as u32;
        self.parent.push(parent);
        self.node.push(node);
        self.child.push(NONE);
        self.sibling.push(if parent == NONE {
            NONE
        } else {
            std::mem::replace(&mut self.child[parent as usize], new)
        });
        new
    }

    /// Compute input tokens and starts.
    ///
    /// # Errors
    ///
    /// [`Problem::TooDeep`].
    pub fn measure(&mut self, dag: &Dag, max_depth: usize) -> Result<(), Problem> {
        let n = self.len();
        self.leaf.clear();
        self.leaf.resize(n, true);
        for &parent in &self.parent[1..] {
            self.leaf[parent as usize] = false;
        }
        self.inputs.clear();
        self.start.clear();
        for t in 0..n {
            let node = self.node[t] as usize;
            let drop = u32::from(self.leaf[t] && t > 0);
            let inputs = dag.lengths[node] - drop;
            let start = match self.parent[t] {
                NONE => 0,
                p => u64::from(self.start[p as usize]) + u64::from(self.inputs[p as usize]),
            };
            let end = start + u64::from(inputs);
            if end > max_depth as u64 || end > i32::MAX as u64 {
                return Err(Problem::TooDeep {
                    node: dag.given[node] as usize,
                    length: end,
                    limit: max_depth.min(i32::MAX as usize),
                });
            }
            self.inputs.push(inputs);
            self.start.push(start as u32);
        }
        Ok(())
    }

    /// Compute the loss weights from those of the graph's nodes (as numbered in the input).
    pub fn count(&mut self, dag: &Dag, weights: &[f32], count: Count) {
        let own = |node: u32| weights[dag.given[node as usize] as usize];
        self.weight.clear();
        match count {
            Count::Once if self.len() == dag.len() => {
                self.weight.extend(self.node.iter().map(|&node| own(node)));
            }
            Count::Once => {
                let mut copies = vec![0u32; dag.len()];
                for &node in &self.node {
                    copies[node as usize] += 1;
                }
                let share = |node: u32| own(node) / copies[node as usize] as f32;
                self.weight
                    .extend(self.node.iter().map(|&node| share(node)));
            }
            Count::Paths => {
                let mut below: Vec<u64> = self.leaf.iter().map(|&leaf| u64::from(leaf)).collect();
                for t in (1..self.len()).rev() {
                    below[self.parent[t] as usize] += below[t];
                }
                let weigh = |(&node, leaves): (&u32, u64)| own(node) * leaves as f32;
                self.weight.extend(self.node.iter().zip(below).map(weigh));
            }
        }
    }

    /// Whether a tree node is a leaf.
    pub fn is_leaf(&self, t: usize) -> bool {
        self.leaf[t]
    }
}

/// Whether the ancestors of `v` are `last` and its ancestors.
fn follows(closure: &Closure, v: usize, last: usize) -> bool {
    closure
        .of(v)
        .iter()
        .zip(closure.of(last))
        .enumerate()
        .all(|(place, (&own, &up))| {
            let mask = if place == v >> 6 { 1u64 << (v & 63) } else { 0 };
            own & !mask == up
        })
}

//! One graph, checked and in topological order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::input::Graphs;
use super::problem::Problem;

/// A graph whose nodes are numbered in topological order, node 0 being the root.
#[derive(Debug, Default)]
pub struct Dag {
    /// Parents of all nodes, the primary one first.
    pub parents: Vec<u32>,
    /// Where each node's parents begin.
    pub offsets: Vec<u32>,
    /// Tokens of each node.
    pub lengths: Vec<u32>,
    /// The number that each node had in the input.
    pub given: Vec<u32>,
    /// Whether a node has several parents.
    pub merges: bool,
}

impl Dag {
    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Parents of a node.
    pub fn node_parents(&self, node: usize) -> &[u32] {
        &self.parents[self.offsets[node] as usize..self.offsets[node + 1] as usize]
    }

    /// Read graph `graph`: by number where that is a topological order, else the lowest number
    /// whose parents are all there.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(&mut self, graphs: &Graphs<'_>, graph: usize) -> Result<(), Problem> {
        let nodes = graphs.nodes(graph);
        let n = nodes.len();
        let ordered = check(graphs, nodes.clone())?;
        self.given.clear();
        if ordered {
            self.given.extend(0..n as u32);
        } else {
            sort(graphs, nodes.start, n, &mut self.given)?;
        }
        let mut rank = Vec::new();
        if !ordered {
            rank = vec![0u32; n];
            for (place, &node) in self.given.iter().enumerate() {
                rank[node as usize] = place as u32;
            }
        }
        self.parents.clear();
        self.offsets.clear();
        self.lengths.clear();
        self.offsets.push(0);
        self.merges = false;
        for &node in &self.given {
            let node = nodes.start + node as usize;
            let own = graphs.node_parents(node);
            self.merges |= own.len() > 1;
            if ordered {
                self.parents.extend(own.iter().map(|&p| p as u32));
            } else {
                self.parents.extend(own.iter().map(|&p| rank[p as usize]));
            }
            self.offsets.push(self.parents.len() as u32);
            self.lengths.push(graphs.node_tokens(node).len() as u32);
        }
        Ok(())
    }
}

/// Check links, texts and weights; tell whether every parent has a lower number than its children.
fn check(graphs: &Graphs<'_>, nodes: std::ops::Range<usize>) -> Result<bool, Problem> {
    let n = nodes.len();
    if n == 0 {
        return Err(Problem::NoNodes);
    }
    let mut ordered = true;
    let mut root = None;
    for node in 0..n {
        let place = nodes.start + node;
        if graphs.node_tokens(place).is_empty() {
            return Err(Problem::EmptyNode(node));
        }
        let weight = graphs.weight[place];
        if !(weight >= 0.0 && weight.is_finite()) {
            return Err(Problem::Weight(node));
        }
        let parents = graphs.node_parents(place);
        for (i, &parent) in parents.iter().enumerate() {
            if parent < 0 || parent >= n as i64 {
                return Err(Problem::Dangling { node, parent });
            }
            if parents[..i].contains(&parent) {
                let parent = parent as usize;
                return Err(Problem::RepeatedParent { node, parent });
            }
            ordered &= parent < node as i64;
        }
        if parents.is_empty() {
            if let Some(first) = root {
                let second = node;
                return Err(Problem::SecondRoot { first, second });
            }
            root = Some(node);
        }
    }
    Ok(ordered)
}

/// Kahn's algorithm, always taking the lowest number.
fn sort(graphs: &Graphs<'_>, start: usize, n: usize, out: &mut Vec<u32>) -> Result<(), Problem> {
    let mut children: Vec<Vec<u32>> = vec![Vec::new(); n];
    let mut missing = vec![0usize; n];
    let mut ready = BinaryHeap::new();
    for (node, missing) in missing.iter_mut().enumerate() {
        let parents = graphs.node_parents(start + node);
        *missing = parents.len();
        for &parent in parents {
            children[parent as usize].push(node as u32);
        }
        if parents.is_empty() {
            ready.push(Reverse(node as u32));
        }
    }
    while let Some(Reverse(node)) = ready.pop() {
        out.push(node);
        for &child in &children[node as usize] {
            missing[child as usize] -= 1;
            if missing[child as usize] == 0 {
                ready.push(Reverse(child));
            }
        }
    }
    if out.len() == n {
        return Ok(());
    }
    // Walk up from a node that never became ready: every such node has such a parent.
    let stuck = |node: usize| missing[node] > 0;
    let mut node = (0..n).find(|&node| stuck(node)).unwrap_or(0);
    let mut seen = vec![false; n];
    while !seen[node] {
        seen[node] = true;
        let up = graphs.node_parents(start + node);
        node = up
            .iter()
            .map(|&parent| parent as usize)
            .find(|&parent| stuck(parent))
            .unwrap_or(node);
    }
    Err(Problem::Cycle(node))
}

//! The arrays of a tree: tokens, path positions, subtree ends, loss edges.

use super::input::Graphs;
use super::order::Dag;
use super::problem::Rejected;
use super::split::Parts;
use super::trie::Trie;

/// R trees with T tokens, M nodes and E loss edges, one after another.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Trees {
    /// `[R]` the graph of each tree; several follow each other where one was split.
    pub graph: Vec<i64>,
    /// `[R+1]` where each tree's tokens begin.
    pub token_offsets: Vec<i64>,
    /// `[T]` token ids.
    pub input_ids: Vec<i32>,
    /// `[T]` positions along the token's own path.
    pub position_ids: Vec<i32>,
    /// `[T]` node within the tree.
    pub node_id: Vec<i32>,
    /// `[T]` exclusive end of the token's subtree, relative to the tree.
    pub subtree_end: Vec<i32>,
    /// `[R+1]` where each tree's nodes begin.
    pub node_offsets: Vec<i64>,
    /// `[M]` the input's node that each is a copy of, counted over all graphs.
    pub node: Vec<i64>,
    /// `[R+1]` where each tree's edges begin.
    pub edge_offsets: Vec<i64>,
    /// `[E]` token that predicts, relative to the tree.
    pub edge_src: Vec<i32>,
    /// `[E]` token id that it predicts.
    pub edge_target: Vec<i32>,
    /// `[E]` loss weight, above 0.
    pub edge_weight: Vec<f32>,
    /// `[E]` objective.
    pub edge_objective: Vec<i32>,
    /// Tokens that are there only because a graph was split.
    pub repeated: u64,
    /// Graphs that were left out.
    pub rejected: Vec<Rejected>,
}

impl Trees {
    /// Forget all trees but keep the memory.
    pub fn clear(&mut self) {
        for column in [
            &mut self.graph,
            &mut self.token_offsets,
            &mut self.node_offsets,
            &mut self.node,
            &mut self.edge_offsets,
        ] {
            column.clear();
        }
        for column in [
            &mut self.input_ids,
            &mut self.position_ids,
            &mut self.node_id,
            &mut self.subtree_end,
            &mut self.edge_src,
            &mut self.edge_target,
            &mut self.edge_objective,
        ] {
            column.clear();
        }
        self.edge_weight.clear();
        self.repeated = 0;
        self.rejected.clear();
    }
}

/// The nodes of the tree being written, in the order of its row.
#[derive(Debug, Default)]
pub struct Layout {
    nodes: Vec<u32>,
    place: Vec<u32>,
    begin: Vec<u32>,
    end: Vec<u32>,
    stack: Vec<u32>,
    child: Vec<u32>,
    sibling: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Layout {
    /// Append part `part` of a graph's tree to `out`, in depth-first order.
    #[allow(clippy::too_many_arguments)]
    pub fn write(
        &mut self,
        graphs: &Graphs<'_>,
        graph: usize,
        dag: &Dag,
        trie: &Trie,
        parts: &Parts,
        part: usize,
        out: &mut Trees,
    ) {
        let repeated = self.visit(trie, parts, part);
        self.extents(trie);
        let offset = graphs.nodes(graph).start;
        if out.graph.is_empty() {
            out.token_offsets.push(0);
            out.node_offsets.push(0);
            out.edge_offsets.push(0);
        }
        for (place, &t) in self.nodes.iter().enumerate() {
            let t = t as usize;
            let node = offset + dag.given[trie.node[t] as usize] as usize;
            let tokens = graphs.node_tokens(node);
            out.node.push(node as i64);
            fill(
                out,
                tokens,
                trie.inputs[t],
                trie.start[t],
                place as u32,
                self.end[place],
            );
            let weight = trie.weight[t];
            if place < repeated {
                out.repeated += u64::from(trie.inputs[t]);
            } else if weight > 0.0 {
                let before = match trie.parent[t] {
                    NONE => None,
                    p => {
                        let p = self.place[p as usize] as usize;
                        Some(self.begin[p] + trie.inputs[self.nodes[p] as usize] - 1)
                    }
                };
                let objective = graphs.objective[node] as i32;
                edges(out, tokens, before, self.begin[place], weight, objective);
            }
        }
        out.graph.push(graph as i64);
        out.token_offsets.push(out.input_ids.len() as i64);
        out.node_offsets.push(out.node.len() as i64);
        out.edge_offsets.push(out.edge_src.len() as i64);
    }

    /// List the part's nodes depth first; return how many of them only repeat a path.
    fn visit(&mut self, trie: &Trie, parts: &Parts, part: usize) -> usize {
        let n = trie.len();
        if part == 0 {
            self.link(trie);
        }
        self.nodes.clear();
        self.place.resize(n.max(self.place.len()), 0);
        let mut repeated = 0;
        self.stack.clear();
        if part == 0 {
            self.stack.push(0);
        } else {
            let mut t = parts.under[part];
            while t != NONE {
                self.nodes.push(t);
                t = trie.parent[t as usize];
            }
            self.nodes.reverse();
            repeated = self.nodes.len();
            for (place, &t) in self.nodes.iter().enumerate() {
                self.place[t as usize] = place as u32;
            }
            self.push_children(parts.under[part], parts, part);
        }
        while let Some(t) = self.stack.pop() {
            self.place[t as usize] = self.nodes.len() as u32;
            self.nodes.push(t);
            self.push_children(t, parts, 0);
        }
        repeated
    }

    fn link(&mut self, trie: &Trie) {
        let n = trie.len();
        self.child.clear();
        self.child.resize(n, NONE);
        self.sibling.clear();
        self.sibling.resize(n, NONE);
        // Lists in falling order: the stack turns them round.
        for t in 1..n {
            let p = trie.parent[t] as usize;
            self.sibling[t] = std::mem::replace(&mut self.child[p], t as u32);
        }
    }

    fn push_children(&mut self, t: u32, parts: &Parts, part: usize) {
        let mut child = self.child[t as usize];
        while child != NONE {
            if parts.begins[child as usize] as usize == part {
                self.stack.push(child);
            }
            child = self.sibling[child as usize];
        }
    }

    /// Where each listed node begins, and where its subtree ends.
    fn extents(&mut self, trie: &Trie) {
        self.begin.clear();
        self.end.clear();
        let mut at = 0;
        for &t in &self.nodes {
            self.begin.push(at);
            at += trie.inputs[t as usize];
            self.end.push(at);
        }
        for place in (1..self.nodes.len()).rev() {
            let parent = trie.parent[self.nodes[place] as usize];
            let above = self.place[parent as usize] as usize;
            self.end[above] = self.end[above].max(self.end[place]);
        }
    }
}

/// Append a node's input tokens.
#[inline]
pub fn fill(out: &mut Trees, tokens: &[i64], inputs: u32, start: u32, node: u32, end: u32) {
    let n = inputs as usize;
    out.input_ids
        .extend(tokens[..n].iter().map(|&id| id as i32));
    out.position_ids
        .extend(start as i32..start as i32 + inputs as i32);
    out.node_id.extend(std::iter::repeat_n(node as i32, n));
    out.subtree_end.extend(std::iter::repeat_n(end as i32, n));
}

/// Append the edges into a node's tokens: from `before` into the first, then each into the next.
#[inline]
fn edges(
    out: &mut Trees,
    tokens: &[i64],
    before: Option<u32>,
    begin: u32,
    weight: f32,
    objective: i32,
) {
    let targets = if before.is_some() {
        tokens
    } else {
        &tokens[1..]
    };
    out.edge_src.extend(before.map(|src| src as i32));
    out.edge_src
        .extend(begin as i32..begin as i32 + tokens.len() as i32 - 1);
    out.edge_target.extend(targets.iter().map(|&id| id as i32));
    out.edge_weight
        .extend(std::iter::repeat_n(weight, targets.len()));
    out.edge_objective
        .extend(std::iter::repeat_n(objective, targets.len()));
}

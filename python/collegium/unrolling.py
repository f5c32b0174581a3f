"""Thought graphs, tokenized, into trees whose every root-leaf path is a plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from collegium._arrays import integer, integers
from collegium._rust import unroll as _unroll
from collegium.errors import ArgumentError, DataError

UnrollMode = Literal["linear", "primary", "paths"]
UnrollCount = Literal["once", "paths"]


@dataclass(frozen=True, slots=True)
class TokenNode:
    """One node of a graph, tokenized."""

    tokens: Sequence[int]
    parents: Sequence[int] = ()
    """Numbers of nodes of the same graph, the primary one first."""
    weight: float = 1.0
    """Loss weight of each token; 0: context only, the edge into the first token included."""
    objective: int = 0


@dataclass(frozen=True, slots=True)
class GraphTokens:
    """G graphs with N nodes, K tokens and P parent links, as flat arrays.

    Every graph has one node without parents, its problem; links form no cycle; a node has at least
    one token.
    """

    tokens: NDArray[np.int64]
    """int64[K] token ids of all nodes, one after another."""
    token_offsets: NDArray[np.int64]
    """int64[N+1] where each node's tokens begin."""
    parents: NDArray[np.int64]
    """int64[P] parents, numbered within the graph, the primary one first."""
    parent_offsets: NDArray[np.int64]
    """int64[N+1] where each node's parents begin."""
    weight: NDArray[np.float32]
    """float32[N] loss weight of each token of the node."""
    objective: NDArray[np.int64]
    """int64[N] objective of the node."""
    graph_offsets: NDArray[np.int64]
    """int64[G+1] where each graph's nodes begin."""

    @classmethod
    def from_nodes(cls, graphs: Iterable[Sequence[TokenNode]]) -> GraphTokens:
        """Return the flat arrays of `graphs`, each a list of nodes."""
        graphs = list(graphs)
        nodes = [node for graph in graphs for node in graph]
        return cls(
            tokens=integers("tokens", [token for node in nodes for token in node.tokens]),
            token_offsets=_offsets([len(node.tokens) for node in nodes]),
            parents=integers("parents", [parent for node in nodes for parent in node.parents]),
            parent_offsets=_offsets([len(node.parents) for node in nodes]),
            weight=np.array([node.weight for node in nodes], dtype=np.float32),
            objective=integers("objective", [node.objective for node in nodes]),
            graph_offsets=_offsets([len(graph) for graph in graphs]),
        )

    def __len__(self) -> int:
        """Return the number of graphs."""
        return len(self.graph_offsets) - 1


@dataclass(frozen=True, slots=True)
class Trees:
    """R trees with T tokens, M nodes and E loss edges, one after another.

    Within a tree, key j is visible to query i iff ``j <= i < subtree_end[j]``. The hidden state at
    ``edge_src[e]`` predicts the id ``edge_target[e]``.
    """

    graph: NDArray[np.int64]
    """int64[R] the graph of each tree; several follow each other where one was split."""
    token_offsets: NDArray[np.int64]
    """int64[R+1] where each tree's tokens begin."""
    input_ids: NDArray[np.int32]
    """int32[T]; the last token of a leaf predicts nothing and is only a target."""
    position_ids: NDArray[np.int32]
    """int32[T] position along the token's own path."""
    node_id: NDArray[np.int32]
    """int32[T] node within the tree."""
    subtree_end: NDArray[np.int32]
    """int32[T] exclusive, relative to the tree."""
    node_offsets: NDArray[np.int64]
    """int64[R+1] where each tree's nodes begin."""
    node: NDArray[np.int64]
    """int64[M] which node of `GraphTokens` each is a copy of."""
    edge_offsets: NDArray[np.int64]
    """int64[R+1] where each tree's edges begin."""
    edge_src: NDArray[np.int32]
    """int32[E] relative to the tree."""
    edge_target: NDArray[np.int32]
    """int32[E] token ids."""
    edge_weight: NDArray[np.float32]
    """float32[E], above 0."""
    edge_objective: NDArray[np.int32]
    """int32[E]."""
    repeated: int
    """Tokens that are there only because a graph was split."""
    rejected: list[tuple[int, str]]
    """Graphs that were left out: number, and what to do about it."""

    def __len__(self) -> int:
        """Return the number of trees."""
        return len(self.graph)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64[R] tokens of each tree, as `collegium.pack` takes them."""
        return np.diff(self.token_offsets)


def unroll(
    graphs: GraphTokens,
    *,
    mode: UnrollMode = "linear",
    count: UnrollCount = "once",
    capacity: int | None = None,
    max_depth: int | None = None,
    skip_bad: bool = False,
) -> Trees:
    """Turn graphs into trees in which the context of every token is exactly a plain text.

    Modes differ only for nodes with several parents:

    - ``linear``: before a node stand all its ancestors in topological order (by number where they
      are incomparable); the trie of these texts. A node is copied where its contexts differ.
    - ``primary``: each node under its first parent alone; nothing is copied.
    - ``paths``: the trie of all paths from the root; a node is copied for every way to it.

    Weights: with ``count="once"`` those of a token's copies are equal and sum to the node's weight;
    with ``"paths"`` each copy has it times the leaves below, the sum over all root-leaf paths. A
    node of weight 0 has no edges, not even into its first token.

    A tree longer than `capacity` is split from the leaves up; each part repeats the path down to
    its cut, and repeated tokens have no edges. Nothing is truncated.

    Args:
        graphs: tokenized graphs.
        mode: see above.
        count: see above.
        capacity: most tokens of a tree (a row's); None: no limit.
        max_depth: most tokens of a path (the model's positions); None: no limit.
        skip_bad: leave graphs that cannot be unrolled out and list them in `Trees.rejected`.

    Raises:
        ArgumentError: the arrays do not describe graphs, or a limit is below 1.
        DataError: a graph cannot be unrolled (cycle, second root, dangling parent, empty node, path
            over a limit); the message names it, its node and the way out.
    """
    limit = np.iinfo(np.int32).max
    limits = {"capacity": capacity, "max_depth": max_depth}
    for name, value in limits.items():
        if value is not None and integer(name, value) < 1:
            raise ArgumentError(f"{name}={value} is out of range: expected at least 1")
    found = _unroll(
        tokens=integers("tokens", graphs.tokens),
        token_offsets=integers("token_offsets", graphs.token_offsets),
        parents=integers("parents", graphs.parents),
        parent_offsets=integers("parent_offsets", graphs.parent_offsets),
        weight=np.ascontiguousarray(graphs.weight, dtype=np.float32),
        objective=integers("objective", graphs.objective),
        graph_offsets=integers("graph_offsets", graphs.graph_offsets),
        mode=mode,
        count=count,
        capacity=limit if capacity is None else capacity,
        max_depth=limit if max_depth is None else max_depth,
    )
    trees = Trees(**found)
    if trees.rejected and not skip_bad:
        graph, problem = trees.rejected[0]
        raise DataError(f"graph {graph}: {problem}")
    return trees


def _offsets(lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)

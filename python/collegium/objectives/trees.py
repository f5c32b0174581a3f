"""`EncodedTree`: one training row with several branches, its pruning, its paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collegium.errors import ArgumentError, DataError
from collegium.objectives.sequences import EncodedSequence
from collegium.unrolling import GraphTokens, Trees, UnrollCount, UnrollMode, unroll


@dataclass(frozen=True, slots=True, eq=False)
class EncodedTree:
    """Tokens of a tree with T inputs and E loss edges; the decoder-only counterpart of a sequence.

    Key j is visible to query i iff ``j <= i < subtree_end[j]``. The hidden state at ``edge_src[e]``
    predicts ``edge_target[e]`` for the objective ``objectives[edge_objective[e]]``.
    """

    example_id: str
    objectives: tuple[str, ...]
    input_ids: NDArray[np.int32]
    position_ids: NDArray[np.int32]
    node_id: NDArray[np.int32]
    subtree_end: NDArray[np.int32]
    edge_src: NDArray[np.int32]
    edge_target: NDArray[np.int32]
    edge_weight: NDArray[np.float32]
    edge_objective: NDArray[np.int32]
    encoder_ids: list[int] | None = None
    """Encoder-decoder students only, whose trees are single paths."""

    def __len__(self) -> int:
        """Return the number of input tokens."""
        return len(self.input_ids)

    @property
    def is_path(self) -> bool:
        """Whether nothing branches: a plain text, for which no mask is needed."""
        return bool((self.subtree_end == len(self.input_ids)).all())

    @property
    def depth(self) -> int:
        """Tokens of the longest path."""
        return int(self.position_ids.max()) + 1

    def only(self, objectives: Collection[str]) -> EncodedTree | None:
        """Return the tree of these objectives alone, without the branches that serve none of them.

        None where nothing is left to learn.
        """
        wanted = np.array([name in objectives for name in self.objectives], dtype=bool)
        if wanted.all():
            return self
        edges = wanted[self.edge_objective]
        if not edges.any():
            return None
        used = np.zeros(len(self) + 1, dtype=np.int64)
        used[self.edge_src[edges] + 1] = 1
        used = np.cumsum(used)
        kept = used[self.subtree_end] > used[:-1]
        place = np.concatenate([[0], np.cumsum(kept)]).astype(np.int32)
        return replace(
            self,
            input_ids=self.input_ids[kept],
            position_ids=self.position_ids[kept],
            node_id=self.node_id[kept],
            subtree_end=place[self.subtree_end[kept]],
            edge_src=place[self.edge_src[edges]],
            edge_target=self.edge_target[edges],
            edge_weight=self.edge_weight[edges],
            edge_objective=self.edge_objective[edges],
        )


TrainingItem = EncodedSequence | EncodedTree


def describe(item: TrainingItem) -> str:
    """Return what messages call `item`."""
    what = f"sequence {item.objective!r}" if isinstance(item, EncodedSequence) else "tree"
    return f"{what} of example {item.example_id!r}"


@dataclass
class TreeCounts:
    """What became of the graphs."""

    graphs: int = 0
    trees: int = 0
    split: int = 0
    """Graphs that needed more than one row."""
    input_tokens: int = 0
    repeated_tokens: int = 0
    target_tokens: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Reason to number of graphs."""
    first_dropped: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {**vars(self), "dropped": dict(self.dropped)}


def encode_trees(
    example_ids: Sequence[str],
    graphs: GraphTokens,
    objectives: tuple[str, ...],
    *,
    mode: UnrollMode = "linear",
    count: UnrollCount = "once",
    capacity: int | None = None,
    max_depth: int | None = None,
    skip_bad: bool = False,
) -> tuple[list[EncodedTree], TreeCounts]:
    """Return the trees of `graphs` (see `collegium.unroll`), in their order.

    Args:
        example_ids: one a graph.
        graphs: their tokens; `objective` numbers `objectives`.
        objectives: names.
        mode: as `unroll`.
        count: as `unroll`.
        capacity: as `unroll`.
        max_depth: as `unroll`.
        skip_bad: count graphs that cannot be unrolled instead of refusing the first.

    Raises:
        DataError: a graph cannot be unrolled; the message names its example.
    """
    if len(example_ids) != len(graphs):
        raise ArgumentError(f"{len(example_ids)} example ids for {len(graphs)} graphs")
    if len(graphs.objective) and int(graphs.objective.max()) >= len(objectives):
        raise ArgumentError(
            f"a node has objective {int(graphs.objective.max())}, there are {len(objectives)}"
        )
    trees = unroll(
        graphs, mode=mode, count=count, capacity=capacity, max_depth=max_depth, skip_bad=True
    )
    for graph, problem in trees.rejected:
        if not skip_bad:
            raise DataError(f"graph of example {example_ids[graph]!r}: {problem}")
    counts = TreeCounts(
        graphs=len(graphs),
        repeated_tokens=trees.repeated,
        split=int((np.bincount(trees.graph, minlength=1) > 1).sum()),
    )
    if trees.rejected:
        counts.dropped["cannot be unrolled"] = len(trees.rejected)
        graph, problem = trees.rejected[0]
        counts.first_dropped = f"graph of example {example_ids[graph]!r}: {problem}"
    items = [tree for tree in _slices(trees, example_ids, objectives) if len(tree.edge_src)]
    counts.dropped["no loss edge"] += len(trees) - len(items)
    counts.dropped = +counts.dropped
    counts.trees = len(items)
    counts.input_tokens = sum(map(len, items))
    counts.target_tokens = sum(len(tree.edge_src) for tree in items)
    return items, counts


def _slices(
    trees: Trees, example_ids: Sequence[str], objectives: tuple[str, ...]
) -> list[EncodedTree]:
    tokens, edges = trees.token_offsets.tolist(), trees.edge_offsets.tolist()
    items = []
    for row, graph in enumerate(map(int, trees.graph)):
        t, e = slice(tokens[row], tokens[row + 1]), slice(edges[row], edges[row + 1])
        items.append(
            EncodedTree(
                example_ids[graph],
                objectives,
                trees.input_ids[t],
                trees.position_ids[t],
                trees.node_id[t],
                trees.subtree_end[t],
                trees.edge_src[e],
                trees.edge_target[e],
                trees.edge_weight[e],
                trees.edge_objective[e],
            )
        )
    return items


def linearise(tree: EncodedTree) -> list[EncodedTree]:
    """Return the root-leaf paths of `tree` as plain texts that carry the same loss edges.

    For students without tree attention: every edge belongs to the first path that holds it, so
    that the loss and its gradient stay what they are. Paths without edges are left out.
    """
    if tree.is_path:
        return [tree]
    index = np.arange(len(tree))
    ends = np.flatnonzero(tree.subtree_end == index + 1)
    path_of = np.searchsorted(ends, tree.edge_src)
    paths = []
    for number in np.unique(path_of).tolist():
        end = ends[number]
        tokens = np.flatnonzero(tree.subtree_end[: end + 1] > end)
        edges = path_of == number
        length = len(tokens)
        paths.append(
            replace(
                tree,
                input_ids=tree.input_ids[tokens],
                position_ids=np.arange(length, dtype=np.int32),
                node_id=tree.node_id[tokens],
                subtree_end=np.full(length, length, dtype=np.int32),
                edge_src=np.searchsorted(tokens, tree.edge_src[edges]).astype(np.int32),
                edge_target=tree.edge_target[edges],
                edge_weight=tree.edge_weight[edges],
                edge_objective=tree.edge_objective[edges],
            )
        )
    return paths


def encoder_paths(tree: EncodedTree, *, decoder_start: int) -> list[EncodedTree]:
    """Return the paths of `tree` for an encoder-decoder student.

    The encoder reads the root's tokens (the prompt with its EOS), the decoder what follows them.

    Raises:
        ArgumentError: the root's own tokens are targets, which an encoder cannot predict.
    """
    root = int((tree.node_id == 0).sum())
    if bool((tree.edge_src < root - 1).any()):
        raise ArgumentError(
            f"tree of example {tree.example_id!r}: its root has loss edges, an encoder has none; "
            "give the root's kind weight 0"
        )
    paths = []
    for path in linearise(tree):
        ids = np.concatenate([[decoder_start], path.input_ids[root:]]).astype(np.int32)
        paths.append(
            replace(
                path,
                input_ids=ids,
                position_ids=np.arange(len(ids), dtype=np.int32),
                node_id=path.node_id[root - 1 :],
                subtree_end=np.full(len(ids), len(ids), dtype=np.int32),
                edge_src=path.edge_src - (root - 1),
                encoder_ids=path.input_ids[:root].tolist(),
            )
        )
    return paths

"""Figures about graphs: how large, how branched, how much sharing a packed row saves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from collegium.graphs.graph import Node, ThoughtGraph
from collegium.graphs.kinds import METACOGNITIVE
from collegium.graphs.structure import Structure
from collegium.graphs.validate import right_paths


def words(node: Node) -> int:
    """Return the number of words in a node's text."""
    return len(node.text.split())


@dataclass(frozen=True)
class Figures:
    """Figures of one graph. Sizes are in what `size` counts (words by default)."""

    nodes: int
    leaves: int
    merges: int
    depth: int
    size: int
    path_size: int
    """All root-to-leaf paths written out."""
    right_paths: int
    misconceptions: int
    explained: int
    """Misconceptions with an error analysis or a correction."""
    metacognition: int
    """How many of strategy, monitor and evaluation occur."""
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def saving(self) -> float:
        """How many times smaller the graph is than all of its paths."""
        return self.path_size / self.size if self.size else 1.0


def figures(graph: ThoughtGraph, size: Callable[[Node], int] = words) -> Figures:
    """Measure one graph.

    Raises:
        DataError: the context edges run in a circle.
    """
    structure = Structure(graph)
    counts = structure.path_counts()
    leads = [0] * len(graph.nodes)
    for i in reversed(structure.acyclic_order()):
        leads[i] = sum(leads[c] for c in structure.children[i]) or 1
    sizes = [size(node) for node in graph.nodes]
    wrong = [i for i, node in enumerate(graph.nodes) if node.kind == "misconception"]
    mended = [
        i
        for i in wrong
        if any(
            graph.nodes[c].kind in ("error_analysis", "correction") for c in structure.children[i]
        )
    ]
    kinds = Counter[str](node.kind for node in graph.nodes)
    return Figures(
        nodes=len(graph.nodes),
        leaves=len(structure.leaves),
        merges=sum(len(parents) > 1 for parents in structure.parents),
        depth=max(structure.levels(), default=0),
        size=sum(sizes),
        path_size=sum(s * up * down for s, up, down in zip(sizes, counts, leads, strict=True)),
        right_paths=right_paths(graph, structure),
        misconceptions=len(wrong),
        explained=len(mended),
        metacognition=sum(kind in kinds for kind in METACOGNITIVE),
        kinds=kinds,
    )


def summary(graphs: Iterable[ThoughtGraph]) -> dict[str, Any]:
    """Return totals and means over sound graphs as JSON values."""
    graphs = list(graphs)
    found = [figures(graph) for graph in graphs]
    count = len(found)
    if not count:
        return {"graphs": 0}

    def mean(values: Iterable[float]) -> float:
        return round(sum(values) / count, 3)

    return {
        "graphs": count,
        "nodes": mean(f.nodes for f in found),
        "nodes_most": max(f.nodes for f in found),
        "leaves": mean(f.leaves for f in found),
        "merges": mean(f.merges for f in found),
        "depth_most": max(f.depth for f in found),
        "words": mean(f.size for f in found),
        "words_of_all_paths": mean(f.path_size for f in found),
        "saving": round(sum(f.path_size for f in found) / (sum(f.size for f in found) or 1), 3),
        "two_paths_or_more": mean(f.right_paths >= 2 for f in found),
        "misconceptions": mean(f.misconceptions for f in found),
        "misconceptions_explained": mean(f.explained for f in found),
        "all_metacognition": mean(f.metacognition == 3 for f in found),
        "repairs": dict(sorted(_repairs(graphs).items())),
        "kinds": dict(sum((f.kinds for f in found), Counter()).most_common()),
    }


def _repairs(graphs: Iterable[ThoughtGraph]) -> Counter[str]:
    total: Counter[str] = Counter()
    for graph in graphs:
        if graph.teacher is not None and graph.teacher.repairs:
            total.update(graph.teacher.repairs)
    return total

"""A graph as ordinary texts: for students and trainers that read one line of thought at a time.

Every text is a list of segments, so that weights and places survive: a trainer may join them, or
mask the wrong ones. The problem is the prompt and no part of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collegium.errors import ArgumentError
from collegium.graphs.graph import Node, ThoughtGraph
from collegium.graphs.kinds import MENDING, NodeKind
from collegium.graphs.select import Size, right_paths, within
from collegium.graphs.structure import Structure

TAGS: dict[NodeKind, str] = {
    "problem": "Problem:",
    "strategy": "Plan:",
    "step": "Step:",
    "alternative": "Or:",
    "misconception": "Mistake:",
    "error_analysis": "Why:",
    "correction": "Right:",
    "monitor": "Check:",
    "evaluation": "Review:",
    "answer": "Answer:",
}
"""Words that head a node's text where its kind has to be told."""


@dataclass(frozen=True)
class Segment:
    """The text of one node, or a tag (`node` None), and its weight in the loss."""

    text: str
    weight: float
    node: str | None = None


@dataclass(frozen=True)
class LinearText:
    """One text. `strategy` names how it was made, `left_out` counts nodes beyond the budget."""

    strategy: str
    segments: tuple[Segment, ...]
    left_out: int = 0

    def text(self, separator: str = "\n") -> str:
        """Return the segments joined; a tag and its text by a space."""
        out = ""
        for segment in self.segments:
            out += segment.text + (" " if segment.node is None else separator)
        return out.removesuffix(separator).rstrip()

    @property
    def nodes(self) -> list[str]:
        """The nodes in the text, in order."""
        return [s.node for s in self.segments if s.node is not None]


def best_path(graph: ThoughtGraph) -> list[LinearText]:
    """Return the first right path, verified ones first; nothing where there is none."""
    return [_path(graph, path, "best_path") for path in right_paths(graph, 1)]


def correct_paths(graph: ThoughtGraph, limit: int = 8) -> list[LinearText]:
    """Return the right paths, at most `limit`."""
    return [_path(graph, path, "correct_paths") for path in right_paths(graph, limit)]


def contrastive(graph: ThoughtGraph) -> list[LinearText]:
    """Return one text a mistake: the way to it, the mistake, what is wrong, and the right way on.

    The mistake is tagged and has no weight. The right way on is the first right path through the
    place at which the mistake was made; it follows the correction.
    """
    structure = Structure(graph)
    ways = right_paths(graph, 64)
    texts = []
    for i, node in enumerate(graph.nodes):
        if node.kind != "misconception" or not structure.parents[i]:
            continue
        chain = _upwards(structure, structure.parents[i][0])
        mending = _mending(structure, i)
        segments = [_plain(graph.nodes[k]) for k in chain if graph.nodes[k].kind != "problem"]
        segments += [s for k in (i, *mending) for s in _tagged(graph.nodes[k])]
        way = next((w for w in ways if chain[-1] in w), None)
        if way is not None:
            onward = [graph.nodes[k] for k in way[way.index(chain[-1]) + 1 :]]
            fixed = {graph.nodes[k].text for k in mending}
            if onward and onward[0].text in fixed:
                onward = onward[1:]
            segments += [_plain(n) for n in onward]
        texts.append(LinearText("contrastive", tuple(segments)))
    return texts


def depth_first(graph: ThoughtGraph) -> list[LinearText]:
    """Return the whole graph as one tagged text, each node once, after all nodes above it.

    Mistakes come before the right way on, so that the text ends with an answer.
    """
    structure = Structure(graph)
    structure.acyclic_order()
    missing = [len(parents) for parents in structure.parents]
    segments: list[Segment] = []
    stack = list(reversed(structure.roots))
    while stack:
        i = stack.pop()
        if graph.nodes[i].kind != "problem":
            segments += _tagged(graph.nodes[i])
        ready = []
        for child in structure.children[i]:
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)
        ready.sort(key=lambda child: not _aside(graph.nodes[child]))
        stack.extend(reversed(ready))
    return [LinearText("depth_first", tuple(segments))]


STRATEGIES: dict[str, Callable[[ThoughtGraph], list[LinearText]]] = {
    "best_path": best_path,
    "correct_paths": correct_paths,
    "contrastive": contrastive,
    "depth_first": depth_first,
}
"""Name to strategy."""


def linearise(
    graph: ThoughtGraph,
    strategies: Sequence[str],
    *,
    budget: int | None = None,
    size: Size = lambda node: len(node.text.split()),
) -> list[LinearText]:
    """Return the texts of several strategies, without repeats.

    Args:
        graph: a sound graph.
        strategies: names in `STRATEGIES`.
        budget: what a text may take in units of `size`. The graph is pruned to it first
            (`collegium.graphs.select.within`); a text that still exceeds it is left out.
        size: units of a node; default: its words.

    Raises:
        ArgumentError: an unknown strategy.
    """
    unknown = [name for name in strategies if name not in STRATEGIES]
    if unknown:
        raise ArgumentError(
            f"unknown text strategy {unknown[0]!r}. Known: {', '.join(STRATEGIES)}."
        )
    left_out = 0
    if budget is not None and "depth_first" in strategies:
        pruned, left_out = within(graph, budget, size)
    else:
        pruned = graph
    nodes = {node.id: node for node in graph.nodes}
    found: dict[tuple[Segment, ...], LinearText] = {}
    for name in strategies:
        for text in STRATEGIES[name](pruned if name == "depth_first" else graph):
            units = sum(size(nodes[i]) for i in text.nodes)
            if text.segments and (budget is None or units <= budget):
                dropped = left_out if name == "depth_first" else 0
                text = LinearText(text.strategy, text.segments, dropped)
                found.setdefault(text.segments, text)
    return list(found.values())


def _path(graph: ThoughtGraph, path: Sequence[int], strategy: str) -> LinearText:
    nodes = [graph.nodes[i] for i in path]
    return LinearText(strategy, tuple(_plain(n) for n in nodes if n.kind != "problem"))


def _plain(node: Node) -> Segment:
    return Segment(node.text, node.loss_weight, node.id)


def _tagged(node: Node) -> list[Segment]:
    return [Segment(TAGS[node.kind], node.loss_weight), _plain(node)]


def _aside(node: Node) -> bool:
    return node.wrong or node.kind in ("alternative", "monitor") or node.kind in MENDING


def _upwards(structure: Structure, i: int) -> list[int]:
    chain = [i]
    while structure.parents[chain[-1]]:
        chain.append(structure.parents[chain[-1]][0])
    return chain[::-1]


def _mending(structure: Structure, mistake: int) -> list[int]:
    """Return the chain of error analyses and corrections below a mistake."""
    found: list[int] = []
    at = mistake
    while True:
        onward = [c for c in structure.children[at] if structure.graph.nodes[c].kind in MENDING]
        if not onward:
            return found
        at = onward[0]
        found.append(at)

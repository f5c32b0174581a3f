"""Checking a graph: its form (`form`), then what its thoughts say (E06 .. E09, E11 .. E15)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from collegium.graphs import form
from collegium.graphs.answers import Agrees, agrees_with, gives_away, numbers
from collegium.graphs.graph import Node, ThoughtGraph
from collegium.graphs.kinds import MENDING
from collegium.graphs.policy import Policy
from collegium.graphs.problem import Problem, at
from collegium.graphs.structure import Structure

Size = Callable[[Node], int]
"""How many tokens a node takes."""


def validate(
    graph: ThoughtGraph,
    policy: Policy | None = None,
    *,
    agrees: Agrees | None = None,
    size: Size | None = None,
) -> list[Problem]:
    """Return what is wrong with a graph, by code; nothing for a sound one.

    A graph with too many nodes is not looked at any further, and one with duplicate ids, dangling
    edges, cycles or without its root only for those and its texts.

    Args:
        graph: the graph.
        policy: limits and demands; codes that it ignores are left out.
        agrees: whether an answer's text is right; default: by `graph.answer`.
        size: tokens of a node, for `policy.max_depth`; default: its words.
    """
    policy = policy or Policy()
    if len(graph.nodes) > policy.max_nodes:
        found = [_too_many(graph, policy)]
    else:
        found = _problems(graph, policy, agrees or agrees_with(graph.answer), size)
    heeded = [p for p in found if policy.action(p.code) != "ignore"]
    return sorted(heeded, key=lambda p: p.code)


def _problems(
    graph: ThoughtGraph, policy: Policy, agrees: Agrees, size: Size | None
) -> list[Problem]:
    structure = Structure(graph)
    shape = [
        *form.ids(graph),
        *form.edges(graph),
        *form.cycle(graph, structure),
        *form.root(graph, structure),
    ]
    texts = list(form.texts(graph, policy))
    if shape:
        return shape + texts
    return [
        *texts,
        *form.reached(graph, structure),
        *_answers(graph, structure, agrees),
        *_wrong_text(graph, structure),
        *_paths(graph, structure, policy),
        *_depth(graph, structure, policy, size),
        *_leaks(graph),
        *_siblings(graph, structure, policy),
        *_analysed(graph, structure),
        *_demands(graph, policy),
    ]


def wrong_into(graph: ThoughtGraph, structure: Structure) -> list[bool]:
    """Return for each node whether wrong text reaches it with no correction in between.

    True for wrong nodes themselves; error analyses and corrections end it.
    """
    tainted = [False] * len(graph.nodes)
    for i in structure.acyclic_order():
        node = graph.nodes[i]
        if node.wrong:
            tainted[i] = True
        elif node.kind not in MENDING:
            tainted[i] = any(tainted[p] for p in structure.parents[i])
    return tainted


def right_paths(graph: ThoughtGraph, structure: Structure) -> int:
    """Return how many paths without wrong text lead to an answer that is not known to be wrong.

    Two paths count as different where their texts differ.
    """
    clean: list[set[int]] = [set() for _ in graph.nodes]
    total: set[int] = set()
    for i in structure.acyclic_order():
        node = graph.nodes[i]
        if node.wrong or node.kind in MENDING:
            continue
        above = structure.parents[i]
        come = set().union(*(clean[p] for p in above)) if above else {0}
        clean[i] = {hash((way, node.kind, node.text)) for way in itertools.islice(come, 4096)}
        if node.kind == "answer":
            total |= clean[i]
    return len(total)


def _too_many(graph: ThoughtGraph, policy: Policy) -> Problem:
    return Problem(
        "E11",
        "graph",
        None,
        f"{len(graph.nodes)} nodes, at most {policy.max_nodes} are allowed",
        "leave branches out or raise max_nodes",
    )


def _answers(graph: ThoughtGraph, structure: Structure, agrees: Agrees) -> Iterator[Problem]:
    answers = [i for i, node in enumerate(graph.nodes) if node.kind == "answer"]
    if not any(i in set(structure.leaves) and not graph.nodes[i].wrong for i in answers):
        yield Problem(
            "E06", "graph", None, "no path ends in an answer", "add an answer node as a leaf"
        )
    for i in answers:
        node = graph.nodes[i]
        right = None if node.correct is False else agrees(node.text)
        if right is False:
            value = graph.answer.value if graph.answer else "?"
            message = f"states {node.text.strip()[:40]!r}, but the answer is {value!r}"
            yield at(graph, "E07", i, message, "remove its path or mark it as wrong")


def _wrong_text(graph: ThoughtGraph, structure: Structure) -> Iterator[Problem]:
    tainted = wrong_into(graph, structure)
    for i, node in enumerate(graph.nodes):
        if node.kind == "answer" and tainted[i] and not node.wrong:
            message = "wrong text leads to this answer without a correction in between"
            yield at(graph, "E08", i, message, "put a correction between them or cut the edge")
        if node.wrong and node.weight:
            message = f"wrong text with a weight of {node.weight:g}"
            yield at(graph, "E08", i, message, "set its weight to 0")


def _paths(graph: ThoughtGraph, structure: Structure, policy: Policy) -> Iterator[Problem]:
    count = right_paths(graph, structure)
    if count < policy.min_paths and any(n.kind == "answer" and not n.wrong for n in graph.nodes):
        message = f"{count} path{'s' * (count != 1)} without mistakes to an answer, "
        message += f"{policy.min_paths} demanded"
        yield Problem("E09", "graph", None, message, "ask for other ways, or lower min_paths")


def _depth(
    graph: ThoughtGraph, structure: Structure, policy: Policy, size: Size | None
) -> Iterator[Problem]:
    if policy.max_depth is None:
        return
    depths = structure.levels(size or (lambda node: len(node.text.split())))
    for i, depth in enumerate(depths):
        if depth > policy.max_depth:
            message = f"{depth} tokens deep, at most {policy.max_depth} fit"
            yield at(graph, "E11", i, message, "leave it out or use a student with more positions")


def _leaks(graph: ThoughtGraph) -> Iterator[Problem]:
    for i, node in enumerate(graph.nodes):
        if node.kind in ("problem", "strategy") and gives_away(node.text, graph.answer):
            message = f"a {node.kind} that states the answer"
            yield at(graph, "E12", i, message, "take the answer out of it")


def _siblings(graph: ThoughtGraph, structure: Structure, policy: Policy) -> Iterator[Problem]:
    for children in structure.children:
        kinds: dict[tuple[str, bool | None, tuple[str, ...]], list[tuple[int, set[str]]]] = {}
        for child in children:
            node = graph.nodes[child]
            words = _words(node.text)
            key = (node.kind, node.correct, tuple(numbers(node.text)))
            same = kinds.setdefault(key, [])
            twin = next((i for i, other in same if _alike(words, other, policy.similarity)), None)
            if twin is None:
                same.append((child, words))
            else:
                other = graph.nodes[twin].id
                message = f"says the same as its sibling {other!r}"
                yield Problem("E13", f"nodes[{child}]", node.id, message, "merge the two", other)


def _words(text: str) -> set[str]:
    words = text.lower().split()
    return {*words, *(" ".join(pair) for pair in itertools.pairwise(words))}


def _alike(first: set[str], second: set[str], similarity: float) -> bool:
    union = len(first | second)
    return union == 0 or len(first & second) / union >= similarity


def _analysed(graph: ThoughtGraph, structure: Structure) -> Iterator[Problem]:
    for i, node in enumerate(graph.nodes):
        below = structure.children[i]
        if node.kind == "misconception" and not any(graph.nodes[c].kind in MENDING for c in below):
            message = "a misconception that nobody explains"
            yield at(graph, "E14", i, message, "add an error analysis or correction below it")


def _demands(graph: ThoughtGraph, policy: Policy) -> Iterator[Problem]:
    for kind, wanted in policy.kinds.items():
        count = sum(node.kind == kind for node in graph.nodes)
        if count < wanted:
            yield Problem(
                "E15",
                "graph",
                None,
                f"{count} nodes of kind {kind}, {wanted} demanded",
                "ask the teacher for it, or lower the demand",
            )
    for i, node in enumerate(graph.nodes):
        for name in policy.fields.get(node.kind, ()):
            if not getattr(node, name):
                yield at(graph, "E15", i, f"a {node.kind} without `{name}`", "ask for it")

"""Checking a graph: every problem with its code, its place and what to do about it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from collegium.graphs.answers import Agrees, agrees_with, gives_away, numbers
from collegium.graphs.graph import Node, ThoughtGraph
from collegium.graphs.kinds import CONTEXT_EDGES, MENDING
from collegium.graphs.policy import Policy
from collegium.graphs.structure import Structure

Size = Callable[[Node], int]
"""How many tokens a node takes."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `place` is ``nodes[i]``, ``edges[i]`` or ``graph``."""

    code: str
    place: str
    node: str | None
    message: str
    fix: str
    other: str | None = None
    """The node that is repeated (E13)."""

    def __str__(self) -> str:
        """Return code, place, message and fix as one line."""
        who = f" ({self.node})" if self.node is not None else ""
        return f"{self.code} {self.place}{who}: {self.message}; {self.fix}"

    @property
    def index(self) -> int | None:
        """Number of the node or edge."""
        return int(self.place[6:-1]) if self.place != "graph" else None


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
    form = [*_ids(graph), *_edges(graph), *_cycle(graph, structure), *_root(graph, structure)]
    texts = list(_texts(graph, policy))
    if form:
        return form + texts
    return [
        *texts,
        *_reached(graph, structure),
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


def _at(graph: ThoughtGraph, code: str, i: int, message: str, fix: str) -> Problem:
    return Problem(code, f"nodes[{i}]", graph.nodes[i].id, message, fix)


def _too_many(graph: ThoughtGraph, policy: Policy) -> Problem:
    return Problem(
        "E11",
        "graph",
        None,
        f"{len(graph.nodes)} nodes, at most {policy.max_nodes} are allowed",
        "leave branches out or raise max_nodes",
    )


def _ids(graph: ThoughtGraph) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for i, node in enumerate(graph.nodes):
        if node.id in first:
            message = f"the id {node.id!r} is also that of nodes[{first[node.id]}]"
            yield _at(graph, "E01", i, message, "give it an id of its own")
        first.setdefault(node.id, i)


def _edges(graph: ThoughtGraph) -> Iterator[Problem]:
    known = {node.id for node in graph.nodes}
    for i, edge in enumerate(graph.edges):
        for end in (edge.src, edge.dst):
            if end not in known:
                yield Problem(
                    "E02", f"edges[{i}]", end, f"no node {end!r}", "remove the edge or add the node"
                )
                break


def _texts(graph: ThoughtGraph, policy: Policy) -> Iterator[Problem]:
    for i, node in enumerate(graph.nodes):
        if not node.text.strip():
            yield _at(graph, "E10", i, "no text", "write one or remove the node")
        elif len(node.text) > policy.max_text:
            message = f"text of {len(node.text)} characters, at most {policy.max_text} are allowed"
            yield _at(graph, "E10", i, message, "shorten it or raise max_text")


def _cycle(graph: ThoughtGraph, structure: Structure) -> Iterator[Problem]:
    if structure.order is not None:
        return
    for i in closing_edges(graph, structure):
        edge = graph.edges[i]
        yield Problem(
            "E03",
            f"edges[{i}]",
            edge.dst,
            f"{edge.kind} {edge.src} -> {edge.dst} closes a circle",
            "remove it or make it `uses`",
        )


def closing_edges(graph: ThoughtGraph, structure: Structure) -> list[int]:
    """Return the context edges that close a circle when edges are added in their order."""
    below: list[set[int]] = [set() for _ in graph.nodes]
    closing = []
    for i, edge in enumerate(graph.edges):
        src, dst = structure.number.get(edge.src), structure.number.get(edge.dst)
        if edge.kind not in CONTEXT_EDGES or src is None or dst is None:
            continue
        if _leads(below, dst, src):
            closing.append(i)
        else:
            below[src].add(dst)
    return closing


def _leads(below: list[set[int]], start: int, end: int) -> bool:
    seen, stack = {start}, [start]
    while stack:
        node = stack.pop()
        if node == end:
            return True
        new = below[node] - seen
        seen |= new
        stack.extend(new)
    return False


def _root(graph: ThoughtGraph, structure: Structure) -> Iterator[Problem]:
    problems = [i for i, node in enumerate(graph.nodes) if node.kind == "problem"]
    if not problems:
        yield Problem("E04", "graph", None, "no problem node", "add one with the problem's text")
        return
    for i in problems[1:]:
        message = f"a second problem node beside {graph.nodes[problems[0]].id!r}"
        yield _at(graph, "E04", i, message, "keep one root")
    root = problems[0]
    if structure.parents[root]:
        parent = graph.nodes[structure.parents[root][0]].id
        yield _at(graph, "E04", root, f"the root has a parent, {parent!r}", "remove that edge")
    if graph.nodes[root].text.strip() and graph.nodes[root].text != graph.problem:
        yield _at(graph, "E04", root, "its text differs from `problem`", "make them the same")


def _reached(graph: ThoughtGraph, structure: Structure) -> Iterator[Problem]:
    root = next(i for i, node in enumerate(graph.nodes) if node.kind == "problem")
    seen = structure.reachable(root)
    for i in range(len(graph.nodes)):
        if i not in seen:
            message = "no context edges lead here from the problem"
            yield _at(graph, "E05", i, message, "connect it or remove it")


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
            yield _at(graph, "E07", i, message, "remove its path or mark it as wrong")


def _wrong_text(graph: ThoughtGraph, structure: Structure) -> Iterator[Problem]:
    tainted = wrong_into(graph, structure)
    for i, node in enumerate(graph.nodes):
        if node.kind == "answer" and tainted[i] and not node.wrong:
            message = "wrong text leads to this answer without a correction in between"
            yield _at(graph, "E08", i, message, "put a correction between them or cut the edge")
        if node.wrong and node.weight:
            message = f"wrong text with a weight of {node.weight:g}"
            yield _at(graph, "E08", i, message, "set its weight to 0")


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
            yield _at(graph, "E11", i, message, "leave it out or use a student with more positions")


def _leaks(graph: ThoughtGraph) -> Iterator[Problem]:
    for i, node in enumerate(graph.nodes):
        if node.kind in ("problem", "strategy") and gives_away(node.text, graph.answer):
            message = f"a {node.kind} that states the answer"
            yield _at(graph, "E12", i, message, "take the answer out of it")


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
            yield _at(graph, "E14", i, message, "add an error analysis or correction below it")


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
                yield _at(graph, "E15", i, f"a {node.kind} without `{name}`", "ask for it")

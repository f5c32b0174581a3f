"""Whether a graph is one: ids, edges, circles, its root, its texts (E01 .. E05, E10)."""

from __future__ import annotations

from collections.abc import Iterator

from collegium.graphs.graph import ThoughtGraph
from collegium.graphs.kinds import CONTEXT_EDGES
from collegium.graphs.policy import Policy
from collegium.graphs.problem import Problem, at
from collegium.graphs.structure import Structure


def ids(graph: ThoughtGraph) -> Iterator[Problem]:
    """Yield the nodes whose id another node has (E01)."""
    first: dict[str, int] = {}
    for i, node in enumerate(graph.nodes):
        if node.id in first:
            message = f"the id {node.id!r} is also that of nodes[{first[node.id]}]"
            yield at(graph, "E01", i, message, "give it an id of its own")
        first.setdefault(node.id, i)


def edges(graph: ThoughtGraph) -> Iterator[Problem]:
    """Yield the edges to or from a node that does not exist (E02)."""
    known = {node.id for node in graph.nodes}
    for i, edge in enumerate(graph.edges):
        for end in (edge.src, edge.dst):
            if end not in known:
                yield Problem(
                    "E02", f"edges[{i}]", end, f"no node {end!r}", "remove the edge or add the node"
                )
                break


def texts(graph: ThoughtGraph, policy: Policy) -> Iterator[Problem]:
    """Yield the nodes without a text, or with one that is too long (E10)."""
    for i, node in enumerate(graph.nodes):
        if not node.text.strip():
            yield at(graph, "E10", i, "no text", "write one or remove the node")
        elif len(node.text) > policy.max_text:
            message = f"text of {len(node.text)} characters, at most {policy.max_text} are allowed"
            yield at(graph, "E10", i, message, "shorten it or raise max_text")


def cycle(graph: ThoughtGraph, structure: Structure) -> Iterator[Problem]:
    """Yield the context edges that close a circle (E03)."""
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


def root(graph: ThoughtGraph, structure: Structure) -> Iterator[Problem]:
    """Yield what keeps the problem from being the one root (E04)."""
    problems = [i for i, node in enumerate(graph.nodes) if node.kind == "problem"]
    if not problems:
        yield Problem("E04", "graph", None, "no problem node", "add one with the problem's text")
        return
    for i in problems[1:]:
        message = f"a second problem node beside {graph.nodes[problems[0]].id!r}"
        yield at(graph, "E04", i, message, "keep one root")
    root = problems[0]
    if structure.parents[root]:
        parent = graph.nodes[structure.parents[root][0]].id
        yield at(graph, "E04", root, f"the root has a parent, {parent!r}", "remove that edge")
    if graph.nodes[root].text.strip() and graph.nodes[root].text != graph.problem:
        yield at(graph, "E04", root, "its text differs from `problem`", "make them the same")


def reached(graph: ThoughtGraph, structure: Structure) -> Iterator[Problem]:
    """Yield the nodes that no context edges lead to (E05)."""
    root = next(i for i, node in enumerate(graph.nodes) if node.kind == "problem")
    seen = structure.reachable(root)
    for i in range(len(graph.nodes)):
        if i not in seen:
            message = "no context edges lead here from the problem"
            yield at(graph, "E05", i, message, "connect it or remove it")

"""Parts of a graph: without some kinds of nodes, with fewer paths, within a budget."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from collegium.errors import DataError
from collegium.graphs.graph import Edge, Node, ThoughtGraph
from collegium.graphs.kinds import CONTEXT_EDGES, MENDING, NodeKind
from collegium.graphs.structure import Structure
from collegium.graphs.validate import wrong_into

Size = Callable[[Node], int]


def right_path(structure: Structure, path: Sequence[int]) -> bool:
    """Tell whether a path ends in an answer not known to be wrong and holds no mistakes."""
    nodes = [structure.graph.nodes[i] for i in path]
    clean = not any(node.wrong or node.kind in MENDING for node in nodes)
    return clean and nodes[-1].kind == "answer"


def right_paths(graph: ThoughtGraph, limit: int | None = None) -> list[list[int]]:
    """Return the right paths in the teacher's order; a verified answer comes first."""
    structure = Structure(graph)
    clean = [not t for t in wrong_into(graph, structure)]
    found: list[list[int]] = []
    for path in structure.paths(lambda node: node.kind == "answer" and not node.wrong):
        if clean[path[-1]] and right_path(structure, path):
            found.append(path)
        if limit is not None and len(found) >= 16 * limit:
            break
    found.sort(key=lambda path: graph.nodes[path[-1]].correct is not True)
    return found[:limit]


def without_kinds(graph: ThoughtGraph, kinds: Collection[NodeKind]) -> ThoughtGraph:
    """Return the graph without nodes of these kinds.

    What hangs on a left-out misconception goes with it (its analysis says nothing alone);
    otherwise parents and children are joined.
    """
    unknown = {"problem", "answer"} & set(kinds)
    if unknown:
        raise DataError(f"a graph needs its {', '.join(sorted(unknown))} nodes")
    if "misconception" in kinds:
        structure = Structure(graph)
        order = structure.acyclic_order()
        gone = {i for i, node in enumerate(graph.nodes) if node.wrong}
        for i in order:
            if structure.parents[i] and all(p in gone for p in structure.parents[i]):
                gone.add(i)
        graph = keep(graph, [i for i in range(len(graph.nodes)) if i not in gone])
    for node in graph.nodes:
        if node.kind in kinds:
            graph = spliced(graph, node.id)
    return graph


def keep(graph: ThoughtGraph, numbers: Collection[int]) -> ThoughtGraph:
    """Return the graph of some nodes and the edges between them."""
    kept = sorted(set(numbers))
    ids = {graph.nodes[i].id for i in kept}
    edges = tuple(e for e in graph.edges if e.src in ids and e.dst in ids)
    return graph.model_copy(update={"nodes": tuple(graph.nodes[i] for i in kept), "edges": edges})


def spliced(graph: ThoughtGraph, identifier: str) -> ThoughtGraph:
    """Leave one node out and join its parents to its children."""
    edges: list[Edge] = []
    above = [e for e in graph.edges if e.dst == identifier and e.kind in CONTEXT_EDGES]
    for edge in graph.edges:
        if edge.src == identifier and edge.kind in CONTEXT_EDGES:
            edges += [edge.model_copy(update={"src": up.src}) for up in above]
        elif identifier not in (edge.src, edge.dst):
            edges.append(edge)
    nodes = tuple(node for node in graph.nodes if node.id != identifier)
    return graph.model_copy(update={"nodes": nodes, "edges": tuple(dict.fromkeys(edges))})


def with_paths(graph: ThoughtGraph, most: int) -> ThoughtGraph:
    """Return the graph with its first right paths only, and the mistakes beside them."""
    structure = Structure(graph)
    kept = {i for path in right_paths(graph, most) for i in path}
    if not kept:
        return graph
    for i in structure.acyclic_order():
        node = graph.nodes[i]
        side = node.wrong or node.kind in (*MENDING, "monitor", "alternative")
        if side and structure.parents[i] and all(p in kept for p in structure.parents[i]):
            kept.add(i)
    return keep(graph, kept)


_FIRST_TO_GO: tuple[tuple[NodeKind, ...], ...] = (
    ("alternative",),
    ("misconception",),
    ("monitor",),
    ("evaluation",),
)


def within(graph: ThoughtGraph, budget: int, size: Size) -> tuple[ThoughtGraph, int]:
    """Return the graph with as much as fits a budget, and how many nodes were left out.

    First to go, one at a time from the end: alternatives, misconceptions (with what hangs on
    them), monitors, evaluations, then whole paths but the best. The best path always stays, so
    the result may still exceed a budget that is too small for it.
    """
    before = len(graph.nodes)
    for kinds in _FIRST_TO_GO:
        while sum(map(size, graph.nodes)) > budget:
            last = next((n for n in reversed(graph.nodes) if n.kind in kinds), None)
            if last is None:
                break
            graph = _without_node(graph, last)
    paths = len(right_paths(graph, 64))
    while sum(map(size, graph.nodes)) > budget and paths > 1:
        paths -= 1
        graph = with_paths(graph, paths)
    return graph, before - len(graph.nodes)


def _without_node(graph: ThoughtGraph, node: Node) -> ThoughtGraph:
    if not node.wrong:
        return spliced(graph, node.id)
    structure = Structure(graph)
    gone = {structure.number[node.id]}
    for i in structure.acyclic_order():
        if structure.parents[i] and all(p in gone for p in structure.parents[i]):
            gone.add(i)
    return keep(graph, [i for i in range(len(graph.nodes)) if i not in gone])

"""Mending a graph by its policy. Every change is counted; nothing is invented.

Repairs leave out or cut: an edge, a node, a sentence, a weight. What only a teacher can mend (no
answer, too few paths, missing fields) rejects the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from collegium.graphs.answers import Agrees, gives_away
from collegium.graphs.graph import Edge, Node, ThoughtGraph
from collegium.graphs.kinds import CONTEXT_EDGES, MENDING
from collegium.graphs.policy import FIXABLE, Policy
from collegium.graphs.problem import Problem
from collegium.graphs.select import spliced
from collegium.graphs.steps import sentences
from collegium.graphs.structure import Structure
from collegium.graphs.validate import Size, validate

_ROUNDS = 200


@dataclass(frozen=True)
class Repaired:
    """The outcome: the mended graph or None, repairs by code, and why it was rejected."""

    graph: ThoughtGraph | None
    repairs: Counter[str] = field(default_factory=Counter)
    problems: tuple[Problem, ...] = ()


def repair(
    graph: ThoughtGraph,
    policy: Policy | None = None,
    *,
    agrees: Agrees | None = None,
    size: Size | None = None,
) -> Repaired:
    """Mend a graph until `validate` finds nothing, or reject it.

    Arguments as `validate`. A repaired graph has no problems under the same policy.
    """
    policy = policy or Policy()
    repairs: Counter[str] = Counter()
    for _ in range(_ROUNDS):
        problems = validate(graph, policy, agrees=agrees, size=size)
        if not problems:
            return Repaired(graph, repairs)
        fatal = [p for p in problems if _is_fatal(p, graph, policy)]
        if fatal:
            return Repaired(None, repairs, tuple(fatal))
        code = problems[0].code
        now = [p for p in problems if p.code == code]
        graph = _mend(graph, code, now, policy)
        repairs[code] += len(now)
    return Repaired(None, repairs, tuple(validate(graph, policy, agrees=agrees, size=size)))


def _is_fatal(problem: Problem, graph: ThoughtGraph, policy: Policy) -> bool:
    if problem.code not in FIXABLE or policy.action(problem.code) == "reject":
        return True
    index = problem.index
    if problem.code == "E04":
        return not graph.problem.strip() and not any(n.kind == "problem" for n in graph.nodes)
    if problem.code == "E11":
        return index is None or graph.nodes[index].kind == "problem"
    if problem.code in ("E10", "E12") and index is not None:
        node = graph.nodes[index]
        return node.kind == "problem" and not (problem.code == "E10" and graph.problem.strip())
    return False


def _mend(
    graph: ThoughtGraph, code: str, problems: Sequence[Problem], policy: Policy
) -> ThoughtGraph:
    marked = [p.index for p in problems if p.index is not None]
    match code:
        case "E01":
            return _rename(graph, marked)
        case "E02" | "E03":
            return _keep_edges(graph, lambda i, _: i not in set(marked))
        case "E04":
            return _one_root(graph)
        case "E05":
            return _without(graph, marked)
        case "E07" | "E11":
            return _without(graph, _dead_ends(graph, marked))
        case "E08":
            return _keep_wrong_apart(graph, marked)
        case "E10":
            return _texts(graph, marked, policy)
        case "E12":
            return _without_leaks(graph, marked)
        case "E13":
            return _merged(graph, problems)
        case _:
            return _without(graph, marked)


def _rename(graph: ThoughtGraph, marked: Iterable[int]) -> ThoughtGraph:
    """Give repeated ids new ones; edges stay with the first. Exact copies go."""
    taken = {node.id for node in graph.nodes}
    first = {node.id: node for node in reversed(graph.nodes)}
    nodes: list[Node] = []
    again = set(marked)
    for i, node in enumerate(graph.nodes):
        if i in again:
            if node == first[node.id]:
                continue
            number = 2
            while f"{node.id}~{number}" in taken:
                number += 1
            node = node.model_copy(update={"id": f"{node.id}~{number}"})
            taken.add(node.id)
        nodes.append(node)
    return graph.model_copy(update={"nodes": tuple(nodes)})


def _keep_edges(graph: ThoughtGraph, keep: Callable[[int, Edge], bool]) -> ThoughtGraph:
    edges = tuple(edge for i, edge in enumerate(graph.edges) if keep(i, edge))
    return graph.model_copy(update={"edges": edges})


def _without(graph: ThoughtGraph, marked: Iterable[int]) -> ThoughtGraph:
    gone = set(marked)
    ids = {graph.nodes[i].id for i in gone}
    nodes = tuple(node for i, node in enumerate(graph.nodes) if i not in gone)
    edges = tuple(e for e in graph.edges if e.src not in ids and e.dst not in ids)
    return graph.model_copy(update={"nodes": nodes, "edges": edges})


def _spliced(graph: ThoughtGraph, marked: Iterable[int]) -> ThoughtGraph:
    for identifier in [graph.nodes[i].id for i in marked]:
        graph = spliced(graph, identifier)
    return graph


def _one_root(graph: ThoughtGraph) -> ThoughtGraph:
    problems = [node for node in graph.nodes if node.kind == "problem"]
    if not problems:
        taken = {node.id for node in graph.nodes}
        name = next(n for n in ("p", *(f"p~{k}" for k in range(len(taken) + 1))) if n not in taken)
        structure = Structure(graph)
        starts = [graph.nodes[i].id for i in structure.roots]
        nodes = (Node(id=name, kind="problem", text=graph.problem), *graph.nodes)
        edges = (*(Edge(src=name, dst=start) for start in starts), *graph.edges)
        return graph.model_copy(update={"nodes": nodes, "edges": edges})
    root, others = problems[0], {node.id for node in problems[1:]}
    text = graph.problem if graph.problem.strip() else root.text
    nodes = tuple(
        node.model_copy(update={"text": text}) if node is root else node
        for node in graph.nodes
        if node.id not in others
    )
    edges = []
    for edge in graph.edges:
        if edge.src in others:
            edge = edge.model_copy(update={"src": root.id})
        if edge.dst in others or (edge.dst == root.id and edge.kind in CONTEXT_EDGES):
            continue
        edges.append(edge)
    changes = {"problem": text, "nodes": nodes, "edges": tuple(dict.fromkeys(edges))}
    return graph.model_copy(update=changes)


def _dead_ends(graph: ThoughtGraph, marked: Iterable[int]) -> set[int]:
    """Return the marked nodes, what lies below them only, and what led to them only."""
    structure, gone = Structure(graph), set(marked)
    order = structure.acyclic_order()
    for i in order:
        if structure.parents[i] and all(p in gone for p in structure.parents[i]):
            gone.add(i)
    for i in reversed(order):
        below = structure.children[i]
        if below and graph.nodes[i].kind != "problem" and all(c in gone for c in below):
            gone.add(i)
    return gone


def _keep_wrong_apart(graph: ThoughtGraph, marked: Iterable[int]) -> ThoughtGraph:
    nodes = tuple(
        node.model_copy(update={"weight": None}) if node.wrong and node.weight else node
        for node in graph.nodes
    )
    graph = graph.model_copy(update={"nodes": nodes})
    structure = Structure(graph)
    above = 0
    for i in marked:
        if not graph.nodes[i].wrong:
            above |= structure.ancestors[i] | (1 << i)

    def keep(_: int, edge: Edge) -> bool:
        src, dst = structure.number[edge.src], structure.number[edge.dst]
        leads = edge.kind in CONTEXT_EDGES and above >> dst & 1 and graph.nodes[src].wrong
        target = graph.nodes[dst]
        return not (leads and not target.wrong and target.kind not in MENDING)

    return _keep_edges(graph, keep)


def _texts(graph: ThoughtGraph, marked: Sequence[int], policy: Policy) -> ThoughtGraph:
    empty = [i for i in marked if not graph.nodes[i].text.strip()]
    changed = set(marked) - set(empty)
    nodes = list(graph.nodes)
    for i in changed:
        nodes[i] = nodes[i].model_copy(update={"text": _shortened(nodes[i].text, policy.max_text)})
    for i in [i for i in empty if nodes[i].kind == "problem"]:
        nodes[i] = nodes[i].model_copy(update={"text": graph.problem})
        empty.remove(i)
    return _spliced(graph.model_copy(update={"nodes": tuple(nodes)}), empty)


def _shortened(text: str, limit: int) -> str:
    """Cut after the last whole sentence that fits, else after the last whole word."""
    text = text.strip()
    kept = ""
    for sentence in sentences(text):
        longer = f"{kept} {sentence}".strip()
        if len(longer) > limit:
            break
        kept = longer
    if kept:
        return kept
    head = text[:limit]
    return head.rsplit(None, 1)[0] if " " in head.strip() else head


def _without_leaks(graph: ThoughtGraph, marked: Sequence[int]) -> ThoughtGraph:
    nodes, empty = list(graph.nodes), []
    for i in marked:
        kept = [s for s in sentences(nodes[i].text) if not gives_away(s, graph.answer)]
        text = " ".join(kept)
        if text.strip() and not gives_away(text, graph.answer):
            nodes[i] = nodes[i].model_copy(update={"text": text})
        else:
            empty.append(i)
    return _spliced(graph.model_copy(update={"nodes": tuple(nodes)}), empty)


def _merged(graph: ThoughtGraph, problems: Sequence[Problem]) -> ThoughtGraph:
    """Move what lies below each copy to the sibling that it repeats."""
    into: dict[str, str] = {}
    for problem in problems:
        if problem.node is not None and problem.other is not None:
            into.setdefault(problem.node, problem.other)

    def kept(identifier: str) -> str:
        seen = set()
        while identifier in into and identifier not in seen:
            seen.add(identifier)
            identifier = into[identifier]
        return identifier

    gone = {name for name in into if kept(name) != name}
    edges = []
    for edge in graph.edges:
        if edge.dst in gone and edge.kind in CONTEXT_EDGES:
            continue
        moved = edge.model_copy(update={"src": kept(edge.src), "dst": kept(edge.dst)})
        if moved.src != moved.dst:
            edges.append(moved)
    nodes = tuple(node for node in graph.nodes if node.id not in gone)
    return graph.model_copy(update={"nodes": nodes, "edges": tuple(dict.fromkeys(edges))})

"""How the nodes of a graph hang together: parents, order, ancestors, depth, paths.

Works on unsound graphs too: edges to unknown ids are passed over, of nodes with the same id the
first counts, and `order` is None where the context edges run in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from hashlib import blake2b

from collegium.errors import DataError
from collegium.graphs.graph import Node, ThoughtGraph
from collegium.graphs.kinds import CONTEXT_EDGES


class Structure:
    """The context DAG of a graph, by node number (position in `graph.nodes`)."""

    def __init__(self, graph: ThoughtGraph) -> None:
        self.graph = graph
        self.number: dict[str, int] = {}
        for i, node in enumerate(graph.nodes):
            self.number.setdefault(node.id, i)
        size = len(graph.nodes)
        self.parents: list[list[int]] = [[] for _ in range(size)]
        """Context parents of each node, the primary one first, then in the order of the edges."""
        self.children: list[list[int]] = [[] for _ in range(size)]
        """Context children of each node, in the order of the edges."""
        for edge in graph.edges:
            src, dst = self.number.get(edge.src), self.number.get(edge.dst)
            if edge.kind not in CONTEXT_EDGES or src is None or dst is None:
                continue
            if src in self.parents[dst]:
                if edge.kind == "primary":
                    self.parents[dst].remove(src)
                    self.parents[dst].insert(0, src)
                continue
            self.parents[dst].insert(0 if edge.kind == "primary" else size, src)
            self.children[src].append(dst)

    @cached_property
    def roots(self) -> list[int]:
        """Nodes without a context parent."""
        return [i for i, parents in enumerate(self.parents) if not parents]

    @cached_property
    def order(self) -> list[int] | None:
        """Topological order, earlier nodes of the file first; None where there is a cycle."""
        import heapq

        missing = [len(parents) for parents in self.parents]
        ready = [i for i, count in enumerate(missing) if not count]
        heapq.heapify(ready)
        order = []
        while ready:
            node = heapq.heappop(ready)
            order.append(node)
            for child in self.children[node]:
                missing[child] -= 1
                if not missing[child]:
                    heapq.heappush(ready, child)
        return order if len(order) == len(missing) else None

    def acyclic_order(self) -> list[int]:
        """Return `order`.

        Raises:
            DataError: the context edges run in a circle.
        """
        if self.order is None:
            raise DataError(
                f"graph {self.graph.id!r}: its context edges run in a circle (E03); repair it first"
            )
        return self.order

    @cached_property
    def ancestors(self) -> list[int]:
        """Bit set of each node's context ancestors (bit i = node i)."""
        found = [0] * len(self.parents)
        for node in self.acyclic_order():
            for parent in self.parents[node]:
                found[node] |= found[parent] | (1 << parent)
        return found

    def reachable(self, start: int) -> set[int]:
        """Return `start` and all its context descendants."""
        seen, stack = {start}, [start]
        while stack:
            for child in self.children[stack.pop()]:
                if child not in seen:
                    seen.add(child)
                    stack.append(child)
        return seen

    def levels(self, size: Callable[[Node], int] = lambda node: 1) -> list[int]:
        """Return the longest path from a root to the end of each node, in units of `size`."""
        depth = [0] * len(self.parents)
        for node in self.acyclic_order():
            above = max((depth[p] for p in self.parents[node]), default=0)
            depth[node] = above + size(self.graph.nodes[node])
        return depth

    @cached_property
    def leaves(self) -> list[int]:
        """Nodes without a context child."""
        return [i for i, children in enumerate(self.children) if not children]

    def path_counts(self) -> list[int]:
        """Return how many paths lead from a root to each node."""
        counts = [0] * len(self.parents)
        for node in self.acyclic_order():
            counts[node] = sum(counts[p] for p in self.parents[node]) or 1
        return counts

    def paths(self, ends: Callable[[Node], bool] | None = None) -> Iterator[list[int]]:
        """Yield the paths from roots to nodes that `ends` accepts (default: to leaves).

        Depth first, children in the order of the edges. There can be exponentially many: take as
        many as are needed.
        """
        self.acyclic_order()
        if ends is None:
            stop = set(self.leaves)
        else:
            stop = {i for i, node in enumerate(self.graph.nodes) if ends(node)}
        leads = set(stop)
        for node in reversed(self.acyclic_order()):
            if any(child in leads for child in self.children[node]):
                leads.add(node)
        stack = [[root] for root in reversed(self.roots) if root in leads]
        while stack:
            path = stack.pop()
            if path[-1] in stop:
                yield path
            onward = [child for child in self.children[path[-1]] if child in leads]
            stack.extend([*path, child] for child in reversed(onward))


def fingerprint(graph: ThoughtGraph) -> str:
    """Return a hash that is equal for graphs that differ in ids, order, spans and source only.

    A node is known by its content and by the nodes above it; edges by the nodes they join.

    Raises:
        DataError: the context edges run in a circle.
    """
    structure = Structure(graph)
    known = [""] * len(graph.nodes)
    for i in structure.acyclic_order():
        content = graph.nodes[i].model_dump_json(exclude={"id", "span"})
        above = sorted(known[p] for p in structure.parents[i])
        known[i] = _hash("\0".join([content, *above]))
    edges = sorted(
        f"{known[structure.number[e.src]]}{known[structure.number[e.dst]]}{e.kind}"
        for e in graph.edges
        if e.src in structure.number and e.dst in structure.number
    )
    head = graph.model_dump_json(include={"problem", "answer"})
    return _hash("\0".join([head, *sorted(known), *edges]))


def _hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

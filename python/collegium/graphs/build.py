"""Putting a graph together note by note, for builders that know what they write."""

from __future__ import annotations

from collegium.graphs.graph import Alternative, Answer, Edge, Node, Source, ThoughtGraph
from collegium.graphs.kinds import EdgeKind, NodeKind

ROOT = "p"
_LETTERS: dict[NodeKind, str] = {
    "problem": "p",
    "strategy": "t",
    "step": "s",
    "alternative": "o",
    "misconception": "m",
    "error_analysis": "e",
    "correction": "k",
    "monitor": "c",
    "evaluation": "v",
    "answer": "a",
}


class GraphBuilder:
    """Collects nodes and edges; ids are made up (``s3`` = the third step)."""

    def __init__(self, problem: str) -> None:
        self.nodes: list[Node] = [Node(id=ROOT, kind="problem", text=problem)]
        self.edges: list[Edge] = []
        self._counts: dict[NodeKind, int] = {}
        self._onward: set[str] = set()

    def add(
        self,
        kind: NodeKind,
        text: str,
        parent: str,
        *,
        relation: EdgeKind | None = None,
        why: str | None = None,
        alternatives: tuple[Alternative, ...] = (),
        contributes: str | None = None,
        correct: bool | None = None,
        weight: float | None = None,
    ) -> str:
        """Add a node below `parent` and return its id.

        `relation` is by default ``error`` for misconceptions, ``fork`` where the parent goes on
        already, else ``next``.
        """
        self._counts[kind] = self._counts.get(kind, 0) + 1
        identifier = f"{_LETTERS[kind]}{self._counts[kind]}"
        node = Node(
            id=identifier,
            kind=kind,
            text=text,
            why=why,
            alternatives=alternatives,
            contributes=contributes,
            correct=False if kind == "misconception" else correct,
            weight=weight,
        )
        if relation is None:
            forks = parent in self._onward and kind not in ("monitor", "evaluation")
            relation = "error" if kind == "misconception" else "fork" if forks else "next"
        if relation in ("next", "fork"):
            self._onward.add(parent)
        self.nodes.append(node)
        self.edges.append(Edge(src=parent, dst=identifier, kind=relation))
        return identifier

    def mistake(self, wrong: str, analysis: str, correction: str, parent: str) -> str:
        """Add a misconception with its error analysis and correction; return its id."""
        name = self.add("misconception", wrong, parent)
        error = self.add("error_analysis", analysis, name)
        self.add("correction", correction, error, correct=True)
        self.annotate(error, parent, "fixes")
        return name

    def annotate(self, src: str, dst: str, kind: EdgeKind) -> None:
        """Add an edge between nodes that are there."""
        self.edges.append(Edge(src=src, dst=dst, kind=kind))

    def graph(
        self,
        graph_id: str,
        answer: Answer | None,
        *,
        source: Source | None = None,
        license: str | None = None,
    ) -> ThoughtGraph:
        """Return the graph."""
        return ThoughtGraph(
            id=graph_id,
            problem=self.nodes[0].text,
            answer=answer,
            nodes=tuple(self.nodes),
            edges=tuple(self.edges),
            teacher=source,
            license=license,
        )

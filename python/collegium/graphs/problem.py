"""One thing that is wrong with a graph: code, place, what it is and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from collegium.graphs.graph import ThoughtGraph


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


def at(graph: ThoughtGraph, code: str, i: int, message: str, fix: str) -> Problem:
    """Return the problem of node number `i`."""
    return Problem(code, f"nodes[{i}]", graph.nodes[i].id, message, fix)

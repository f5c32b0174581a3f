"""From notes as a teacher wrote them to a graph: kinds, ids and parents set right, and counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from collegium.graphs.answers import agrees_with
from collegium.graphs.graph import Alternative, Answer, Edge, Node, Source, ThoughtGraph
from collegium.graphs.kinds import KIND_ALIASES, MENDING, NODE_KINDS, EdgeKind, NodeKind

PARSE_CODES: dict[str, str] = {
    "P01": "text before the first note, or fences around the notes, left out",
    "P02": "unknown kind taken for a step",
    "P03": "missing id made up",
    "P04": "id used before, a new one made up",
    "P05": "missing parent: the note before on the same path",
    "P06": "reference to an unknown or later note dropped",
    "P07": "reference of a note to itself dropped",
    "P08": "cut off: the last, incomplete note dropped",
    "P09": "header without its @, or in another shape",
    "P10": "note without text dropped",
    "P11": "the problem written again: merged with the root",
    "P12": "evaluation below an answer put before it",
    "P13": "analysis or correction that names no mistake: put below the last mistake",
    "P14": "damaged JSON: the whole objects in it kept",
    "P15": "note below an answer put below the note before the answer",
}
"""Code to what the parser did."""

_ROOT = "p"


@dataclass
class Note:
    """One note as it was read. `parents` is None where nothing was said."""

    kind: str
    id: str = ""
    parents: list[str] | None = None
    uses: list[str] = field(default_factory=list)
    text: str = ""
    why: str | None = None
    alternatives: list[Alternative] = field(default_factory=list)
    contributes: str | None = None
    span: tuple[int, int] | None = None
    odd: bool = False
    """Whether its header had another shape."""
    above: list[str] = field(default_factory=list)
    """Names behind a second ``<``: parents of the parent, for want of a known one."""


@dataclass(frozen=True)
class ParsedGraph:
    """A graph, or None where no note was found; what the parser repaired, by code."""

    graph: ThoughtGraph | None
    repairs: Counter[str]
    notes: int = 0


def known_kind(name: str) -> NodeKind | None:
    """Return the kind that a name stands for, None for an unknown one."""
    plain = re.sub(r"[\s-]+", "_", name.strip().lower()).strip("_")
    if plain in NODE_KINDS:
        return plain
    for candidate in (plain, plain.replace("_", ""), plain.rstrip("s"), plain.split("_")[0]):
        if candidate in NODE_KINDS:
            return candidate
        if candidate in KIND_ALIASES:
            return KIND_ALIASES[candidate]
    return None


def assemble(
    notes: Iterable[Note],
    *,
    problem: str,
    graph_id: str,
    answer: Answer | None = None,
    source: Source | None = None,
    license: str | None = None,
    repairs: Counter[str] | None = None,
) -> ParsedGraph:
    """Build the graph of a list of notes; never raises on what notes may hold.

    References lead to earlier notes only, so no circle can come about. `correct` is set for
    misconceptions (false) and for answers that agree with a known answer (true).
    """
    builder = _Builder(problem, repairs if repairs is not None else Counter())
    count = 0
    for note in notes:
        count += 1
        builder.add(note)
    if len(builder.nodes) == 1:
        return ParsedGraph(None, builder.repairs, count)
    nodes, verified = builder.judged(answer)
    if answer is not None and verified:
        answer = answer.model_copy(update={"verified": True})
    graph = ThoughtGraph(
        id=clean(graph_id),
        problem=nodes[0].text,
        answer=answer,
        nodes=nodes,
        edges=tuple(dict.fromkeys(builder.edges)),
        teacher=source,
        license=license,
    )
    return ParsedGraph(graph, builder.repairs, count)


def clean(text: str) -> str:
    """Return text without halves of surrogate pairs and control characters."""
    return "".join(c for c in text if c in "\n\t" or not ("\ud800" <= c <= "\udfff" or ord(c) < 32))


class _Builder:
    def __init__(self, problem: str, repairs: Counter[str]) -> None:
        self.repairs = repairs
        self.nodes: dict[str, Node] = {_ROOT: Node(id=_ROOT, kind="problem", text=clean(problem))}
        self.edges: list[Edge] = []
        self.names: dict[str, str] = {_ROOT: _ROOT, "problem": _ROOT}
        self.parent: dict[str, str] = {}
        self.before: list[str] = []
        """Notes on right paths, in order: what a note without a parent may follow."""
        self.mistake: str | None = None
        self.mending: str | None = None

    def add(self, note: Note) -> None:
        """Take one note in."""
        self.repairs["P09"] += note.odd
        kind = known_kind(note.kind)
        if kind is None:
            self.repairs["P02"] += 1
            kind = "step"
        if kind == "problem":
            self.repairs["P11"] += 1
            self.names[note.id] = _ROOT
            return
        text = clean(note.text).strip()
        if not text:
            self.repairs["P10"] += 1
            if note.parents and note.id:
                known = [self.names[p] for p in note.parents if p in self.names]
                self.names.setdefault(note.id, known[0] if known else _ROOT)
            return
        identifier = self._name(note, kind)
        parents = self._parents(note, kind, identifier)
        node = Node(
            id=identifier,
            kind=kind,
            text=text,
            why=clean(note.why).strip() or None if note.why else None,
            alternatives=tuple(note.alternatives),
            contributes=clean(note.contributes).strip() or None if note.contributes else None,
            correct=False if kind == "misconception" else None,
            span=note.span,
        )
        if kind == "evaluation" and self.nodes[parents[0]].kind == "answer":
            self._before_answer(node, parents[0])
        else:
            self._join(node, parents)
        for name in note.uses:
            used = self.names.get(name)
            if used is None or used == identifier:
                self.repairs["P06"] += 1
            else:
                self.edges.append(Edge(src=used, dst=identifier, kind="uses"))
        self._remember(node)

    def judged(self, answer: Answer | None) -> tuple[tuple[Node, ...], bool]:
        """Return the nodes, right answers marked, and whether there is one."""
        agrees = agrees_with(answer)
        verified, nodes = False, []
        for node in self.nodes.values():
            if node.kind == "answer" and agrees(node.text):
                verified = True
                node = node.model_copy(update={"correct": True})
            nodes.append(node)
        return tuple(nodes), verified

    def _name(self, note: Note, kind: NodeKind) -> str:
        wanted = clean(note.id).strip()
        if not wanted:
            self.repairs["P03"] += 1
            wanted = f"{kind}{sum(n.kind == kind for n in self.nodes.values()) + 1}"
        name, number = wanted, 2
        while name in self.nodes:
            name, number = f"{wanted}~{number}", number + 1
        if name != wanted and note.id:
            self.repairs["P04"] += 1
        return name

    def _parents(self, note: Note, kind: NodeKind, identifier: str) -> list[str]:
        found: list[str] = []
        known = [name for name in note.parents or [] if name in self.names]
        for name in note.parents or [] if known or not note.above else note.above:
            if name in (note.id, identifier) and name not in self.names:
                self.repairs["P07"] += 1
            elif name not in self.names:
                self.repairs["P06"] += 1
            elif self.names[name] not in found:
                found.append(self.names[name])
        if kind in MENDING and self.mistake is not None:
            fitting = [n for n in found if self._mistaken(n)]
            if not fitting:
                self.repairs["P13"] += 1
                return [self.mending or self.mistake]
            return fitting[:1]
        if not found:
            self.repairs["P05"] += 1
            return [self._default(kind)]
        return [self._off_answer(parent, kind) for parent in found]

    def _off_answer(self, parent: str, kind: NodeKind) -> str:
        if kind == "evaluation" or self.nodes[parent].kind != "answer":
            return parent
        self.repairs["P15"] += 1
        return self.parent.get(parent, _ROOT)

    def _mistaken(self, identifier: str) -> bool:
        node = self.nodes[identifier]
        return node.wrong or node.kind in MENDING

    def _default(self, kind: NodeKind) -> str:
        if kind == "strategy" or not self.before:
            return _ROOT
        last = self.before[-1]
        if kind == "evaluation":
            return last
        if kind == "step" and self.nodes[last].kind in ("strategy", "answer"):
            taken = set(self.parent.values())
            plans = (n.id for n in self.nodes.values() if n.kind == "strategy")
            return next((plan for plan in plans if plan not in taken), _ROOT)
        if self.nodes[last].kind == "answer":
            return _ROOT if kind not in ("misconception", "alternative") else self.parent[last]
        if kind == "alternative":
            return self.parent.get(last, _ROOT)
        return last

    def _join(self, node: Node, parents: list[str]) -> None:
        self.nodes[node.id] = node
        for parent in dict.fromkeys(parents):
            self.edges.append(Edge(src=parent, dst=node.id, kind=self._relation(node, parent)))
        self.parent[node.id] = parents[0]

    def _relation(self, node: Node, parent: str) -> EdgeKind:
        if node.kind == "misconception":
            return "error"
        onward = [e for e in self.edges if e.src == parent and e.kind in ("next", "fork")]
        right = [e for e in onward if self.nodes[e.dst].kind not in MENDING]
        return "fork" if right and node.kind in ("strategy", "alternative", "step") else "next"

    def _before_answer(self, node: Node, answer: str) -> None:
        """An evaluation of an answer stands between what led to it and the answer itself."""
        self.repairs["P12"] += 1
        above = [e for e in self.edges if e.dst == answer and e.kind in ("next", "fork")]
        self.edges = [e for e in self.edges if e not in above]
        self.nodes[node.id] = node
        self.edges += [e.model_copy(update={"dst": node.id}) for e in above]
        self.edges.append(Edge(src=node.id, dst=answer))
        self.edges.append(Edge(src=node.id, dst=answer, kind="evaluates"))
        self.parent[node.id], self.parent[answer] = self.parent[answer], node.id

    def _remember(self, node: Node) -> None:
        self.names.setdefault(node.id, node.id)
        if node.kind == "misconception":
            self.mistake, self.mending = node.id, None
        elif node.kind in MENDING:
            self.mending = node.id
            at = self.mistake
            if node.kind == "error_analysis" and at is not None and self.parent[at] != node.id:
                self.edges.append(Edge(src=node.id, dst=self.parent[at], kind="fixes"))
        elif node.kind != "alternative" and not self._follows_mistake(node.id):
            self.before.append(node.id)

    def _follows_mistake(self, identifier: str) -> bool:
        while identifier in self.parent:
            identifier = self.parent[identifier]
            if self.nodes[identifier].wrong:
                return True
        return False

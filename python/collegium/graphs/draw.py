"""A graph as a picture: Mermaid (for Markdown pages) and DOT (for Graphviz)."""

from __future__ import annotations

import textwrap

from collegium.graphs.graph import Node, ThoughtGraph
from collegium.graphs.kinds import CONTEXT_EDGES, EdgeKind, NodeKind

_FILLS: dict[NodeKind, str] = {
    "problem": "#dbe7f6",
    "strategy": "#efe3f7",
    "step": "#ffffff",
    "alternative": "#f3f3f3",
    "misconception": "#f9d9d6",
    "error_analysis": "#fbe9cf",
    "correction": "#e6f2d9",
    "monitor": "#efe3f7",
    "evaluation": "#efe3f7",
    "answer": "#cfe8d2",
}
_ARROWS: dict[EdgeKind, str] = {"error": "error", "fork": "or", "fixes": "fixes", "uses": "uses"}


def to_mermaid(graph: ThoughtGraph, *, width: int = 32) -> str:
    """Return the graph as a Mermaid flowchart; annotations are dotted, wrong text is red."""
    names = {node.id: f"n{i}" for i, node in reversed(list(enumerate(graph.nodes)))}
    lines = ["flowchart TD"]
    for i, node in enumerate(graph.nodes):
        label = "<br/>".join(_mermaid_text(line) for line in _label(node, width))
        lines.append(f'  n{i}["{label}"]:::{_style(node)}')
    for edge in graph.edges:
        if edge.src not in names or edge.dst not in names:
            continue
        arrow = "-->" if edge.kind in CONTEXT_EDGES else "-.->"
        word = "evaluates" if edge.kind == "evaluates" else _ARROWS.get(edge.kind)
        arrow += f"|{word}|" if word else ""
        lines.append(f"  {names[edge.src]} {arrow} {names[edge.dst]}")
    used = {_style(node) for node in graph.nodes}
    for kind, fill in _FILLS.items():
        if kind in used:
            lines.append(f"  classDef {kind} fill:{fill},stroke:#555,color:#111")
    return "\n".join(lines) + "\n"


def to_dot(graph: ThoughtGraph, *, width: int = 32) -> str:
    """Return the graph in Graphviz' DOT language."""
    names = {node.id: f"n{i}" for i, node in reversed(list(enumerate(graph.nodes)))}
    lines = [
        f"digraph {_quoted(graph.id)} {{",
        '  node [shape=box, style="rounded,filled", fontname="sans-serif"];',
    ]
    for i, node in enumerate(graph.nodes):
        label = "\\n".join(_escaped(line) for line in _label(node, width))
        lines.append(f'  n{i} [label="{label}", fillcolor="{_FILLS[_style(node)]}"];')
    for edge in graph.edges:
        if edge.src not in names or edge.dst not in names:
            continue
        parts = [] if edge.kind in ("next", "primary") else [f"label={_quoted(edge.kind)}"]
        if edge.kind not in CONTEXT_EDGES:
            parts.append("style=dashed, constraint=false")
        options = f" [{', '.join(parts)}]" if parts else ""
        lines.append(f"  {names[edge.src]} -> {names[edge.dst]}{options};")
    return "\n".join([*lines, "}"]) + "\n"


def _style(node: Node) -> NodeKind:
    return "misconception" if node.wrong else node.kind


def _label(node: Node, width: int) -> list[str]:
    head = node.kind.replace("_", " ")
    wrapped = textwrap.wrap(" ".join(node.text.split()), width, max_lines=5, placeholder=" ...")
    return [head, *(wrapped or [""])]


def _mermaid_text(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    for character, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        plain = plain.replace(character, code)
    return plain.replace("`", "'")


def _escaped(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain.replace("\\", "\\\\").replace('"', '\\"')


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'

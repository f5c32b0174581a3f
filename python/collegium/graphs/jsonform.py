"""Reading a graph that a teacher wrote as JSON, whole or damaged."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from collegium.graphs.graph import Alternative
from collegium.graphs.notes import Note, clean

_KIND = ("kind", "type", "node_type", "category")
_TEXT = ("text", "content", "thought", "description", "statement", "step", "value")
_PARENTS = ("parents", "parent", "from", "after", "depends_on", "parent_id", "prev")
_SRC = ("src", "source", "from")
_DST = ("dst", "target", "to")
_SO = ("contributes", "contribution", "so")
_ALTERNATIVES = ("alternatives", "alternative", "alt")
_OBJECT = re.compile(r"\{")


def looks_like_json(text: str) -> bool:
    """Tell whether an output is meant to be JSON: its first bracket comes before any tag."""
    start = re.search(r"[\[{@]", text)
    if start is None or text[start.start()] == "@":
        return False
    return bool(re.match(r"[\[{]\s*(?:[\"'{\[]|$)", text[start.start() :]))


def json_notes(text: str) -> tuple[list[Note], Counter[str]]:
    """Return the notes in a JSON output. Damaged JSON yields the whole objects in it."""
    repairs: Counter[str] = Counter()
    start = re.search(r"[\[{]", text)
    if start is None:
        return [], repairs
    body = text[start.start() :]
    repairs["P01"] += bool(text[: start.start()].strip())
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(body)
        repairs["P01"] += bool(body[end:].strip(" `\n\t")) and not repairs["P01"]
        nodes, edges = _parts(value)
    except (ValueError, RecursionError):
        repairs["P14"] += 1
        found = list(_whole_objects(body))
        nodes = [item for item in found if _first(item, _TEXT) or _first(item, _KIND)]
        edges = [item for item in found if item not in nodes]
    notes = [_note(node) for node in nodes]
    by_id = {note.id: note for note in notes if note.id}
    for edge in edges:
        src, dst = _plain(_first(edge, _SRC)), _plain(_first(edge, _DST))
        note = by_id.get(dst)
        if src and note is not None:
            kind = _plain(edge.get("kind") or edge.get("rel") or edge.get("type"))
            into = note.uses if kind == "uses" else _parents_of(note)
            if kind not in ("fixes", "evaluates") and src not in into:
                into.append(src)
    return notes, +repairs


def _parents_of(note: Note) -> list[str]:
    if note.parents is None:
        note.parents = []
    return note.parents


def _parts(value: Any) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    edges: list[Mapping[str, Any]] = []
    if isinstance(value, Mapping):
        edges = _objects(value.get("edges") or value.get("links"))
        nodes = value.get("nodes") or value.get("notes") or value.get("graph") or value.get("steps")
        if isinstance(nodes, Mapping):
            inner, more = _parts(nodes)
            return inner, edges + more
        if nodes is None:
            nodes = [value] if _first(value, _TEXT) else list(value.values())
        value = nodes
    return _objects(value), edges


def _objects(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return []
    return [item for item in value if isinstance(item, Mapping)]


def _whole_objects(text: str) -> Iterator[Mapping[str, Any]]:
    """Yield the innermost whole objects that stand outside each other."""
    decoder = json.JSONDecoder(strict=False)
    at = 0
    while (found := _OBJECT.search(text, at)) is not None:
        at = found.start() + 1
        try:
            value, end = decoder.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(value, Mapping):
            nodes, edges = _parts(value)
            yield from [*nodes, *edges] if (value.get("nodes") or value.get("edges")) else [value]
            at = end


def _note(node: Mapping[str, Any]) -> Note:
    parents = _first(node, _PARENTS)
    alternatives = _first(node, _ALTERNATIVES)
    if isinstance(alternatives, str | Mapping):
        alternatives = [alternatives]
    text = _first(node, _TEXT)
    return Note(
        kind=_plain(_first(node, _KIND)) or "step",
        id=_plain(node.get("id") or node.get("name")),
        parents=_list(parents) if parents is not None else None,
        uses=_list(node.get("uses")),
        text=_plain(text),
        why=_plain(node.get("why") or node.get("reason")) or None,
        alternatives=[_alternative(item) for item in alternatives or [] if item]
        if isinstance(alternatives, Sequence)
        else [],
        contributes=_plain(_first(node, _SO)) or None,
    )


def _alternative(item: Any) -> Alternative:
    if isinstance(item, Mapping):
        option = _plain(item.get("option") or item.get("text") or item.get("alternative"))
        return Alternative(option=option, reason_rejected=_plain(item.get("reason_rejected")))
    return Alternative(option=_plain(item))


def _first(node: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((node[name] for name in names if node.get(name) not in (None, "")), None)


def _list(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [] if value is None else [value]
    return [name for item in items if (name := _plain(item))]


def _plain(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    return clean(str(value)).strip()

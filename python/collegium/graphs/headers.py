"""Reading the header line of a note: ``@kind id < parents | uses ids``, and what comes close."""

from __future__ import annotations

import re

from collegium.graphs.kinds import KIND_ALIASES, NODE_KINDS
from collegium.graphs.notes import Note, clean, known_kind

_JUNK = re.compile(r"[\s>*#`_-]*")
_WORDS = sorted({k.replace("_", "[ _-]?") for k in (*NODE_KINDS, *KIND_ALIASES)}, key=len)
_KIND = re.compile(rf"(?:{'|'.join(reversed(_WORDS))})s?(?![A-Za-z])", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][A-Za-z_]*")
_GAP = re.compile(r"[ \t*`_]*")
_NAME = re.compile(r"(?:problem|p|[A-Za-z]{0,12}[_-]?\d{1,4}(?:\.\d{1,3})?[a-z]?)(?![\w.]*\w)")
_ID_BEFORE_ARROW = re.compile(r"[A-Za-z]\w{0,15}(?=\s*<)")
_ARROW = re.compile(r"(?:<-{0,2}|←|from\b|after\b)[ \t]*")
_SEPARATOR = re.compile(r"[ \t]*(?:[,&]|\band\b)?[ \t]*")
_USES = re.compile(r"[ \t]*\|[ \t]*uses:?[ \t]*", re.IGNORECASE)
_END = re.compile(r"[ \t*`]*(?P<colon>[:.)])?[ \t*`]*")
_LONGEST = 4000


def header(line: str) -> Note | None:
    """Return the note that a line begins, None for any other line."""
    if len(line) > _LONGEST:
        return None
    start = _JUNK.match(line)
    at = start.end() if start else 0
    marked = line.startswith("@", at)
    if marked:
        at += 1
        at += len(line[at:]) - len(line[at:].lstrip())
    found = _KIND.match(line, at) or (_WORD.match(line, at) if marked else None)
    if found is None:
        return None
    kind, at = found[0], found.end()
    bare = line[at : at + 1] == ":"
    identifier, at = ("", at) if bare else _identifier(line, at, kind)
    parents, uses, at = _references(line, at)
    above: list[str] = []
    if parents:
        chained, uses_behind, at = _references(line, at)
        above, uses = chained or [], uses + uses_behind
    end = _END.match(line, at)
    colon = bool(end and end["colon"])
    text = clean(line[end.end() if end else at :]).strip().strip("*`").strip()
    if not marked and not (colon or (identifier and not text) or parents is not None):
        return None
    if identifier.isdigit():
        identifier = f"{known_kind(kind) or kind}{identifier}"
    return Note(
        kind=kind,
        id=identifier,
        parents=parents,
        uses=uses,
        text=text,
        odd=not marked or bool(text) or colon or bool(above) or line[:1] != "@",
        above=above,
    )


def _identifier(line: str, at: int, kind: str) -> tuple[str, int]:
    gap = _GAP.match(line, at)
    behind = gap.end() if gap else at
    found = _ID_BEFORE_ARROW.match(line, behind) or _NAME.match(line, behind)
    if found is None or (found[0].isdigit() and known_kind(kind) == "answer"):
        return "", at
    return found[0], found.end()


def _references(line: str, at: int) -> tuple[list[str] | None, list[str], int]:
    gap = _GAP.match(line, at)
    behind = gap.end() if gap else at
    arrow = _ARROW.match(line, behind)
    parents: list[str] | None = None
    if arrow is not None:
        parents, at = _names(line, arrow.end())
    uses: list[str] = []
    found = _USES.match(line, at)
    if found is not None:
        uses, at = _names(line, found.end())
    return parents, uses, at


def _names(line: str, at: int) -> tuple[list[str], int]:
    """Read names parted by commas, ``and`` or spaces, as far as they look like ids."""
    names: list[str] = []
    while True:
        gap = _SEPARATOR.match(line, at) if names else None
        behind = gap.end() if gap else at
        found = _NAME.match(line, behind)
        if found is None and not names:
            found = re.compile(r"[A-Za-z]\w{0,15}(?=\s*(?:$|[,|:]))").match(line, behind)
        if found is None:
            return names, at
        names.append(found[0])
        at = found.end()

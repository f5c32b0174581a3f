"""Reading tagged lines as they come: a parser that takes a text in pieces and never raises.

It accepts what weak models write: fences, bold headers, headers without ``@``, ``:`` in place of
``<``, text in the header's line, unknown kinds, a tail that is cut off. Whatever is set right is
counted (`PARSE_CODES`).
"""

from __future__ import annotations

import re
from collections import Counter

from collegium.graphs.graph import Alternative, Answer, Source
from collegium.graphs.headers import header
from collegium.graphs.jsonform import json_notes, looks_like_json
from collegium.graphs.notes import Note, ParsedGraph, assemble, clean

_FIELD = re.compile(
    r"^[\s>*\-]*(?P<name>why|alt|so)\s*:\s*(?:\*\*)?\s*(?P<text>.*)$", re.IGNORECASE
)
_FENCE = re.compile(r"^\s*(?:```|~~~)\w*\s*$")
_FINISHED = re.compile(r"[.!?;:)\]}\"'*\d]\s*$")


class TaggedParser:
    """Reads notes from pieces of text; `close` builds the graph.

    ``feed`` returns the notes that are complete by then. Memory is what the notes take.
    """

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.repairs: Counter[str] = Counter()
        self._rest = ""
        self._at = 0
        self._open: Note | None = None
        self._field: str = "text"
        self._preamble = False

    def feed(self, piece: str) -> list[Note]:
        """Take the next piece of the text; return the notes that it completed."""
        done = len(self.notes)
        self._rest += piece
        *lines, self._rest = self._rest.split("\n")
        for line in lines:
            self._line(line, self._at)
            self._at += len(line) + 1
        return self.notes[done:]

    def finish(self, *, cut_off: bool = False) -> list[Note]:
        """Take the last line in, drop an incomplete note of a text that was cut off."""
        if self._rest:
            self._line(self._rest, self._at)
            self._at += len(self._rest)
            self._rest = ""
        last = self._open
        self._complete()
        self.repairs["P01"] += self._preamble
        if cut_off and last is not None and not _FINISHED.search(last.text):
            self.notes.remove(last)
            self.repairs["P08"] += 1
        return self.notes

    def _line(self, line: str, at: int) -> None:
        if _FENCE.match(line):
            self._preamble = True
            return
        note = header(line)
        if note is not None:
            self._complete()
            note.span = (at, at + len(line))
            self._open, self._field = note, "text"
            return
        if self._open is None:
            self._preamble = self._preamble or bool(line.strip())
            return
        found = _FIELD.match(line)
        if found is not None:
            self._field = found["name"].lower()
            self._extend(found["text"], new=True)
        elif line.strip():
            self._extend(line.strip(), new=False)
        else:
            return
        self._open.span = (self._open.span[0] if self._open.span else at, at + len(line))

    def _extend(self, text: str, *, new: bool) -> None:
        note = self._open
        if note is None:
            return
        text = clean(text).strip()
        if self._field == "why":
            note.why = f"{note.why or ''} {text}".strip()
        elif self._field == "so":
            note.contributes = f"{note.contributes or ''} {text}".strip()
        elif self._field == "alt":
            if new or not note.alternatives:
                if text:
                    note.alternatives.append(alternative(text))
            else:
                last = note.alternatives[-1]
                note.alternatives[-1] = alternative(f"{_written(last)} {text}")
        else:
            note.text = f"{note.text}\n{text}".strip()

    def _complete(self) -> None:
        if self._open is not None:
            self.notes.append(self._open)
        self._open = None


def parse_notes(
    texts: str | list[tuple[str, str | None]],
    *,
    problem: str,
    graph_id: str,
    answer: Answer | None = None,
    source: Source | None = None,
    license: str | None = None,
    finish: str | None = None,
) -> ParsedGraph:
    """Read a teacher's output, tagged or JSON, into a graph; never raises on what it may hold.

    Args:
        texts: the output, or the outputs of several stages, each with its finish reason
            (``length``: cut off).
        problem: the question's text, the graph's root.
        graph_id: the graph's id.
        answer: the known answer; answers that agree are marked as right.
        source: the teacher.
        license: terms under which the texts may be used.
        finish: the finish reason where `texts` is one text.
    """
    parts = [(texts, finish)] if isinstance(texts, str) else texts
    notes: list[Note] = []
    repairs: Counter[str] = Counter()
    start = 0
    for text, reason in parts:
        if looks_like_json(text):
            found, counted = json_notes(text)
        else:
            parser = TaggedParser()
            parser.feed(text)
            found, counted = parser.finish(cut_off=reason == "length"), parser.repairs
        for note in found:
            if note.span is not None:
                note.span = (note.span[0] + start, note.span[1] + start)
        notes += found
        repairs += counted
        start += len(text)
    return assemble(
        notes,
        problem=problem,
        graph_id=graph_id,
        answer=answer,
        source=source,
        license=license,
        repairs=repairs,
    )


def alternative(text: str) -> Alternative:
    """Read ``option -- reason``; a spaced dash or ``because`` also parts the two."""
    parts = re.split(r"\s*(?:--|—|–|→)\s*|\s-\s|,?\s+because\s+", text, maxsplit=1)
    option, reason = (parts[0], parts[1]) if len(parts) == 2 else (text, "")
    return Alternative(option=option.strip() or text.strip(), reason_rejected=reason.strip())


def _written(entry: Alternative) -> str:
    reason = entry.reason_rejected
    return f"{entry.option} -- {reason}" if reason else entry.option

"""Recorded teacher outputs as the prepared data files hold them."""

from __future__ import annotations

from collections.abc import Iterator

from collegium.tasks.base import Recording
from collegium.tasks.sources import SourceRow


def parsed_recording(row: SourceRow) -> Iterator[Recording]:
    """Yield a row's ``teachers: {name: {rationale, label?, parsed?}}``.

    A blank rationale or label (the published files write one space) means that nothing was found
    there: no recording, or one without an answer.

    Raises:
        DataError: a field is of another type.
    """
    teachers = row.optional("teachers", dict) or {}
    for name, values in teachers.items():
        inner = SourceRow(row.path, row.line, values if isinstance(values, dict) else {})
        text = inner.get("rationale", str).strip()
        answer = (inner.optional("label", str) or "").strip() or None
        yield Recording(
            id=row.get("id", str),
            teacher=name,
            text=text,
            answer=answer,
            parsed=bool(inner.optional("parsed", bool)) and answer is not None,
        )

"""Answers that cost something, kept append-only so that nothing is asked for twice.

One JSONL file a teacher; a line holds the key of what was asked and the rationales that came.
A torn last line (the process was killed while writing) is dropped and asked again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from collegium.digest import digest_json
from collegium.errors import RunError
from collegium.example import Example, Rationale


class ResponseStore:
    """Answers of one teacher, by the digest of its fingerprint and the question."""

    def __init__(self, path: Path, fingerprint: dict[str, object]) -> None:
        self.path = path
        self._fingerprint = fingerprint
        self._known: dict[str, list[Rationale]] = {}
        if path.exists():
            self._read()

    def _read(self) -> None:
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
                self._known[row["key"]] = [Rationale(**r) for r in row["rationales"]]
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(
                    f"{self.path}, line {number}: damaged response ({error}); remove the line to "
                    "have it asked again"
                ) from None
        if len(whole) < len(data):
            with self.path.open("r+b") as handle:
                handle.truncate(len(whole))

    def key(self, example: Example) -> str:
        """Return what identifies a question put to this teacher."""
        asked = example.model_dump(exclude={"rationales", "split"})
        return digest_json({"teacher": self._fingerprint, "example": asked})

    def get(self, example: Example) -> list[Rationale] | None:
        """Return the kept answer to a question, or None."""
        return self._known.get(self.key(example))

    def add(self, examples: Sequence[Example], answers: Iterable[list[Rationale]]) -> None:
        """Append answers and force them to the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as handle:
            for example, rationales in zip(examples, answers, strict=True):
                key = self.key(example)
                rows = [r.model_dump(exclude_none=True) for r in rationales]
                handle.write(
                    json.dumps({"key": key, "rationales": rows}, ensure_ascii=False) + "\n"
                )
                self._known[key] = rationales
            handle.flush()
            os.fsync(handle.fileno())

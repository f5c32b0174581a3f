"""`recorded`: rationales that were written before and lie in the task's files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from collegium.errors import DataError
from collegium.example import Example, Rationale
from collegium.registry import nearest
from collegium.tasks.base import Recording, Task
from collegium.teachers.base import Teacher, TeacherConfig, prompt_hash


class RecordedConfig(TeacherConfig, frozen=True):
    """A recorded teacher."""

    kind: Literal["recorded"] = "recorded"
    recording: str | None = None
    """The teacher's name in the recordings; default: the name it has in the recipe."""
    path: str | None = None
    """File or folder with the recordings; default: the task's own data."""
    licence: str | None = None
    """Terms under which the texts may be used; carried along with each rationale."""

    def sees_gold(self, name: str, task: Task) -> bool:
        """Tell what the task knows about this recorded teacher."""
        return task.saw_gold(self.recording or name)

    def files(self) -> Sequence[Path]:
        """Return the file, or the folder's files, that `path` names."""
        if self.path is None:
            return ()
        path = Path(self.path)
        return [path] if path.is_file() else sorted(p for p in path.glob("*") if p.is_file())


class RecordedTeacher(Teacher):
    """Looks rationales up by example id; several of one id become its samples in file order."""

    def __init__(self, name: str, config: RecordedConfig, task: Task) -> None:
        super().__init__(name, task)
        self.config = config
        self.recording = config.recording or name

    def fingerprint(self) -> dict[str, object]:
        """Return the configuration; the files are hashed apart."""
        return {"kind": "recorded", "recording": self.recording, "licence": self.config.licence}

    def annotate(self, examples: Sequence[Example]) -> list[list[Rationale]]:
        """Return what was recorded; nothing for an example that no recording mentions.

        The prompt is not part of a recording; `prompt_hash` covers the question as asked.
        """
        return [
            [
                Rationale(
                    teacher=self.name,
                    sample=sample,
                    text=found.text,
                    answer=found.answer,
                    parsed=found.parsed,
                    gold_in_prompt=self.config.sees_gold(self.name, self.task),
                    prompt_hash=prompt_hash(self.task.input_text(example)),
                    licence=self.config.licence,
                )
                for sample, found in enumerate(self._found.get(example.id, ()))
            ]
            for example in examples
        ]

    @cached_property
    def _found(self) -> dict[str, list[Recording]]:
        path = Path(self.config.path) if self.config.path is not None else None
        found: dict[str, list[Recording]] = {}
        names: set[str] = set()
        for recording in self.task.recordings(path):
            names.add(recording.teacher)
            if recording.teacher == self.recording:
                found.setdefault(recording.id, []).append(recording)
        if not found:
            where = self.config.path or self.task.data or f"task {self.task.name!r}"
            known = f"Recorded there: {', '.join(sorted(names))}." if names else "It holds none."
            raise DataError(
                f"teacher {self.name!r}: no recordings of {self.recording!r} in {where}."
                f"{nearest(self.recording, names)} {known} Set teachers.{self.name}.recording."
            )
        return found


def build_recorded(name: str, config: RecordedConfig, task: Task) -> RecordedTeacher:
    """Build a recorded teacher."""
    return RecordedTeacher(name, config, task)

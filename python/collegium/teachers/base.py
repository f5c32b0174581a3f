"""What a teacher is: a source of rationales, of distributions over the next token, or of both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from collegium.example import Example, Rationale
from collegium.tasks.base import Task


class TeacherConfig(BaseModel, frozen=True):
    """Base of a teacher's section in a recipe; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)
    kind: str
    annotate: bool = True
    """Whether this teacher writes rationales (false: only its distributions are used)."""

    def sees_gold(self, name: str, task: Task) -> bool:
        """Tell whether the teacher has the gold answer before it (teacher forcing).

        Its answers are then no estimate of the teacher.
        """
        return False

    def files(self) -> Sequence[Path]:
        """Return the files that the answers depend on besides the task's own (without weights)."""
        return ()


class Teacher(ABC):
    """A source of rationales. `annotate` is a pure function of the questions it is given."""

    costly: ClassVar[bool] = False
    """Whether answers are worth keeping across runs (they cost money or minutes)."""

    def __init__(self, name: str, task: Task) -> None:
        self.name = name
        self.task = task

    @abstractmethod
    def fingerprint(self) -> dict[str, object]:
        """Return what the answers depend on besides the question, as JSON values."""

    @abstractmethod
    def annotate(self, examples: Sequence[Example]) -> list[list[Rationale]]:
        """Return the rationales of each example (an empty list where there is none).

        Raises:
            DataError: a recording is missing or malformed.
            CheckpointError: a checkpoint cannot be loaded.
        """

    def graphs_due(self, rationales: Sequence[Rationale]) -> int:
        """Return how many of a question's rationales should carry a thought graph."""
        return 0


def prompt_hash(prompt: str) -> str:
    """Return the hash under which a prompt is stored (BLAKE2b, 128 bits, hexadecimal)."""
    return blake2b(prompt.encode(), digest_size=16).hexdigest()

"""`collegium.json`: what a student's directory says about itself, beside the plain checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from collegium.atomic import atomic_path
from collegium.errors import CheckpointError
from collegium.objectives.formats import LABEL, PromptFormat, StudentKind, teacher_of
from collegium.validation import explain

FILE = "collegium.json"
VERSION = 1


class StudentInfo(BaseModel):
    """How a student was taught, as far as asking it needs to know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = VERSION
    task: str
    """Name in `TASKS`."""
    task_options: dict[str, Any] = {}
    format: PromptFormat
    """Markers of every objective, their place, and whether rationales end with their answer."""
    objectives: list[str] = Field(min_length=1)
    """What the student was trained on: ``label``, ``rationale:<teacher>``."""
    kind: StudentKind = "decoder"
    max_prompt_tokens: int = Field(default=512, ge=1)
    max_target_tokens: int = Field(default=256, ge=1)
    label_source: str = "gold"
    tokenizer: str | None = None
    """Fingerprint of the directory's tokenizer.json; `write_student_info` fills it in."""

    @property
    def teachers(self) -> list[str]:
        """Teachers whose rationales were learnt, in training order."""
        found = (teacher_of(name) for name in self.objectives)
        return [teacher for teacher in found if teacher is not None]

    @property
    def answers_directly(self) -> bool:
        """Whether labels were learnt."""
        return LABEL in self.objectives


def write_student_info(folder: str | Path, info: StudentInfo) -> Path:
    """Write `info` into a checkpoint directory, atomically, and return the file.

    The directory's tokenizer is there already: its fingerprint is written, so that loading notices
    another one. (Saving a tokenizer may write it in another form than it was read in, so the
    fingerprint of the training data's is not to be compared with.)

    Raises:
        CheckpointError: the directory has no tokenizer.json.
    """
    from collegium.tokenizer import Tokenizer

    path = Path(folder) / FILE
    info = info.model_copy(update={"tokenizer": Tokenizer.from_pretrained(folder).fingerprint})
    text = json.dumps(info.model_dump(mode="json"), indent=1, ensure_ascii=False)
    with atomic_path(path) as partial:
        partial.write_text(text + "\n", "utf-8")
    return path


def read_student_info(folder: str | Path) -> StudentInfo:
    """Read what `write_student_info` wrote.

    Raises:
        CheckpointError: no such directory, no `collegium.json` in it, or one that this release
            cannot use.
    """
    folder = Path(folder)
    path = folder / FILE
    if not folder.is_dir():
        raise CheckpointError(f"checkpoint {folder}: no such directory")
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"checkpoint {folder}: this checkpoint was not made by collegium; it has no {FILE}, "
            "which says how questions are put to it. Train a student from it "
            "(collegium run RECIPE -o student=DIR), or load it with transformers alone"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from None
    version = values.get("v") if isinstance(values, dict) else None
    if version != VERSION:
        raise CheckpointError(
            f"{path}: expected version {VERSION}, found {version!r}; it was made by another "
            "release of collegium. Use that release, or train the student again"
        )
    try:
        return StudentInfo.model_validate(values)
    except ValidationError as error:
        raise CheckpointError(f"{path}: {explain(error, StudentInfo)}") from None

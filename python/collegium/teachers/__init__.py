"""Teachers: sources of rationales. Each kind is one file and one line in `TEACHERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from collegium.errors import RecipeError
from collegium.registry import lookup
from collegium.tasks.base import Task
from collegium.tasks.wordproblems import WordProblems
from collegium.teachers.base import Teacher, TeacherConfig, prompt_hash
from collegium.teachers.formula import FormulaConfig, build_formula
from collegium.teachers.local import LocalConfig, build_local
from collegium.teachers.programmatic import ProgrammaticConfig, build_programmatic
from collegium.teachers.recorded import RecordedConfig, build_recorded
from collegium.validation import validate

__all__ = [
    "TEACHERS",
    "Teacher",
    "TeacherConfig",
    "build_teacher",
    "default_teachers",
    "prompt_hash",
    "read_config",
]

TEACHERS: dict[str, tuple[type[TeacherConfig], Callable[..., Teacher]]] = {
    "formula": (FormulaConfig, build_formula),
    "local": (LocalConfig, build_local),
    "programmatic": (ProgrammaticConfig, build_programmatic),
    "recorded": (RecordedConfig, build_recorded),
}
"""Kind to the model of its section and the function that builds it."""


def read_config(name: str, section: Mapping[str, Any]) -> TeacherConfig:
    """Validate a teacher's section of a recipe.

    Raises:
        RecipeError: unknown kind or key (with the nearest valid one), or a wrong value.
    """
    kind = section.get("kind")
    if not isinstance(kind, str):
        raise RecipeError(f"teachers.{name}: give a kind, one of {', '.join(TEACHERS)}")
    model = lookup(TEACHERS, kind, f"kind of teacher in teachers.{name}:")[0]
    return validate(model, section, f"teachers.{name}")


def build_teacher(name: str, config: TeacherConfig, task: Task, **context: Any) -> Teacher:
    """Build a teacher from its validated section.

    Args:
        name: the teacher's name in the recipe.
        config: its section.
        task: the task whose questions it will be asked.
        context: what the kind takes besides; `local`: ``checkpoint`` (of a teacher that a stage
            trained) and ``device``.
    """
    return TEACHERS[config.kind][1](name, config, task, **context)


def default_teachers(task: Task) -> dict[str, dict[str, Any]]:
    """Return the sections of a task's own teachers, for a recipe that names none.

    ``wordproblems`` has two solvers; any other task has its recorded teachers, in the order in
    which they are first met in its files.

    Raises:
        DataError: the task's files cannot be read.
    """
    if isinstance(task, WordProblems):
        return {
            style: {"kind": "programmatic", "style": style, "error_rate": 0.03}
            for style in ("equations", "narration")
        }
    names = dict.fromkeys(recording.teacher for recording in task.recordings())
    return {name: {"kind": "recorded"} for name in names}

"""Tasks: where questions and gold answers come from, and how answers are read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collegium.errors import DataError, RecipeError
from collegium.registry import lookup
from collegium.tasks.base import Parsed, Recording, Splits, Task, TaskOptions
from collegium.tasks.custom import Custom
from collegium.tasks.esnli import Esnli
from collegium.tasks.obqa import Obqa
from collegium.tasks.svamp import Svamp
from collegium.tasks.wordproblems import WordProblems
from collegium.validation import validate

__all__ = [
    "TASKS",
    "Parsed",
    "Recording",
    "Splits",
    "Task",
    "TaskOptions",
    "open_task",
]

TASKS: dict[str, type[Task]] = {
    "custom": Custom,
    "esnli": Esnli,
    "obqa": Obqa,
    "svamp": Svamp,
    "wordproblems": WordProblems,
}
"""Name to task. A new task is one file and one line here."""


def open_task(
    name: str | None = None,
    data: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Task:
    """Open a task.

    Args:
        name: a name in `TASKS`. None: ``wordproblems`` without data, else the task that knows the
            data folder's name.
        data: file or folder with the source files.
        options: the task's own options.

    Raises:
        RecipeError: unknown task or option (with the nearest valid one), data that is missing
            where it is needed or given where it is not.
        DataError: the data path does not exist.
    """
    path = Path(data) if data is not None else None
    if name is None:
        name = "wordproblems" if path is None else _recognise(path)
    task = lookup(TASKS, name, "task")
    if task.needs_data and path is None:
        raise RecipeError(f"task {name!r} needs data: set task.data to its file or folder")
    if not task.needs_data and path is not None:
        raise RecipeError(
            f"task {name!r} makes its own questions and reads no data; leave out task.data, or set "
            f"task.name for {path}"
        )
    if path is not None and not path.exists():
        raise DataError(f"task.data: {path} does not exist (looked in {Path.cwd()})")
    return task(path, validate(task.Options, options or {}, "task.options"))


def _recognise(path: Path) -> str:
    places = [path.name, path.parent.name] if path.is_file() else [path.resolve().name]
    for place in places:
        for name, task in TASKS.items():
            if place.lower() in task.folder_names:
                return name
    known = ", ".join(sorted(n for task in TASKS.values() for n in task.folder_names))
    raise RecipeError(
        f"cannot tell which task {path} is for. Set task.name to one of {', '.join(TASKS)} "
        f"(folders known by name: {known})."
    )

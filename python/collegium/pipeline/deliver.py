"""The trained student where its user looks for it, its card telling how it was measured."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

from collegium.evaluate.card import CardFacts, Source, write_card
from collegium.evaluate.info import read_student_info
from collegium.pipeline.students import StudentSource
from collegium.pipeline.teachers import Roster
from collegium.recipe import Recipe
from collegium.tasks.base import Task


def deliver(
    trained: Path,
    target: Path,
    *,
    recipe: Recipe,
    source: StudentSource,
    roster: Roster,
    task: Task,
    question: str,
    training: dict[str, Any],
    metrics: dict[str, Any],
) -> Path:
    """Make `target` a `from_pretrained` directory with a card, and return it.

    The weights are linked, not copied, where the file system can; what was at `target` is
    replaced when all is there.
    """
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file in sorted(trained.iterdir()):
        _link(file, partial / file.name)
    facts = CardFacts(
        name=f"{recipe.name}: {target.name}",
        example=question,
        sources=_sources(recipe, roster, task),
        metrics=metrics,
        training={
            key: training[key]
            for key in ("steps", "learning_rate", "loss", "seconds")
            if key in training
        }
        | {"seed": recipe.seed},
        parameters=training.get("parameters"),
    )
    write_card(partial, read_student_info(partial), facts, source.special)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)
    return target


def place(root: Path, arm: str | None, seed: int | None) -> Path:
    """Return where the student of an arm and seed is delivered."""
    parts = [arm or "", "" if seed is None else f"seed-{seed}"]
    name = "-".join(re.sub(r"[^a-z0-9]+", "-", p.lower()).strip("-") for p in parts if p)
    return root / "students" / name if name else root / "student"


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:
        shutil.copy2(file, target)


def _sources(recipe: Recipe, roster: Roster, task: Task) -> list[Source]:
    base = recipe.student.checkpoint
    sources = [Source(Path(base).resolve().name, "base model")] if base else []
    used = recipe.train.distributions.teachers
    for name, config in roster.configs.items():
        roles = ["rationales"] if config.annotate else []
        roles += ["distributions"] if name in used else []
        if roles:
            licence = getattr(config, "licence", None)
            if config.kind == "programmatic":
                licence = "none needed: computed by a solver of this package"
            sources.append(Source(name, f"teacher ({', '.join(roles)})", licence, note=config.kind))
    licence = None if task.needs_data else "none needed: made by this package"
    return [*sources, Source(task.name, "questions", licence)]

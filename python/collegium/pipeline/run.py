"""Running a recipe: arms times seeds through the stages, sharing whatever has the same hash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from collegium.errors import RecipeError
from collegium.pipeline.deliver import place
from collegium.pipeline.graph import Pipeline
from collegium.pipeline.outcomes import arm_outputs, deliver_arm, teacher_results
from collegium.pipeline.progress import Progress, Silent
from collegium.pipeline.report import collect, write_report
from collegium.pipeline.store import Output, Store
from collegium.pipeline.workers import Job, choose_jobs, run_ahead
from collegium.recipe import Recipe
from collegium.recipe_io import for_arm, load_recipe
from collegium.report.results import RunResults
from collegium.report.table import as_text, table

UNTIL = ("annotate", "clean", "pack", "train", "evaluate", "report")


@dataclass(frozen=True)
class Outcome:
    """What a run made: its stages' outputs, and the results if it went that far."""

    recipe: str
    run_dir: Path
    outputs: tuple[Output, ...] = ()
    results: RunResults | None = None
    page: Path | None = None
    dry_run: bool = False
    students: Mapping[str, Path] = field(default_factory=dict)
    """Arm and seed to the directory of the trained student."""

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return {
            "recipe": self.recipe,
            "run": str(self.run_dir),
            "stages": [
                {
                    "stage": o.stage,
                    "path": str(o.path),
                    "kept": o.kept,
                    "summary": o.summary,
                }
                for o in self.outputs
            ],
            "students": {name: str(path) for name, path in self.students.items()},
            "results": table(self.results) if self.results else None,
            "page": str(self.page) if self.page else None,
        }

    def text(self) -> str:
        """Return what a person wants to read at the end."""
        if self.dry_run:
            todo = sum(not o.kept for o in self.outputs)
            return f"dry run: {todo} of {len(self.outputs)} stages would run in {self.run_dir}"
        lines = []
        if self.results is not None:
            lines.append(as_text(self.results))
        for name, path in self.students.items():
            lines.append(f"student{' ' * bool(name)}{name}: {path}")
        if self.page is not None:
            lines.append(f"report: {self.page}")
        if not lines:
            last = self.outputs[-1]
            lines.append(f"{last.stage}: {last.path}")
        return "\n".join(lines)


def run_recipe(
    source: str | Path | Recipe,
    options: Iterable[str] | Mapping[str, Any] = (),
    *,
    run_dir: str | Path | None = None,
    force: bool = False,
    dry_run: bool = False,
    until: str = "report",
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Run a recipe, or what is left of it.

    Args:
        source: a shipped recipe's name, a YAML file, or a loaded recipe.
        options: ``key=value`` strings or a mapping of dotted keys, on top of the recipe.
        run_dir: default ``runs/<recipe>``; one that another recipe made is refused.
        force: run every stage again.
        dry_run: only tell which stages would run.
        until: the last stage to run.
        jobs: trainings that run side by side; default: see `workers.choose_jobs`.
        progress: told about every stage; default: silence.

    Raises:
        UserError: a mistake in the recipe, the data, a checkpoint or the run directory.
    """
    recipe = source if isinstance(source, Recipe) else load_recipe(source, options)
    if until not in UNTIL:
        raise RecipeError(f"unknown stage {until!r}; known: {', '.join(UNTIL)}")
    root = Path(run_dir) if run_dir is not None else Path("runs") / recipe.name
    progress = progress or Silent()
    store = Store(root, recipe.name, progress, force=force, dry_run=dry_run)
    try:
        if not dry_run:
            text = yaml.safe_dump(recipe.model_dump(exclude_unset=True), sort_keys=False)
            store.guarded("the recipe", lambda: (root / "recipe.yaml").write_text(text, "utf-8"))
        return _run(recipe, store, until, jobs, progress)
    finally:
        store.close()


def _run(recipe: Recipe, store: Store, until: str, jobs: int | None, progress: Progress) -> Outcome:
    if not store.dry_run:
        _quiet_libraries()
    pipeline = Pipeline(store, progress, recipe)
    runs = [
        (arm, seed, for_arm(recipe, arm, seed))
        for seed in (recipe.seeds or [recipe.seed])
        for arm in (recipe.arms or [None])
    ]
    # Every arm is checked before the first one costs anything.
    for _, _, single in runs:
        pipeline.check(single)
    labels = [
        ", ".join(p for p in (arm, f"seed {seed}" if recipe.seeds else "") if p)
        for arm, seed, _ in runs
    ]
    if until in ("train", "evaluate", "report") and not store.dry_run:
        singles = [single for _, _, single in runs]
        for single in singles:
            pipeline.packed(single)
        workers = choose_jobs(jobs, pipeline, singles)
        if workers > 1:
            work = [Job(s, label, until) for s, label in zip(singles, labels, strict=True)]
            run_ahead(pipeline, recipe, work, workers, progress)
    students: dict[str, Path] = {}
    finished = []
    for (arm, seed, single), label in zip(runs, labels, strict=True):
        pipeline.reach(single, until, label)
        if until in ("annotate", "clean", "pack") or store.dry_run:
            continue
        trained = pipeline.trained(single, label)
        if until == "train":
            students[label] = trained.path / "student"
            continue
        finished.append(arm_outputs(pipeline, single, arm or recipe.name, label))
        target = place(store.root, arm, seed if recipe.seeds else None)
        students[label] = store.guarded(
            "the student", lambda a=finished[-1], t=target: deliver_arm(pipeline, a, t)
        )
    results = page = None
    if until == "report" and finished:
        results = collect(
            recipe, finished, teacher_results(pipeline, finished), pipeline.task(finished[0].recipe)
        )
        page = store.guarded("the report", lambda: write_report(results, store.root))
    return Outcome(
        recipe.name,
        store.root,
        tuple(store.outputs()),
        results,
        page,
        store.dry_run,
        students,
    )


def _quiet_libraries() -> None:
    """Leave the screen to our own progress; errors and warnings still come through."""
    from transformers.utils import logging

    logging.disable_progress_bar()

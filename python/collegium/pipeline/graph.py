"""What each stage of a single run (one arm, one seed) depends on, and how to make it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from collegium.digest import digest_path
from collegium.errors import RecipeError
from collegium.graphs.linear import TAGS
from collegium.pipeline import annotate, clean, evaluate, pack, tokenizer, train
from collegium.pipeline.labels import check_label_source
from collegium.pipeline.objectives import resolve
from collegium.pipeline.progress import Progress
from collegium.pipeline.store import UNKNOWN, Output, Store
from collegium.pipeline.students import UNTRAINED, StudentSource, check_student, resolve_student
from collegium.pipeline.teacher_recipes import teacher_recipe
from collegium.pipeline.teachers import Roster, read_roster
from collegium.recipe import Recipe
from collegium.tasks import open_task
from collegium.tasks.base import Task


class Pipeline:
    """The stages of single-run recipes in one store.

    Args:
        store: where outputs are found and kept.
        progress: told how far long stages are.
        base: the recipe from which a teacher's `train` section inherits.
    """

    def __init__(self, store: Store, progress: Progress, base: Recipe) -> None:
        self.store = store
        self.progress = progress
        self.base = base
        self._tasks: dict[str, Task] = {}

    def check(self, recipe: Recipe) -> None:
        """Raise what is wrong with a recipe before anything is run."""
        task = self.task(recipe)
        roster = self.roster(recipe)
        check_student(recipe.student)
        check_label_source(recipe.train.label_source, roster.gold_in_prompt(task))
        weights = resolve(recipe.train, roster.annotating)
        if recipe.train.label_source != "gold":
            roster.refuse_forced(recipe.train.label_source, task, weights)
        for name in recipe.train.distributions.teachers:
            roster.local(name)
        for child in roster.children.values():
            self.check(self._child(recipe, child, UNTRAINED))

    def reach(self, recipe: Recipe, until: str, label: str) -> Output:
        """Run the stages up to `until` and return its output."""
        steps = {
            "annotate": lambda: self.annotated(recipe),
            "clean": lambda: self.cleaned(recipe),
            "pack": lambda: self.packed(recipe),
            "train": lambda: self.trained(recipe, label),
        }
        return steps.get(until, lambda: self.evaluated(recipe, label))()

    def task(self, recipe: Recipe) -> Task:
        """Return the recipe's task, opened once."""
        section = recipe.task
        key = section.model_dump_json()
        if key not in self._tasks:
            self._tasks[key] = open_task(
                section.name, Path(section.data) if section.data else None, section.options
            )
        return self._tasks[key]

    def roster(self, recipe: Recipe) -> Roster:
        """Return the recipe's teachers, their sections validated."""
        return read_roster(recipe.teachers, self.task(recipe))

    def annotated(self, recipe: Recipe) -> Output:
        """Stage `annotate`."""
        task, roster = self.task(recipe), self.roster(recipe)
        inputs = self._sources(task)
        checkpoints = {}
        for name in roster.annotating:
            checkpoint = self._checkpoint(recipe, roster, name)
            if checkpoint is not None:
                checkpoints[name], inputs[f"teacher {name}"] = checkpoint
            for path in roster.configs[name].files():
                inputs[f"teacher {name}, {path.name}"] = digest_path(path)
        gold_visible = recipe.train.label_source == "gold"
        section = recipe.task
        ninth = None if section.limit is None else math.ceil(section.limit / 9)
        limits = {"train": section.limit, "validation": section.validation_limit or ninth}

        def produce(work: Path) -> dict[str, Any]:
            teachers = roster.build(task, checkpoints)
            return annotate.annotate(
                task,
                teachers,
                work,
                self.store.root / "responses",
                limits=limits,
                gold_visible=gold_visible,
                progress=self.progress,
            )

        return self.store.stage(
            "annotate",
            version=annotate.VERSION,
            options={
                "task": task.name,
                "options": task.options.model_dump(),
                "limits": limits,
                "gold_visible": gold_visible,
                "teachers": roster.hashed(),
            },
            inputs=inputs,
            produce=produce,
        )

    def cleaned(self, recipe: Recipe) -> Output:
        """Stage `clean`."""
        source = self.annotated(recipe)
        task, teachers = self.task(recipe), self.roster(recipe).annotating

        def produce(work: Path) -> dict[str, Any]:
            return clean.clean(
                source.path,
                work,
                task,
                recipe.clean,
                label_source=recipe.train.label_source,
                teachers=teachers,
            )

        return self.store.stage(
            "clean",
            version=clean.VERSION,
            options={
                **recipe.clean.model_dump(),
                "task": task.name,
                "options": task.options.model_dump(),
                "label_source": recipe.train.label_source,
                "teachers": teachers,
            },
            inputs={"annotate": source.digest},
            produce=produce,
        )

    def student_source(self, recipe: Recipe) -> StudentSource:
        """Return where the student and its tokenizer come from, the tokenizer trained if asked."""
        return resolve_student(recipe.student, lambda training: self._tokenizer(recipe, training))

    def _tokenizer(self, recipe: Recipe, training: Any) -> Output:
        task = self.task(recipe)
        form = pack.prompt_format(recipe, self.roster(recipe).annotating)
        extra = sorted(form.markers.values())
        if recipe.pack.rows in ("graphs", "paths") or recipe.pack.graph.texts:
            extra += [*TAGS.values(), *task.graph_words()]
        gold_visible = recipe.train.label_source == "gold"
        return self.store.stage(
            "tokenizer",
            version=tokenizer.VERSION,
            options={
                **training.model_dump(),
                "task": task.name,
                "options": task.options.model_dump(),
                "texts": extra,
                "gold_visible": gold_visible,
            },
            inputs=self._sources(task),
            produce=lambda work: tokenizer.train_tokenizer(
                task, training, extra, work, gold_visible=gold_visible
            ),
        )

    def packed(self, recipe: Recipe) -> Output:
        """Stage `pack`."""
        source = self.cleaned(recipe)
        student = self.student_source(recipe)
        task, teachers = self.task(recipe), self.roster(recipe).annotating
        form = pack.prompt_format(recipe, teachers, student)

        def produce(work: Path) -> dict[str, Any]:
            rows = recipe.train.row_tokens
            return pack.pack(source.path, work, task, student, form, recipe.pack, teachers, rows)

        # Trees are cut to the rows' capacity when they are made.
        trees = recipe.pack.rows != "sequences"
        known = student.tokenizer_digest != UNKNOWN

        return self.store.stage(
            "pack",
            version=pack.VERSION,
            options={
                "format": form.model_dump(exclude_none=True),
                "max_prompt_tokens": recipe.pack.max_prompt_tokens,
                "max_target_tokens": recipe.pack.max_target_tokens,
                "rows": recipe.pack.rows,
                "graph": recipe.pack.graph.model_dump(),
                "row_tokens": recipe.train.row_tokens if trees else None,
                "positions": student.positions if trees and known else None,
                "kind": student.kind if known else UNKNOWN,
            },
            inputs={"clean": source.digest, "tokenizer": student.tokenizer_digest},
            produce=produce,
        )

    def trained(self, recipe: Recipe, label: str) -> Output:
        """Stage `train`; a teacher with a `train` section is trained first."""
        source = self.packed(recipe)
        student = self.student_source(recipe)
        roster = self.roster(recipe)
        weights = resolve(recipe.train, roster.annotating)
        checkpoints, inputs = {}, {"pack": source.digest, "student": student.digest}
        for name in recipe.train.distributions.teachers:
            roster.local(name)
            checkpoint = self._checkpoint(recipe, roster, name)
            if checkpoint is None:
                raise RecipeError(f"teachers.{name}: has no checkpoint to take distributions from")
            checkpoints[name], inputs[f"teacher {name}"] = checkpoint

        def produce(work: Path) -> dict[str, Any]:
            return train.train(
                source.path,
                work,
                recipe,
                student,
                weights,
                form=pack.prompt_format(recipe, roster.annotating, student),
                task=self.task(recipe),
                teachers=roster.load_models(checkpoints, student.tokenizer_path),
                progress=self.progress,
            )

        options = recipe.train.model_dump(exclude={"label_source", "objectives"})
        return self.store.stage(
            "train",
            version=train.VERSION,
            options={
                **options,
                "objectives": {name: [w.weight, w.distill] for name, w in weights.items()},
                "seed": recipe.seed,
                "student": student.options,
            },
            inputs=inputs,
            produce=produce,
            label=label,
        )

    def evaluated(self, recipe: Recipe, label: str) -> Output:
        """Stage `evaluate`."""
        student = self.trained(recipe, label)
        questions = self.annotated(recipe)
        test = questions.path / "test.parquet"

        def produce(work: Path) -> dict[str, Any]:
            folder, task = student.path / "student", self.task(recipe)
            return evaluate.evaluate(folder, test, work, task, recipe.evaluate, self.progress)

        return self.store.stage(
            "evaluate",
            version=evaluate.VERSION,
            options={**recipe.evaluate.model_dump(), "task": self.task(recipe).name},
            inputs={
                "student": student.digest,
                "test": UNKNOWN if questions.digest == UNKNOWN else digest_path(test),
            },
            produce=produce,
            label=label,
        )

    def teacher_runs(self, recipe: Recipe) -> dict[str, Recipe]:
        """Return the recipes of the teachers that this one trains first, by teacher."""
        roster = self.roster(recipe)
        return {name: self._child(recipe, tree) for name, tree in roster.children.items()}

    def _sources(self, task: Task) -> dict[str, str]:
        return {path.name: digest_path(path) for path in task.source_files()}

    def _checkpoint(self, recipe: Recipe, roster: Roster, name: str) -> tuple[Path, str] | None:
        if name in roster.children:
            child = self._child(recipe, roster.children[name])
            output = self.trained(child, f"teacher {name}")
            return output.path / "student", output.digest
        path = roster.checkpoint(name)
        return None if path is None else (path, digest_path(path))

    def _child(self, recipe: Recipe, section: dict[str, Any] | str, tokenizer: str = "") -> Recipe:
        def inherited() -> str:
            if tokenizer:
                return tokenizer
            source = self.student_source(recipe)
            known = source.tokenizer_digest != UNKNOWN
            return str(source.tokenizer_path) if known else UNTRAINED

        return teacher_recipe(self.base, recipe, section, inherited)

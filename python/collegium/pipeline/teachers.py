"""The teachers of a recipe: their sections validated, built when a stage needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collegium.errors import RecipeError
from collegium.registry import nearest
from collegium.tasks.base import Task
from collegium.teachers import Teacher, TeacherConfig, build_teacher, default_teachers, read_config
from collegium.teachers.local import LocalConfig


@dataclass(frozen=True)
class Roster:
    """All teachers of a recipe, in its order."""

    configs: Mapping[str, TeacherConfig]

    @property
    def annotating(self) -> list[str]:
        """Names of the teachers that write rationales."""
        return [name for name, config in self.configs.items() if config.annotate]

    @property
    def children(self) -> dict[str, dict[str, Any] | str]:
        """Name to recipe section of the teachers that are trained first."""
        return {
            name: config.train
            for name, config in self.configs.items()
            if isinstance(config, LocalConfig) and config.train is not None
        }

    def gold_in_prompt(self, task: Task) -> dict[str, bool]:
        """Return which annotating teachers have the gold answer before them."""
        return {name: self.configs[name].sees_gold(name, task) for name in self.annotating}

    def refuse_forced(self, label_source: str, task: Task, objectives: Iterable[str]) -> None:
        """Refuse teacher forcing where gold is never read: its rationales give gold away.

        Raises:
            RecipeError: a local teacher has `forced_gold`, or an objective learns the rationales
                of a teacher that saw the gold answers.
        """
        for name, seen in self.gold_in_prompt(task).items():
            if seen and isinstance(self.configs[name], LocalConfig):
                raise RecipeError(
                    f"teachers.{name}.forced_gold needs gold answers, but with "
                    f"train.label_source={label_source} they are never read"
                )
            if seen and f"rationale:{name}" in set(objectives):
                raise RecipeError(
                    f"train.objectives: {name!r} wrote its rationales with the gold answer in "
                    f"sight, but with train.label_source={label_source} gold is never read; set "
                    f"train.objectives.rationale:{name}=0"
                )

    def local(self, name: str) -> LocalConfig:
        """Return the section of a teacher whose distributions can be had.

        Raises:
            RecipeError: there is no such teacher, or it is not local.
        """
        config = self.configs.get(name)
        if config is None:
            raise RecipeError(
                f"train.distributions.teachers: unknown teacher {name!r}."
                f"{nearest(name, self.configs)} Known: {', '.join(self.configs)}."
            )
        if not isinstance(config, LocalConfig):
            raise RecipeError(
                f"train.distributions.teachers: {name!r} is a {config.kind} teacher; distributions "
                "come from local ones"
            )
        return config

    def checkpoint(self, name: str) -> Path | None:
        """Return the directory of a local teacher that brings its own weights."""
        config = self.configs[name]
        if isinstance(config, LocalConfig) and config.checkpoint is not None:
            return Path(config.checkpoint)
        return None

    def hashed(self) -> list[dict[str, Any]]:
        """Return what the annotating teachers' answers depend on besides files."""
        return [
            {
                "name": name,
                **self.configs[name].model_dump(
                    exclude={"annotate", "checkpoint", "train", "path", "batch_size"}
                ),
            }
            for name in self.annotating
        ]

    def build(self, task: Task, checkpoints: Mapping[str, Path]) -> dict[str, Teacher]:
        """Build the annotating teachers; `checkpoints` are those of local ones."""
        return {
            name: build_teacher(
                name,
                self.configs[name],
                task,
                **({"checkpoint": checkpoints[name]} if name in checkpoints else {}),
            )
            for name in self.annotating
        }

    def load_models(
        self, checkpoints: Mapping[str, Path], student_tokenizer: Path
    ) -> dict[str, Any]:
        """Load the models of teachers with distributions, frozen and in evaluation mode.

        Raises:
            CheckpointError: a directory cannot be loaded, or its tokenizer is not the student's.
        """
        from collegium.teachers.checkpoints import load_checkpoint
        from collegium.train.vocabulary import check_same_tokenizer

        models = {}
        for name, path in checkpoints.items():
            config = self.local(name)
            check_same_tokenizer(student_tokenizer, path, name)
            model, _ = load_checkpoint(
                path,
                f"teacher {name!r}",
                dtype=config.dtype,
                trust_remote_code=config.trust_remote_code,
            )
            models[name] = model.requires_grad_(False)
        return models


def read_roster(sections: Mapping[str, Mapping[str, Any]] | None, task: Task) -> Roster:
    """Validate the teachers' sections; without any, the task's own teachers.

    Raises:
        RecipeError: an unknown kind or key, a wrong value or a name that cannot be used.
    """
    chosen: Mapping[str, Mapping[str, Any]] = (
        default_teachers(task) if sections is None else sections
    )
    for name in chosen:
        _check_name(name)
    return Roster({name: read_config(name, section) for name, section in chosen.items()})


def _check_name(name: str) -> None:
    bad: Sequence[str] = [c for c in name if not (c.isalnum() or c in "_-")]
    if bad or not name:
        raise RecipeError(
            f"teachers: {name!r} cannot be a name; use letters, digits, '_' and '-' (it becomes "
            "part of objectives' names, option keys and markers)"
        )

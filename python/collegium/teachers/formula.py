"""`formula`: thought graphs from the gold equations of a task, with typed mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from collegium.errors import DataError, RecipeError
from collegium.example import Example, Rationale
from collegium.graphs.formula import FormulaMistake, formula_graph
from collegium.graphs.graph import Source
from collegium.graphs.linear import best_path
from collegium.tasks.base import Task
from collegium.tasks.svamp import Svamp
from collegium.teachers.base import Teacher, TeacherConfig, prompt_hash


class FormulaConfig(TeacherConfig, frozen=True):
    """A writer of graphs for a task whose answers are equations."""

    kind: Literal["formula"] = "formula"
    mistakes: list[
        Literal["wrong_operator", "swapped_operands", "ignored_number", "extra_number", "unit_slip"]
    ] = Field(default_factory=lambda: [kind.value for kind in FormulaMistake])  # type: ignore[misc]
    """Misconceptions, one of each kind where it is possible."""

    def sees_gold(self, name: str, task: Task) -> bool:
        """Return true: the equation is the gold answer."""
        return True


class FormulaTeacher(Teacher):
    """Works an equation out in two ways; questions without one get nothing."""

    def __init__(self, name: str, config: FormulaConfig, task: Task) -> None:
        super().__init__(name, task)
        self.config = config

    def fingerprint(self) -> dict[str, object]:
        """Return the configuration."""
        return self.config.model_dump(exclude={"annotate"})

    def annotate(self, examples: Sequence[Example]) -> list[list[Rationale]]:
        """Write a graph for each example, its best path as the text."""
        return [self._answer(example) for example in examples]

    def graphs_due(self, rationales: Sequence[Rationale]) -> int:
        """Return one for each rationale."""
        return len(rationales)

    def _answer(self, example: Example) -> list[Rationale]:
        if example.answer is None:
            return []
        try:
            graph = formula_graph(
                self.task.input_text(example),
                example.answer,
                graph_id=example.id,
                conclusion=self.task.conclusion(example.answer),
                kinds=[FormulaMistake(kind) for kind in self.config.mistakes],
                source=Source(model=self.name),
            )
        except DataError:
            return []
        text = best_path(graph)[0].text(" ")
        return [
            Rationale(
                teacher=self.name,
                text=self.task.parse(text).rationale,
                answer=example.answer,
                parsed=True,
                gold_in_prompt=True,
                prompt_hash=prompt_hash(example.question),
                graph=graph.to_json(),
            )
        ]


def build_formula(name: str, config: FormulaConfig, task: Task) -> FormulaTeacher:
    """Build a writer of graphs.

    Raises:
        RecipeError: the task's answers are no equations.
    """
    if not isinstance(task, Svamp):
        raise RecipeError(
            f"teachers.{name}: a formula teacher needs answers that are equations (task 'svamp'), "
            f"not those of {task.name!r}; use kind: programmatic or kind: local"
        )
    return FormulaTeacher(name, config, task)

"""`programmatic`: a solver that works out word problems in one style, with some mistakes.

With `graph` each right rationale carries a thought graph: its style and the others as paths,
mistakes with their analysis beside the steps.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from collegium.errors import DataError, RecipeError
from collegium.example import Example, Rationale
from collegium.graphs.graph import Source
from collegium.tasks.base import Task
from collegium.tasks.wordproblems import WordProblems
from collegium.tasks.wordproblems_graph import story_graph
from collegium.tasks.wordproblems_solve import MistakeKind, solve, wrong_solutions
from collegium.tasks.wordproblems_story import read_story
from collegium.teachers.base import Teacher, TeacherConfig, prompt_hash

STYLE_NAMES = ("equations", "narration", "net_change")


class ProgrammaticConfig(TeacherConfig, frozen=True):
    """A solver for the task `wordproblems`."""

    kind: Literal["programmatic"] = "programmatic"
    style: Literal["equations", "narration", "net_change"] = "equations"
    error_rate: float = Field(default=0.03, ge=0, le=1)
    """Part of the derivations that end in a wrong answer."""
    mistakes: list[Literal["wrong_operator", "slip", "skipped_step", "swapped_operands"]] = Field(
        default_factory=lambda: ["wrong_operator", "slip", "skipped_step", "swapped_operands"],
        min_length=1,
    )
    seed: int = Field(default=0, ge=0)
    graph: bool = False
    """Write a thought graph with each rationale."""
    graph_mistakes: int = Field(default=4, ge=0)
    """Misconceptions a graph, of different kinds first."""


class ProgrammaticTeacher(Teacher):
    """Reads the story out of the question's text; the same question always gets the same answer."""

    task: WordProblems

    def __init__(self, name: str, config: ProgrammaticConfig, task: WordProblems) -> None:
        super().__init__(name, task)
        self.config = config
        self.kinds = [MistakeKind(kind) for kind in config.mistakes]

    def fingerprint(self) -> dict[str, object]:
        """Return the configuration and the largest value of the task."""
        kept = self.config.model_dump(exclude={"annotate"})
        return {**kept, "max_value": self.task.level.max_value}

    def annotate(self, examples: Sequence[Example]) -> list[list[Rationale]]:
        """Solve each question; `first_error` is the step (from 0) of a mistake."""
        return [[self._answer(example)] for example in examples]

    def graphs_due(self, rationales: Sequence[Rationale]) -> int:
        """Return one for each right rationale."""
        return sum(r.first_error is None for r in rationales) if self.config.graph else 0

    def _answer(self, example: Example) -> Rationale:
        story = read_story(example.question)
        if story is None:
            raise DataError(
                f"teacher {self.name!r}: question {example.id!r} is no story that the solver can "
                f"read: {example.question[:80]!r}"
            )
        config, largest = self.config, self.task.level.max_value
        solution = solve(story, config.style, max_value=largest)
        first_error = None
        rng = random.Random(f"{config.seed}/{config.style}/{example.question}")
        if rng.random() < config.error_rate:
            wrong = wrong_solutions(story, config.style, max_value=largest, kinds=self.kinds)
            if wrong:
                mistake, solution = rng.choice(wrong[rng.choice(sorted(wrong))])
                first_error = mistake.step
        graph = None
        if config.graph and first_error is None:
            others = [style for style in STYLE_NAMES if style != config.style]
            graph = story_graph(
                example.question,
                story,
                graph_id=example.id,
                max_value=largest,
                styles=[config.style, *others],
                kinds=self.kinds,
                most_mistakes=config.graph_mistakes,
                source=Source(model=self.name, seed=config.seed),
            ).to_json()
        return Rationale(
            teacher=self.name,
            text=solution.text,
            answer=str(solution.answer),
            parsed=True,
            prompt_hash=prompt_hash(example.question),
            first_error=first_error,
            graph=graph,
        )


def build_programmatic(name: str, config: ProgrammaticConfig, task: Task) -> ProgrammaticTeacher:
    """Build a solver.

    Raises:
        RecipeError: the task is not `wordproblems`.
    """
    if not isinstance(task, WordProblems):
        raise RecipeError(
            f"teachers.{name}: a programmatic teacher solves the task 'wordproblems' only, not "
            f"{task.name!r}; use kind: recorded or kind: local"
        )
    return ProgrammaticTeacher(name, config, task)

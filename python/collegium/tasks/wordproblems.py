"""`wordproblems`: arithmetic stories of several steps, made on the spot; needs no data.

The text of a question decides which split it may belong to, whatever the seed. So no question of
one seed's training split is ever found in another seed's test split, and a split's first questions
stay the same when its size, or another split's, changes.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from collegium.errors import RecipeError
from collegium.example import Example, Rationale
from collegium.tasks import prompts
from collegium.tasks.base import Parsed, Splits, Task, TaskOptions
from collegium.tasks.checkers import same_number
from collegium.tasks.parsing import cut, unparsed
from collegium.tasks.wordproblems_graph import GRAPH_WORDS
from collegium.tasks.wordproblems_solve import STYLES, solve, wrong_solutions
from collegium.tasks.wordproblems_story import (
    GAINS,
    LEVELS,
    LOSSES,
    NAMES,
    THINGS,
    Level,
    Operation,
    draw,
    read_story,
)

_ANSWER = re.compile(r"\banswer\s*:?\s*(-?\d+)\b", re.IGNORECASE)
_SHARES = {"test": range(0, 4), "validation": range(4, 6), "train": range(6, 16)}
_MAX_DRAWS = 5000
_WORDS = (
    "has . how many ? doubles halves them ; , + - * / = start with add take from double halve to "
    "get gains losses more fewer no change answer"
)


class WordProblemOptions(TaskOptions):
    """What is asked, how hard it is, and how much of it there is."""

    difficulty: Literal["easy", "default", "hard"] = "default"
    """A named level; the keys below replace parts of it."""
    steps_min: int | None = Field(default=None, ge=1)
    steps_max: int | None = Field(default=None, ge=1)
    max_value: int | None = Field(default=None, ge=2, le=1000)
    """No value on the way leaves 0 .. max_value."""
    operand_max: int | None = Field(default=None, ge=1)
    operations: list[Operation] | None = Field(default=None, min_length=1)
    distractor: float = Field(default=0.0, ge=0, le=1)
    """Probability of a sentence about somebody else."""
    seed: int = Field(default=0, ge=0)
    train: int = Field(default=500, ge=1)
    validation: int = Field(default=100, ge=1)
    test: int = Field(default=1000, ge=1)


class WordProblems(Task):
    """Stories of additions and subtractions, with a solver (`wordproblems_solve`) as teacher."""

    name: ClassVar[str] = "wordproblems"
    Options: ClassVar[type[TaskOptions]] = WordProblemOptions
    needs_data: ClassVar[bool] = False
    word_level: ClassVar[bool] = True
    stop_strings: ClassVar[tuple[str, ...]] = ("Q:", "Question:")
    options: WordProblemOptions

    @cached_property
    def level(self) -> Level:
        """The difficulty in numbers.

        Raises:
            RecipeError: the options contradict each other.
        """
        given = self.options
        changes: dict[str, Any] = {
            key: value
            for key in ("steps_min", "steps_max", "max_value", "operand_max")
            if (value := getattr(given, key)) is not None
        }
        if given.operations is not None:
            changes["operations"] = tuple(given.operations)
        level = replace(LEVELS[given.difficulty], **changes)
        if level.steps_min > level.steps_max:
            raise RecipeError(
                f"task.options: steps_min {level.steps_min} is above steps_max {level.steps_max} "
                f"(difficulty {given.difficulty!r} sets what is not given). Change one of them."
            )
        return level

    def source_files(self) -> Sequence[Path]:
        """Return nothing: the questions come from the options alone."""
        return ()

    def load(self) -> Splits:
        """Draw all three splits.

        Raises:
            RecipeError: the difficulty has too few different questions for the sizes.
        """
        return {
            "train": self._draw("train", self.options.train),
            "validation": self._draw("validation", self.options.validation),
            "test": self._draw("test", self.options.test),
        }

    def _draw(self, split: str, count: int) -> list[Example]:
        seen: set[str] = set()
        rows = []
        for index in range(count):
            rng = random.Random(f"{self.options.seed}/{split}/{index}")
            for _ in range(_MAX_DRAWS):
                question, story = draw(rng, self.level, self.options.distractor)
                if question not in seen and _bucket(question) in _SHARES[split]:
                    break
            else:
                raise RecipeError(
                    f"task.options: hardly more than {index} different questions exist for the "
                    f"{split} split at this difficulty, but {split} = {count}. Ask for fewer, or "
                    "allow more steps or larger values."
                )
            seen.add(question)
            rows.append(
                Example(
                    id=f"wordproblems-{self.options.seed}-{split}-{index}",
                    task=self.name,
                    split=split,
                    question=question,
                    answer=str(story.answer),
                )
            )
        return rows

    def input_text(self, example: Example) -> str:
        """Return the story."""
        return example.question

    def teacher_prompt(
        self, example: Example, demonstrations: Sequence[Example] = (), *, gold: str | None = None
    ) -> str:
        """Return a few-shot prompt for a text teacher; with `gold`, teacher forcing."""
        shown = demonstrations or self.demonstrations()
        if gold is not None:
            return prompts.forced(
                [(d.question, None, d.answer or "", d.rationales[0].text) for d in shown],
                last=(example.question, None, gold),
            )
        return prompts.few_shot(
            [
                (d.question, f"{d.rationales[0].text} {self.conclusion(d.answer or '')}")
                for d in shown
            ],
            example.question,
        )

    def demonstrations(self) -> Sequence[Example]:
        """Return three stories with their equations; they are in no split's share of questions."""
        questions = (
            "Max has 6 eggs . gives 2 . buys 3 . how many eggs ?",
            "Ida has 4 cups . finds 5 . breaks 1 . loses 6 . how many cups ?",
            "Kim has 8 keys . loses 3 . finds 2 . how many keys ?",
        )
        worked = (
            ("6 - 2 = 4 ; 4 + 3 = 7 ;", "7"),
            ("4 + 5 = 9 ; 9 - 1 = 8 ; 8 - 6 = 2 ;", "2"),
            ("8 - 3 = 5 ; 5 + 2 = 7 ;", "7"),
        )
        return [
            Example(
                id=f"wordproblems-demonstration-{index}",
                task=self.name,
                split="demonstration",
                question=question,
                answer=answer,
                rationales=[
                    Rationale(
                        teacher="author", text=text, answer=answer, parsed=True, prompt_hash=""
                    )
                ],
            )
            for index, (question, (text, answer)) in enumerate(zip(questions, worked, strict=True))
        ]

    def parse(self, text: str, example: Example | None = None) -> Parsed:
        """Find the last ``answer N``; what stands before it is the rationale."""
        kept = cut(text, self.stop_strings)
        matches = list(_ANSWER.finditer(kept))
        if not matches:
            return unparsed(kept)
        return Parsed(kept[: matches[-1].start()].strip(), matches[-1][1], True)

    def check(self, prediction: str | None, example: Example) -> bool:
        """Compare by value."""
        return prediction is not None and self.same_answer(prediction, example.answer)

    def same_answer(self, first: str | None, second: str | None) -> bool:
        """Compare by value."""
        return same_number(first, second)

    def conclusion(self, answer: str) -> str:
        """Return ``answer N``."""
        return f"answer {answer}"

    def graph_words(self) -> Sequence[str]:
        """Return the words of the solver's thought graphs."""
        return (GRAPH_WORDS,)

    def corpus(self, splits: Splits) -> Iterator[str]:
        """Yield every word and number of the level, then training stories solved in all styles.

        The solutions include one mistaken one per story and style, so that a tokenizer trained on
        this knows whatever a programmatic teacher may write.
        """
        level = self.level
        largest = max(level.max_value, level.operand_max * level.steps_max)
        yield " ".join(map(str, range(largest + 1)))
        yield " ".join((*NAMES, *THINGS, *GAINS, *LOSSES, _WORDS))
        for example in splits["train"]:
            yield example.question
            story = read_story(example.question)
            if story is None:
                continue
            for style in STYLES:
                solution = solve(story, style, max_value=level.max_value)
                yield f"{solution.text} {self.conclusion(str(solution.answer))}"
                wrong = wrong_solutions(story, style, max_value=level.max_value)
                for _, mistaken in [found[0] for found in wrong.values()][:1]:
                    yield f"{mistaken.text} {self.conclusion(str(mistaken.answer))}"


def _bucket(question: str) -> int:
    return blake2b(question.encode(), digest_size=1).digest()[0] % 16

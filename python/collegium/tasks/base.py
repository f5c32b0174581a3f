"""What a task is: where its questions come from, how they are asked, parsed and checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from collegium.example import Example

Splits = Mapping[str, Sequence[Example]]
"""``train``, ``validation`` and ``test``; disjoint by example id."""


class TaskOptions(BaseModel):
    """Options of a task (the recipe's `task.options`); unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class Parsed:
    """A teacher's or student's answer taken apart; `parsed` is false where no answer was found."""

    rationale: str
    answer: str | None
    parsed: bool


@dataclass(frozen=True)
class Recording:
    """One recorded teacher output, as `Task.recordings` yields it."""

    id: str
    teacher: str
    text: str
    answer: str | None
    parsed: bool


class Task(ABC):
    """One dataset: questions and gold, prompt, parser, checker.

    Args:
        data: file or directory with the source files; None for a built-in task.
        options: the task's own options, an instance of `Options`.
    """

    name: ClassVar[str]
    Options: ClassVar[type[TaskOptions]] = TaskOptions
    needs_data: ClassVar[bool] = True
    word_level: ClassVar[bool] = False
    """Whether white space separates the texts into words that suit a tokenizer as they are."""
    folder_names: ClassVar[tuple[str, ...]] = ()
    """Names of data folders by which the task is recognised when the recipe gives no task name."""
    gold_shown_to: ClassVar[frozenset[str]] = frozenset()
    """Recorded teachers that had the gold answer before them (teacher forcing)."""
    stop_strings: ClassVar[tuple[str, ...]] = ()
    """Texts at which a completion is cut: a text teacher goes on with an invented next question."""

    def __init__(self, data: Path | None = None, options: TaskOptions | None = None) -> None:
        self.data = data
        self.options = options if options is not None else self.Options()

    @abstractmethod
    def source_files(self) -> Sequence[Path]:
        """Return every file that `load` and `recordings` read; their contents are hashed."""

    @abstractmethod
    def load(self) -> Splits:
        """Read questions and gold answers.

        Raises:
            DataError: a file is missing, empty or malformed; names file, line, field.
        """

    def recordings(self, path: Path | None = None) -> Iterator[Recording]:
        """Yield recorded teacher outputs from `path` (default: the task's own data)."""
        return iter(())

    def saw_gold(self, teacher: str) -> bool:
        """Tell whether a recorded teacher had the gold answer before it."""
        return teacher in self.gold_shown_to

    @abstractmethod
    def input_text(self, example: Example) -> str:
        """Return the question as the student reads it, without any task marker."""

    @abstractmethod
    def teacher_prompt(
        self, example: Example, demonstrations: Sequence[Example] = (), *, gold: str | None = None
    ) -> str:
        """Return the few-shot prompt for a text teacher; with `gold`, teacher forcing."""

    def demonstrations(self) -> Sequence[Example]:
        """Return built-in demonstrations, each an example with one rationale and its answer."""
        return ()

    @abstractmethod
    def parse(self, text: str, example: Example | None = None) -> Parsed:
        """Take a completion apart; never raises on what a model may write.

        With `example`, an answer given as a choice's letter becomes that choice's text.
        """

    def parse_label(self, text: str) -> str:
        """Return the answer from a direct label prediction."""
        return text.strip()

    @abstractmethod
    def check(self, prediction: str | None, example: Example) -> bool:
        """Tell whether `prediction` is right for `example.answer`."""

    @abstractmethod
    def same_answer(self, first: str | None, second: str | None) -> bool:
        """Tell whether two answers mean the same (None only equals None)."""

    @abstractmethod
    def conclusion(self, answer: str) -> str:
        """Return the sentence that ends a rationale with its answer; `parse` finds it again."""

    def graph_words(self) -> Sequence[str]:
        """Return texts with the words that thought graphs add to `corpus`, where they are known."""
        return ()

    def corpus(self, splits: Splits) -> Iterator[str]:
        """Yield the texts on which a tokenizer made on the spot is trained (no test split)."""
        for example in splits["train"]:
            yield self.input_text(example)
            if example.answer is not None:
                yield example.answer
                yield self.conclusion(example.answer)

"""`custom`: questions from any JSONL or Parquet file, with a mapping from columns to fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from collegium.errors import DataError
from collegium.example import Example
from collegium.tasks import prompts
from collegium.tasks.base import Parsed, Recording, TaskOptions
from collegium.tasks.checkers import (
    same_equation,
    same_number,
    same_text,
    same_yes_no,
    yes_or_no,
)
from collegium.tasks.demonstrations import demonstration
from collegium.tasks.files import FileTask
from collegium.tasks.parsing import (
    choice_text,
    cut,
    first_line,
    first_number,
    letter_of,
    lettered,
    split_at,
    unparsed,
)
from collegium.tasks.sources import SourceRow, check_exists

AnswerKind = Literal["text", "equation", "number", "choice", "yes_no"]

_MARKERS = ("So the answer is", "The answer is", "the answer is", "Answer:", "####")
_EQUATION = re.compile(r"\(.*\)")
_SAME: Mapping[AnswerKind, Callable[[str | None, str | None], bool]] = {
    "text": same_text,
    "equation": same_equation,
    "number": same_number,
    "choice": same_text,
    "yes_no": same_yes_no,
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Columns(_Part):
    """Which column holds what; null = there is none."""

    question: str = "question"
    answer: str | None = "answer"
    """A row where it is null is unlabeled."""
    id: str | None = None
    """Without it, ids are file name and line number."""
    choices: str | None = None
    context: str | None = None


class RationaleColumns(_Part):
    """The columns of one recorded teacher."""

    text: str
    answer: str | None = None
    gold_in_prompt: bool = False
    """Whether this teacher was given the gold answer."""


class Shown(_Part):
    """A worked example for the prompts of text teachers."""

    question: str
    rationale: str
    answer: str
    choices: list[str] | None = None
    context: str | None = None


class CustomOptions(TaskOptions):
    """Columns, answer kind and files of a data set of your own."""

    columns: Columns = Columns()
    answer_kind: AnswerKind = "text"
    """How answers are compared: exact text, value of an equation or number, choice, yes or no."""
    rationales: dict[str, RationaleColumns] = Field(default_factory=dict)
    """Recorded teacher to its columns."""
    train: str | None = None
    """File name in the data folder; default: train.jsonl, train.jsonl.gz or train.parquet."""
    validation: str | None = None
    test: str | None = None
    demonstrations: list[Shown] = Field(default_factory=list)


class Custom(FileTask):
    """Any JSONL or Parquet data; see `CustomOptions`."""

    name: ClassVar[str] = "custom"
    Options: ClassVar[type[TaskOptions]] = CustomOptions
    stop_strings: ClassVar[tuple[str, ...]] = ("Q:", "Question:")
    options: CustomOptions

    def files(self) -> dict[str, Path]:
        """Return split to file: those that the options name, else those found by name."""
        data = check_exists(self.data, self.name)
        named = {s: n for s in ("train", "validation", "test") if (n := getattr(self.options, s))}
        if not named:
            return super().files()
        if data.is_file():
            raise DataError(
                f"task.data is the file {data}, so task.options cannot name files "
                f"({', '.join(named)}); give the folder instead"
            )
        known = {}
        for split, name in named.items():
            if not (data / name).is_file():
                held = ", ".join(sorted(entry.name for entry in data.iterdir())[:12])
                raise DataError(f"task.options.{split}: no file {name!r} in {data} (found {held})")
            known[split] = data / name
        return self.found_in(data, known)

    def saw_gold(self, teacher: str) -> bool:
        """Tell what the options say about a recorded teacher."""
        columns = self.options.rationales.get(teacher)
        return columns is not None and columns.gold_in_prompt

    def to_example(self, row: SourceRow, split: str) -> Example:
        """Return the example of one row, by the column mapping."""
        columns = self.options.columns
        choices = row.texts(columns.choices) if columns.choices else None
        return Example(
            id=self._id(row),
            task=self.name,
            split=split,
            question=row.get(columns.question, str),
            choices=choices,
            context=row.get(columns.context, str, null=True) if columns.context else None,
            answer=self._answer(row, columns.answer, choices),
        )

    def _id(self, row: SourceRow) -> str:
        column = self.options.columns.id
        if column is None:
            return f"{row.path.name.split('.')[0]}-{row.line}"
        return str(row.get(column, (str, int)))

    def _answer(self, row: SourceRow, column: str | None, choices: list[str] | None) -> str | None:
        value: Any = row.get(column, (str, int, float, bool), null=True) if column else None
        if value is None:
            return None
        text = ("yes" if value else "no") if isinstance(value, bool) else str(value).strip()
        if self.options.answer_kind == "choice":
            choice = choice_text(text, choices or [])
            if choice is None:
                raise DataError(
                    f"{row.path}, line {row.line}, field {column!r}: expected one of the choices "
                    f"{choices!r:.120} or its letter, found {value!r}"
                )
            return choice
        if self.options.answer_kind == "yes_no" and yes_or_no(text) is None:
            raise DataError(
                f"{row.path}, line {row.line}, field {column!r}: expected yes or no, "
                f"found {value!r}"
            )
        return text

    def row_recordings(self, row: SourceRow) -> Iterator[Recording]:
        """Return a row's recorded rationales, by the column mapping."""
        for teacher, columns in self.options.rationales.items():
            text = row.get(columns.text, str, null=True)
            if text is None or not text.strip():
                continue
            answer = None
            if columns.answer is not None:
                raw: Any = row.get(columns.answer, (str, int, float, bool), null=True)
                answer = None if raw is None else str(raw).strip() or None
                names = self.options.columns.choices
                if answer is not None and self.options.answer_kind == "choice" and names:
                    answer = choice_text(answer, row.texts(names))
            yield Recording(self._id(row), teacher, text.strip(), answer, answer is not None)

    def input_text(self, example: Example) -> str:
        """Return context, question and lettered choices, one below the other."""
        parts = [example.context, example.question]
        if example.choices:
            parts.append(f"Answer Choices:\n{lettered(example.choices)}")
        return "\n".join(part for part in parts if part)

    def teacher_prompt(
        self, example: Example, demonstrations: Sequence[Example] = (), *, gold: str | None = None
    ) -> str:
        """Return a few-shot prompt for a text teacher; with `gold`, teacher forcing."""
        shown = demonstrations or self.demonstrations()
        if gold is not None:
            return prompts.forced(
                [(*self._forced(d, d.answer or ""), d.rationales[0].text) for d in shown],
                last=self._forced(example, gold),
            )
        return prompts.few_shot(
            [
                (
                    self.input_text(d),
                    f"{d.rationales[0].text} "
                    + self.conclusion(letter_of(d.answer or "", d.choices or ())),
                )
                for d in shown
            ],
            self.input_text(example),
        )

    def _forced(self, example: Example, answer: str) -> tuple[str, str | None, str]:
        question = "\n".join(part for part in (example.context, example.question) if part)
        options = lettered(example.choices) if example.choices else None
        return question, options, letter_of(answer, example.choices or ())

    def demonstrations(self) -> Sequence[Example]:
        """Return the demonstrations of the options."""
        return [
            demonstration(
                self.name,
                index,
                shown.question,
                shown.answer,
                shown.rationale,
                context=shown.context,
                choices=shown.choices,
            )
            for index, shown in enumerate(self.options.demonstrations)
        ]

    def parse(self, text: str, example: Example | None = None) -> Parsed:
        """Split at ``The answer is`` (or ``Answer:``, ``####``); read the answer by its kind."""
        kept = cut(text, self.stop_strings)
        parts = split_at(kept, _MARKERS)
        if parts is None:
            return unparsed(kept)
        rationale, behind = parts
        answer = self._read(first_line(behind), example)
        return Parsed(rationale, answer, True) if answer else unparsed(rationale)

    def _read(self, line: str, example: Example | None) -> str | None:
        match self.options.answer_kind:
            case "equation":
                found = _EQUATION.search(line)
                return found[0] if found else line.rstrip(".").strip()
            case "number":
                return first_number(line)
            case "choice":
                return choice_text(line, example.choices if example is not None else None)
            case "yes_no":
                words = line.split()
                return yes_or_no(words[0].strip(",;:.")) if words else None
            case _:
                return line.removesuffix(".").strip()

    def check(self, prediction: str | None, example: Example) -> bool:
        """Compare by the answer kind."""
        return prediction is not None and self.same_answer(prediction, example.answer)

    def same_answer(self, first: str | None, second: str | None) -> bool:
        """Compare by the answer kind."""
        return _SAME[self.options.answer_kind](first, second)

    def conclusion(self, answer: str) -> str:
        """Return ``The answer is``, the answer and a full stop."""
        if self.options.answer_kind == "equation" and not _EQUATION.fullmatch(answer.strip()):
            return f"The answer is ({answer.strip()})."
        return f"The answer is {answer}."

"""`esnli`: natural language inference with explanations (Camburu et al. 2018).

The published input joins premise and hypothesis with the student's end-of-sequence token. A task
knows no tokenizer, and in a decoder-only student that token would end the text; so the parts are
named in words here, ``premise: ... hypothesis: ...``, the form that T5 was pretrained on for this
kind of task.

Where there is no training file, the validation file is used for training and 10 % of it (seed 0)
are held out for model selection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from collegium.errors import DataError
from collegium.example import Example
from collegium.tasks import prompts
from collegium.tasks.base import Parsed, Recording
from collegium.tasks.checkers import same_text
from collegium.tasks.demonstrations import demonstration
from collegium.tasks.files import FileTask
from collegium.tasks.parsing import cut, first_line, split_at, unparsed
from collegium.tasks.recorded import parsed_recording
from collegium.tasks.sources import SourceRow

LABELS = ("entailment", "neutral", "contradiction")


class Esnli(FileTask):
    """Rows with `id`, `premise`, `hypothesis`, `label`, `human_explanations`, `teachers`."""

    name: ClassVar[str] = "esnli"
    folder_names: ClassVar[tuple[str, ...]] = ("esnli", "e-snli", "e_snli")
    gold_shown_to: ClassVar[frozenset[str]] = frozenset({"human"})
    stop_strings: ClassVar[tuple[str, ...]] = ("Premise:",)
    train_names: ClassVar[tuple[str, ...]] = ("train", "valid", "validation", "dev")

    def to_example(self, row: SourceRow, split: str) -> Example:
        """Return the example of one row; the premise is its `context`."""
        answer = row.get("label", str)
        if answer not in LABELS:
            raise DataError(
                f"{row.path}, line {row.line}, field 'label': expected one of "
                f"{', '.join(LABELS)}, found {answer!r}"
            )
        return Example(
            id=row.get("id", str),
            task=self.name,
            split=split,
            question=row.get("hypothesis", str),
            context=row.get("premise", str),
            answer=answer,
        )

    def row_recordings(self, row: SourceRow) -> Iterator[Recording]:
        """Return the recorded rationales of a row, and the explanations of people as ``human``.

        People explained the label that they were shown, so theirs come without an answer.
        """
        yield from self._known_labels(parsed_recording(row))
        written = row.texts("human_explanations") if "human_explanations" in row.values else ()
        for text in written:
            if text.strip():
                yield Recording(row.get("id", str), "human", text.strip(), None, False)

    def _known_labels(self, recordings: Iterable[Recording]) -> Iterator[Recording]:
        for found in recordings:
            answer = found.answer if found.answer in LABELS else None
            yield Recording(
                found.id, found.teacher, found.text, answer, found.parsed and answer is not None
            )

    def input_text(self, example: Example) -> str:
        """Return ``premise: ... hypothesis: ...``."""
        return f"premise: {example.context} hypothesis: {example.question}"

    def teacher_prompt(
        self, example: Example, demonstrations: Sequence[Example] = (), *, gold: str | None = None
    ) -> str:
        """Return a few-shot prompt for a text teacher; with `gold`, teacher forcing.

        The form is that of the recorded outputs: rationale first, then ``Answer: label``.
        """
        shown = demonstrations or self.demonstrations()
        if gold is not None:
            return prompts.forced(
                [(_pair(d), None, d.answer or "", d.rationales[0].text) for d in shown],
                last=(_pair(example), None, gold),
            )
        blocks = [
            f"{_pair(d)}\nReasoning: {d.rationales[0].text}\n{self.conclusion(d.answer or '')}"
            for d in shown
        ]
        return "\n\n".join([*blocks, f"{_pair(example)}\nReasoning:"])

    def demonstrations(self) -> Sequence[Example]:
        """Return one pair for each label, written for this package."""
        return [
            demonstration(self.name, index, hypothesis, answer, text, context=premise)
            for index, (premise, hypothesis, answer, text) in enumerate(_DEMONSTRATIONS)
        ]

    def parse(self, text: str, example: Example | None = None) -> Parsed:
        """Split at ``Answer:``; the label is the first line behind it."""
        kept = cut(text, self.stop_strings)
        parts = split_at(kept, ("Answer:",))
        if parts is None:
            return unparsed(kept)
        rationale, behind = parts
        answer = first_line(behind).rstrip(".").lower()
        return Parsed(rationale, answer, True) if answer in LABELS else unparsed(rationale)

    def check(self, prediction: str | None, example: Example) -> bool:
        """Compare labels exactly, as published."""
        return prediction is not None and self.same_answer(prediction, example.answer)

    def same_answer(self, first: str | None, second: str | None) -> bool:
        """Compare labels exactly."""
        return same_text(first, second)

    def conclusion(self, answer: str) -> str:
        """Return ``Answer: label``."""
        return f"Answer: {answer}"


def _pair(example: Example) -> str:
    return f"Premise: {example.context}\nHypothesis: {example.question}"


_DEMONSTRATIONS = (
    (
        "A girl in a yellow raincoat jumps into a puddle.",
        "A child is playing outside.",
        "entailment",
        "A girl is a child, and puddles into which one jumps in a raincoat are outside.",
    ),
    (
        "Two men carry a large sofa up the stairs.",
        "The men are brothers.",
        "neutral",
        "Men who carry a sofa together may be brothers, but nothing says that they are.",
    ),
    (
        "A woman is asleep on a bench in the park.",
        "A woman runs through the park.",
        "contradiction",
        "A woman who is asleep cannot be running at the same time.",
    ),
)

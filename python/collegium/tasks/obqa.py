"""`obqa`: OpenBookQA, four choices (Mihaylov et al. 2018), with TinyLLM's recorded rationales.

Both recorded teachers were given the gold answer (Tian et al. 2024), so their answers say nothing
about them. The second one's texts state no answer of their own and mostly end in mid-sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from collegium.errors import DataError
from collegium.example import Example
from collegium.tasks import prompts
from collegium.tasks.base import Parsed, Recording
from collegium.tasks.checkers import same_text
from collegium.tasks.demonstrations import demonstration
from collegium.tasks.files import FileTask
from collegium.tasks.parsing import choice_text, cut, letter_of, lettered, split_at, unparsed
from collegium.tasks.recorded import parsed_recording
from collegium.tasks.sources import SourceRow

_MARKERS = ("So the answer is", "Thus, the answer is", "the answer is", "The answer is")


class Obqa(FileTask):
    """Rows with `id`, `question`, `choices`, `label` (a choice's text), `teachers`."""

    name: ClassVar[str] = "obqa"
    folder_names: ClassVar[tuple[str, ...]] = ("obqa", "tinyllm_obqa", "openbookqa")
    gold_shown_to: ClassVar[frozenset[str]] = frozenset({"flan-t5-xl", "llama2-7b-chat"})
    stop_strings: ClassVar[tuple[str, ...]] = ("Q:", "Question:")

    def to_example(self, row: SourceRow, split: str) -> Example:
        """Return the example of one row."""
        answer, choices = row.get("label", str), row.texts("choices")
        if answer not in choices:
            raise DataError(
                f"{row.path}, line {row.line}, field 'label': expected the text of one of the "
                f"choices {choices!r:.120}, found {answer!r}"
            )
        return Example(
            id=row.get("id", str),
            task=self.name,
            split=split,
            question=row.get("question", str),
            choices=choices,
            answer=answer,
        )

    def row_recordings(self, row: SourceRow) -> Iterable[Recording]:
        """Return the recorded rationales of a row."""
        return parsed_recording(row)

    def input_text(self, example: Example) -> str:
        """Return the question and its lettered choices, as published."""
        return f"{example.question}\nAnswer Choices:\n{lettered(example.choices or ())}"

    def teacher_prompt(
        self, example: Example, demonstrations: Sequence[Example] = (), *, gold: str | None = None
    ) -> str:
        """Return a few-shot prompt for a text teacher; with `gold`, teacher forcing."""
        shown = demonstrations or self.demonstrations()
        if gold is not None:
            return prompts.forced(
                [
                    (
                        d.question,
                        lettered(d.choices or ()),
                        letter_of(d.answer or "", d.choices or ()),
                        d.rationales[0].text,
                    )
                    for d in shown
                ],
                last=(
                    example.question,
                    lettered(example.choices or ()),
                    letter_of(gold, example.choices or ()),
                ),
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

    def demonstrations(self) -> Sequence[Example]:
        """Return three questions written for this package."""
        return [
            demonstration(self.name, index, question, choices[right], text, choices=choices)
            for index, (question, choices, right, text) in enumerate(_DEMONSTRATIONS)
        ]

    def parse(self, text: str, example: Example | None = None) -> Parsed:
        """Split at ``the answer is``; the answer is a choice's text, or its letter."""
        kept = cut(text, self.stop_strings)
        parts = split_at(kept, _MARKERS)
        if parts is None:
            return unparsed(kept)
        rationale, behind = parts
        answer = choice_text(
            behind.partition("\n")[0], example.choices if example is not None else None
        )
        return Parsed(rationale, answer, True) if answer is not None else unparsed(rationale)

    def check(self, prediction: str | None, example: Example) -> bool:
        """Compare with the text of the right choice, exactly, as published."""
        return prediction is not None and self.same_answer(prediction, example.answer)

    def same_answer(self, first: str | None, second: str | None) -> bool:
        """Compare texts exactly."""
        return same_text(first, second)

    def conclusion(self, answer: str) -> str:
        """Return ``So the answer is``, the choice and a full stop."""
        return f"So the answer is {answer}."


_DEMONSTRATIONS = (
    (
        "A metal spoon left standing in hot soup will",
        ["melt into the soup", "become hot at its handle", "turn into wood", "lose its weight"],
        1,
        "Metal conducts heat well. Heat from the soup travels along the spoon, so its handle "
        "becomes hot too.",
    ),
    (
        "Which of these helps a cactus to live through long dry times?",
        ["water stored in its stem", "its bright flowers", "wide thin leaves", "a deep snow cover"],
        0,
        "Dry times mean that little water is to be had from the ground. A cactus stores water in "
        "its thick stem and uses it later.",
    ),
    (
        "Day turns into night because",
        ["clouds cover the sun", "the moon shines", "stars grow brighter", "the earth rotates"],
        3,
        "A place has day while it faces the sun. The earth rotates, so that the place turns away "
        "from the sun and it becomes night there.",
    ),
)

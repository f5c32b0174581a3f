"""`svamp`: elementary arithmetic stories; the label is an equation (Patel et al. 2021).

Splits, parser and metric as in Distilling Step-by-Step (Hsieh et al. 2023): 720 training rows,
80 for validation by the published rule, 200 for testing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import ClassVar

from collegium.example import Example
from collegium.tasks import prompts
from collegium.tasks.base import Parsed, Recording
from collegium.tasks.checkers import same_equation
from collegium.tasks.demonstrations import demonstration
from collegium.tasks.files import FileTask
from collegium.tasks.parsing import cut, split_at, unparsed
from collegium.tasks.recorded import parsed_recording
from collegium.tasks.sources import SourceRow

_EQUATION = re.compile(r"\(.*\)")


class Svamp(FileTask):
    """Rows with `id`, `input` (body, newline, question), `label` (equation), `teachers`."""

    name: ClassVar[str] = "svamp"
    folder_names: ClassVar[tuple[str, ...]] = ("svamp",)
    stop_strings: ClassVar[tuple[str, ...]] = ("Q:",)

    def to_example(self, row: SourceRow, split: str) -> Example:
        """Return the example of one row."""
        return Example(
            id=row.get("id", str),
            task=self.name,
            split=split,
            question=row.get("input", str),
            answer=row.get("label", str),
        )

    def row_recordings(self, row: SourceRow) -> Iterable[Recording]:
        """Return the recorded rationales of a row."""
        return parsed_recording(row)

    def input_text(self, example: Example) -> str:
        """Return body, newline, question, as published."""
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
        """Return four stories written for this package."""
        return [
            demonstration(self.name, index, question, answer, text)
            for index, (question, answer, text) in enumerate(_DEMONSTRATIONS)
        ]

    def parse(self, text: str, example: Example | None = None) -> Parsed:
        """Split at ``The answer is``; the equation is what stands in parentheses behind it."""
        parts = split_at(cut(text, self.stop_strings), ("The answer is",))
        if parts is None:
            return unparsed()
        rationale, behind = parts
        equation = _EQUATION.search(behind)
        return Parsed(rationale, equation[0], True) if equation is not None else unparsed(rationale)

    def check(self, prediction: str | None, example: Example) -> bool:
        """Compare the values of the equations."""
        return prediction is not None and self.same_answer(prediction, example.answer)

    def same_answer(self, first: str | None, second: str | None) -> bool:
        """Compare the values of the equations."""
        return same_equation(first, second)

    def conclusion(self, answer: str) -> str:
        """Return ``The answer is``, the equation in parentheses and a full stop."""
        inner = answer.strip()
        whole = inner if inner.startswith("(") and inner.endswith(")") else f"({inner})"
        return f"The answer is {whole}."


_DEMONSTRATIONS = (
    (
        "A baker put 6 rolls into each of 9 bags\nHow many rolls did the baker put into bags?",
        "( 6 * 9 )",
        "Each bag holds 6 rolls and there are 9 bags. So there are 6 * 9 = 54 rolls in bags.",
    ),
    (
        "Nora had 31 stickers. She gave 12 of them to Paul and later 5 to Rita.\n"
        "How many stickers does Nora have left?",
        "( ( 31 - 12 ) - 5 )",
        "Nora started with 31 stickers. After giving 12 to Paul she had 31 - 12 = 19. After "
        "giving 5 to Rita she had 19 - 5 = 14.",
    ),
    (
        "A school bought 48 chairs and 20 desks. The chairs are put into 8 equal rows.\n"
        "How many chairs are in each row?",
        "( 48 / 8 )",
        "Only the chairs are put into rows, so the desks do not matter. 48 chairs in 8 equal rows "
        "are 48 / 8 = 6 chairs in each row.",
    ),
    (
        "Omar read 14 pages on friday, 9 pages on saturday and 22 pages on sunday.\n"
        "How many pages did he read on the weekend?",
        "( 9 + 22 )",
        "The weekend is saturday and sunday, so friday does not count. He read 9 + 22 = 31 pages.",
    ),
)

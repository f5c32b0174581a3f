"""Choosing the questions that a report shows side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collegium.example import Example
from collegium.report.results import Case, CaseAnswer


def choose_cases(
    examples: Sequence[Example],
    answers: Mapping[tuple[str, int], Sequence[Mapping[str, Any]]],
    count: int,
) -> list[Case]:
    """Return up to `count` questions with the answer of every arm and mode.

    Only the first seed of each arm is shown. Questions that were asked in the most ways come
    first, among them those on which the answers divide most evenly into right and wrong: where
    all arms agree there is nothing to see. Nothing else decides, in particular not which arm wins.

    Args:
        examples: the test questions.
        answers: (arm, seed) to prediction rows with ``id, mode, answer, rationale, correct``.
        count: number of questions.
    """
    shown: dict[str, int] = {}
    for arm, seed in answers:
        shown.setdefault(arm, seed)
    found: dict[str, list[CaseAnswer]] = {}
    for arm, seed in shown.items():
        for row in answers[arm, seed]:
            entry = CaseAnswer(
                arm=arm,
                mode=row["mode"],
                seed=seed,
                answer=row["answer"],
                rationale=row["rationale"],
                correct=row["correct"],
            )
            found.setdefault(row["id"], []).append(entry)

    def interest(example: Example) -> tuple[int, float]:
        entries = found.get(example.id, [])
        right = [e.correct for e in entries if e.correct is not None]
        divided = min(sum(right), len(right) - sum(right)) / len(right) if right else 0.0
        return (-len(entries), -divided)

    asked = [e for e in examples if e.id in found]
    return [
        Case(
            id=example.id,
            question="\n".join(part for part in (example.context, example.question) if part),
            choices=example.choices,
            gold=example.answer,
            answers=found[example.id],
        )
        for example in sorted(asked, key=interest)[:count]
    ]

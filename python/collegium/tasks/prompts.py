"""Prompts for text teachers: few-shot chain of thought, and teacher forcing."""

from __future__ import annotations

from collections.abc import Iterable

STEPWISE = "Let's think step by step."


def few_shot(shown: Iterable[tuple[str, str]], question: str) -> str:
    """Return ``Q: ... A: ...`` blocks, the last one open (Wei et al. 2022; Hsieh et al. 2023).

    Args:
        shown: question and full answer (rationale and conclusion) of each demonstration.
        question: what is asked now.
    """
    blocks = [f"Q: {asked}\nA: {answered}" for asked, answered in shown]
    return "\n\n".join([*blocks, f"Q: {question}\nA:"])


def forced(
    shown: Iterable[tuple[str, str | None, str, str]], *, last: tuple[str, str | None, str]
) -> str:
    """Return TinyLLM's teacher-forcing prompt (Tian et al. 2024): the answer comes before the why.

    Blocks of ``Question``, ``Options`` (where there are any), ``Answer`` and ``Rationale``.

    Args:
        shown: question, lettered choices or None, answer and rationale of each demonstration.
        last: question, choices and gold answer of the one that is asked now.
    """
    blocks = [f"{_head(*block[:3])} {block[3]}" for block in shown]
    return "\n\n".join([*blocks, _head(*last)])


def _head(question: str, options: str | None, answer: str) -> str:
    middle = f"Options:\n{options}\n" if options else ""
    return f"Question: {question}\n{middle}Answer: {answer}\nRationale: {STEPWISE}"

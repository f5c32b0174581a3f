"""Demonstrations: worked examples that prompts show to a text teacher."""

from __future__ import annotations

from collections.abc import Sequence

from collegium.example import Example, Rationale


def demonstration(
    task: str,
    index: int,
    question: str,
    answer: str,
    rationale: str,
    *,
    context: str | None = None,
    choices: Sequence[str] | None = None,
) -> Example:
    """Return a worked example; its split is ``demonstration``, its teacher ``author``."""
    return Example(
        id=f"{task}-demonstration-{index}",
        task=task,
        split="demonstration",
        question=question,
        context=context,
        choices=list(choices) if choices else None,
        answer=answer,
        rationales=[
            Rationale(teacher="author", text=rationale, answer=answer, parsed=True, prompt_hash="")
        ],
    )

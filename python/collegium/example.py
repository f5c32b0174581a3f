"""`Example`: one question with everything known about it; the rows that all stages exchange.

`collegium.example_io` reads and writes them as Parquet and JSONL.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

VERSION = 1


def _this_version(version: int) -> int:
    if version != VERSION:
        raise ValueError(f"schema version {VERSION}")
    return version


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Rationale(_Row):
    """What one teacher answered to one question, in one sample.

    `gold_in_prompt` marks teacher-forced answers: the teacher had seen the gold answer, so its
    `answer` is no estimate of the teacher. `parent` is the sample that this one corrects.
    """

    teacher: str
    sample: int = Field(default=0, ge=0)
    text: str
    answer: str | None = None
    parsed: bool
    gold_in_prompt: bool = False
    prompt_hash: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    score: float | None = None
    parent: int | None = None
    first_error: int | None = None
    graph: str | None = None
    licence: str | None = None


class Example(_Row):
    """A question, its gold answer if one is known (`answer`), and the teachers' rationales."""

    v: Annotated[int, AfterValidator(_this_version)] = VERSION
    id: str = Field(min_length=1)
    task: str
    split: str
    question: str
    choices: list[str] | None = None
    context: str | None = None
    answer: str | None = None
    rationales: list[Rationale] = Field(default_factory=list)

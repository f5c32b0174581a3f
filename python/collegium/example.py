"""`Example`: one question with everything known about it; the rows that all stages exchange.

Rows are stored as Parquet (schema version in the file's metadata) or JSONL.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from collegium.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


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

    v: int = VERSION
    id: str = Field(min_length=1)
    task: str
    split: str
    question: str
    choices: list[str] | None = None
    context: str | None = None
    answer: str | None = None
    rationales: list[Rationale] = Field(default_factory=list)

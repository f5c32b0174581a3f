"""From examples to encoded sequences: prompt and target are tokenized apart and joined."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from collegium.errors import ArgumentError
from collegium.example import Example, Rationale
from collegium.objectives import rows
from collegium.objectives.formats import PromptFormat, StudentKind, teacher_of
from collegium.objectives.prompts import SpecialIds, prompt_layout
from collegium.objectives.rows import Encodings, Layout, TrainingRows

if TYPE_CHECKING:
    from collegium.tokenizer import Tokenizer

LabelOf = Callable[[Example], str | None]
"""The answer that the student learns for an example (gold, or a teacher's), None where unknown."""
ConclusionOf = Callable[[Example, str], str]
"""The sentence that states an answer at the end of a rationale."""


@dataclass
class ObjectiveCounts:
    """What became of the targets of one objective."""

    sequences: int = 0
    input_tokens: int = 0
    target_tokens: int = 0
    prompts_truncated: int = 0
    targets_truncated: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Reason to number: ``no answer``, ``no rationale``, ``empty target``, ``empty prompt``."""


@dataclass
class Counts:
    """`ObjectiveCounts` by objective."""

    objectives: dict[str, ObjectiveCounts]

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return the counts as JSON values."""
        return {
            name: {**vars(counts), "dropped": dict(counts.dropped)}
            for name, counts in self.objectives.items()
        }


def encode_examples(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    format: PromptFormat,
    objectives: Sequence[str],
    special: SpecialIds,
    *,
    input_text: Callable[[Example], str],
    kind: StudentKind = "decoder",
    label: LabelOf = lambda example: example.answer,
    conclusion: ConclusionOf | None = None,
    max_prompt_tokens: int = 512,
    max_target_tokens: int = 256,
) -> tuple[TrainingRows, Counts]:
    """Encode every objective of every example.

    Order: examples as given, each with its objectives as given, a teacher's rationales by sample.
    Targets end with EOS; one longer than `max_target_tokens` is cut and then has none. Each target
    token is one loss edge of weight 1. With `format.conclusion` a rationale is followed by
    `conclusion` of its own answer, or of `label` where it has none.

    Returns:
        The rows, and the counts by objective of what was cut or dropped and why.

    Raises:
        ArgumentError: an objective is unknown, or `kind` and `special` do not fit together.
    """
    if format.conclusion and conclusion is None:
        raise ArgumentError("format.conclusion needs the argument `conclusion`")
    format = format.resolve(objectives)
    layout = _layout(
        objectives, format, tokenizer, special, kind, max_prompt_tokens, max_target_tokens
    )
    counts = Counts({name: ObjectiveCounts() for name in objectives})
    texts: list[str] = []
    question_of: list[int] = []
    objective_of: list[int] = []
    for index, example in enumerate(examples):
        for number, objective in enumerate(objectives):
            tally = counts.objectives[objective]
            for text in _targets(example, objective, format, label, conclusion, tally):
                texts.append(text)
                question_of.append(index)
                objective_of.append(number)
    of = np.array(objective_of, dtype=np.int64)
    made = rows.encode_rows(
        tokenizer,
        [example.id for example in examples],
        objectives,
        [input_text(example) for example in examples],
        texts,
        np.array(question_of, dtype=np.int64),
        of,
        layout,
    )
    _count(counts, made, of)
    return made.rows, counts


def encode_training_file(
    path: str | os.PathLike[str],
    tokenizer: Tokenizer,
    format: PromptFormat,
    targets: Mapping[str, str],
    special: SpecialIds,
    *,
    question: str = "question",
    id: str | None = None,
    kind: StudentKind = "decoder",
    max_prompt_tokens: int = 512,
    max_target_tokens: int = 256,
) -> tuple[TrainingRows, Counts]:
    """Encode a JSONL or Parquet file of questions and targets, without a Python string of it.

    The rows are those of `encode_examples` for the same texts.

    Args:
        path: the file; see `Tokenizer.encode_file`.
        tokenizer: the student's.
        format: how questions are put; conclusions are made from examples only.
        targets: objective to the column with its targets. A null makes no row.
        special: ids with a role.
        question: column of the questions.
        id: column of the examples' names; default: the row's number from 0.
        kind: decoder-only or encoder-decoder.
        max_prompt_tokens: see `encode_examples`.
        max_target_tokens: see `encode_examples`.

    Raises:
        ArgumentError: as `encode_examples`.
        DataError: the file is unusable; the message names line or row, and field.
    """
    if format.conclusion:
        raise ArgumentError("format.conclusion: a file's targets are encoded as they are")
    objectives = list(targets)
    for objective in objectives:
        teacher_of(objective)
    layout = _layout(
        objectives,
        format.resolve(objectives),
        tokenizer,
        special,
        kind,
        max_prompt_tokens,
        max_target_tokens,
    )
    counts = Counts({name: ObjectiveCounts() for name in objectives})
    made = rows.encode_rows_file(tokenizer, path, question, targets, id, layout)
    of = np.arange(len(made.fates)) % max(len(objectives), 1)
    absent = np.bincount(of[made.fates == rows.MISSING], minlength=len(objectives)).tolist()
    for objective, number in zip(objectives, absent, strict=True):
        if number:
            reason = "no answer" if teacher_of(objective) is None else "no rationale"
            counts.objectives[objective].dropped[reason] = number
    _count(counts, made, of)
    return made.rows, counts


def _layout(
    objectives: Sequence[str],
    format: PromptFormat,
    tokenizer: Tokenizer,
    special: SpecialIds,
    kind: StudentKind,
    max_prompt_tokens: int,
    max_target_tokens: int,
) -> Layout:
    if kind == "encoder-decoder" and special.decoder_start is None:
        raise ArgumentError("encoder-decoder sequences need special.decoder_start")
    if max_target_tokens < 1:
        raise ArgumentError(f"max_target_tokens: expected 1 or more, found {max_target_tokens}")
    return prompt_layout(
        objectives,
        format,
        tokenizer,
        special,
        kind=kind,
        max_prompt_tokens=max_prompt_tokens,
        max_target_tokens=max_target_tokens,
    )


def _count(counts: Counts, made: Encodings, of: NDArray[np.int64]) -> None:
    """Add what became of the targets, objective ``of[t]`` each."""
    encoded, fates, size = made.rows, made.fates, len(counts.objectives)

    def by_objective(chosen: NDArray[Any]) -> list[int]:
        return np.bincount(of[chosen], minlength=size).tolist()

    def tokens(offsets: NDArray[np.int64]) -> list[int]:
        # Exact: sums stay below 2^53.
        lengths = np.diff(offsets)
        return np.bincount(encoded.objective_of, lengths, size).astype(np.int64).tolist()

    sequences = np.bincount(encoded.objective_of, minlength=size).tolist()
    read, learnt = tokens(encoded.input_offsets), tokens(encoded.edge_offsets)
    if encoded.encoder_offsets is not None:
        read = [a + b for a, b in zip(read, tokens(encoded.encoder_offsets), strict=True)]
    dropped = {
        "empty target": by_objective(fates == rows.EMPTY_TARGET),
        "empty prompt": by_objective(fates == rows.EMPTY_PROMPT),
    }
    prompts = by_objective((fates & rows.PROMPT_CUT) > 0)
    targets = by_objective((fates & rows.TARGET_CUT) > 0)
    for number, tally in enumerate(counts.objectives.values()):
        tally.sequences = sequences[number]
        tally.input_tokens, tally.target_tokens = read[number], learnt[number]
        tally.prompts_truncated, tally.targets_truncated = prompts[number], targets[number]
        for reason, numbers in dropped.items():
            if numbers[number]:
                tally.dropped[reason] += numbers[number]


def _targets(
    example: Example,
    objective: str,
    format: PromptFormat,
    label: LabelOf,
    conclusion: ConclusionOf | None,
    tally: ObjectiveCounts,
) -> list[str]:
    """Return the texts to be learnt, counting an example that has none."""
    teacher = teacher_of(objective)
    if teacher is None:
        answer = label(example)
        if answer is None:
            tally.dropped["no answer"] += 1
            return []
        return [answer.strip()]
    own = sorted(
        (entry for entry in example.rationales if entry.teacher == teacher),
        key=lambda entry: entry.sample,
    )
    if not own:
        tally.dropped["no rationale"] += 1
    return [_rationale_text(example, entry, format, label, conclusion) for entry in own]


def _rationale_text(
    example: Example,
    entry: Rationale,
    format: PromptFormat,
    label: LabelOf,
    conclusion: ConclusionOf | None,
) -> str:
    text = entry.text.strip()
    if not format.conclusion or conclusion is None or not text:
        return text
    answer = entry.answer if entry.answer is not None else label(example)
    if answer is None:
        return text
    sentence = conclusion(example, answer).strip()
    return text if text.endswith(sentence) else f"{text} {sentence}"

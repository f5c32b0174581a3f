"""From examples to encoded sequences: prompt and target are tokenized apart and joined."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from collegium.errors import ArgumentError
from collegium.example import Example, Rationale
from collegium.objectives.formats import PROMPT_END, PromptFormat, StudentKind, teacher_of
from collegium.objectives.sequences import EncodedSequence

if TYPE_CHECKING:
    from collegium.tokenizer import Tokenizer

LabelOf = Callable[[Example], str | None]
"""The answer that the student learns for an example (gold, or a teacher's), None where unknown."""
ConclusionOf = Callable[[Example, str], str]
"""The sentence that states an answer at the end of a rationale."""


@dataclass(frozen=True)
class SpecialIds:
    """Token ids with a role. `bos` is None where the tokenizer puts nothing in front of a text."""

    eos: int
    pad: int
    bos: int | None = None
    decoder_start: int | None = None


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


def split_batch(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Encode `texts` in one call, without special tokens, and return one id list a text."""
    if not texts:
        return []
    encoded = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    ids, offsets = encoded.ids.tolist(), encoded.offsets.tolist()
    return [ids[a:b] for a, b in itertools.pairwise(offsets)]


def encode_prompts(
    questions: Sequence[str],
    objective: str,
    format: PromptFormat,
    tokenizer: Tokenizer,
    special: SpecialIds,
    *,
    kind: StudentKind,
    max_prompt_tokens: int,
) -> tuple[list[list[int]], list[bool]]:
    """Return the prompts' ids as the student reads them, and which of them were cut.

    Decoder-only: ``[bos] prompt``; encoder-decoder: ``prompt eos``, the encoder's input. Training
    and generation both use this function, so the prompt of a training sequence is what generation
    starts from. A prompt longer than `max_prompt_tokens` loses the beginning of its question; its
    marker stays whole, since without it the task cannot be told.

    Raises:
        ArgumentError: `max_prompt_tokens` has no room for the marker.
    """
    head = [special.bos] if kind == "decoder" and special.bos is not None else []
    tail = [special.eos] if kind == "encoder-decoder" else []
    texts = [format.prompt(objective, question, kind) for question in questions]
    room = max_prompt_tokens - len(head) - len(tail)
    marker_text = format.marker(objective)
    if format.marker_position == "after":
        marker_text += PROMPT_END[kind]
    marker = split_batch(tokenizer, [marker_text])[0]
    if room <= len(marker) + 1:
        raise ArgumentError(
            f"max_prompt_tokens={max_prompt_tokens} leaves no room for a question beside the "
            f"marker {format.marker(objective)!r} ({len(marker)} tokens)"
        )
    prompts, cut = [], []
    for ids in split_batch(tokenizer, texts):
        cut.append(len(ids) > room)
        if len(ids) > room:
            keep = len(marker) if format.marker_position == "before" else 0
            ids = ids[:keep] + ids[len(ids) - (room - keep) :]
        prompts.append(head + ids + tail)
    return prompts, cut


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
) -> tuple[list[EncodedSequence], Counts]:
    """Encode every objective of every example.

    Order: examples as given, each with its objectives as given, a teacher's rationales by sample.
    Targets end with EOS; one longer than `max_target_tokens` is cut and then has none. Each target
    token is one loss edge of weight 1. With `format.conclusion` a rationale is followed by
    `conclusion` of its own answer, or of `label` where it has none.

    Returns:
        The sequences, and the counts by objective of what was cut or dropped and why.

    Raises:
        ArgumentError: an objective is unknown, or `kind` and `special` do not fit together.
    """
    if kind == "encoder-decoder" and special.decoder_start is None:
        raise ArgumentError("encoder-decoder sequences need special.decoder_start")
    if format.conclusion and conclusion is None:
        raise ArgumentError("format.conclusion needs the argument `conclusion`")
    if max_target_tokens < 1:
        raise ArgumentError(f"max_target_tokens: expected 1 or more, found {max_target_tokens}")
    format = format.resolve(objectives)
    questions = [input_text(example) for example in examples]
    counts = Counts({name: ObjectiveCounts() for name in objectives})
    found: dict[int, list[EncodedSequence]] = {}
    for objective in objectives:
        tally = counts.objectives[objective]
        wanted = list(_targets(examples, objective, format, label, conclusion, tally))
        used = sorted({index for index, _ in wanted})
        prompts, cut = encode_prompts(
            [questions[index] for index in used],
            objective,
            format,
            tokenizer,
            special,
            kind=kind,
            max_prompt_tokens=max_prompt_tokens,
        )
        prompt_of = dict(zip(used, zip(prompts, cut, strict=True), strict=True))
        targets = split_batch(tokenizer, [text for _, text in wanted])
        for (index, _), target in zip(wanted, targets, strict=True):
            prompt, prompt_cut = prompt_of[index]
            if not target:
                tally.dropped["empty target"] += 1
                continue
            if not prompt:
                tally.dropped["empty prompt"] += 1
                continue
            target_cut = len(target) + 1 > max_target_tokens
            target = target[:max_target_tokens] if target_cut else [*target, special.eos]
            sequence = _sequence(examples[index].id, objective, prompt, target, kind, special)
            found.setdefault(index, []).append(sequence)
            tally.sequences += 1
            tally.input_tokens += len(sequence) + len(sequence.encoder_ids or ())
            tally.target_tokens += len(target)
            tally.prompts_truncated += prompt_cut
            tally.targets_truncated += target_cut
    return [sequence for index in sorted(found) for sequence in found[index]], counts


def _sequence(
    example_id: str,
    objective: str,
    prompt: list[int],
    target: list[int],
    kind: StudentKind,
    special: SpecialIds,
) -> EncodedSequence:
    weights = [1.0] * len(target)
    if kind == "decoder":
        first = len(prompt) - 1
        edges = list(range(first, first + len(target)))
        return EncodedSequence(
            example_id, objective, prompt + target[:-1], edges, target, weights, None
        )
    start = special.decoder_start if special.decoder_start is not None else special.pad
    return EncodedSequence(
        example_id,
        objective,
        [start, *target[:-1]],
        list(range(len(target))),
        target,
        weights,
        prompt,
    )


def _targets(
    examples: Sequence[Example],
    objective: str,
    format: PromptFormat,
    label: LabelOf,
    conclusion: ConclusionOf | None,
    tally: ObjectiveCounts,
) -> Iterator[tuple[int, str]]:
    """Yield (example's index, target text), counting the examples that have none."""
    teacher = teacher_of(objective)
    for index, example in enumerate(examples):
        if teacher is None:
            answer = label(example)
            if answer is None:
                tally.dropped["no answer"] += 1
            else:
                yield index, answer.strip()
            continue
        own = sorted(
            (entry for entry in example.rationales if entry.teacher == teacher),
            key=lambda entry: entry.sample,
        )
        if not own:
            tally.dropped["no rationale"] += 1
        for entry in own:
            yield index, _rationale_text(example, entry, format, label, conclusion)


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

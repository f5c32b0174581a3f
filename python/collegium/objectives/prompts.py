"""Prompts as token ids, the same in training and when the student is asked."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from collegium.errors import ArgumentError
from collegium.objectives import rows
from collegium.objectives.formats import PromptFormat, StudentKind
from collegium.objectives.rows import Layout

if TYPE_CHECKING:
    from collegium.tokenizer import Tokenizer


@dataclass(frozen=True)
class SpecialIds:
    """Token ids with a role. `bos` is None where the tokenizer puts nothing in front of a text."""

    eos: int
    pad: int
    bos: int | None = None
    decoder_start: int | None = None

    @property
    def decoder_first(self) -> int:
        """What the decoder of an encoder-decoder begins with: its own id, else that of padding."""
        return self.pad if self.decoder_start is None else self.decoder_start


def prompt_layout(
    objectives: Sequence[str],
    format: PromptFormat,
    tokenizer: Tokenizer,
    special: SpecialIds,
    *,
    kind: StudentKind,
    max_prompt_tokens: int,
    max_target_tokens: int,
) -> Layout:
    """Return how questions are put and answers learnt, one form for each objective.

    Decoder-only: ``[bos] prompt``, without BOS in a chat turn, which has its own; encoder-decoder:
    ``prompt eos``, the encoder's input. Training and generation both use this function, so the
    prompt of a training sequence is what generation starts from. A prompt longer than
    `max_prompt_tokens` loses the beginning of its question; its marker and the turn around it stay
    whole, since without them the task cannot be told.

    Raises:
        ArgumentError: `max_prompt_tokens` has no room for the marker, or a chat turn is asked of
            an encoder-decoder student.
    """
    if format.chat is not None and kind != "decoder":
        raise ArgumentError("a chat template needs a decoder-only student")
    bos = special.bos if kind == "decoder" and format.chat is None else None
    head = [] if bos is None else [bos]
    tail = [special.eos] if kind == "encoder-decoder" else []
    first = format.marker_position == "before"
    forms = []
    for objective in objectives:
        before, after, whole = format.affixes(objective, kind)
        fixed = before.removesuffix(" ") if first and format.chat is None else whole
        kept = before.removesuffix(" ") if first else before
        lengths = np.diff(tokenizer.encode_batch([fixed, kept]).offsets).tolist()
        if max_prompt_tokens - len(head) - len(tail) <= lengths[0] + 1:
            raise ArgumentError(
                f"max_prompt_tokens={max_prompt_tokens} leaves no room for a question beside the "
                f"marker {format.marker(objective)!r} ({lengths[0]} tokens"
                f"{' with the chat turn' if format.chat is not None else ''})"
            )
        forms.append((before, after, whole, lengths[1]))
    start = special.decoder_first if kind == "encoder-decoder" else None
    return Layout(forms, head, tail, special.eos, start, max_prompt_tokens, max_target_tokens)


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

    Raises:
        ArgumentError: as `prompt_layout`.
    """
    layout = prompt_layout(
        [objective],
        format,
        tokenizer,
        special,
        kind=kind,
        max_prompt_tokens=max_prompt_tokens,
        max_target_tokens=1,
    )
    flat, ends, cut = rows.encode_prompts(tokenizer, list(questions), 0, layout)
    ids = flat.tolist()
    return [ids[a:b] for a, b in itertools.pairwise(ends.tolist())], cut.tolist()

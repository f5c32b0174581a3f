"""Batched greedy generation: token ids of prompts in, token ids of answers out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig

from collegium.errors import ArgumentError
from collegium.objectives.formats import StudentKind
from collegium.objectives.prompts import SpecialIds

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What was generated for one prompt, without the end token."""

    ids: list[int]
    finished: bool
    """Whether the end token came before `max_new_tokens` were used up."""


def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    special: SpecialIds,
    *,
    kind: StudentKind = "decoder",
    max_new_tokens: int,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> list[Generated]:
    """Return the most probable token after token for each prompt, in the order of `prompts`.

    Prompts are sorted by length, longest first, so that a batch holds little padding and a lack of
    memory shows at once. Decoder-only prompts are padded on the left, encoder inputs on the right;
    padding is masked. Whatever sampling the checkpoint's generation configuration asks for is left
    aside. The model computes without gradients, in evaluation mode, and gets its mode back.

    Args:
        model: a causal or sequence-to-sequence language model.
        prompts: ids as in training: ``[bos] prompt``, or ``prompt eos`` for an encoder.
        special: ids that end, pad and start a text.
        kind: decoder-only or encoder-decoder.
        max_new_tokens: at most so many tokens a prompt, the end token included. A decoder with
            `max_position_embeddings` positions stops there at the latest.
        batch_size: prompts generated together.
        progress: called after each batch.

    Raises:
        ArgumentError: a prompt is empty or leaves no position to generate at.
    """
    for name, value in (("max_new_tokens", max_new_tokens), ("batch_size", batch_size)):
        if value < 1:
            raise ArgumentError(f"{name}: expected 1 or more, found {value}")
    for index, prompt in enumerate(prompts):
        if not len(prompt):
            raise ArgumentError(f"prompt {index} is empty: expected at least one token")
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    results: list[Generated | None] = [None] * len(prompts)
    done = 0
    with torch.inference_mode(), _evaluating(model):
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            rows = _generate_batch(
                model, [prompts[i] for i in chosen], special, kind, max_new_tokens
            )
            for index, row in zip(chosen, rows, strict=True):
                results[index] = row
            done += len(chosen)
            if progress is not None:
                progress(done, len(order))
    return [row for row in results if row is not None]


def _generate_batch(
    model: Any,
    prompts: Sequence[Sequence[int]],
    special: SpecialIds,
    kind: StudentKind,
    max_new_tokens: int,
) -> list[Generated]:
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), special.pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        span = slice(width - len(prompt), width) if kind == "decoder" else slice(len(prompt))
        ids[row, span] = torch.tensor(list(prompt))
        mask[row, span] = 1
    config = GenerationConfig(
        max_new_tokens=_room(model, kind, width, max_new_tokens),
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=special.eos,
        pad_token_id=special.pad,
        decoder_start_token_id=special.decoder_start if kind == "encoder-decoder" else None,
    )
    device = next(model.parameters()).device
    with _generation_config(model, config):
        output = model.generate(
            input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=config
        )
    # A decoder's output repeats the prompt, an encoder-decoder's begins with its start token.
    new = output[:, width if kind == "decoder" else 1 :].tolist()
    return [
        Generated(row[: row.index(special.eos)], True)
        if special.eos in row
        else Generated(row, False)
        for row in new
    ]


def _room(model: Any, kind: StudentKind, width: int, wanted: int) -> int:
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if kind != "decoder" or not isinstance(limit, int):
        return wanted
    if limit <= width:
        raise ArgumentError(
            f"a prompt of {width} tokens leaves no room for an answer: the model has {limit} "
            "positions"
        )
    return min(wanted, limit - width)


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@contextlib.contextmanager
def _generation_config(model: Any, config: GenerationConfig) -> Iterator[None]:
    """Put `config` in the model's place: `generate` fills its gaps with the model's own values."""
    own = model.generation_config
    model.generation_config = config
    try:
        yield
    finally:
        model.generation_config = own

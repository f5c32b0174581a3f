"""Generating row by row, so that a text does not depend on its batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria

from collegium.teachers.written import PromptTooLong, Written

_TAIL_TOKENS = 16


class RowSampler(LogitsProcessor):
    """Turns greedy search into sampling, with a random generator for each row.

    ``argmax(logits / T + g)`` with Gumbel noise ``g = -log(-log u)`` is a draw from
    ``softmax(logits / T)`` (Gumbel 1954). Each row draws its own `u`, so neither the batch nor its
    order matters.

    Args:
        seeds: one seed a row.
        temperature: T > 0.
    """

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.temperature = temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return float32[B,V]: scaled logits with noise."""
        uniform = torch.stack(
            [torch.rand(scores.shape[1], generator=g, dtype=torch.float64) for g in self.generators]
        )
        noise = -torch.log(-torch.log(uniform.clamp(1e-300, 1 - 1e-16)))
        return scores.float() / self.temperature + noise.to(scores.device, torch.float32)


class StopAtText(StoppingCriteria):
    """Ends a row once its completion contains one of the task's stop strings.

    Args:
        tokenizer: decodes the last tokens of each row.
        start: position at which completions begin.
        stop_strings: texts at which a completion is cut anyway.
    """

    def __init__(self, tokenizer: Any, start: int, stop_strings: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.start = start
        self.stop_strings = tuple(stop_strings)

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Any:
        """Return bool[B], true for rows that are done."""
        first = max(self.start, input_ids.shape[1] - _TAIL_TOKENS)
        tails = self.tokenizer.batch_decode(input_ids[:, first:], skip_special_tokens=True)
        done = [any(stop in tail for stop in self.stop_strings) for tail in tails]
        return torch.tensor(done, device=input_ids.device)


def ends(model: Any, tokenizer: Any) -> set[int]:
    """Return the ids that end a text."""
    own = model.generation_config.eos_token_id
    own = own if isinstance(own, list) else [own]
    return {tokenizer.eos_token_id, *(token for token in own if token is not None)}


def generation_config(model: Any, tokenizer: Any, max_new_tokens: int) -> GenerationConfig:
    """Return the settings of greedy search; sampling is `RowSampler`'s."""
    # A fresh configuration: what the checkpoint suggests (top-k, penalties) would change the
    # distribution that is sampled from.
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=sorted(ends(model, tokenizer)),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
    )


def complete(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    seeds: Sequence[int],
    stop_strings: Sequence[str],
    *,
    temperature: float,
    max_new_tokens: int,
    add_special_tokens: bool,
) -> list[Written]:
    """Complete a batch of prompts, greedily at temperature 0, with one seed a prompt above it.

    Raises:
        PromptTooLong: the model's positions do not suffice.
    """
    inputs = tokenizer(
        list(prompts), return_tensors="pt", padding=True, add_special_tokens=add_special_tokens
    )
    inputs = {key: inputs[key].to(model.device) for key in ("input_ids", "attention_mask")}
    encoder_decoder = bool(model.config.is_encoder_decoder)
    start = 1 if encoder_decoder else inputs["input_ids"].shape[1]
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions and not encoder_decoder and start + max_new_tokens > positions:
        raise PromptTooLong(
            f"a prompt of {start} tokens and max_new_tokens {max_new_tokens} exceed the model's "
            f"{positions} positions"
        )
    with torch.inference_mode():
        output = model.generate(
            **inputs,
            generation_config=generation_config(model, tokenizer, max_new_tokens),
            logits_processor=[RowSampler(seeds, temperature)] if temperature else [],
            stopping_criteria=[StopAtText(tokenizer, start, stop_strings)],
        )
    counts = inputs["attention_mask"].sum(1).tolist()
    stops = ends(model, tokenizer)
    found = []
    for count, row in zip(counts, output[:, start:].tolist(), strict=True):
        end = next((at for at, token in enumerate(row) if token in stops), None)
        found.append(Written(row[:end], end is not None, int(count)))
    return found

"""Greedy generation in batches: padding, order, limits, and what it leaves as it was."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    T5Config,
)

from collegium.errors import ArgumentError
from collegium.evaluate.predict import generate
from collegium.objectives.formats import StudentKind
from collegium.objectives.prompts import SpecialIds


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small are slowed down by a second thread, on busy cores tenfold."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


VOCABULARY = 53
SPECIAL = SpecialIds(eos=2, pad=0, bos=1, decoder_start=0)
COMMON = {"vocab_size": VOCABULARY, "eos_token_id": 2, "pad_token_id": 0, "bos_token_id": 1}


def build(name: str) -> tuple[Any, StudentKind]:
    """Return a tiny random model whose logits are far enough apart for greedy decoding."""
    torch.manual_seed(3)
    if name == "t5":
        config: Any = T5Config(
            d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4, decoder_start_token_id=0,
            dropout_rate=0.0, initializer_factor=3.0, **COMMON,
        )  # fmt: skip
        return AutoModelForSeq2SeqLM.from_config(config), "encoder-decoder"
    if name == "gpt2":
        config = GPT2Config(
            n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.3,
            resid_pdrop=0.5, embd_pdrop=0.5, **COMMON,
        )  # fmt: skip
    else:
        kind = LlamaConfig if name == "llama" else GPTNeoXConfig
        config = kind(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=64, initializer_range=0.3, **COMMON,
        )  # fmt: skip
    return AutoModelForCausalLM.from_config(config), "decoder"


def draw(count: int, longest: int = 20) -> list[list[int]]:
    rng = random.Random(0)
    return [
        [1, *(rng.randrange(3, VOCABULARY) for _ in range(rng.randint(1, longest)))]
        for _ in range(count)
    ]


@pytest.mark.parametrize("name", ["llama", "gpt2", "neox", "t5"])
def test_batches_give_what_single_prompts_give(name: str) -> None:
    model, kind = build(name)
    prompts = draw(13)
    told: list[tuple[int, int]] = []
    batched = generate(
        model, prompts, SPECIAL, kind=kind, max_new_tokens=9, batch_size=5,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    single = [
        generate(model, [prompt], SPECIAL, kind=kind, max_new_tokens=9)[0] for prompt in prompts
    ]
    assert batched == single
    assert told == [(5, 13), (10, 13), (13, 13)]
    assert len({tuple(row.ids) for row in batched}) > 3


def test_greedy_means_the_most_probable_token_each_time() -> None:
    model, _ = build("llama")
    model.eval()
    prompt = draw(1)[0]
    ids, expected = list(prompt), []
    with torch.no_grad():
        for _ in range(8):
            expected.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
            ids.append(expected[-1])
    (found,) = generate(model, [prompt], SPECIAL, max_new_tokens=8)
    assert found.ids == (expected[: expected.index(2)] if 2 in expected else expected)


def test_end_token_ends_an_answer() -> None:
    model, _ = build("llama")
    prompts = draw(20)
    free = generate(model, prompts, SPECIAL, max_new_tokens=6)
    # Whatever token comes third somewhere is declared the end token.
    stop = next(row.ids[2] for row in free if len(set(row.ids)) > 2)
    ended = generate(
        model, prompts, SpecialIds(eos=stop, pad=0, bos=1), max_new_tokens=6, batch_size=20
    )
    assert any(row.finished for row in ended)
    for before, after in zip(free, ended, strict=True):
        assert after.finished == (stop in before.ids)
        if after.finished:
            assert after.ids == before.ids[: before.ids.index(stop)]


def test_padding_with_the_end_token() -> None:
    model, _ = build("llama")
    prompts = draw(7)
    own = generate(model, prompts, SPECIAL, max_new_tokens=6)
    assert own == generate(model, prompts, SpecialIds(eos=2, pad=2, bos=1), max_new_tokens=6)


@pytest.mark.parametrize("training", [True, False])
def test_mode_gradients_and_generation_settings_are_left_alone(training: bool) -> None:
    model, _ = build("gpt2")
    model.train(training)
    model.generation_config.do_sample = True
    model.generation_config.repetition_penalty = 9.0
    model.generation_config.max_length = 3
    own = model.generation_config
    prompts = draw(4)
    first = generate(model, prompts, SPECIAL, max_new_tokens=5)
    assert model.training is training
    assert model.generation_config is own
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    # Neither dropout, nor sampling, nor the penalty took part.
    plain, _ = build("gpt2")
    assert first == generate(plain, prompts, SPECIAL, max_new_tokens=5)


def test_mode_is_restored_after_an_error() -> None:
    model, _ = build("llama")
    model.train()
    with pytest.raises(ArgumentError, match="a prompt of 64 tokens leaves no room"):
        generate(model, [[5] * 64], SPECIAL, max_new_tokens=5)
    assert model.training


def test_generation_stops_at_the_last_position() -> None:
    model, _ = build("gpt2")
    (found,) = generate(model, [[5] * 60], SpecialIds(eos=VOCABULARY - 1, pad=0), max_new_tokens=50)
    assert len(found.ids) == 4 or found.finished


def test_no_prompts_no_answers() -> None:
    model, _ = build("llama")
    assert generate(model, [], SPECIAL, max_new_tokens=5) == []


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([[]], {}, "prompt 0 is empty"),
        ([[1]], {"max_new_tokens": 0}, "max_new_tokens: expected 1 or more, found 0"),
        ([[1]], {"batch_size": 0}, "batch_size: expected 1 or more, found 0"),
    ],
)
def test_wrong_arguments(prompts: list[list[int]], options: dict[str, int], message: str) -> None:
    model, _ = build("llama")
    with pytest.raises(ArgumentError, match=message):
        generate(model, prompts, SPECIAL, **{"max_new_tokens": 3, **options})


def test_a_thousand_labels_and_two_hundred_rationales_take_seconds() -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=128, **COMMON,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    prompts = draw(1000, longest=40)
    started = time.perf_counter()
    generate(model, prompts, SPECIAL, max_new_tokens=4, batch_size=256)
    generate(model, prompts[:200], SPECIAL, max_new_tokens=40, batch_size=256)
    assert time.perf_counter() - started < 30

"""Fixtures of the unit tests: small real models and tokenizers, made on the spot."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def save_tiny_model() -> Callable[..., Path]:
    """Return a function that saves a random model with a byte-level tokenizer to a folder."""

    def save(folder: Path, *, kind: str = "llama", chat: bool = False, seed: int = 0) -> Path:
        import torch
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers
        from transformers import (
            LlamaConfig,
            LlamaForCausalLM,
            PreTrainedTokenizerFast,
            T5Config,
            T5ForConditionalGeneration,
        )

        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocab = {token: i for i, token in enumerate(["<pad>", "</s>", *alphabet])}
        raw = Tokenizer(models.BPE(vocab=vocab, merges=[]))
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        raw.decoder = decoders.ByteLevel()
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=raw, pad_token="<pad>", eos_token="</s>"
        )
        if chat:
            tokenizer.chat_template = (
                "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
            )
        torch.manual_seed(seed)
        if kind == "t5":
            config = T5Config(
                vocab_size=len(vocab),
                d_model=16,
                d_kv=8,
                d_ff=32,
                num_layers=1,
                num_heads=2,
                decoder_start_token_id=0,
                pad_token_id=0,
                eos_token_id=1,
            )
            model = T5ForConditionalGeneration(config)
        else:
            config = LlamaConfig(
                vocab_size=len(vocab),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=4096,
                pad_token_id=0,
                bos_token_id=None,
                eos_token_id=1,
                initializer_range=0.5,
            )
            model = LlamaForCausalLM(config)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of a real small model, if the environment names one."""
    folder = os.environ.get("COLLEGIUM_TEST_MODELS")
    if not folder:
        pytest.skip("COLLEGIUM_TEST_MODELS names no folder with smollm2-135m-instruct")
    model = Path(folder) / "smollm2-135m-instruct"
    if not model.is_dir():
        pytest.skip(f"no smollm2-135m-instruct in COLLEGIUM_TEST_MODELS={folder}")
    return model

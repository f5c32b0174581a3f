"""Students from configurations and checkpoints; what is missing is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from collegium.errors import ArgumentError, CheckpointError
from collegium.train.checkpoint import save_student
from collegium.train.student import build_student, describe_student, shipped_configs
from collegium.train.vocabulary import check_same_tokenizer, load_tokenizer, tokenizer_file

WORDS = ["[pad]", "[bos]", "[eos]", "[unk]", "predict:", "explain:", "+", "-"]
WORDS += ["=", ";", "how", "many", "?"]
WORDS += [str(n) for n in range(47)]


def word_level(folder: Path, words: list[str] = WORDS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model = models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[unk]")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="[eos]", pad_token="[pad]", unk_token="[unk]"
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return word_level(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture
def checkpoint(tmp_path: Path, words: Path) -> Path:
    model, tokenizer = build_student(config="llama_tiny", tokenizer=words)
    return save_student(model, tokenizer, tmp_path / "student")


@pytest.mark.parametrize("name", shipped_configs())
def test_shipped_configurations(name: str, words: Path) -> None:
    model, tokenizer = build_student(config=name, tokenizer=words, seed=3)
    again, _ = build_student(config=name, tokenizer=words, seed=3)
    other, _ = build_student(config=name, tokenizer=words, seed=4)
    first, same, different = (
        torch.cat([p.detach().flatten() for p in m.parameters()]) for m in (model, again, other)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, different)
    assert model.config.vocab_size == len(WORDS)
    assert model.config.eos_token_id == tokenizer.eos_token_id == 2
    assert model.config.pad_token_id == model.generation_config.pad_token_id == 0


def test_llama_tiny_is_the_size_it_says(words: Path) -> None:
    model, _ = build_student(config="llama_tiny", tokenizer=words)
    assert 0.09e6 < model.num_parameters() < 0.11e6


def test_a_saved_student_is_a_plain_checkpoint(checkpoint: Path) -> None:
    spec = describe_student(checkpoint=checkpoint)
    assert (spec.kind, spec.special.eos, spec.special.bos) == ("decoder", 2, None)
    model, tokenizer = build_student(checkpoint=checkpoint, dtype="bfloat16")
    assert model.dtype == torch.bfloat16
    assert tokenizer.decode([4, 12, 2]) == "predict: ? [eos]"
    assert not [p for p in checkpoint.parent.iterdir() if p.name.startswith(".")]
    assert {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"} <= {
        p.name for p in checkpoint.iterdir()
    }
    save_student(model, tokenizer, checkpoint)  # replaces what was there
    assert describe_student(checkpoint=checkpoint).vocab_size == len(WORDS)


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("config.json", "missing config.json"),
        ("model.safetensors", r"missing model.safetensors \(found pytorch_model.bin; pickled"),
        ("tokenizer.json", "missing tokenizer.json"),
    ],
)
def test_what_a_checkpoint_lacks_is_named(checkpoint: Path, removed: str, message: str) -> None:
    (checkpoint / removed).unlink()
    (checkpoint / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match=message):
        build_student(checkpoint=checkpoint)


def test_broken_checkpoints(checkpoint: Path, tmp_path: Path, words: Path) -> None:
    with pytest.raises(CheckpointError, match="no such directory"):
        build_student(checkpoint=tmp_path / "nowhere")
    weights = (checkpoint / "model.safetensors").read_bytes()
    (checkpoint / "model.safetensors").write_bytes(weights[:1000])
    with pytest.raises(CheckpointError, match=f"student: {checkpoint} cannot be loaded"):
        build_student(checkpoint=checkpoint)
    (checkpoint / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        build_student(checkpoint=checkpoint)
    with pytest.raises(ArgumentError, match="exactly one of"):
        build_student(checkpoint=checkpoint, config="llama_tiny")
    with pytest.raises(CheckpointError, match="Did you mean 'llama_tiny'"):
        build_student(config="lama_tiny", tokenizer=words)
    with pytest.raises(CheckpointError, match="'model_type' is missing"):
        build_student(config={"hidden_size": 8}, tokenizer=words)
    (tmp_path / "c.json").write_text("[")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        build_student(config=tmp_path / "c.json", tokenizer=words)
    with pytest.raises(CheckpointError, match=r"has no tokenizer.json"):
        build_student(config="llama_tiny", tokenizer=tmp_path)
    bigger = word_level(tmp_path / "bigger", [*WORDS, "extra"])
    shutil.copy(bigger / "tokenizer.json", checkpoint / "tokenizer.json")
    (checkpoint / "model.safetensors").write_bytes(weights)
    with pytest.raises(CheckpointError, match="ids up to 60, the model only 60 rows"):
        build_student(checkpoint=checkpoint)


def test_configuration_from_a_file_or_mapping(tmp_path: Path, words: Path) -> None:
    values: dict[str, Any] = {
        "model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 1, "n_positions": 32,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(values))
    for source in (values, tmp_path / "config.json", tmp_path):
        model, _ = build_student(config=source, tokenizer=words)
        assert model.config.model_type == "gpt2"
        assert model.config.vocab_size == len(WORDS)


def test_a_bare_tokenizer_file_of_a_real_model(tokenizer_file: Callable[[str], Path]) -> None:
    expected = {
        "t5": ("</s>", "<pad>"),
        "pythia": ("<|endoftext|>", "<|padding|>"),
        "gpt2": ("<|endoftext|>", "<|endoftext|>"),
        "mistral03": ("</s>", "</s>"),
    }
    for name, (eos, pad) in expected.items():
        tokenizer = load_tokenizer(tokenizer_file(name))
        assert (tokenizer.eos_token, tokenizer.pad_token) == (eos, pad), name
    spec = describe_student(config="t5_mini", tokenizer=tokenizer_file("t5").parent)
    assert spec.kind == "encoder-decoder"
    assert (spec.special.eos, spec.special.pad, spec.special.decoder_start) == (1, 0, 0)
    mistral = describe_student(config="llama_tiny", tokenizer=tokenizer_file("mistral03"))
    assert mistral.special.bos == 1


def test_same_tokenizer(tmp_path: Path, words: Path) -> None:
    check_same_tokenizer(words, words)
    swapped = [*WORDS[:8], WORDS[9], WORDS[8], *WORDS[10:]]
    other = word_level(tmp_path / "other", swapped)
    with pytest.raises(CheckpointError, match=r"'palm' has another tokenizer .* id 8 is"):
        check_same_tokenizer(words, other, "palm")
    assert tokenizer_file(words) == words / "tokenizer.json"

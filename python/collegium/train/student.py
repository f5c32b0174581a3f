"""Students from checkpoint directories, or from a configuration and a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    PreTrainedTokenizerBase,
    set_seed,
)

from collegium.errors import ArgumentError, CheckpointError
from collegium.objectives.formats import StudentKind
from collegium.objectives.prompts import SpecialIds
from collegium.pretrained import check_pretrained, load_config, load_weights, one_line
from collegium.registry import nearest
from collegium.train.vocabulary import leading_bos, load_tokenizer, vocabulary_size


def shipped_configs() -> list[str]:
    """Return the names of the configurations that come with the package."""
    folder = resources.files("collegium.train") / "configs"
    return sorted(
        entry.name.removesuffix(".json")
        for entry in folder.iterdir()
        if entry.name.endswith(".json")
    )


@dataclass(frozen=True)
class StudentSpec:
    """What the pack stage needs to know of a student before it is built."""

    kind: StudentKind
    special: SpecialIds
    vocab_size: int
    config: Any
    tokenizer: PreTrainedTokenizerBase


def describe_student(
    *,
    checkpoint: str | Path | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
    trust_remote_code: bool = False,
) -> StudentSpec:
    """Read configuration and tokenizer of a student without its weights.

    Args:
        checkpoint: directory of a pretrained model with its tokenizer; or instead of it
        config: a shipped configuration's name (`shipped_configs`), a JSON file, or a mapping, with
        tokenizer: a directory, a tokenizer.json, or a loaded tokenizer. Vocabulary size and special
            token ids of the configuration come from it.
        trust_remote_code: run code that lies in the checkpoint directory.

    Raises:
        CheckpointError: something is missing or cannot be loaded; it is named.
        ArgumentError: not exactly one of `checkpoint` and `config`.
    """
    if (checkpoint is None) == (config is None):
        raise ArgumentError("student: expected exactly one of checkpoint and config")
    if checkpoint is not None:
        folder = check_pretrained(checkpoint, "student")
        loaded = load_tokenizer(folder, trust_remote_code=trust_remote_code)
        settings = load_config(folder, "student", trust_remote_code=trust_remote_code)
    else:
        if tokenizer is None:
            raise ArgumentError("student.config needs a tokenizer")
        loaded = (
            tokenizer
            if isinstance(tokenizer, PreTrainedTokenizerBase)
            else load_tokenizer(tokenizer, trust_remote_code=trust_remote_code)
        )
        settings = _config_from(config if config is not None else {}, loaded)
    size = getattr(settings.get_text_config(), "vocab_size", 0)
    if vocabulary_size(loaded) > size:
        raise CheckpointError(
            f"student {checkpoint or config}: its tokenizer has ids up to "
            f"{vocabulary_size(loaded) - 1}, the model only {size} rows: they do not fit"
        )
    kind: StudentKind = "encoder-decoder" if settings.is_encoder_decoder else "decoder"
    ids: Any = loaded
    start = None
    if kind == "encoder-decoder":
        start = getattr(settings, "decoder_start_token_id", None)
        start = ids.pad_token_id if start is None else start
    special = SpecialIds(
        eos=ids.eos_token_id,
        pad=ids.pad_token_id,
        bos=leading_bos(loaded),
        decoder_start=start,
    )
    return StudentSpec(kind, special, size, settings, loaded)


def _config_from(source: str | Path | Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> Any:
    if isinstance(source, Mapping):
        values, name = dict(source), "student.config"
    else:
        name = f"student.config {str(source)!r}"
        shipped = resources.files("collegium.train") / "configs" / f"{source}.json"
        file = Path(source) / "config.json" if Path(source).is_dir() else Path(source)
        if str(source) in shipped_configs():
            text = shipped.read_text(encoding="utf-8")
        elif file.is_file():
            text = file.read_text(encoding="utf-8")
        else:
            known = shipped_configs()
            raise CheckpointError(
                f"{name}: neither a shipped configuration ({', '.join(known)}) nor a JSON file."
                f"{nearest(str(source), known)}"
            )
        try:
            values = json.loads(text)
        except ValueError as error:
            raise CheckpointError(f"{name}: not valid JSON ({error})") from error
    kind = values.pop("model_type", None)
    if not isinstance(kind, str):
        raise CheckpointError(f"{name}: key 'model_type' is missing (e.g. 'llama', 't5')")
    size = vocabulary_size(tokenizer)
    values |= {
        "vocab_size": size,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    try:
        config = AutoConfig.for_model(kind, **values)
    except Exception as error:
        raise CheckpointError(f"{name}: {one_line(error)}") from error
    if config.is_encoder_decoder:
        config.decoder_start_token_id = tokenizer.pad_token_id
    return config


def build_student(
    *,
    checkpoint: str | Path | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
    seed: int = 0,
    dtype: str | torch.dtype = "float32",
    trust_remote_code: bool = False,
    attn_implementation: str | None = None,
) -> tuple[Any, PreTrainedTokenizerBase]:
    """Return a language model and its tokenizer; arguments as `describe_student`.

    Decoder-only or encoder-decoder, by its configuration. From `config` the weights are random and
    depend on `seed` alone. Sets the global random seeds.

    Args:
        checkpoint: see `describe_student`.
        config: see `describe_student`.
        tokenizer: see `describe_student`.
        seed: of random weights.
        dtype: of the weights, e.g. ``"bfloat16"``.
        trust_remote_code: see `describe_student`.
        attn_implementation: as `from_pretrained` takes it; default: the model's own choice.

    Raises:
        CheckpointError: as `describe_student`, or the weights cannot be loaded.
    """
    spec = describe_student(
        checkpoint=checkpoint,
        config=config,
        tokenizer=tokenizer,
        trust_remote_code=trust_remote_code,
    )
    dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    options: dict[str, Any] = {}
    if attn_implementation is not None:
        options["attn_implementation"] = attn_implementation
    set_seed(seed)
    if checkpoint is not None:
        model = load_weights(
            checkpoint,
            "student",
            config=spec.config,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            **options,
        )
    else:
        loader = AutoModelForSeq2SeqLM if spec.kind == "encoder-decoder" else AutoModelForCausalLM
        try:
            model = loader.from_config(spec.config, dtype=dtype, **options)
        except Exception as error:
            raise CheckpointError(f"student {config}: {one_line(error)}") from error
    generation = getattr(model, "generation_config", None)
    if generation is not None:
        if generation.eos_token_id is None:
            generation.eos_token_id = spec.special.eos
        generation.pad_token_id = spec.special.pad
        if spec.special.decoder_start is not None:
            generation.decoder_start_token_id = spec.special.decoder_start
    return model, spec.tokenizer

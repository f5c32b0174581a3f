"""Loading a teacher's checkpoint directory, with errors that say what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from collegium.errors import CheckpointError

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def check_directory(path: Path, who: str) -> dict[str, Any]:
    """Return the parsed `config.json` of a checkpoint directory.

    Raises:
        CheckpointError: not a directory, or configuration, safetensors weights or tokenizer are
            missing from it.
    """
    if not path.is_dir():
        found = "is a file" if path.exists() else "does not exist"
        raise CheckpointError(f"{who}: expected a checkpoint directory, but {path} {found}")
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{who}: {path} has no config.json; is it a model directory?"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{who}: {path / 'config.json'} is not readable JSON ({error})"
        ) from None
    if not isinstance(config, dict):
        raise CheckpointError(f"{who}: {path / 'config.json'} holds no JSON object")
    if not any(path.glob("*.safetensors")):
        pickled = sorted(p.name for pattern in _PICKLED for p in path.glob(pattern))
        raise CheckpointError(
            f"{who}: {path} has no *.safetensors weights"
            + (
                f", only {', '.join(pickled)}. Pickled weights can run code and are not read; "
                "convert them with model.save_pretrained(directory)."
                if pickled
                else ""
            )
        )
    if not any((path / name).is_file() for name in _TOKENIZER_FILES):
        raise CheckpointError(
            f"{who}: {path} has no tokenizer (expected one of {', '.join(_TOKENIZER_FILES)}); save "
            "it there with tokenizer.save_pretrained(directory)"
        )
    return config


def load_checkpoint(
    path: Path,
    who: str,
    *,
    dtype: str = "float32",
    trust_remote_code: bool = False,
    device: str = "cpu",
) -> tuple[Any, Any]:
    """Load model (in evaluation mode) and tokenizer from a directory; nothing is downloaded.

    Raises:
        CheckpointError: something is missing, or the directory holds no text-generating model.
    """
    config = check_directory(path, who)
    import torch
    import transformers
    from safetensors import SafetensorError

    sequence_to_sequence = bool(config.get("is_encoder_decoder"))
    auto: Any = (
        transformers.AutoModelForSeq2SeqLM
        if sequence_to_sequence
        else transformers.AutoModelForCausalLM
    )
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=trust_remote_code
        )
        model, info = auto.from_pretrained(
            path,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        message = " ".join(str(error).split())[:300]
        hint = (
            f" Set teachers.<name>.trust_remote_code: true only if you trust the code in {path}."
            if "trust_remote_code" in message
            else ""
        )
        raise CheckpointError(f"{who}: {path} cannot be loaded: {message}{hint}") from None
    missing = sorted(info["missing_keys"]) + sorted(str(key) for key in info["mismatched_keys"])
    if missing:
        raise CheckpointError(
            f"{who}: {path} lacks weights that {type(model).__name__} needs: "
            f"{', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''} ({len(missing)} in all)"
        )
    if tokenizer.eos_token_id is None:
        raise CheckpointError(f"{who}: the tokenizer in {path} has no end-of-sequence token")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right" if sequence_to_sequence else "left"
    return model.to(device).eval(), tokenizer

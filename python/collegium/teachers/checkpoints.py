"""Loading a teacher's checkpoint directory: its model and the tokenizer that it generates with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from collegium.errors import CheckpointError
from collegium.pretrained import check_pretrained, load_config, load_weights, one_line

# A teacher only generates, so any tokenizer that transformers can read will do.
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")


def check_directory(path: Path, who: str) -> Path:
    """Return the directory; see `collegium.pretrained.check_pretrained`."""
    return check_pretrained(path, who, tokenizers=_TOKENIZERS)


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
    folder = check_directory(path, who)
    from transformers import AutoTokenizer

    config = load_config(folder, who, trust_remote_code=trust_remote_code)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=trust_remote_code
        )
    except Exception as error:  # the libraries raise a wide range for a broken file
        raise CheckpointError(
            f"{who}: the tokenizer in {path} cannot be loaded: {one_line(error)}"
        ) from error
    model = load_weights(
        folder, who, config=config, dtype=dtype, trust_remote_code=trust_remote_code
    )
    if tokenizer.eos_token_id is None:
        raise CheckpointError(f"{who}: the tokenizer in {path} has no end-of-sequence token")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right" if config.is_encoder_decoder else "left"
    return model.to(device).eval(), tokenizer

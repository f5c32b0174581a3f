"""Loading a checkpoint: local, safetensors only, no code of its own, nothing left random."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM
from transformers.utils import logging as hf_logging

from collegium.errors import CheckpointError
from collegium.train.student import StudentSpec, check_checkpoint, describe_student


def load_model(
    folder: str | Path, *, device: str | torch.device | None = None, dtype: str | None = None
) -> tuple[Any, StudentSpec]:
    """Return the model in evaluation mode, and what is known of its kind and tokenizer.

    Args:
        folder: a `from_pretrained` directory.
        device: default: the CUDA device where there is one, else the CPU.
        dtype: of the weights, e.g. ``"bfloat16"``; default: as saved, as transformers does.

    Raises:
        CheckpointError: files are missing or damaged, or weights do not fit the configuration.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = check_checkpoint(folder)
    spec = describe_student(checkpoint=folder)
    loader = AutoModelForSeq2SeqLM if spec.kind == "encoder-decoder" else AutoModelForCausalLM
    try:
        with _quiet():
            loaded: Any = loader.from_pretrained(
                str(folder),
                config=spec.config,
                dtype=getattr(torch, dtype) if dtype else "auto",
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        model, report = loaded
    except Exception as error:  # the libraries raise a wide range for a broken file
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckpointError(f"checkpoint {folder}: cannot be loaded ({text})") from error
    missing = sorted(map(str, report.get("missing_keys", ())))
    if missing:
        raise CheckpointError(
            f"checkpoint {folder}: {len(missing)} weights are missing (e.g. {missing[0]}); they "
            "would be random. The file is incomplete or belongs to another configuration"
        )
    return model.to(device).eval(), spec


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and load reports off the screen; what matters is raised."""
    bars = hf_logging.is_progress_bar_enabled()
    level = hf_logging.get_verbosity()
    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()

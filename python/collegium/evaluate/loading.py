"""Loading a student for prediction: local, safetensors only, no code of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from collegium.pretrained import load_weights
from collegium.train.student import StudentSpec, describe_student


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
    spec = describe_student(checkpoint=folder)
    model = load_weights(folder, "student", config=spec.config, dtype=dtype or "auto")
    return model.to(device).eval(), spec

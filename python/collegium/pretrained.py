"""Directories as `save_pretrained` writes them: what must be there, and loading their weights.

Local directories only: safetensors, and no code of theirs unless `trust_remote_code` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collegium.errors import CheckpointError

if TYPE_CHECKING:
    import torch

_WEIGHTS = "model.safetensors"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def check_pretrained(
    path: str | Path, who: str, *, tokenizers: Sequence[str] = ("tokenizer.json",)
) -> Path:
    """Return the directory if it has a configuration, safetensors weights and a tokenizer.

    Args:
        path: the directory.
        who: how error messages begin, e.g. ``"teacher 'palm'"``.
        tokenizers: files of which one holds the tokenizer.

    Raises:
        CheckpointError: names all that is missing.
    """
    folder = Path(path)
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist: no such directory"
        raise CheckpointError(f"{who}: expected a checkpoint directory, but {path} {found}")
    missing = []
    if not (folder / "config.json").is_file():
        missing.append("config.json")
    if not any((folder / f"{_WEIGHTS}{end}").is_file() for end in ("", ".index.json")):
        pickled = sorted(p.name for pattern in _PICKLED for p in folder.glob(pattern))
        only = (
            f" (found {', '.join(pickled)}; pickled weights are not read, since they can run code: "
            "convert them with model.save_pretrained)"
            if pickled
            else ""
        )
        missing.append(_WEIGHTS + only)
    if not any((folder / name).is_file() for name in tokenizers):
        missing.append(" or ".join(tokenizers) + " (tokenizer.save_pretrained writes it)")
    if missing:
        raise CheckpointError(f"{who}: {folder}: missing {', '.join(missing)}")
    return folder


def load_config(folder: str | Path, who: str, *, trust_remote_code: bool = False) -> Any:
    """Return the transformers configuration of a directory.

    Raises:
        CheckpointError: config.json cannot be read or names an unknown architecture.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(
            str(folder), trust_remote_code=trust_remote_code, local_files_only=True
        )
    except Exception as error:  # the libraries raise a wide range for a broken file
        text = one_line(error)
        hint = " (set trust_remote_code: true only if you trust the code in this directory)"
        raise CheckpointError(
            f"{who}: {Path(folder) / 'config.json'} cannot be loaded: {text}"
            + (hint if "trust_remote_code" in text else "")
        ) from error


def load_weights(
    folder: str | Path,
    who: str,
    *,
    config: Any,
    dtype: str | torch.dtype = "float32",
    trust_remote_code: bool = False,
    **options: Any,
) -> Any:
    """Return the language model of a directory: encoder-decoder or decoder-only, by `config`.

    Args:
        folder: a directory that `check_pretrained` has passed.
        who: how error messages begin.
        config: its configuration, see `load_config`.
        dtype: of the weights; ``"auto"``: as saved.
        trust_remote_code: run code that lies in the directory.
        options: more of what `from_pretrained` takes.

    Raises:
        CheckpointError: a file is damaged, or weights are missing and would be random.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    loader: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    if isinstance(dtype, str) and dtype != "auto":
        dtype = getattr(torch, dtype)
    try:
        with _quiet():
            model, report = loader.from_pretrained(
                str(folder),
                config=config,
                dtype=dtype,
                trust_remote_code=trust_remote_code,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                **options,
            )
    except Exception as error:  # the libraries raise a wide range for a broken file
        raise CheckpointError(f"{who}: {folder} cannot be loaded: {one_line(error)}") from error
    missing = sorted({*map(str, report["missing_keys"]), *map(str, report["mismatched_keys"])})
    if missing:
        raise CheckpointError(
            f"{who}: {folder}: {len(missing)} weights are missing that {type(model).__name__} "
            f"needs (e.g. {missing[0]}); they would be random. The file is incomplete or belongs "
            "to another configuration"
        )
    return model


def one_line(error: BaseException) -> str:
    """Return an error's text on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and load reports off the screen; what matters is raised."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()

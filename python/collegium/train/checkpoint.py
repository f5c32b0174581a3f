"""Checkpoints and students on disk: written elsewhere, then renamed; half-written ones skipped."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import nn
from transformers.utils import logging as hf_logging

from collegium.atomic import is_disk_full
from collegium.errors import RunError
from collegium.train.models import plain_model

MANIFEST = "complete.json"
STATE = "trainer_state.json"
_NAME = re.compile(r"^checkpoint-(\d+)$")


# torch.save reports a failed write without the operating system's reason.
_TORCH_WRITE = re.compile(r"inline_container|iostream|PytorchStreamWriter|file write failed")


def _disk_full(error: BaseException, folder: Path, needed: int) -> bool:
    if is_disk_full(error):
        return True
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RuntimeError) and _TORCH_WRITE.search(str(seen)):
            return shutil.disk_usage(folder).free < max(needed, 1 << 20)
        seen = seen.__cause__ or seen.__context__
    return False


@contextlib.contextmanager
def writing(target: Path, needed: int = 0) -> Iterator[Path]:
    """Give the partial folder that becomes `target`; if the block fails, it is removed.

    Args:
        target: where the folder will stand (`replace_folder` is the caller's last act).
        needed: bytes, for the message.

    Raises:
        RunError: the disk is full; the message says what to do. What was there is intact.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        yield partial
    except BaseException as error:
        folder = next(p for p in target.absolute().parents if p.exists())
        full = isinstance(error, Exception) and _disk_full(error, folder, needed)
        shutil.rmtree(partial, ignore_errors=True)
        if not full:
            raise
        raise RunError(
            f"the disk is full: {target} (about {needed / 1e6:.1f} MB) could not be written, "
            f"{shutil.disk_usage(folder).free / 1e6:.1f} MB are free. What was there before is "
            "intact: make room and run again, training goes on from the last checkpoint"
        ) from error


def bytes_needed(model: nn.Module, *, optimizer: bool) -> int:
    """Estimate the size of a checkpoint of `model`: weights, and two moments per trained weight."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return weights + (2 * trained if optimizer else 0)


@contextlib.contextmanager
def quiet_bars() -> Iterator[None]:
    """Hide the libraries' progress bars."""
    shown = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            hf_logging.enable_progress_bar()


def write_student(model: nn.Module, tokenizer: Any, folder: Path) -> None:
    """Write a `from_pretrained` directory: safetensors, configuration, generation, tokenizer."""
    with quiet_bars():
        plain_model(model).save_pretrained(str(folder))
        if tokenizer is not None:
            tokenizer.save_pretrained(str(folder))


def save_student(model: nn.Module, tokenizer: Any, folder: str | Path) -> Path:
    """Write a plain `from_pretrained` directory atomically; it loads without this package.

    What was at `folder` is replaced only when everything has been written.

    Raises:
        RunError: the disk is full; what was at `folder` is intact.
    """
    target = Path(folder).absolute()
    shutil.rmtree(target.with_name(f".{target.name}.partial"), ignore_errors=True)
    with writing(target, bytes_needed(model, optimizer=False)) as partial:
        write_student(model, tokenizer, partial)
        replace_folder(partial, target)
    return target


def replace_folder(partial: Path, target: Path) -> None:
    """Rename `partial` to `target`, putting an older `target` aside first."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(partial, target)
    shutil.rmtree(old, ignore_errors=True)


def seal(folder: Path) -> None:
    """Write the manifest that tells a complete checkpoint: every file with its size."""
    files = {
        str(file.relative_to(folder)): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != MANIFEST
    }
    (folder / MANIFEST).write_text(json.dumps({"v": 1, "files": files}, indent=1))


def is_complete(folder: Path) -> bool:
    """Tell whether every file of a checkpoint is there in its full size."""
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def find_last_checkpoint(folder: str | Path) -> Path | None:
    """Return the complete checkpoint of the latest step under `folder`, None if there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        return None
    steps = [(int(m[1]), p) for p in folder.iterdir() if (m := _NAME.match(p.name))]
    return next((path for _, path in sorted(steps, reverse=True) if is_complete(path)), None)


def remove_partial(folder: str | Path) -> None:
    """Delete what a killed run left half-written under `folder`."""
    folder = Path(folder)
    for path in folder.iterdir() if folder.is_dir() else ():
        if re.match(r"^\.checkpoint-\d+\.(partial|old)$", path.name):
            shutil.rmtree(path, ignore_errors=True)


def rotate(folder: str | Path, limit: int | None, best: str | Path | None) -> None:
    """Delete all but the last `limit` checkpoints under `folder`; `best` stays in any case."""
    folder = Path(folder)
    steps = sorted((int(m[1]), p) for p in folder.iterdir() if (m := _NAME.match(p.name)))
    kept = {Path(best).name} if best is not None else set()
    complete = [path for _, path in steps if is_complete(path)]
    others = [path for path in reversed(complete) if path.name not in kept]
    room = len(steps) if not limit else max(limit - len(kept & {p.name for p in complete}), 1)
    kept |= {path.name for path in others[:room]}
    if complete:
        kept.add(complete[-1].name)
    for _, path in steps:
        if path.name not in kept and (limit or not is_complete(path)):
            shutil.rmtree(path, ignore_errors=True)


def read_state(checkpoint: Path) -> dict[str, Any]:
    """Return the trainer state of a checkpoint as JSON values."""
    return json.loads((checkpoint / STATE).read_text(encoding="utf-8"))


def load_weights(model: nn.Module, folder: str | Path) -> None:
    """Load the safetensors weights of `folder` into `model` in place.

    Names in the file may differ from those of the module (transformers renames on saving and
    loading), so the file is read as `from_pretrained` reads it.

    Raises:
        RunError: the weights do not fit the model.
    """
    inner = plain_model(model)
    with quiet_bars():
        loaded, info = type(inner).from_pretrained(
            str(folder),
            config=inner.config,
            dtype=inner.dtype,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    wrong = {name: sorted(map(str, keys))[:3] for name, keys in info.items() if keys}
    if wrong:
        raise RunError(f"checkpoint {folder} belongs to another model: {wrong}")
    inner.load_state_dict(loaded.state_dict())

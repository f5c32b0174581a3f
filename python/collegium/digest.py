"""Digests of values and files: what stages and kept answers are found again by."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any


def digest_json(value: Any) -> str:
    """Return a hex digest of a JSON value, independent of key order."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def digest_path(path: Path, *, leave_out: tuple[str, ...] = ()) -> str:
    """Return a hex digest of a file's bytes, or of a folder's relative names and bytes.

    A file is read once per process unless its size or modification time changes.

    Args:
        path: file or folder.
        leave_out: names of files in a folder that do not count.
    """
    total = hashlib.blake2b(digest_size=16)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and p.name not in leave_out)
    else:
        files = [path]
    for file in files:
        name = file.relative_to(path).as_posix() if path.is_dir() else ""
        total.update(f"{name}\0{_contents(file)}\n".encode())
    return total.hexdigest()


_read: dict[tuple[str, int, int, int], str] = {}
_SETTLED_SECONDS = 2.0
"""A file this old cannot change again within the resolution of its modification time."""


def _contents(path: Path) -> str:
    state = path.stat()
    key = (str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ino)
    if key in _read:
        return _read[key]
    one = hashlib.blake2b(digest_size=16)
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            one.update(block)
    if time.time() - state.st_mtime > _SETTLED_SECONDS:
        _read[key] = one.hexdigest()
    return one.hexdigest()

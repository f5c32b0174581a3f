"""Files that are either the old ones or the whole new ones, whatever happens in between."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collegium.errors import DataError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes its place when the block ends well.

    The new file's data is on the disk before the name changes. After any error the earlier file
    is as it was and the partial one is gone.

    Raises:
        DataError: the operating system refused (no space, no permission, no such folder).
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
        _sync_directory(path.parent)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        earlier = "The file that was there before is unchanged." if path.exists() else ""
        raise DataError(f"{path}: cannot be written: {reason}. {earlier}".rstrip()) from error
    finally:
        partial.unlink(missing_ok=True)


def is_disk_full(error: BaseException | None) -> bool:
    """Tell whether an error, or what caused it, is a full disk (or an exhausted quota)."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "No space left" in str(error) or "os error 28" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""JSONL files, plain or gzipped, read line by line with errors that name the line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from collegium.errors import DataError


def json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield line number (from 1) and bytes of each line that is not blank.

    Raises:
        DataError: the file cannot be opened, or its compressed data is damaged.
    """
    line = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for line, raw in enumerate(lines, 1):
                if raw.strip():
                    yield line, raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: damaged or truncated gzip data after line {line} ({error})"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def json_object(path: Path, line: int, raw: bytes) -> dict[str, Any]:
    """Decode one line.

    Raises:
        DataError: not UTF-8, not JSON, or not an object.
    """
    try:
        text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
        value = json.loads(text)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()  # halves of a surrogate pair
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {line}: expected UTF-8, found byte 0x{raw[error.start]:02x} at "
            f"position {error.start + 1}"
        ) from None
    except UnicodeEncodeError:
        raise DataError(
            f"{path}, line {line}: expected Unicode text, found half of a surrogate pair (\\ud...)"
        ) from None
    except (ValueError, RecursionError) as error:
        where = (
            f", error at position {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        )
        raise DataError(
            f"{path}, line {line}: expected a JSON object, found "
            f"{raw[:40].decode(errors='replace').strip()!r}, which is not valid JSON{where}"
        ) from None
    if not isinstance(value, dict):
        raise DataError(
            f"{path}, line {line}: expected a JSON object, found {_KINDS.get(type(value), 'null')}"
        )
    return value


_KINDS: dict[type, str] = {
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
}

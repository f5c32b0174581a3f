"""One package in a process of its own: the other end of `tokenization.py`."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Encode = Callable[[list[str]], Any]
Flat = Callable[[Any], np.ndarray]


def concatenate(rows: list[list[int]]) -> np.ndarray:
    return np.concatenate([np.asarray(row, np.uint32) for row in rows])


def make(package: str, path: str) -> tuple[Encode, Flat, str]:
    """What is timed, what makes uint32 ids of its result, and what encodes."""
    if package.startswith("collegium"):
        from collegium import Tokenizer

        ours = Tokenizer.from_file(path)
        lengths = package.endswith("lengths")
        return lambda t: ours.encode_batch(t, False, lengths), lambda e: e.ids, ours.engine
    if package == "tokenizers":
        import tokenizers

        theirs: Any = tokenizers.Tokenizer.from_file(path)
        theirs.no_truncation()
        theirs.no_padding()
        return (
            lambda t: theirs.encode_batch(t, add_special_tokens=False),
            lambda rows: concatenate([row.ids for row in rows]),
            package,
        )
    if package == "gigatoken":
        import gigatoken  # pyright: ignore[reportMissingImports]

        theirs = gigatoken.Tokenizer(path)

        def flat(result: Any) -> np.ndarray:
            offsets = np.asarray(result.layout.offsets.data).astype(np.int64)
            return np.asarray(result.layout.content.data)[offsets[0] : offsets[-1]]

        return lambda t: theirs.encode_batch(t, parallel=False), flat, package
    if package == "fastokens":
        import fastokens  # pyright: ignore[reportMissingImports]

        theirs = fastokens.Tokenizer.from_file(path)
        return theirs.encode_batch_flat, lambda r: np.frombuffer(r[0], np.uint32), package
    import splintr  # pyright: ignore[reportMissingImports]

    theirs = splintr.from_json(path)
    # Its batches have the tokens of the post-processor; they are cut off to compare ids.
    whole, raw = theirs.encode("a"), theirs.encode_raw("a")
    extra = len(whole) - len(raw)
    front = extra > 0 and whole[extra:] == raw

    def cut(result: Any) -> np.ndarray:
        ids = np.frombuffer(result[0], np.uint32)
        width = np.uint64 if len(result[1]) % 8 == 0 else np.uint32
        ends = np.frombuffer(result[1], width).astype(np.int64)
        keep = np.ones(len(ids), bool)
        for place in range(extra):
            keep[ends[:-1] + place if front else ends[1:] - 1 - place] = False
        return ids[keep]

    return theirs.encode_batch_flat, cut, package


def peak() -> dict[str, float]:
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":") for line in lines if line.startswith(("VmRSS", "VmHWM")))
    return {name: int(value.split()[0]) / 1024 for name, value in fields.items()}


def main() -> None:
    package, path, folder = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**values: Any) -> None:
        out.write(json.dumps(values) + "\n")
        out.flush()

    try:
        encode, flat, engine = make(package, path)
        flat(encode(["hello world", "a  b\n\nc"]))
    except Exception as error:
        say(error=f"{type(error).__name__}: {str(error)[:120]}")
        return
    say(engine=engine)
    for line in sys.stdin:
        command, *numbers = line.split()
        if command == "memory":
            texts = [text for index in range(int(numbers[0])) for text in read(folder, index)]
            Path("/proc/self/clear_refs").write_text("5")
            before = peak()["VmRSS"]
            result = encode(texts)
            output = (result.ids.nbytes + result.offsets.nbytes) / 2**20
            beyond = peak()["VmHWM"] - before - output
            text = sum(len(text.encode()) for text in texts) / 2**20
            say(**{"text, MB": text, "output, MB": output, "beyond, MB": beyond})
            continue
        index = int(numbers[0])
        texts = read(folder, index)
        if command == "join":
            # More text a call than in a slice, as long runs have.
            texts += read(folder, int(numbers[1]))
        caller, before = time.thread_time(), time.process_time()
        result = encode(texts)
        cpu, caller = time.process_time() - before, time.thread_time() - caller
        digest = hashlib.sha256(flat(result).tobytes()).hexdigest() if command == "run" else ""
        say(cpu=cpu, caller=caller, digest=digest)


def read(folder: str, index: int) -> list[str]:
    return json.loads((Path(folder) / f"slice{index}.json").read_text("utf-8"))


if __name__ == "__main__":
    main()

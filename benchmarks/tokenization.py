"""Tokenization of a list of strings to flat ids, against other packages.

Each package has a process of its own, on one thread. Slices of text that none of them has seen go
round from process to process, in turn forwards and backwards; the unit is CPU time of the process.
Slice 0 is the cold start and counts apart. The same slice again, by another process, is as new.
Ids of one slice are compared with those of Hugging Face `tokenizers`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORKER = Path(__file__).with_name("tokenization_worker.py")
SHARED = ROOT.parent / "shared"

FILES = {
    "t5": "T5 Unigram",
    "mistral03": "SentencePiece-BPE",
    "pythia": "byte-level BPE",
    "qwen3": "byte-level BPE",
}
OURS = ("collegium", "collegium+lengths")
PEERS = ("tokenizers", "gigatoken", "splintr", "fastokens")
# (peer, gate, goal), and the goal against Hugging Face's encode_batch.
BARS = {
    "T5 Unigram": (("splintr", 1.5, 3.0), 40.0),
    "SentencePiece-BPE": (("gigatoken", 0.6, 1.0), 22.0),
    "byte-level BPE": (("gigatoken", 0.5, 0.9), 50.0),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder of JSONL.gz")
    parser.add_argument("--tokenizers", type=Path, default=SHARED / "tokenizers")
    parser.add_argument("--files", nargs="+", default=list(FILES), choices=list(FILES))
    parser.add_argument("--slices", type=int, default=8, help="after the cold one")
    parser.add_argument("--slow-slices", type=int, default=2, help="of them, for `tokenizers`")
    parser.add_argument("--megabytes", type=float, default=2.0, help="of a slice")


def run(args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        bytes_of = write_slices(args, work)
        results = {}
        for name in args.files:
            path = work / f"{name}.json"
            path.write_bytes(gzip.decompress((args.tokenizers / f"{name}.json.gz").read_bytes()))
            results[name] = measure(name, path, bytes_of, args, work)
            print(json.dumps({name: results[name]}, indent=1), file=sys.stderr)
    return {"unit": "MB of UTF-8 per second of CPU time", "slices": len(bytes_of), **results}


def write_slices(args: argparse.Namespace, work: Path) -> list[int]:
    """Write the slices as JSON, and return the bytes of each."""
    texts: dict[str, None] = {}
    for path in sorted(args.data.rglob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                collect(json.loads(line), texts)
    found = list(texts)
    size = args.megabytes * 1e6
    stride = max(args.slices + 1, int(sum(len(text) for text in found) / size))
    sizes = []
    for index in range(args.slices + 1):
        part = found[index::stride]
        (work / f"slice{index}.json").write_text(json.dumps(part), "utf-8")
        sizes.append(sum(len(text.encode()) for text in part))
    return sizes


def collect(value: Any, texts: dict[str, None]) -> None:
    """Add every string of at least 20 characters in a JSON value."""
    if isinstance(value, str):
        if len(value) >= 20:
            texts[value] = None
    elif isinstance(value, (list, dict)):
        for entry in value.values() if isinstance(value, dict) else value:
            collect(entry, texts)


class Worker:
    """The process of one package."""

    def __init__(self, package: str, path: Path, work: Path, threads: int = 1) -> None:
        count = str(threads)
        variables = {"RAYON_NUM_THREADS": count, "COLLEGIUM_NUM_THREADS": count}
        variables["TOKENIZERS_PARALLELISM"] = "false"
        self.package = package
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), package, str(path), str(work)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **variables},
        )
        self.state = self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "the process ended"}

    def ask(self, *words: object) -> dict[str, Any]:
        assert self.process.stdin
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        found = self.answer()
        if "error" in found:
            raise SystemExit(f"{self.package}, {' '.join(map(str, words))}: {found['error']}")
        return found

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)


def measure(
    name: str, path: Path, sizes: list[int], args: argparse.Namespace, work: Path
) -> dict[str, Any]:
    workers: dict[str, Worker] = {}
    refused = {}
    for package in (*PEERS, *OURS):
        worker = Worker(package, path, work)
        if "error" in worker.state:
            refused[package] = worker.state["error"]
            worker.close()
        else:
            workers[package] = worker
    times: dict[str, list[float]] = {package: [] for package in workers}
    digests: dict[str, str] = {}
    for index in range(len(sizes)):
        order = list(workers) if index % 2 == 0 else list(workers)[::-1]
        for package in order:
            if package != "tokenizers" or index <= args.slow_slices:
                answer = workers[package].ask("run", index)
                times[package].append(answer["cpu"])
                if index == 1:
                    digests[package] = answer["digest"]
    engine = workers["collegium"].state["engine"]
    for worker in workers.values():
        worker.close()
    speeds = {
        package: [size / 1e6 / t for size, t in zip(sizes, found, strict=False)]
        for package, found in times.items()
    }
    median = {package: statistics.median(found[1:]) for package, found in speeds.items()}
    family = FILES[name]
    (peer, gate, goal), over_hugging_face = BARS[family]

    def ratio(ours: str, other: str) -> float | None:
        """Median over slices that both have seen."""
        if other not in times:
            return None
        pairs = list(zip(times[other][1:], times[ours][1:], strict=False))
        return round(statistics.median(a / b for a, b in pairs), 3)

    result: dict[str, Any] = {
        "family": family,
        "engine": engine,
        "speed": {package: round(speed, 2) for package, speed in median.items()},
        "ours over": {package: ratio("collegium", package) for package in PEERS},
        "with lengths over without": ratio("collegium+lengths", "collegium"),
        "cold over tokenizers": round(times["tokenizers"][0] / times["collegium"][0], 2),
        "same ids as tokenizers": {
            package: digest == digests["tokenizers"] for package, digest in digests.items()
        },
        "refused": refused,
        **two_threads(path, work, len(sizes) // 2),
        "memory": memory(path, work, len(sizes)),
    }
    best = result["ours over"][peer]
    result["bars"] = {
        f"gate: {gate}x {peer}": None if best is None else best >= gate,
        f"goal: {goal}x {peer}": None if best is None else best >= goal,
        f"goal: {over_hugging_face}x tokenizers": result["ours over"]["tokenizers"]
        >= over_hugging_face,
        "with lengths >= 0.8": result["with lengths over without"] >= 0.8,
        "cold >= 20x tokenizers": result["cold over tokenizers"] >= 20,
        "two threads <= 1.15 of one": result["two threads over one, CPU time"] <= 1.15,
        "serial part <= 0.1": result["serial part"] <= 0.1,
        "memory <= 32 MB + 4 MB a worker": result["memory"]["beyond, MB"] <= 36,
    }
    return result


def two_threads(path: Path, work: Path, count: int) -> dict[str, float]:
    """CPU time of two threads over that of one, and the share spent outside the pool."""
    ratios, serial = [], []
    one, two = (Worker("collegium", path, work, threads) for threads in (1, 2))
    for index in range(count):
        first = one.ask("join", index, index + count)
        second = two.ask("join", index, index + count)
        ratios.append(second["cpu"] / first["cpu"])
        serial.append(second["caller"] / second["cpu"])
    one.close()
    two.close()
    return {
        "two threads over one, CPU time": round(statistics.median(ratios[1:]), 3),
        "serial part": round(statistics.median(serial[1:]), 3),
    }


def memory(path: Path, work: Path, count: int) -> dict[str, float]:
    worker = Worker("collegium", path, work)
    found = worker.ask("memory", count)
    worker.close()
    return found

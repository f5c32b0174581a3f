"""What `import collegium` and a first use of each part cost: seconds and peak memory.

Every (round, statement) is a process of its own, statements in turn within a round, so that a
machine that slows down slows all of them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from typing import Any

STATEMENTS = {
    "python": "pass",
    "collegium": "import collegium",
    "Tokenizer": "from collegium import Tokenizer",
    "kernels": "import collegium.kernels",
    "torch": "import torch",
    "transformers.Trainer": "from transformers import Trainer",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5)


def run(args: argparse.Namespace) -> dict[str, Any]:
    seen: dict[str, list[tuple[float, int]]] = {name: [] for name in STATEMENTS}
    for _ in range(args.rounds):
        for name, statement in STATEMENTS.items():
            seen[name].append(_cost(statement))
    return {
        "rows": [
            {
                "statement": STATEMENTS[name],
                "cpu_seconds_median": statistics.median(seconds for seconds, _ in costs),
                "cpu_seconds_spread": [min(costs)[0], max(costs)[0]],
                "peak_bytes": max(peak for _, peak in costs),
            }
            for name, costs in seen.items()
        ]
    }


def _cost(statement: str) -> tuple[float, int]:
    """Return CPU seconds and peak bytes of a fresh interpreter that runs `statement`."""
    child = subprocess.Popen([sys.executable, "-c", statement])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"`{statement}` failed with exit code {child.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024

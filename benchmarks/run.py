"""Run one benchmark and write its result with the machine, versions and commit it was made on.

    python benchmarks/run.py NAME --json PATH      # `-` prints it
    python benchmarks/run.py --list

Rivals run interleaved with ours in one run; what counts are ratios, not absolute times.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from registry import BENCHMARKS

HERE = Path(__file__).resolve().parent
ALWAYS = ("collegium", "torch", "transformers", "tokenizers", "datasets", "pyarrow", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="list the benchmarks")
    commands = parser.add_subparsers(dest="name", metavar="NAME")
    wanted = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    for name, module_name in BENCHMARKS.items():
        command = commands.add_parser(name)
        command.add_argument("--json", type=Path, help="where the result goes; `-` prints it")
        if name == wanted:
            importlib.import_module(module_name).add_arguments(command)
    args = parser.parse_args()
    if args.list or args.name is None:
        print("\n".join(BENCHMARKS))
        return
    if args.json and str(args.json) != "-" and not args.json.parent.is_dir():
        parser.error(f"--json {args.json}: the folder does not exist")
    # Rivals and helpers of a benchmark print to stderr; stdout is the result's alone.
    result = importlib.import_module(BENCHMARKS[args.name]).run(args)
    text = json.dumps({"benchmark": args.name, **circumstances(args.name), **result}, indent=1)
    if args.json is None or str(args.json) == "-":
        print(text)
    else:
        args.json.write_text(text + "\n")


def circumstances(name: str) -> dict[str, Any]:
    """Return machine, versions (of rivals too), commit and time."""
    return {
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "benchmarks/run.py", *map(_portable, sys.argv[1:])]),
        "machine": {
            "cpu": _cpu(),
            "cores": len(os.sched_getaffinity(0)),
            "load_1min": os.getloadavg()[0],
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "versions": {package: _version(package) for package in (*ALWAYS, *_rivals(name))},
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _portable(word: str) -> str:
    """Return a word of the command line without the folders of this machine."""
    option, equals, value = word.rpartition("=")
    path = Path(value)
    if not path.is_absolute():
        return word
    root = HERE.parent
    inside = path.is_relative_to(root)
    return f"{option}{equals}{path.relative_to(root) if inside else f'.../{path.name}'}"


def _rivals(name: str) -> list[str]:
    listed = HERE / "requirements" / f"{name}.txt"
    if not listed.is_file():
        return []
    lines = (line.split("#")[0].strip() for line in listed.read_text().splitlines())
    return [line.split("==")[0].split(">=")[0].strip() for line in lines if line]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(HERE), *words], capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()

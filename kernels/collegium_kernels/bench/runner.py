"""Runs (case, implementation) pairs in processes of their own, in turn, and gathers the result."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from .bars import bars
from .cases import CASES, default_cases
from .measure import IMPLEMENTATIONS, measure, merge

_PACKAGES = ("triton", "liger-kernel", "cut-cross-entropy", "trl", "transformers")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a run."""
    gpu = torch.cuda.is_available()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if gpu else "cpu")
    parser.add_argument("--cases", nargs="+", choices=CASES, help="default: all of the device")
    parser.add_argument("--implementations", nargs="+", choices=IMPLEMENTATIONS)
    parser.add_argument("--rounds", type=int, help="processes per pair; default 3, on a GPU 1")
    parser.add_argument("--seconds", type=float, default=3.0, help="of repetition on a GPU")
    parser.add_argument("--budget", type=float, help="start no measurement after so many seconds")
    parser.add_argument("--lock", type=Path, help="hold this file's lock while measuring")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds per process")
    one = parser.add_argument_group("one process, as the run starts it")
    one.add_argument("--one", nargs=3, metavar=("CASE", "IMPLEMENTATION", "PART"))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure and return a JSON-able result."""
    if args.one:
        return measure(*args.one, device=args.device, seconds=args.seconds)
    started = time.monotonic()
    names = args.cases or default_cases(args.device)
    implementations = args.implementations or [
        name for name, item in IMPLEMENTATIONS.items() if args.device in item.devices
    ]
    rounds = args.rounds or (1 if args.device == "cuda" else 3)
    cases: dict[str, dict[str, Any]] = {}
    not_run: list[str] = []
    for case in names:
        among = [n for n in implementations if n in (CASES[case].among or implementations)]
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in among}
        for part, name in _plan(among, rounds):
            if any(found["status"] != "measured" for found in runs[name]):
                continue
            if args.budget and time.monotonic() - started > args.budget:
                not_run.append(f"{case}: {name} ({part})")
                continue
            library = IMPLEMENTATIONS[name].library
            if library and importlib.util.find_spec(library) is None:
                found = {"status": "absent", "why": f"{library} is not installed"}
            else:
                found = _child(args, case, name, part)
            print(f"{case} | {name} | {part}: {json.dumps(found)}", file=sys.stderr, flush=True)
            runs[name].append(found)
        results = {name: merge(found) for name, found in runs.items() if found}
        cases[case] = {"job": _job(case), "results": results}
    result = {"environment": environment(args.device), "cases": cases, "not_run": not_run}
    return {**result, "bars": bars(args.device, cases)}


def _plan(implementations: list[str], rounds: int) -> Iterator[tuple[str, str]]:
    for number in range(rounds):
        yield from (("time" if number else "both", name) for name in implementations)


def _job(name: str) -> dict[str, Any]:
    case = CASES[name]
    derived = {"product_flop": case.products, "row_traffic_bytes": case.row_traffic}
    fields = {k: v for k, v in dataclasses.asdict(case).items() if k != "among"}
    return {**fields, **derived}


@contextlib.contextmanager
def _locked(path: Path | None) -> Iterator[None]:
    """Hold a lock file, so that measurements on a shared machine do not disturb each other."""
    if path is None:
        yield
        return
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _child(args: argparse.Namespace, case: str, name: str, part: str) -> dict[str, Any]:
    package = __package__ or ""
    command = [sys.executable, "-m", package, "--one", case, name, part]
    command += ["--device", args.device, "--seconds", str(args.seconds)]
    # A thread that waits for another must not burn processor time meanwhile.
    environ = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    environ.pop("COLLEGIUM_CHECKS", None)
    with _locked(args.lock):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=args.limit, env=environ
            )
        except subprocess.TimeoutExpired:
            return {"status": "failed", "why": f"took longer than {args.limit:g} s"}
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines:
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(lines[-1])
    said = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
    return {"status": "failed", "why": f"exit {done.returncode}: {said[:300]}"}


def environment(device: str) -> dict[str, Any]:
    """Return what the numbers depend on: card, processor, versions."""
    found: dict[str, Any] = {
        "device": device,
        "python": platform.python_version(),
        "system": platform.platform(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "versions": {"torch": torch.__version__},
    }
    for package in _PACKAGES:
        try:
            found["versions"][package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found["versions"][package] = "absent"
    if device == "cuda":
        card = torch.cuda.get_device_properties(0)
        found["card"] = card.name
        found["card_memory_gb"] = round(card.total_memory / 2**30, 1)
        found["capability"] = f"{card.major}.{card.minor}"
        found["cuda"] = torch.version.cuda or torch.version.hip
    return found

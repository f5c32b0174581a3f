"""Runs `interpreter_cases.py` in a process where triton interprets its kernels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="triton is not installed")

CASES = Path(__file__).with_name("interpreter_cases.py")


def run(marks: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-m", marks, str(CASES)],
        cwd=CASES.parents[2],
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def test_row_kernels_match_the_reference() -> None:
    assert " passed" in run("not ci and not nightly")


@pytest.mark.ci
def test_row_kernels_match_the_reference_on_more_covers() -> None:
    assert " passed" in run("ci")

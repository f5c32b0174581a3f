"""Compile every row kernel for every target without a GPU: registers, spills, widths.

    python benchmarks/run.py kernels_aot --json benchmarks/results/kernels_aot.json

Needs triton, no device. `kernels/README.md` renders the table from the committed result.
"""

from __future__ import annotations

import argparse
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; there are none."""


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Return the rows of the table."""
    import triton

    from collegium.kernels.triton import aot

    return {"triton": triton.__version__, "rows": [vars(row) for row in aot.table()]}

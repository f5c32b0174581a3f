"""Time, memory and accuracy of the distillation losses against what else can compute them.

    python -m collegium.kernels.bench --json result.json
    python -m collegium.kernels.bench --list

Needs no checkout: torch and the standard library. Rivals that are installed join in by
themselves; those that are not are listed as absent. Every (case, implementation) runs in a
process of its own, rivals in turn, and is compared with float64 before its time counts.
"""

from __future__ import annotations

from .runner import add_arguments, run

__all__ = ["add_arguments", "run"]

"""Distillation losses against their rivals: `collegium.kernels.bench`, which the wheel holds."""

from __future__ import annotations

from collegium.kernels.bench import add_arguments, run

__all__ = ["add_arguments", "run"]

"""What was set out to be reached, and what a run says about it."""

from __future__ import annotations

from typing import Any

WORKSPACE_MB = 256
"""The default workspace on a CPU."""

_ROUNDING = ("eager", "torch.compile", "checkpointed 256", "Liger chunked JSD", "TRL GKD")
"""Rivals that round logits to the operands' half precision before they widen them."""


class _Found:
    """Reads results; a number that was not measured is None."""

    def __init__(self, cases: dict[str, dict[str, Any]]) -> None:
        self.cases = cases

    def get(self, case: str, name: str, key: str) -> float | None:
        entry = self.cases.get(case, {}).get("results", {}).get(name, {})
        return entry.get(key) if entry.get("status") == "measured" else None

    def ratio(self, key: str, over: tuple[str, str], under: tuple[str, str]) -> float | None:
        """``over / under``, both (case, implementation)."""
        a, b = self.get(*over, key), self.get(*under, key)
        return None if a is None or not b else a / b


def bars(device: str, cases: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry per bar: its value, its bound, and whether it is reached (None: unknown)."""
    found = _Found(cases)
    rows = _cpu(found) if device == "cpu" else _gpu(found)
    return [
        {
            "bar": name,
            "value": value,
            "at_most": limit,
            "reached": None if value is None else value <= limit,
        }
        for name, value, limit in rows
    ]


_Row = tuple[str, "float | None", float]


def _cpu(found: _Found) -> list[_Row]:
    time, rows = "cpu_ms", []
    for case, tokens in (("cpu", 2048), ("cpu-1024", 1024)):
        ours, eager = (case, "ours"), (case, "eager")
        extra = found.get(*ours, "extra_mb")
        beyond = None if extra is None else extra - WORKSPACE_MB
        rows += [
            (f"N = {tokens}: time / eager", found.ratio(time, ours, eager), 1.0),
            (
                f"N = {tokens}: time / lean eager",
                found.ratio(time, ours, (case, "lean eager")),
                1.05,
            ),
            (f"N = {tokens}: extra MB beyond workspace", beyond, 128.0),
            (f"N = {tokens}: dX error / eager", found.ratio("error_dx", ours, eager), 1.0),
            (f"N = {tokens}: dW error / eager", found.ratio("error_dw", ours, eager), 1.0),
        ]
    three = "cpu-three-teachers"
    return [
        *rows,
        (
            "N = 2048: extra memory / eager",
            found.ratio("extra_mb", ("cpu", "ours"), ("cpu", "eager")),
            1 / 12,
        ),
        (
            "half masked / full time",
            found.ratio(time, ("cpu-half-masked", "ours"), ("cpu", "ours")),
            1 / 1.8,
        ),
        (
            "three teachers / three calls",
            found.ratio(time, (three, "ours"), (three, "ours, call by call")),
            0.65,
        ),
    ]


def _gpu(found: _Found) -> list[_Row]:
    rows: list[_Row] = []
    for case, limit in (("forward-kl", 1.15), ("reverse-kl", 1.15), ("jsd", 1.25)):
        rows.append((f"{case}: time / (products + row traffic)", _over_floor(found, case), limit))
    rows.append(("top-64: time / matrix products", _over_products(found, "top-64"), 1.15))
    for case in ("jsd", "llama-jsd"):
        ours = (case, "ours")
        fused, chunked = (case, "Liger fused JSD"), (case, "Liger chunked JSD, compiled")
        rows += [
            (f"{case}: time / Liger fused JSD", found.ratio("ms", ours, fused), 1 / 2.5),
            (f"{case}: extra memory / Liger fused", found.ratio("extra_mb", ours, fused), 0.6),
            (f"{case}: time / Liger compiled", found.ratio("ms", ours, chunked), 1 / 1.15),
            (f"{case}: extra memory / Liger compiled", found.ratio("extra_mb", ours, chunked), 0.5),
            (
                f"{case}: time / checkpointed 256",
                found.ratio("ms", ours, (case, "checkpointed 256")),
                1 / 2,
            ),
            (f"{case}: dX error", found.get(*ours, "error_dx"), 3e-3),
            (f"{case}: dW error", found.get(*ours, "error_dw"), 3e-3),
        ]
        rows += [
            (
                f"{case}: {key[-2:]} error / {rival}",
                found.ratio(key, ours, (case, rival)),
                0.1,
            )
            for rival in _ROUNDING
            for key in ("error_dx", "error_dw")
        ]
    small = ("small-jsd", "ours")
    rows.append(("N = 1024: time / eager", found.ratio("ms", small, ("small-jsd", "eager")), 1.0))
    full, half = ("forward-kl", "ours"), ("half-masked", "ours")
    rows.append(("half masked / full time", found.ratio("ms", half, full), 1 / 1.8))
    three, calls = ("three-teachers", "ours"), ("three-teachers", "ours, call by call")
    rows.append(("three teachers / three calls", found.ratio("ms", three, calls), 1 / 1.5))
    return rows


def _over_floor(found: _Found, case: str) -> float | None:
    ours = found.get(case, "ours", "ms")
    parts = [found.get(case, name, "ms") for name in ("matrix products", "row traffic")]
    if ours is None or any(part is None for part in parts):
        return None
    return ours / sum(part for part in parts if part is not None)


def _over_products(found: _Found, case: str) -> float | None:
    return found.ratio("ms", (case, "ours"), (case, "matrix products"))

"""Comparing arms question by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collegium.errors import ArgumentError
from collegium.evaluate.metrics import Difference, paired_bootstrap
from collegium.evaluate.prediction import Prediction


def correctness(seeds: Sequence[Sequence[Prediction]], mode: str) -> dict[str, float]:
    """Return question id to the share of right answers in `mode`, over all seeds.

    ``rationale`` pools every ``rationale:<teacher>``. Questions without gold are left out.
    """
    total: dict[str, list[float]] = {}
    for rows in seeds:
        for row in rows:
            fits = row.mode == mode or (mode == "rationale" and row.mode.startswith("rationale:"))
            if fits and row.correct is not None:
                total.setdefault(row.id, []).append(float(row.correct))
    return {key: sum(values) / len(values) for key, values in total.items()}


def compare_arms(
    arms: Mapping[str, Sequence[Sequence[Prediction]]],
    *,
    against: str,
    mode: str = "label",
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare every arm with one of them on the same questions, in one mode.

    Each question counts with its mean over the arm's seeds, so the interval covers the choice of
    questions; the spread over seeds is to be read beside it.

    Args:
        arms: arm to its predictions, one list a seed.
        against: the arm that the others are compared with.
        mode: ``label``, ``rationale:<teacher>`` or ``rationale``.
        level: of the interval.
        seed: of the bootstrap.

    Returns:
        Arm to `Difference` (arm minus `against`); arms without predictions in `mode` are left out.

    Raises:
        ArgumentError: `against` is no arm, or two arms were asked different questions.
    """
    if against not in arms:
        raise ArgumentError(f"against: expected one of {sorted(arms)}, found {against!r}")
    base = correctness(arms[against], mode)
    if not base:
        return {}
    found = {name: correctness(rows, mode) for name, rows in arms.items() if name != against}
    return {
        name: paired_bootstrap(own, base, level=level, seed=seed)
        for name, own in found.items()
        if own
    }

"""The recipe's objectives and distributions, resolved to weights for each objective's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collegium.errors import RecipeError
from collegium.recipe import TrainSection
from collegium.registry import nearest


@dataclass(frozen=True)
class Weights:
    """Lambda (cross-entropy) and kappa (distillation) of one objective."""

    weight: float
    distill: float


def resolve(section: TrainSection, annotating: Sequence[str]) -> dict[str, Weights]:
    """Return the objectives with a weight, in a fixed order: label, then the teachers' order.

    ``rationale`` stands for every annotating teacher; ``rationale:<teacher>`` overrides it. Where
    distributions are learnt and an objective does not set `distill`, its weight w is shared:
    lambda = (1 - share) w and kappa = share w.

    Raises:
        RecipeError: an unknown objective or teacher, or no objective with a weight.
    """
    known = ["label", "rationale", *(f"rationale:{t}" for t in annotating)]
    for name in section.objectives:
        if name not in known:
            raise RecipeError(
                f"train.objectives: unknown objective {name!r}.{nearest(name, known)} "
                f"Known: {', '.join(known)}."
            )
    if "rationale" in section.objectives and not annotating:
        raise RecipeError("train.objectives: rationale needs a teacher that writes rationales")
    out = {}
    share = section.distributions.share if section.distributions.teachers else 0.0
    for name in ["label", *(f"rationale:{t}" for t in annotating)]:
        chosen = section.objectives.get(name)
        if chosen is None and name != "label":
            chosen = section.objectives.get("rationale")
        if chosen is None:
            continue
        if chosen.distill is None:
            weights = Weights((1 - share) * chosen.weight, share * chosen.weight)
        elif chosen.distill and not section.distributions.teachers:
            raise RecipeError(
                f"train.objectives.{name}.distill: needs train.distributions.teachers"
            )
        else:
            weights = Weights(chosen.weight, chosen.distill)
        if weights.weight or weights.distill:
            out[name] = weights
    if not out:
        raise RecipeError("train.objectives: no objective has a weight above 0")
    return out

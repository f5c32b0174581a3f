"""The recipe's objectives resolved to lambda and kappa."""

from __future__ import annotations

import pytest

from collegium.errors import RecipeError
from collegium.pipeline.objectives import Weights, resolve
from collegium.recipe import TrainSection


def section(**values: object) -> TrainSection:
    return TrainSection.model_validate(values)


def test_rationale_stands_for_every_teacher_and_can_be_overridden() -> None:
    weights = resolve(
        section(objectives={"label": 1, "rationale": 2, "rationale:b": 0.5}), ["a", "b"]
    )
    assert weights == {
        "label": Weights(1, 0),
        "rationale:a": Weights(2, 0),
        "rationale:b": Weights(0.5, 0),
    }


def test_distributions_share_each_objectives_weight() -> None:
    weights = resolve(
        section(
            objectives={"label": 2, "rationale": {"weight": 1, "distill": 3}},
            distributions={"teachers": {"t": 1}, "share": 0.25},
        ),
        ["a"],
    )
    assert weights == {"label": Weights(1.5, 0.5), "rationale:a": Weights(1, 3)}


def test_a_weight_of_zero_switches_an_objective_off() -> None:
    assert set(resolve(section(objectives={"label": 1, "rationale": 0}), ["a"])) == {"label"}


@pytest.mark.parametrize(
    ("objectives", "teachers", "part"),
    [
        ({"lable": 1}, ["a"], "'label'"),
        ({"rationale:b": 1}, ["a"], "rationale:a"),
        ({"label": 0}, ["a"], "no objective"),
        ({"rationale": 1}, [], "needs a teacher"),
        ({"label": {"weight": 1, "distill": 1}}, ["a"], "distributions.teachers"),
    ],
)
def test_mistakes(objectives: dict, teachers: list[str], part: str) -> None:
    with pytest.raises(RecipeError, match=part):
        resolve(section(objectives=objectives), teachers)

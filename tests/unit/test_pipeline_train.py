"""How long a run is, and how much of it goes into validation."""

from __future__ import annotations

import pytest

from collegium.pipeline.train import run_lengths, validated_questions
from collegium.recipe import TrainSection


@pytest.mark.parametrize(
    ("values", "steps", "every"),
    [
        ({"batch_size": 16, "epochs": 2}, 14, 3),  # 7 steps an epoch, the last one smaller
        ({"batch_size": 16, "max_steps": 50}, 50, 10),
        ({"batch_size": 16, "max_steps": 3}, 3, 1),
        ({"batch_size": 16, "max_steps": 50, "evaluate_every": 7}, 50, 7),
    ],
)
def test_steps_and_steps_between_validations(
    values: dict[str, int], steps: int, every: int
) -> None:
    assert run_lengths(TrainSection.model_validate(values), questions=100) == (steps, every)


@pytest.mark.parametrize(
    ("values", "every", "expected"),
    [
        ({"batch_size": 16}, 10, 80),  # half of what is trained on in between
        ({"batch_size": 16}, 100, 200),
        ({"batch_size": 1}, 1, 1),
        ({"batch_size": 16, "validation_questions": 500}, 1, 500),
    ],
)
def test_validation_takes_a_small_part_of_a_run(
    values: dict[str, int], every: int, expected: int
) -> None:
    assert validated_questions(TrainSection.model_validate(values), every) == expected

"""DistillArguments: what is derived and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collegium.errors import ArgumentError
from collegium.train.config import DistillArguments, ObjectiveWeight


def arguments(tmp_path: Path, **values: Any) -> DistillArguments:
    return DistillArguments(output_dir=str(tmp_path), use_cpu=True, **values)


def test_objectives_take_numbers_mappings_and_weights(tmp_path: Path) -> None:
    args = arguments(
        tmp_path,
        objectives={
            "label": 1,
            "rationale:a": {"weight": 2.0, "distill": 0.5},
            "rationale:b": ObjectiveWeight(3.0),
        },
    )
    assert args.objectives["label"] == ObjectiveWeight(1.0, 0.0)
    assert args.objectives["rationale:a"] == ObjectiveWeight(2.0, 0.5)
    assert args.distills == ("rationale:a",)
    assert args.to_json_string()  # everything can be logged


def test_selection_by_loss_saves_whenever_it_evaluates(tmp_path: Path) -> None:
    args = arguments(
        tmp_path, selection="loss", patience=2, eval_strategy="steps", eval_steps=7, save_steps=50
    )
    assert args.load_best_model_at_end
    assert args.metric_for_best_model == "loss"
    assert args.greater_is_better is False
    assert (args.eval_steps, args.save_steps) == (7, 50)
    assert not arguments(tmp_path, eval_strategy="steps", eval_steps=7).load_best_model_at_end


def test_the_batch_follows_from_questions(tmp_path: Path) -> None:
    args = arguments(tmp_path, batch_size=10, gradient_accumulation_steps=4)
    assert args.per_device_train_batch_size == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objectives": {}}, "at least one"),
        ({"objectives": {"label": 0}}, "weight above 0"),
        ({"objectives": {"labels": 1}}, "expected 'label' or 'rationale:<teacher>'"),
        ({"objectives": {"label": -1}}, r"objectives\.label\.weight: expected 0 or more"),
        ({"objectives": {"label": {"wieght": 1}}}, "Did you mean 'weight'"),
        ({"objective_batches": "mixd"}, "Did you mean 'mixed'"),
        ({"divergence": "kl"}, "unknown divergence 'kl'"),
        ({"temperature": 0}, "temperature: expected above 0"),
        ({"beta": 1.0}, "reverse_kl"),
        ({"batch_size": 0}, "batch_size: expected 1 or more"),
        ({"teachers": {"t": 0}}, r"teachers\.t: expected a weight above 0"),
        ({"selection": "loss"}, "needs eval_strategy"),
        ({"patience": 3}, "together with selection"),
        ({"selection": "best"}, "unknown selection 'best'"),
    ],
)
def test_refusals(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        arguments(tmp_path, **values)

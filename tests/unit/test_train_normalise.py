"""The normalisers add up over micro-batches and ranks."""

from __future__ import annotations

import pytest
import torch

from collegium.objectives.sequences import EncodedSequence
from collegium.train.collate import Collator
from collegium.train.meter import LossMeter
from collegium.train.normalise import count_totals, edge_weights

OBJECTIVES = ("label", "rationale:a")
ROWS = [
    EncodedSequence("q0", "label", [1, 2, 3], [0, 1], [2, 3], [1.0, 0.5]),
    EncodedSequence("q0", "rationale:a", [1, 2, 3, 4], [1, 2, 3], [3, 4, 5], [2.0, 1.0, 1.0]),
    EncodedSequence("q1", "label", [4, 5], [1], [6], [4.0]),
]


def test_totals_are_sums_over_the_step() -> None:
    collate = Collator(OBJECTIVES, 0, signals=1, signal_objectives=["label"])
    batches = [collate(ROWS, [[0]]), collate(ROWS, [[1], [2]]), collate(ROWS, [])]
    totals = count_totals(batches, 2)
    assert totals.tolist() == [[5.5, 4.0], [5.5, 0.0]]
    weight, distill = torch.tensor([[2.0, 3.0], [0.5, 7.0]], dtype=torch.float64)
    ce, kd = edge_weights(batches[1], totals, weight, distill)
    assert ce.dtype == kd.dtype == torch.float32
    assert ce.tolist() == pytest.approx([1.5, 0.75, 0.75, 8 / 5.5])
    assert kd.tolist() == pytest.approx([0, 0, 0, 2 / 5.5])
    sums = [edge_weights(batch, totals, weight, distill)[0].sum() for batch in batches]
    assert float(sum(sums)) == pytest.approx(5.0)


def test_an_objective_without_edges_has_no_weight() -> None:
    batch = Collator(OBJECTIVES, 0)(ROWS, [[0]])
    ones = torch.ones(2, dtype=torch.float64)
    ce, kd = edge_weights(batch, count_totals([batch], 2), ones, ones)
    assert bool(ce.isfinite().all())
    assert not kd.any()


def test_the_meter_keeps_open_sums_across_a_save() -> None:
    def meter() -> LossMeter:
        return LossMeter(OBJECTIVES, [2.0, 1.0], [0.0, 0.5], ["t"], "cpu")

    def part(value: float) -> dict[str, torch.Tensor]:
        return {
            "ce": torch.tensor([value, 0.0]),
            "kd": torch.tensor([0.0, 0.25]),
            "divergence": torch.tensor([3.0]),
            "signals": torch.tensor([2.0]),
        }

    first = meter()
    first.begin_step(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    first.add(part(4.0))
    second = meter()
    second.load(first.state(reduce=False))
    for m in (first, second):
        m.begin_step(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        m.add(part(6.0))
    entry = first.pop(2, reduce=False)
    assert entry == second.pop(2, reduce=False)
    assert entry == {
        "loss": 5.25,
        "ce_loss": 5.0,
        "kd_loss": 0.25,
        "ce/label": 2.5,
        "kd/rationale:a": 0.5,
        "teacher/t/divergence": 1.5,
    }
    assert first.mean() == 5.25
    assert first.pop(3, reduce=False) == {}

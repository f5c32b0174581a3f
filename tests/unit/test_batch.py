"""PackedBatch: visibility, masks, validation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from collegium.batch import PackedBatch
from collegium.errors import ArgumentError


def batch(**changes: object) -> PackedBatch:
    """Two rows: a packed one (3 + 2 tokens, one pad), a padded one (4 tokens, two pads)."""
    values: dict[str, object] = {
        "input_ids": torch.tensor([[5, 6, 7, 8, 9, 0], [5, 6, 7, 8, 0, 0]]),
        "position_ids": torch.tensor([[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 0, 0]]),
        "node_id": torch.tensor([[0, 0, 0, 1, 1, 2], [0, 0, 0, 0, 1, 2]]),
        "subtree_end": torch.tensor([[3, 3, 3, 5, 5, 6], [4, 4, 4, 4, 5, 6]]),
        "edge_src": torch.tensor([1, 2, 4, 9]),
        "edge_target": torch.tensor([7, 1, 1, 1]),
        "edge_weight": torch.tensor([1.0, 0.5, 2.0, 1.0]),
        "edge_objective": torch.tensor([0, 0, 1, 0]),
        "edge_signal": torch.tensor([[1], [2], [-1], [9]]),
        "objectives": ("label", "rationale:palm"),
    }
    return PackedBatch(**{**values, **changes})  # type: ignore[arg-type]


def test_visibility_is_causal_within_each_sequence() -> None:
    seen = batch().visibility()
    assert seen.dtype == torch.bool
    expected = torch.zeros(2, 6, 6, dtype=torch.bool)
    for row, spans in ((0, [(0, 3), (3, 5), (5, 6)]), (1, [(0, 4), (4, 5), (5, 6)])):
        for start, end in spans:
            for i in range(start, end):
                expected[row, i, start : i + 1] = True
    assert torch.equal(seen, expected)


def test_subtrees_see_their_ancestors_only() -> None:
    """A shared question (2 tokens) with two branches: neither branch sees the other."""
    tree = batch(
        input_ids=torch.zeros(1, 6, dtype=torch.int64),
        position_ids=torch.tensor([[0, 1, 2, 3, 2, 3]]),
        node_id=torch.tensor([[0, 0, 1, 1, 2, 2]]),
        subtree_end=torch.tensor([[6, 6, 4, 4, 6, 6]]),
        edge_src=torch.tensor([1, 2, 4, 5]),
        edge_signal=torch.full((4, 1), -1),
    ).validate()
    seen = tree.visibility()[0]
    assert seen[5].tolist() == [True, True, False, False, True, True]
    assert seen[3].tolist() == [True, True, True, True, False, False]
    assert not tree.padded_rows_only


def test_masks_take_the_form_that_each_implementation_reads() -> None:
    b = batch()
    assert torch.equal(b.attention_mask("sdpa", torch.float32), b.visibility()[:, None])
    eager = b.attention_mask("eager", torch.bfloat16)
    assert eager.dtype == torch.bfloat16
    assert torch.equal(eager == 0, b.visibility()[:, None])
    assert bool((eager[~b.visibility()[:, None]] == torch.finfo(torch.bfloat16).min).all())
    with pytest.raises(ArgumentError, match="flash_attention_2"):
        b.attention_mask("flash_attention_2", torch.float16)


def test_padding() -> None:
    assert batch().padding_mask().int().tolist() == [[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]]
    assert not batch().padded_rows_only
    rows = {f: getattr(batch(), f)[1:] for f in ("input_ids", "position_ids", "node_id")}
    assert batch(**rows, subtree_end=batch().subtree_end[1:]).padded_rows_only


def test_to_keeps_the_fields() -> None:
    b = batch()
    assert b.to("cpu") is b
    moved = b.to("meta")
    assert moved.edge_src.device.type == "meta"
    assert moved.objectives == b.objectives
    assert moved.padded_rows_only is False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_ids": torch.zeros(2, 6)}, r"input_ids: expected int64\[B,T\]"),
        ({"position_ids": torch.zeros(2, 5, dtype=torch.int64)}, "position_ids"),
        ({"subtree_end": torch.tensor([[3, 3, 3, 5, 5, 7], [4, 4, 4, 4, 5, 6]])}, "subtree_end"),
        ({"subtree_end": torch.tensor([[3, 3, 4, 5, 5, 6], [4, 4, 4, 4, 5, 6]])}, "one end a node"),
        ({"edge_src": torch.tensor([1, 2, 4, 12])}, r"edge_src: expected an index into B\*T = 12"),
        ({"edge_target": torch.tensor([7, 1, 1, 99])}, "edge_target"),
        ({"edge_weight": torch.tensor([1.0, 0.0, 2.0, 1.0])}, "edge_weight"),
        ({"edge_weight": torch.tensor([1.0, float("nan"), 2.0, 1.0])}, "edge_weight"),
        ({"edge_objective": torch.tensor([0, 0, 2, 0])}, "edge_objective"),
        ({"edge_signal": torch.tensor([[1], [2], [-2], [9]])}, "edge_signal"),
        ({"edge_signal": torch.tensor([1, 2, 3, 9])}, "edge_signal"),
        ({"encoder_input_ids": torch.zeros(2, 3, dtype=torch.int64)}, "encoder_mask"),
        (
            {
                "encoder_input_ids": torch.zeros(2, 3, dtype=torch.int64),
                "encoder_mask": torch.tensor([[True, True, True], [False, False, False]]),
            },
            "without any encoder token",
        ),
    ],
)
def test_validation_names_the_field(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        batch(**changes).validate(vocab_size=50)


def test_a_subtree_may_not_reach_beyond_its_parent() -> None:
    b = batch().validate(50)
    ends = torch.tensor([[3, 3, 3, 5, 5, 6], [4, 6, 4, 4, 5, 6]])
    nodes = torch.tensor([[0, 0, 0, 1, 1, 2], [0, 3, 4, 4, 1, 2]])
    with pytest.raises(ArgumentError, match="nested"):
        replace(b, subtree_end=ends, node_id=nodes).validate()

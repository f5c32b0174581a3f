"""The silent traps of rows with several sequences or branches, as errors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from collegium.errors import ArgumentError

_WAY_OUT = "let collegium.train.models.hidden_states run the batch"


def guard(model: nn.Module) -> None:
    """Check what `model` is called with from now on; calls that would be wrong raise.

    Raised as `ArgumentError` by the guarded model: a bool mask of four dimensions with eager
    attention, which adds it to the scores; positions that do not count up without a mask that says
    what they see, so that branches would see each other; shifted labels on such positions, which
    would let a branch's end predict the next branch.
    """
    inner: Any = model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]
    for module in {id(m): m for m in (inner, inner.base_model)}.values():
        if not getattr(module, "_collegium_guarded", False):
            module.register_forward_pre_hook(_check, with_kwargs=True)
            module._collegium_guarded = True


def _check(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    given = kwargs.get("attention_mask")
    mask = given if isinstance(given, Tensor) else None
    dense = mask is not None and mask.ndim == 4
    implementation = getattr(module.config, "_attn_implementation", "eager")
    if mask is not None and dense and mask.dtype == torch.bool and implementation == "eager":
        raise ArgumentError(
            f"{type(module).__name__} uses eager attention, which adds a bool mask to the scores "
            "instead of applying it: use attn_implementation='sdpa', or the mask of "
            "PackedBatch.attention_mask('eager', dtype)"
        )
    positions = kwargs.get("position_ids")
    if kwargs.get("segments") is not None and kwargs.get("labels") is None:
        return
    if not isinstance(positions, Tensor) or positions.ndim != 2 or positions.shape[1] < 2:
        return
    if dense and kwargs.get("labels") is None:
        return
    if _counts_up(positions, None if dense else mask):
        return
    if kwargs.get("labels") is not None:
        raise ArgumentError(
            "labels are shifted by one, which is wrong at the branches of a tree row: use the loss "
            "edges of PackedBatch with collegium.kernels.linear_distill_loss"
        )
    raise ArgumentError(
        "position_ids of a tree row without its mask, so that branches would see each other: "
        f"{_WAY_OUT}, or pass PackedBatch.attention_mask"
    )


def _counts_up(positions: Tensor, mask: Tensor | None) -> bool:
    """Tell whether every position follows the one before it, or begins a sequence at 0."""
    steps = (positions[:, 1:] == positions[:, :-1] + 1) | (positions[:, 1:] == 0)
    if mask is not None and mask.shape == positions.shape:
        padding = mask == 0
        steps |= padding[:, 1:] | padding[:, :-1]
    return bool(steps.all())

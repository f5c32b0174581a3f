"""Attention over trees: each tree of a batch by itself, padding left out.

`transformers` is given one attention implementation more, `ATTENTION`. With `segments` it runs
sdpa on every tree's own span of one flat row, under the tree's mask; without them it is sdpa. Both
go through its own interfaces, so that no model code is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from collegium.batch import PackedBatch
from collegium.errors import ArgumentError

ATTENTION = "collegium_trees"
_LOOSEST = 0.75
"""In a padded group, the shortest tree is at least this part of the longest."""


@dataclass(frozen=True, eq=False)
class Segments:
    """The trees of a batch on one flat row, and how attention runs over them.

    `index` [N] places the flat row's tokens in B*T. `lengths` and `masks` describe the trees one
    after another; a mask [1,1,L,L] is None for a plain text. `groups`, if there are any, replace
    them: trees of about the same length side by side, padded, each with its mask.
    """

    index: Tensor
    lengths: list[int]
    masks: list[Tensor | None]
    groups: list[tuple[Tensor, Tensor]] | None = None
    """Per group: places [g, L] of its tokens on the flat row, and its mask [g, 1, L, L]."""
    back: Tensor | None = None
    """[N] place of each flat token among the groups' g*L, one group after another."""

    @classmethod
    def of(cls, batch: PackedBatch, *, grouped: bool | None = None) -> Segments:
        """Describe `batch`; trees are grouped on a GPU, where many small calls are slow."""
        device = batch.input_ids.device
        grouped = device.type != "cpu" if grouped is None else grouped
        width = batch.input_ids.shape[1]
        spans = batch.segments
        if sum(n for _, n in spans) == batch.input_ids.numel():
            index = torch.arange(batch.input_ids.numel(), device=device)
        else:
            parts = [torch.arange(start, start + n) for start, n in spans]
            index = torch.cat(parts).to(device)
        ends = batch.subtree_end.flatten()
        lengths = [n for _, n in spans]
        if not grouped:
            masks = [_mask(ends[start : start + n] - start % width) for start, n in spans]
            return cls(index, lengths, masks)
        return _grouped(index, lengths, [ends[s : s + n] - s % width for s, n in spans])


def _mask(ends: Tensor) -> Tensor | None:
    n = len(ends)
    if n == 1 or bool((ends == n).all()):
        return None
    return _visible(ends)[None, None]


def _visible(ends: Tensor) -> Tensor:
    place = torch.arange(ends.shape[-1], device=ends.device)
    return (place[None, :] <= place[:, None]) & (place[:, None] < ends[..., None, :])


def _grouped(index: Tensor, lengths: list[int], ends: list[Tensor]) -> Segments:
    starts = torch.tensor([0, *lengths]).cumsum(0).tolist()
    order = sorted(range(len(lengths)), key=lambda tree: -lengths[tree])
    members: list[list[int]] = []
    for tree in order:
        if members and lengths[tree] >= _LOOSEST * lengths[members[-1][0]]:
            members[-1].append(tree)
        else:
            members.append([tree])
    device = index.device
    back = torch.empty(len(index), dtype=torch.int64)
    groups, offset = [], 0
    for trees in members:
        width = lengths[trees[0]]
        places = torch.zeros(len(trees), width, dtype=torch.int64)
        # Padding sees itself alone: a row without any visible key would give NaN.
        reach = torch.arange(1, width + 1, device=device).repeat(len(trees), 1)
        for row, tree in enumerate(trees):
            n, start = lengths[tree], starts[tree]
            places[row, :n] = torch.arange(start, start + n)
            reach[row, :n] = ends[tree]
            back[start : start + n] = offset + row * width + torch.arange(n)
        groups.append((places.to(device), _visible(reach)[:, None]))
        offset += len(trees) * width
    return Segments(index, lengths, [None] * len(lengths), groups, back.to(device))


def tree_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    segments: Segments | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend within each tree of `segments`; without them run sdpa.

    Shapes: query [1,H,N,d], key and value [1,H',N,d]; returns [1,N,H,d].

    Raises:
        ArgumentError: the scores are soft-capped or biased, which sdpa does not do.
    """
    if segments is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    for name in ("softcap", "position_bias", "s_aux"):
        if kwargs.get(name) is not None:
            raise ArgumentError(
                f"{type(module).__name__} has {name!r} in its attention, which rows of trees do "
                "not support: load the model with attn_implementation='eager'"
            )
    repeats = query.shape[1] // key.shape[1]
    if repeats > 1:
        key = key.repeat_interleave(repeats, 1)
        value = value.repeat_interleave(repeats, 1)
    if segments.groups is not None and segments.back is not None:
        parts = []
        for places, mask in segments.groups:
            q, k, v = (x[0][:, places].transpose(0, 1) for x in (query, key, value))
            out = scaled_dot_product_attention(q, k, v, mask, dropout, scale=scaling)
            parts.append(out.transpose(1, 2).flatten(0, 1))
        return torch.cat(parts)[segments.back][None], None
    # `split` and not slices: their backward pass would fill the whole row with zeros each time.
    pieces = zip(*(x.split(segments.lengths, 2) for x in (query, key, value)), strict=True)
    outs = [
        scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=mask is None, scale=scaling)
        for (q, k, v), mask in zip(pieces, segments.masks, strict=True)
    ]
    return torch.cat(outs, 2).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, tree_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def use_tree_attention(model: nn.Module) -> bool:
    """Let a model that uses sdpa attend tree by tree; tell whether it does now.

    Nothing else changes: without segments it goes on as sdpa, and the choice is not saved.
    """
    inner: Any = model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]
    if getattr(inner.config, "_attn_implementation", None) == "sdpa":
        inner.set_attn_implementation(ATTENTION)
    return getattr(inner.config, "_attn_implementation", None) == ATTENTION


def flat_hidden_states(body: nn.Module, batch: PackedBatch) -> Tensor:
    """Return the last hidden states [B,T,D] of `batch`, its trees run as one flat row.

    Positions of padding are never computed and hold zeros.
    """
    segments = batch.__dict__.get("_flat")
    if segments is None:
        segments = batch.__dict__["_flat"] = Segments.of(batch)
    ids = batch.input_ids.flatten()
    hidden = body(
        input_ids=ids[segments.index][None],
        position_ids=batch.position_ids.flatten()[segments.index][None],
        # Masks of four dimensions are passed on as they are; this one is not looked at.
        attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=ids.device),
        use_cache=False,
        segments=segments,
    ).last_hidden_state
    if len(segments.index) == len(ids):
        return hidden.view(*batch.input_ids.shape, -1)
    full = hidden.new_zeros(len(ids), hidden.shape[-1]).index_copy(0, segments.index, hidden[0])
    return full.view(*batch.input_ids.shape, -1)

"""`PackedBatch`: one batch, ordinary or packed, sequence or graph.

Shapes: B rows, T positions, E loss edges, S signal sources, S' encoder positions.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
from torch import Tensor

from collegium.errors import ArgumentError


def checks_enabled() -> bool:
    """Tell whether costly consistency checks run (environment ``COLLEGIUM_CHECKS=1``)."""
    return os.environ.get("COLLEGIUM_CHECKS", "") == "1"


@dataclass(frozen=True)
class PackedBatch:
    """Tokens with their visibility, and the loss edges between hidden states and target tokens.

    Key j is visible to query i of the same row iff ``j <= i < subtree_end[j]``. A packed ordinary
    sequence is a root whose subtree is itself; a pad token is a node of its own.
    """

    input_ids: Tensor
    """int64[B,T] tokens; for encoder-decoder students the decoder's input."""
    position_ids: Tensor
    """int64[B,T] position along the token's own path."""
    node_id: Tensor
    """int64[B,T] node within the row."""
    subtree_end: Tensor
    """int64[B,T] exclusive end of the token's subtree, relative to the row."""
    edge_src: Tensor
    """int64[E] index into the flattened B*T: the hidden state that predicts."""
    edge_target: Tensor
    """int64[E] the token id that it predicts."""
    edge_weight: Tensor
    """float32[E], > 0."""
    edge_objective: Tensor
    """int64[E] index into `objectives`."""
    edge_signal: Tensor
    """int64[E,S] row number in each signal source (a live teacher: the flattened position in its
    own batch); -1 = none."""
    objectives: tuple[str, ...]
    """Names, e.g. ``("label", "rationale:palm")``."""
    encoder_input_ids: Tensor | None = None
    """int64[B,S'] encoder-decoder students only."""
    encoder_mask: Tensor | None = None
    """bool[B,S'], true on real encoder tokens."""

    @cached_property
    def padded_rows_only(self) -> bool:
        """Whether every row holds at most one sequence, followed by nothing but padding.

        For such rows a causal model needs no mask: no token can see the padding behind it.
        """
        index = torch.arange(self.input_ids.shape[1], device=self.input_ids.device)
        root_end = self.subtree_end[:, :1]
        first = index[None, :] < root_end
        # Inside the first node all tokens share its end and count up; behind it each is alone.
        alone = self.subtree_end == index[None, :] + 1
        plain = (self.subtree_end == root_end) & (self.position_ids == index[None, :])
        return bool(torch.where(first, plain, alone).all())

    @cached_property
    def segments(self) -> list[tuple[int, int]]:
        """(start in the flattened B*T, length) of every tree or sequence, in order.

        Padding is left out where the collator set it; found from `subtree_end` alone it cannot be
        told from sequences of one token and is listed.
        """
        width = self.input_ids.shape[1]
        found = []
        for row, ends in enumerate(self.subtree_end.tolist()):
            start = 0
            while start < width:
                found.append((row * width + start, ends[start] - start))
                start = ends[start]
        return found

    def visibility(self) -> Tensor:
        """Return bool[B,T,T]: entry (b, i, j) says whether query i sees key j."""
        index = torch.arange(self.input_ids.shape[1], device=self.input_ids.device)
        causal = index[None, None, :] <= index[None, :, None]
        inside = index[None, :, None] < self.subtree_end[:, None, :]
        return causal & inside

    def attention_mask(self, implementation: str, dtype: torch.dtype) -> Tensor:
        """Return the dense mask [B,1,T,T] in the form that `implementation` reads correctly.

        ``sdpa``: bool, true = visible. ``eager``: additive, 0 or the lowest value of `dtype`
        (eager attention would silently *add* a bool mask to the scores).

        Raises:
            ArgumentError: any other attention implementation.
        """
        visible = self.visibility()[:, None]
        if implementation == "sdpa":
            return visible
        if implementation == "eager":
            mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
            return mask.masked_fill_(~visible, torch.finfo(dtype).min)
        raise ArgumentError(
            f"rows that hold several sequences need attn_implementation 'sdpa' or 'eager', the "
            f"model uses {implementation!r}: load it with one of these, or set packing=False"
        )

    def shifted_labels(self, ignore_index: int = -100) -> Tensor:
        """Return labels int64[B,T] for models that shift by one: position i predicts label i+1.

        Raises:
            ArgumentError: an edge does not lead to the next position of its row. At the branches
                of a tree the next token is another one's child; weights and shared positions
                cannot be said by labels either.
        """
        width = self.input_ids.shape[1]
        labels = torch.full_like(self.input_ids, ignore_index)
        place = self.edge_src % width + 1
        inside = place < width
        fits = not bool((self.edge_weight != self.edge_weight[:1]).any())
        flat = self.input_ids.flatten()
        src = self.edge_src[inside]
        fits &= torch.equal(flat[src + 1], self.edge_target[inside])
        fits &= torch.equal(self.node_id.flatten()[src + 1], self.node_id.flatten()[src])
        if not fits or not bool(inside.all()):
            raise ArgumentError(
                "labels shifted by one cannot say the loss edges of these rows (branches, weights, "
                "or targets that are no inputs): use edge_src, edge_target and edge_weight with "
                "collegium.kernels.linear_distill_loss"
            )
        labels.view(-1)[src + 1] = self.edge_target[inside]
        return labels

    def padding_mask(self) -> Tensor:
        """Return bool[B,T], true on tokens that belong to a sequence (longer than one token)."""
        index = torch.arange(self.input_ids.shape[1], device=self.input_ids.device)
        real = self.subtree_end - index[None, :] > 1
        # The last token of a sequence spans one position too; it shares its node with the one
        # before it. A sequence of one token cannot be told from padding, nor need it be.
        same = self.node_id[:, 1:] == self.node_id[:, :-1]
        real[:, 1:] |= same
        real[:, 0] = True
        return real

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> PackedBatch:
        """Return the batch with every tensor on `device`."""
        if self.input_ids.device == torch.device(device):
            return self
        # Decided here: on a GPU it would wait for the device.
        known = {"padded_rows_only": self.padded_rows_only, "segments": self.segments}
        moved = {
            f.name: value.to(device, non_blocking=non_blocking)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        batch = replace(self, **moved)
        batch.__dict__.update(known)
        return batch

    def validate(self, vocab_size: int | None = None) -> PackedBatch:
        """Check every field against the others and return the batch itself.

        Raises:
            ArgumentError: names the field, what was expected and what was found.
        """
        b, t = self.input_ids.shape if self.input_ids.ndim == 2 else (-1, -1)
        e = self.edge_src.shape[0] if self.edge_src.ndim == 1 else -1
        _shape("input_ids", self.input_ids, torch.int64, (b, t), "[B,T]")
        for name in ("position_ids", "node_id", "subtree_end"):
            _shape(name, getattr(self, name), torch.int64, (b, t), "[B,T] like input_ids")
        _shape("edge_src", self.edge_src, torch.int64, (e,), "[E]")
        for name in ("edge_target", "edge_objective"):
            _shape(name, getattr(self, name), torch.int64, (e,), "[E] like edge_src")
        _shape("edge_weight", self.edge_weight, torch.float32, (e,), "[E] like edge_src")
        if self.edge_signal.ndim != 2:
            _fail("edge_signal", f"shape {tuple(self.edge_signal.shape)}", "int64[E,S]")
        _shape(
            "edge_signal", self.edge_signal, torch.int64, (e, self.edge_signal.shape[1]), "[E,S]"
        )
        index = torch.arange(t, device=self.subtree_end.device)
        _range("subtree_end", self.subtree_end, 1, t + 1, f"at most the row's length {t}")
        _range("subtree_end - position", self.subtree_end - index, 1, t + 1, "1 or more")
        _range("edge_src", self.edge_src, 0, b * t, f"an index into B*T = {b * t}")
        _range("edge_objective", self.edge_objective, 0, len(self.objectives), "into objectives")
        high = vocab_size if vocab_size is not None else torch.iinfo(torch.int64).max
        _range("input_ids", self.input_ids, 0, high, "a token id of the vocabulary")
        _range("edge_target", self.edge_target, 0, high, "a token id of the vocabulary")
        _range("edge_signal", self.edge_signal, -1, torch.iinfo(torch.int64).max, ">= -1")
        if not bool((self.edge_weight > 0).all() & self.edge_weight.isfinite().all()):
            _fail("edge_weight", "a weight that is not positive and finite", "> 0")
        self._validate_nodes(index)
        if (self.encoder_input_ids is None) != (self.encoder_mask is None):
            _fail("encoder_mask", "one of encoder_input_ids and encoder_mask alone", "both or none")
        if self.encoder_input_ids is not None and self.encoder_mask is not None:
            s = self.encoder_input_ids.shape[-1]
            _shape("encoder_input_ids", self.encoder_input_ids, torch.int64, (b, s), "[B,S']")
            _shape("encoder_mask", self.encoder_mask, torch.bool, (b, s), "[B,S']")
            if not bool(self.encoder_mask.any(1).all()):
                _fail("encoder_mask", "a row without any encoder token", "one or more a row")
        return self

    def _validate_nodes(self, index: Tensor) -> None:
        same = self.node_id[:, 1:] == self.node_id[:, :-1]
        if not bool((~same | (self.subtree_end[:, 1:] == self.subtree_end[:, :-1])).all()):
            _fail("subtree_end", "two tokens of one node with different ends", "one end a node")
        # A child's subtree must lie inside its parent's: the visible set may not come back.
        outer = self.subtree_end[:, :, None]
        inside = (index[None, :, None] < index[None, None, :]) & (index[None, None, :] < outer)
        if not bool((~inside | (self.subtree_end[:, None, :] <= outer)).all()):
            _fail(
                "subtree_end", "a subtree that reaches beyond the one around it", "nested subtrees"
            )


def _fail(field: str, found: str, expected: str) -> None:
    raise ArgumentError(f"PackedBatch.{field}: expected {expected}, found {found}")


def _shape(
    field: str, value: Tensor, dtype: torch.dtype, shape: tuple[int, ...], expected: str
) -> None:
    if value.dtype != dtype or tuple(value.shape) != shape:
        name = str(dtype).removeprefix("torch.")
        found = f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
        _fail(field, found, f"{name}{expected}")


def _range(field: str, value: Tensor, low: int, high: int, expected: str) -> None:
    if value.numel() and (int(value.min()) < low or int(value.max()) >= high):
        _fail(field, f"values from {int(value.min())} to {int(value.max())}", expected)

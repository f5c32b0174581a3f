"""Which tokens are worked on, in which chunks, within which workspace."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .heads import Rows

CPU_WORKSPACE_BYTES = 256 << 20
GPU_WORKSPACE_BYTES = 2 << 30
_TILE_BYTES = 8 << 20
_GPU_TILE_BYTES = 256 << 20
_ROUND = 16
"""Chunks hold a multiple of this many rows where there is room: full matrix-product kernels."""


def workspace_budget(requested: int | None, device: torch.device) -> int:
    """Return the bytes that the chunk buffers may take.

    Without a request: 256 MiB on a CPU; on a GPU a quarter of its free memory, at most 2 GiB.
    """
    if requested:
        return requested
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return max(CPU_WORKSPACE_BYTES, min(GPU_WORKSPACE_BYTES, (free + reusable) // 4))
    return CPU_WORKSPACE_BYTES


@dataclass(frozen=True)
class Sizes:
    """Rows per chunk, and per tile of the work between the matrix products."""

    chunk: int
    tile: int


def chunk_sizes(
    rows: int,
    row_bytes: int,
    tile_row_bytes: int,
    budget: int,
    device: torch.device,
) -> Sizes:
    """Return balanced chunk and tile sizes for `rows` tokens.

    Args:
        rows: tokens to divide.
        row_bytes: what one token takes in all chunk-sized buffers together.
        tile_row_bytes: what one token takes in all tile buffers together.
        budget: bytes for chunk and tile buffers together.
        device: tiles stay in the cache of a CPU, and fill a GPU.

    The chunk is at least one row, however small the budget.
    """
    if device.type == "cpu":
        tile = max(4, torch.get_num_threads(), _TILE_BYTES // tile_row_bytes)
    else:
        tile = max(16, _GPU_TILE_BYTES // tile_row_bytes)
    # Tiles may take an eighth of a small budget; they only save passes over memory.
    tile = max(1, min(tile, rows, budget // 8 // tile_row_bytes))
    left = budget - tile * tile_row_bytes
    most = max(1, left // row_bytes)
    count = max(1, math.ceil(rows / most))
    chunk = math.ceil(rows / count)
    rounded = math.ceil(chunk / _ROUND) * _ROUND
    return Sizes(min(rounded, most) if count > 1 else chunk, min(tile, chunk))


@dataclass(frozen=True)
class Group:
    """Tokens that the same dense teachers speak on."""

    rows: Tensor
    """int64[n] on the CPU, ascending."""
    dense: tuple[int, ...]
    """Numbers of the teachers whose logits all these tokens need."""
    listed: tuple[int, ...]
    """Numbers of the other teachers that are live on some of them."""


def group_rows(seen: Tensor, live: Tensor, dense: Sequence[bool]) -> list[Group]:
    """Divide the seen tokens by the dense teachers that are live on them.

    Args:
        seen: bool[N] on the CPU, tokens with any weight.
        live: bool[K, N] on the CPU, tokens with distillation weight and mix > 0 per teacher.
        dense: per teacher, whether it takes a matrix product or a copy of [n, Vt].

    A group's matrix products hold its tokens only, so routing each token to one of K teachers
    costs one teacher's products in all, not K.
    """
    rows = seen.nonzero()[:, 0]
    if not len(rows):
        return []
    live = live[:, rows]
    with_logits = [k for k, is_dense in enumerate(dense) if is_dense]
    others = [k for k, is_dense in enumerate(dense) if not is_dense]
    if with_logits:
        patterns, member = torch.unique(live[with_logits], dim=1, return_inverse=True)
    else:
        patterns, member = live.new_zeros(0, 1), torch.zeros_like(rows)
    groups = []
    for number in range(patterns.shape[1]):
        inside = member == number
        groups.append(
            Group(
                rows[inside],
                tuple(k for j, k in enumerate(with_logits) if bool(patterns[j, number])),
                tuple(k for k in others if bool(live[k, inside].any())),
            )
        )
    return groups


def chunks(rows: Tensor, size: int, device: torch.device) -> Iterator[Rows]:
    """Yield the group's rows `size` at a time, as slices where they are consecutive."""
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        first, last = int(part[0]), int(part[-1])
        if last - first + 1 == len(part):
            yield slice(first, last + 1)
        else:
            yield part.to(device, non_blocking=True)

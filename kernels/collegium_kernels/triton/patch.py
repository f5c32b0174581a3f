"""The list kernel: dz at the ids that top-k and sampled teachers list, one program per token.

A launch of its own after `distill_rows`: within one program a thread's patch might be overtaken by
another thread's dense store.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .pieces import (
    divergences,
    list_tile,
    load_statistics,
    student_probabilities,
    teacher_rows,
)


@triton.jit
def patch_rows(
    ROWS, S_BIAS, s_scale, s_cap,
    T, t_strides, T_BIAS, t_scales, t_caps,
    LABELS, CE_SLOPE, KD_SLOPE, MIX,
    LIST_IDS, LIST_LOGITS, LIST_GRADIENT, list_width,
    STATS, EARLIER, earlier_stride, DZ, dz_stride,
    rows, V, V_PADDED, inv_t, beta, log_odds,
    KIND: tl.constexpr, NT: tl.constexpr, SAME: tl.constexpr,
    S_HAS_BIAS: tl.constexpr, S_CAPPED: tl.constexpr,
    T_HAS_BIAS: tl.constexpr, T_CAPPED: tl.constexpr, T_GATHERED: tl.constexpr,
    ADD: tl.constexpr, LIST_BLOCK: tl.constexpr,
):  # fmt: skip
    """Write dz of one row at the listed ids, where the lists' gradient is LIST_GRADIENT.

    Arguments as in `distill_rows`; LIST_GRADIENT is float32[rows, list_width], the sum over the
    lists of mix times dD/du. All of dz is computed anew in float32: what the dense sweep stored is
    rounded, and adding to it would lose digits where they count most.
    """
    r = tl.program_id(0).to(tl.int64)
    t_rows = teacher_rows(T, t_strides, ROWS, r, NT, T_GATHERED)
    spot = tl.arange(0, LIST_BLOCK)
    y = tl.load(LABELS + r).to(tl.int32)
    sizes, n, logs, values, centers = load_statistics(STATS + r, rows, NT)
    ce_slope = tl.load(CE_SLOPE + r)
    kd_slope = tl.load(KD_SLOPE + r)
    s_head = (S_BIAS, s_scale, s_cap)
    t_heads = (T_BIAS, t_scales, t_caps)
    for start in range(0, list_width, LIST_BLOCK):
        place = start + spot
        ids, there, x, slope, tiles = list_tile(
            r, place, list_width, LIST_IDS, LIST_LOGITS, s_head, t_rows, t_heads, inv_t, V,
            V_PADDED, NT, S_HAS_BIAS, S_CAPPED, T_HAS_BIAS, T_CAPPED, T_GATHERED)  # fmt: skip
        q1, lq, q = student_probabilities(x, sizes, inv_t, SAME)
        total = divergences(tiles, lq, q, MIX, r, rows, n, logs, values, centers, beta, log_odds,
                             KIND, NT)  # fmt: skip
        total += tl.load(LIST_GRADIENT + r * list_width + place, mask=there, other=0.0)
        if ADD:
            total += tl.load(EARLIER + r * earlier_stride + ids, mask=there, other=0.0)
        dz = ce_slope * (q1 - tl.where(ids == y, 1.0, 0.0)) + kd_slope * total
        dz = (dz * slope).to(DZ.dtype.element_ty)
        tl.store(DZ + r * dz_stride + ids, dz, mask=there)

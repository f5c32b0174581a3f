"""The row kernel: everything between the matrix products of a chunk, one program per token.

`distill_rows` reads the student's logits z and up to `NT` teachers' logits v_k of its row and

1. *measures*: one sweep over the vocabulary with running maxima. Student: log-sum-exp at T = 1 and
   at T, entropy, most probable id. Per teacher: log-sum-exp and the divergence's sum. A
   Jensen-Shannon divergence needs both distributions normalised, hence one sweep more.
2. *writes*: a last sweep stores dz into a buffer of its own, or adds to the gradients of teachers
   that were folded in before.

`patch_rows` then writes dz again at the few ids that top-k and sampled teachers list.

Capitals are pointers and compile-time constants. Row offsets are int64. Buffers are padded to
`V_PADDED` columns, a multiple of 16, so that loads are as wide as they can be whatever V is.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .pieces import (
    CE,
    ENTROPY,
    FOLD,
    FORWARD_KL,
    JSD,
    LOG_SUM_1,
    LOG_SUM_T,
    MAX_1,
    MAX_T,
    REVERSE_KL,
    STUDENT_STATISTICS,
    T_AGREES,
    T_CENTER,
    T_LOG_SUM,
    T_MAX,
    T_VALUE,
    TAIL,
    TEACHER_STATISTICS,
    divergences,
    list_tile,
    load_statistics,
    measure,
    measure_jsd,
    nothing_measured,
    row_tile,
    student_probabilities,
    student_tile,
    teacher_rows,
    teacher_tiles,
)


@triton.jit
def distill_rows(
    Z, z_stride, ROWS, S_BIAS, s_scale, s_cap,
    T, t_strides, T_BIAS, t_scales, t_caps,
    LABELS, LABEL_LOGITS, CE_SLOPE, KD_SLOPE, MIX,
    LIST_IDS, LIST_LOGITS, list_width, LIST_TAIL, LIST_SLOPE,
    STATS, TOP, EARLIER, earlier_stride, DZ, dz_stride,
    rows, V, V_PADDED, inv_t, beta, log_odds,
    KIND: tl.constexpr, NT: tl.constexpr, NL: tl.constexpr, SAME: tl.constexpr,
    S_HAS_BIAS: tl.constexpr, S_CAPPED: tl.constexpr, S_GATHERED: tl.constexpr,
    T_HAS_BIAS: tl.constexpr, T_CAPPED: tl.constexpr, T_GATHERED: tl.constexpr,
    EXCLUDE: tl.constexpr, MEASURE: tl.constexpr, WRITE: tl.constexpr, ADD: tl.constexpr,
    BLOCK: tl.constexpr, LIST_BLOCK: tl.constexpr,
):  # fmt: skip
    """Measure and write one row.

    Student: Z holds logits [rows, V] before bias, scale and cap, or [N, V] that are indexed by the
    token numbers ROWS where `S_GATHERED`; S_BIAS [V] is read with `S_HAS_BIAS`, s_cap with
    `S_CAPPED`. Teachers: `NT` of each in tuples, as the student's; bit k of `T_GATHERED`,
    `T_HAS_BIAS`, `T_CAPPED` speaks of teacher k. MIX is float32[NT, rows].

    LABELS int64[rows], LABEL_LOGITS float32[rows] (z there), CE_SLOPE and KD_SLOPE float32[rows]
    (factors of dCE/dz and dD/du).

    Lists, with `EXCLUDE`: LIST_IDS int64[rows, list_width], -1 where there is none; LIST_LOGITS
    float32[rows, list_width] is z at those ids, where Z itself holds `LISTED`. The gradient of
    list j < `NL` off its ids is ``slope * exp(log q - tail)``, LIST_TAIL and LIST_SLOPE
    float32[NL, rows].

    Results: STATS float32[STUDENT_STATISTICS + NT * TEACHER_STATISTICS, rows] and TOP int64[rows]
    (the student's most probable id) are written if `MEASURE`, else STATS is read. EARLIER, float32
    sums of gradients in u, is read with `ADD` and written with `WRITE` = FOLD. DZ is written with
    `WRITE` = FINISH; it is indexed by token where `S_GATHERED`.

    Strides are elements from row to row. `inv_t` is 1 / temperature, and `SAME` says that it is 1;
    `log_odds` is log(beta / (1 - beta)) of the Jensen-Shannon divergence.
    """
    r = tl.program_id(0).to(tl.int64)
    token = r
    z_bound = V_PADDED
    if S_GATHERED:
        token = tl.load(ROWS + r)
        z_bound = V
    z_row = Z + token * z_stride
    t_rows = teacher_rows(T, t_strides, ROWS, r, NT, T_GATHERED)
    s_head = (S_BIAS, s_scale, s_cap)
    t_heads = (T_BIAS, t_scales, t_caps)
    lane = tl.arange(0, BLOCK)
    spot = tl.arange(0, LIST_BLOCK)
    y = tl.load(LABELS + r).to(tl.int32)
    S = STATS + r

    if MEASURE:
        student, n, s, f = nothing_measured(NT)
        for start in range(0, V, BLOCK):
            ids = start + lane
            x, _, _, tiles = row_tile(
                ids, z_row, z_bound, s_head, t_rows, t_heads, inv_t, V, V_PADDED, NT, S_HAS_BIAS,
                S_CAPPED, T_HAS_BIAS, T_CAPPED, T_GATHERED, EXCLUDE)  # fmt: skip
            student, n, s, f = measure(student, n, s, f, x, tiles, ids, V, inv_t, KIND, NT, SAME)
        tail_max = student[3]
        tail_sum = student[4]
        if EXCLUDE:
            for start in range(0, list_width, LIST_BLOCK):
                ids, _, x, _, tiles = list_tile(
                    r, start + spot, list_width, LIST_IDS, LIST_LOGITS, s_head, t_rows, t_heads,
                    inv_t, V, V_PADDED, NT, S_HAS_BIAS, S_CAPPED, T_HAS_BIAS, T_CAPPED,
                    T_GATHERED)  # fmt: skip
                student, n, s, f = measure(
                    student, n, s, f, x, tiles, ids, V, inv_t, KIND, NT, SAME)  # fmt: skip
        m1, l1, h, mt, lt, top = student
        log_l1 = tl.log(l1)
        log_lt = tl.log(lt)
        logs = ()
        values = ()
        centers = ()
        for k in tl.static_range(NT):
            log_s = tl.log(s[k])
            value = 0.0
            if KIND == FORWARD_KL:
                value = f[k] / s[k] - log_s + log_lt
            elif KIND == REVERSE_KL:
                value = f[k] / lt - log_lt + log_s
            logs += (log_s,)
            values += (value,)
            centers += (0.0,)
        if KIND == JSD and NT > 0:
            teacher_parts = centers
            student_parts = centers
            for start in range(0, V, BLOCK):
                x, _, _, tiles = row_tile(
                    start + lane, z_row, z_bound, s_head, t_rows, t_heads, inv_t, V, V_PADDED, NT,
                    S_HAS_BIAS, S_CAPPED, T_HAS_BIAS, T_CAPPED, T_GATHERED, EXCLUDE)  # fmt: skip
                teacher_parts, student_parts = measure_jsd(
                    teacher_parts, student_parts, x * inv_t, tiles, mt, log_lt, n, logs, beta,
                    log_odds, NT)  # fmt: skip
            if EXCLUDE:
                for start in range(0, list_width, LIST_BLOCK):
                    _, _, x, _, tiles = list_tile(
                        r, start + spot, list_width, LIST_IDS, LIST_LOGITS, s_head, t_rows,
                        t_heads, inv_t, V, V_PADDED, NT, S_HAS_BIAS, S_CAPPED, T_HAS_BIAS,
                        T_CAPPED, T_GATHERED)  # fmt: skip
                    teacher_parts, student_parts = measure_jsd(
                        teacher_parts, student_parts, x * inv_t, tiles, mt, log_lt, n, logs, beta,
                        log_odds, NT)  # fmt: skip
            centers = student_parts
            values = ()
            for k in tl.static_range(NT):
                values += (beta * teacher_parts[k] + (1.0 - beta) * student_parts[k],)

        at_label = tl.load(LABEL_LOGITS + r)
        label = student_tile(at_label, y, y >= 0, s_head, S_HAS_BIAS, S_CAPPED, False)[0]
        tl.store(S + CE * rows, log_l1 - (label - m1))
        tl.store(S + ENTROPY * rows, log_l1 - h / l1)
        tl.store(S + MAX_1 * rows, m1)
        tl.store(S + LOG_SUM_1 * rows, log_l1)
        tl.store(S + MAX_T * rows, mt)
        tl.store(S + LOG_SUM_T * rows, log_lt)
        tl.store(S + TAIL * rows, (tail_max - mt) + (tl.log(tail_sum) - log_lt))
        tl.store(TOP + r, top.to(tl.int64))
        best = teacher_tiles(t_rows, top, top >= 0, t_heads, inv_t, V, V_PADDED, NT, T_HAS_BIAS,
                             T_CAPPED, T_GATHERED, False)  # fmt: skip
        for k in tl.static_range(NT):
            own = S + (STUDENT_STATISTICS + k * TEACHER_STATISTICS) * rows
            tl.store(own + T_MAX * rows, n[k])
            tl.store(own + T_LOG_SUM * rows, logs[k])
            tl.store(own + T_VALUE * rows, values[k])
            tl.store(own + T_CENTER * rows, centers[k])
            tl.store(own + T_AGREES * rows, tl.where(best[k] >= n[k], 1.0, 0.0))
        sizes = (m1, log_l1, mt, log_lt)
    else:
        sizes, n, logs, values, centers = load_statistics(S, rows, NT)

    if WRITE != 0:
        ce_slope = tl.load(CE_SLOPE + r)
        kd_slope = tl.load(KD_SLOPE + r)
        for start in range(0, V, BLOCK):
            ids = start + lane
            inside = ids < V
            x, slope, _, tiles = row_tile(
                ids, z_row, z_bound, s_head, t_rows, t_heads, inv_t, V, V_PADDED, NT, S_HAS_BIAS,
                S_CAPPED, T_HAS_BIAS, T_CAPPED, T_GATHERED, EXCLUDE)  # fmt: skip
            q1, lq, q = student_probabilities(x, sizes, inv_t, SAME)
            total = divergences(tiles, lq, q, MIX, r, rows, n, logs, values, centers, beta,
                                 log_odds, KIND, NT)  # fmt: skip
            for j in tl.static_range(NL):
                tail = tl.load(LIST_TAIL + j * rows + r)
                total += tl.load(LIST_SLOPE + j * rows + r) * tl.exp(lq - tail)
            if ADD:
                total += tl.load(EARLIER + r * earlier_stride + ids, mask=inside, other=0.0)
            if WRITE == FOLD:
                tl.store(EARLIER + r * earlier_stride + ids, total, mask=inside)
            else:
                dz = ce_slope * (q1 - tl.where(ids == y, 1.0, 0.0)) + kd_slope * total
                dz = (dz * slope).to(DZ.dtype.element_ty)
                tl.store(DZ + token * dz_stride + ids, dz, mask=ids < z_bound)

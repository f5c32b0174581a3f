"""What the row kernels are made of: tiles of finished logits, running sums, gradients.

All arithmetic is float32. Absent logits (-inf in the inputs, and lanes beyond the vocabulary) are
-inf; running maxima start at the finite `LOWEST`, so no difference of maxima is ever NaN. Sums of
log-ratios carry both maxima, as in ``sum e^(v-n) ((v-n) - (u-m))``: a constant added to the logits
costs no digits, and equal logits give exactly 0.
"""

from __future__ import annotations

import triton
import triton.language as tl

LOWEST = tl.constexpr(-1.0e30)
NOWHERE = tl.constexpr(float("-inf"))
LISTED = tl.constexpr(-3.0251171875e38)
"""Stands in z for ids that are accounted for from the lists; no logit has this very value."""

FORWARD_KL = tl.constexpr(0)
REVERSE_KL = tl.constexpr(1)
JSD = tl.constexpr(2)

FOLD = tl.constexpr(1)
FINISH = tl.constexpr(2)

# Rows of the statistics matrix.
CE = tl.constexpr(0)
ENTROPY = tl.constexpr(1)
MAX_1 = tl.constexpr(2)
LOG_SUM_1 = tl.constexpr(3)
MAX_T = tl.constexpr(4)
LOG_SUM_T = tl.constexpr(5)
TAIL = tl.constexpr(6)
STUDENT_STATISTICS = tl.constexpr(7)
# And, from there on, of each teacher.
T_MAX = tl.constexpr(0)
T_LOG_SUM = tl.constexpr(1)
T_VALUE = tl.constexpr(2)
T_CENTER = tl.constexpr(3)
T_AGREES = tl.constexpr(4)
TEACHER_STATISTICS = tl.constexpr(5)


@triton.jit
def finish(raw, bias, scale, cap, CAPPED: tl.constexpr):
    """Bias, scale and cap of a matrix product; also the cap's slope (1 without)."""
    x = (raw + bias) * scale
    slope = 1.0
    if CAPPED:
        fading = tl.exp(-2.0 * tl.abs(x / cap))
        size = (1.0 - fading) / (1.0 + fading)
        slope = 1.0 - size * size
        x = cap * tl.where(x < 0, -size, size)
    return x, slope


@triton.jit
def student_tile(raw, ids, inside, head, HAS_BIAS: tl.constexpr, CAPPED: tl.constexpr,
                 EXCLUDE: tl.constexpr):  # fmt: skip
    """Return finished logits, -inf where not kept; the cap's slope; which are kept."""
    bias = 0.0
    if HAS_BIAS:
        bias = tl.load(head[0] + ids, mask=inside, other=0.0).to(tl.float32)
    x, slope = finish(raw, bias, head[1], head[2], CAPPED)
    keep = inside
    if EXCLUDE:
        keep = inside & (raw != LISTED)
    return tl.where(keep, x, NOWHERE), slope, keep


@triton.jit
def bit(bits: tl.constexpr, k: tl.constexpr):
    """Return whether bit `k` is set."""
    return (bits >> k) & 1 == 1


@triton.jit
def teacher_rows(T, strides, ROWS, r, NT: tl.constexpr, GATHERED: tl.constexpr):
    """Return a pointer to the row of each teacher."""
    pointers = ()
    for k in tl.static_range(NT):
        row = r
        if bit(GATHERED, k):
            row = tl.load(ROWS + r)
        pointers += (T[k] + row * strides[k],)
    return pointers


@triton.jit
def teacher_tiles(pointers, ids, inside, heads, inv_t, V, V_PADDED, NT: tl.constexpr,
                  HAS_BIAS: tl.constexpr, CAPPED: tl.constexpr, GATHERED: tl.constexpr,
                  WIDE: tl.constexpr):  # fmt: skip
    """Load a tile of each teacher's row, divided by T; -inf where not `inside`.

    `WIDE` reads up to the padded width: then whole vectors are loaded or none.
    """
    tiles = ()
    for k in tl.static_range(NT):
        readable = inside
        if WIDE:
            readable = ids < V_PADDED
            if bit(GATHERED, k):
                readable = ids < V
        bias = 0.0
        if bit(HAS_BIAS, k):
            bias = tl.load(heads[0][k] + ids, mask=inside, other=0.0).to(tl.float32)
        raw = tl.load(pointers[k] + ids, mask=readable, other=0.0).to(tl.float32)
        x, _ = finish(raw, bias, heads[1][k], heads[2][k], bit(CAPPED, k))
        tiles += (tl.where(inside, x * inv_t, NOWHERE),)
    return tiles


@triton.jit
def row_tile(ids, z_row, z_bound, s_head, t_rows, t_heads, inv_t, V, V_PADDED, NT: tl.constexpr,
             S_HAS_BIAS: tl.constexpr, S_CAPPED: tl.constexpr, T_HAS_BIAS: tl.constexpr,
             T_CAPPED: tl.constexpr, T_GATHERED: tl.constexpr, EXCLUDE: tl.constexpr):  # fmt: skip
    """Load a tile of the row: student, cap's slope, which are kept, teachers."""
    raw = tl.load(z_row + ids, mask=ids < z_bound, other=0.0).to(tl.float32)
    x, slope, keep = student_tile(raw, ids, ids < V, s_head, S_HAS_BIAS, S_CAPPED, EXCLUDE)
    tiles = teacher_tiles(t_rows, ids, keep, t_heads, inv_t, V, V_PADDED, NT, T_HAS_BIAS,
                          T_CAPPED, T_GATHERED, True)  # fmt: skip
    return x, slope, keep, tiles


@triton.jit
def list_tile(r, place, list_width, LIST_IDS, LIST_LOGITS, s_head, t_rows, t_heads, inv_t, V,
              V_PADDED, NT: tl.constexpr, S_HAS_BIAS: tl.constexpr, S_CAPPED: tl.constexpr,
              T_HAS_BIAS: tl.constexpr, T_CAPPED: tl.constexpr,
              T_GATHERED: tl.constexpr):  # fmt: skip
    """Load a tile of the listed ids: ids, which are there, student, cap's slope, teachers."""
    at = r * list_width + place
    ids = tl.load(LIST_IDS + at, mask=place < list_width, other=-1).to(tl.int32)
    there = ids >= 0
    raw = tl.load(LIST_LOGITS + at, mask=there, other=0.0)
    x, slope, _ = student_tile(raw, ids, there, s_head, S_HAS_BIAS, S_CAPPED, False)
    tiles = teacher_tiles(t_rows, ids, there, t_heads, inv_t, V, V_PADDED, NT, T_HAS_BIAS,
                          T_CAPPED, T_GATHERED, False)  # fmt: skip
    return ids, there, x, slope, tiles


@triton.jit
def merge(x, m, s):
    """Merge a tile into max m and s = sum e^(x-m); also return e^(x-m) of the tile."""
    new = tl.maximum(m, tl.max(x, 0))
    e = tl.exp(x - new)
    return new, s * tl.exp(m - new) + tl.sum(e, 0), e


@triton.jit
def merge_ratio(f, e, a, m_new, m_old, sum_old, b, n_new, n_old):
    """Merge a tile into f = sum e^(a-m) ((a-m) - (b-n)), where 0 times infinity is 0."""
    decay = tl.exp(m_old - m_new)
    moved = decay * (f + sum_old * ((m_old - m_new) - (n_old - n_new)))
    ratio = (a - m_new) - (b - n_new)
    return tl.where(decay > 0.0, moved, 0.0) + tl.sum(tl.where(e > 0.0, e * ratio, 0.0), 0)


@triton.jit
def nothing_measured(NT: tl.constexpr):
    """Return the state of `measure` before the first tile."""
    lowest = tl.full((), LOWEST, tl.float32)
    zero = tl.full((), 0.0, tl.float32)
    n = ()
    s = ()
    f = ()
    for _ in tl.static_range(NT):
        n += (lowest,)
        s += (zero,)
        f += (zero,)
    return (lowest, zero, zero, lowest, zero, tl.full((), 0, tl.int32)), n, s, f


@triton.jit
def measure(student, n, s, f, x, tiles, ids, V, inv_t, KIND: tl.constexpr, NT: tl.constexpr,
             SAME: tl.constexpr):  # fmt: skip
    """Merge one tile into the running statistics.

    `student` is (max, sum, sum of e^(x-m) (x-m)) at T = 1, (max, sum) at T and the most probable
    id; `n`, `s`, `f` are each teacher's max, sum and sum of log-ratios.
    """
    m1, l1, h, mt, lt, top = student
    best = tl.max(x, 0)
    if best > m1:
        top = tl.min(tl.where(x == best, ids, V), 0)
    m1_new, l1_new, e = merge(x, m1, l1)
    h = tl.exp(m1 - m1_new) * (h + (m1 - m1_new) * l1)
    h += tl.sum(tl.where(e > 0.0, e * (x - m1_new), 0.0), 0)
    u = x
    mt_new = m1_new
    lt_new = l1_new
    if not SAME:
        u = x * inv_t
        mt_new, lt_new, e = merge(u, mt, lt)
    n_all = ()
    s_all = ()
    f_all = ()
    for k in tl.static_range(NT):
        v = tiles[k]
        n_new, s_new, ev = merge(v, n[k], s[k])
        f_new = f[k]
        if KIND == FORWARD_KL:
            f_new = merge_ratio(f_new, ev, v, n_new, n[k], s[k], u, mt_new, mt)
        elif KIND == REVERSE_KL:
            f_new = merge_ratio(f_new, e, u, mt_new, mt, lt, v, n_new, n[k])
        n_all += (n_new,)
        s_all += (s_new,)
        f_all += (f_new,)
    return (m1_new, l1_new, h, mt_new, lt_new, top), n_all, s_all, f_all


@triton.jit
def log_ratios(lp, lq, beta, log_odds):
    """Return log q/m and log p/m of m = beta p + (1 - beta) q, bounded where p or q is 0."""
    y = tl.where(lp == lq, 0.0, lp - lq) + log_odds
    y = tl.minimum(tl.maximum(y, LOWEST), -LOWEST)
    both = tl.log(1.0 + tl.exp(-tl.abs(y)))
    student = -tl.log(1.0 - beta) - (tl.maximum(y, 0.0) + both)
    teacher = -tl.log(beta) - (tl.maximum(-y, 0.0) + both)
    return student, teacher


@triton.jit
def measure_jsd(teacher_parts, student_parts, u, tiles, mt, log_lt, n, logs, beta, log_odds,
                 NT: tl.constexpr):  # fmt: skip
    """Add a tile to sum p log p/m and sum q log q/m of each teacher."""
    lq = (u - mt) - log_lt
    q = tl.exp(lq)
    of_teacher = ()
    of_student = ()
    for k in tl.static_range(NT):
        lp = (tiles[k] - n[k]) - logs[k]
        student, teacher = log_ratios(lp, lq, beta, log_odds)
        of_teacher += (teacher_parts[k] + tl.sum(tl.exp(lp) * teacher, 0),)
        of_student += (student_parts[k] + tl.sum(q * student, 0),)
    return of_teacher, of_student


@triton.jit
def divergences(tiles, lq, q, MIX, r, rows, n, logs, values, centers, beta, log_odds,
                 KIND: tl.constexpr, NT: tl.constexpr):  # fmt: skip
    """Return ``sum_k mix_k dD_k/du`` of a tile; `collegium.kernels.formulas` has the gradients."""
    total = q * 0.0
    for k in tl.static_range(NT):
        lp = (tiles[k] - n[k]) - logs[k]
        if KIND == FORWARD_KL:
            g = q - tl.exp(lp)
        elif KIND == REVERSE_KL:
            g = tl.where(q > 0.0, q * ((lq - lp) - values[k]), 0.0)
        else:
            student, _ = log_ratios(lp, lq, beta, log_odds)
            g = (1.0 - beta) * q * (student - centers[k])
        total += tl.load(MIX + k * rows + r) * g
    return total


@triton.jit
def student_probabilities(x, student, inv_t, SAME: tl.constexpr):
    """Return the student's q at T = 1, and log q and q at T."""
    m1, log_l1, mt, log_lt = student
    lq1 = (x - m1) - log_l1
    q1 = tl.exp(lq1)
    lq = lq1
    q = q1
    if not SAME:
        lq = (x * inv_t - mt) - log_lt
        q = tl.exp(lq)
    return q1, lq, q


@triton.jit
def load_statistics(S, rows, NT: tl.constexpr):
    """Return what `distill_rows` measured on the row that S points at."""
    student = (
        tl.load(S + MAX_1 * rows),
        tl.load(S + LOG_SUM_1 * rows),
        tl.load(S + MAX_T * rows),
        tl.load(S + LOG_SUM_T * rows),
    )
    n = ()
    logs = ()
    values = ()
    centers = ()
    for k in tl.static_range(NT):
        own = S + (STUDENT_STATISTICS + k * TEACHER_STATISTICS) * rows
        n += (tl.load(own + T_MAX * rows),)
        logs += (tl.load(own + T_LOG_SUM * rows),)
        values += (tl.load(own + T_VALUE * rows),)
        centers += (tl.load(own + T_CENTER * rows),)
    return student, n, logs, values, centers

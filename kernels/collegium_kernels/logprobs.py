"""Log-probabilities of given tokens, differentiable token by token, without a logits tensor.

Forward keeps one number per token (the log-sum-exp); backward computes the logits of a chunk
again, for only then is it known how much each token's gradient counts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import checks, value_checks
from .dispatch import autocast_operands
from .formulas import Scratch
from .heads import Head, Rows, accumulate, linear_head, multiply_back, take
from .operators import implement
from .planning import Sizes, chunk_sizes, chunks, workspace_budget
from .reference import head_logits


def linear_token_logprobs(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    *,
    bias: Tensor | None = None,
    softcap: float | None = None,
    logit_scale: float = 1.0,
    temperature: float = 1.0,
    ignore_index: int = -100,
    workspace_bytes: int | None = None,
    implementation: str = "auto",
) -> Tensor:
    """Return ``log softmax(z_n / temperature)[labels[n]]`` per token.

    With ``z = cap(logit_scale * (hidden @ weight.T + bias))``. Differentiable in `hidden`,
    `weight` and `bias`, one token at a time: tokens whose gradient is 0 cost backward nothing.
    Compared with a chunked loss it pays one more matrix product, for logits computed twice.

    Args:
        hidden: [N, D] floating.
        weight: [V, D] of the same dtype, unless autocast is on.
        labels: int64[N]; tokens with `ignore_index` get 0 and cost nothing.
        bias: [V].
        softcap: ``cap(x) = softcap * tanh(x / softcap)``; None: no cap.
        logit_scale: multiplies the logits before the cap.
        temperature: > 0.
        ignore_index: label of tokens to leave out.
        workspace_bytes: as in `linear_distill_loss`.
        implementation: ``torch`` (chunked, which ``auto`` means on a GPU as well) or ``reference``.

    Returns:
        [N] float32 (float64 for float64 inputs), at most 0.

    Raises:
        ValueError: an argument does not fit.
    """
    checks.one_of("implementation", implementation, ("auto", "torch", "reference"))
    checks.check_workspace(workspace_bytes)
    checks.check_options("forward_kl", 0.5, temperature, softcap)
    checks.tensor("hidden", hidden, ["N", "D"])
    checks.tensor("weight", weight, ["V", hidden.shape[1]], hidden)
    checks.same_dtype("weight", weight, "hidden", hidden)
    checks.tensor("labels", labels, [hidden.shape[0]], hidden, integer=True)
    if bias is not None:
        checks.tensor("bias", bias, [weight.shape[0]], hidden)
    labels = labels.long()
    cap, scale, temperature = float(softcap or 0.0), float(logit_scale), float(temperature)
    if implementation == "reference":
        kept = (labels != ignore_index).nonzero()[:, 0]
        dtype = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        with torch.autocast(hidden.device.type, enabled=False):
            z = head_logits(hidden[kept], weight, bias, softcap, scale, dtype)
            values = torch.log_softmax(z / temperature, -1).gather(1, labels[kept][:, None])
        return values.new_zeros(len(labels)).index_put((kept,), values[:, 0])
    values, _ = torch.ops.collegium.token_logprobs(
        hidden,
        weight,
        bias,
        labels,
        cap,
        scale,
        temperature,
        ignore_index,
        workspace_bytes or 0,
        autocast_operands(hidden),
    )
    return values


class _Sweep:
    """What forward and backward share: rows, sizes, and tiles of u = z / T."""

    def __init__(
        self, head: Head, counted: Tensor, temperature: float, workspace: int, out: torch.dtype
    ) -> None:
        self.head, self.temperature, self.dtype = head, temperature, out
        self.device = head.rows.device
        self.rows = counted.cpu().nonzero()[:, 0]
        self.buffers = Scratch()
        budget = workspace_budget(workspace, self.device)
        row_bytes = head.width * (torch.finfo(out).bits // 8)
        # One buffer of the chunk, half another for dz in half precision, two of the tile.
        per_row = row_bytes * 3 // 2 if self.device.type == "cuda" else row_bytes
        self.sizes: Sizes = chunk_sizes(
            max(1, len(self.rows)), per_row, 2 * row_bytes, budget, self.device
        )

    def chunks(self):
        """Yield (rows, z [C, V] before bias, scale and cap)."""
        for rows in chunks(self.rows, self.sizes.chunk, self.device):
            count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
            z = self.buffers.shaped("z", (count, self.head.width), self.dtype, self.device)
            self.head.fill(rows, z)
            yield rows, z

    def tiles(self, z: Tensor):
        """Yield (part, finished tile of z)."""
        for start in range(0, len(z), self.sizes.tile):
            part = slice(start, min(start + self.sizes.tile, len(z)))
            self.head.finish_(z[part])
            yield part, z[part]


@implement(
    "token_logprobs",
    "(Tensor hidden, Tensor weight, Tensor? bias, Tensor labels, float softcap,"
    " float scale, float temperature, int ignore_index, int workspace_bytes,"
    " ScalarType? operands) -> (Tensor, Tensor)",
)
def _logprobs(
    hidden,
    weight,
    bias,
    labels,
    softcap,
    scale,
    temperature,
    ignore_index,
    workspace_bytes,
    operands,
):
    if value_checks.values_are_checked():
        value_checks.check_labels("labels", labels, ignore_index, weight.shape[0])
    dtype = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    values, lse = (torch.zeros(labels.shape, dtype=dtype, device=hidden.device) for _ in range(2))
    with torch.no_grad(), torch.autocast(hidden.device.type, enabled=False):
        head = linear_head(hidden, weight, bias, softcap or None, scale, operands)
        sweep = _Sweep(head, labels != ignore_index, temperature, workspace_bytes, dtype)
        for rows, z in sweep.chunks():
            chunk_labels = take(labels, rows)
            chunk_values, chunk_lse = z.new_empty(len(z)), z.new_empty(len(z))
            for part, tile in sweep.tiles(z):
                tile.div_(temperature)
                chunk_lse[part] = torch.logsumexp(tile, -1)
                chosen = tile.gather(1, chunk_labels[part, None])[:, 0]
                chunk_values[part] = chosen - chunk_lse[part]
            values[rows], lse[rows] = chunk_values, chunk_lse
    return values, lse


@torch.library.register_fake("collegium::token_logprobs")
def _logprobs_fake(hidden, weight, bias, labels, *rest):
    dtype = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    return tuple(hidden.new_empty(labels.shape, dtype=dtype) for _ in range(2))


@implement(
    "token_logprobs_backward",
    "(Tensor upstream, Tensor lse, Tensor hidden, Tensor weight, Tensor? bias,"
    " Tensor labels, float softcap, float scale, float temperature, int ignore_index,"
    " int workspace_bytes, ScalarType? operands, bool want_hidden, bool want_weight,"
    " bool want_bias) -> (Tensor, Tensor, Tensor)",
)
def _logprobs_backward(
    upstream,
    lse,
    hidden,
    weight,
    bias,
    labels,
    softcap,
    scale,
    temperature,
    ignore_index,
    workspace_bytes,
    operands,
    want_hidden,
    want_weight,
    want_bias,
):
    with torch.no_grad(), torch.autocast(hidden.device.type, enabled=False):
        operand = weight if operands is None else weight.to(operands)
        head = linear_head(hidden, operand, bias, softcap or None, scale, operands)
        counted = (labels != ignore_index) & (upstream != 0)
        sweep = _Sweep(head, counted, temperature, workspace_bytes, lse.dtype)
        d_hidden = torch.zeros_like(hidden) if want_hidden else lse.new_empty(0)
        d_weight = lse.new_zeros(weight.shape if want_weight else (0,))
        d_bias = lse.new_zeros(bias.shape if want_bias else (0,))
        for rows, z in sweep.chunks():
            slope = take(upstream, rows).to(lse.dtype) * (scale / temperature)
            _fill_dz(sweep, rows, z, slope, take(lse, rows), take(labels, rows))
            if want_bias:
                d_bias += z.sum(0)
            narrow = z.to(operand.dtype) if z.is_cuda else z
            if want_hidden:
                part = z.new_empty(len(z), hidden.shape[1])
                d_hidden[rows] = multiply_back(narrow, operand, part).to(hidden.dtype)
            if want_weight:
                accumulate(d_weight, narrow.t(), take(head.rows, rows))
    return (
        d_hidden,
        d_weight.to(weight.dtype),
        d_bias.to(bias.dtype) if bias is not None else d_bias,
    )


def _fill_dz(
    sweep: _Sweep, rows: Rows, z: Tensor, slope: Tensor, lse: Tensor, labels: Tensor
) -> None:
    """Turn z into ``slope * (onehot(label) - softmax(z / T))``, times the cap's slope."""
    softcap = sweep.head.softcap
    for part, tile in sweep.tiles(z):
        cap_slope = None
        if softcap is not None:
            cap_slope = torch.div(tile, softcap, out=sweep.buffers.like("cap", tile))
            cap_slope.square_().neg_().add_(1.0)
        tile.div_(sweep.temperature).sub_(lse[part, None]).exp_().mul_(-slope[part, None])
        tile.scatter_add_(1, labels[part, None], slope[part, None])
        if cap_slope is not None:
            tile.mul_(cap_slope)


@torch.library.register_fake("collegium::token_logprobs_backward")
def _logprobs_backward_fake(upstream, lse, hidden, weight, bias, *rest):
    want_hidden, want_weight, want_bias = rest[-3:]
    return (
        hidden.new_empty(hidden.shape) if want_hidden else lse.new_empty(0),
        weight.new_empty(weight.shape if want_weight else (0,)),
        lse.new_empty(0) if bias is None else bias.new_empty(bias.shape if want_bias else (0,)),
    )


def _keep_for_backward(ctx, inputs, output) -> None:
    hidden, weight, bias, labels, *ctx.options = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(hidden, weight, bias, labels, output[1])


def _backward(ctx, upstream, _):
    if upstream is None:
        return (None,) * (4 + len(ctx.options))
    hidden, weight, bias, labels, lse = ctx.saved_tensors
    wanted = ctx.needs_input_grad[:3]
    grads = torch.ops.collegium.token_logprobs_backward(
        upstream, lse, hidden, weight, bias, labels, *ctx.options, *wanted
    )
    scaled = [grad if want else None for grad, want in zip(grads, wanted, strict=True)]
    return (*scaled, *[None] * (1 + len(ctx.options)))


torch.library.register_autograd(
    "collegium::token_logprobs", _backward, setup_context=_keep_for_backward
)

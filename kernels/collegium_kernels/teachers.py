"""What a teacher can hand to the loss: hidden states, logits, top-k lists or samples.

Shapes: N tokens, V student vocabulary, Vt the teacher's, Dt the teacher's hidden size.
`mix` weighs the teacher per call (float) or per token ([N]); several teachers with positive mix
on a token are a mixture of losses, one teacher per token is routing. A token with mix 0 costs the
teacher nothing. Weights are constants: no gradient flows into a teacher. With every kind of teacher
``forward_kl`` is KL(teacher || student) and ``reverse_kl`` is KL(student || teacher).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

TAILS = ("bucket", "zero", "renormalize")


@dataclass(frozen=True, eq=False)
class LiveTeacher:
    """Hidden states and head: ``logits = cap(logit_scale * (hidden @ weight.T + bias))``.

    With ``cap(x) = softcap * tanh(x / softcap)``, or x without a soft-cap. The logits exist for
    one chunk of tokens at a time, in float32.

    `columns` (int64[V], student id -> teacher column, -1 = none) compares different vocabularies:
    see `collegium.kernels.linear_distill_loss`.
    """

    hidden: Tensor
    """[N, Dt] floating."""
    weight: Tensor
    """[Vt, Dt], same dtype as `hidden` unless autocast is on."""
    mix: float | Tensor = 1.0
    """>= 0, one number or [N]."""
    bias: Tensor | None = None
    """[Vt]."""
    softcap: float | None = None
    logit_scale: float = 1.0
    columns: Tensor | None = None
    """int64[V]."""


@dataclass(frozen=True, eq=False)
class LogitsTeacher:
    """Dense logits, e.g. of a model whose head is not a plain matrix."""

    logits: Tensor
    """[N, Vt] floating, final (scaled and capped). -inf: that id has probability 0."""
    mix: float | Tensor = 1.0
    columns: Tensor | None = None


@dataclass(frozen=True, eq=False)
class TopKTeacher:
    """The k most probable ids with their log-probabilities at T = 1, as caches and APIs give them.

    `tail` says where the rest of the teacher's mass, r = 1 - sum(exp(logprobs)), goes:

    - ``bucket``: one extra outcome "none of these", of probability r for the teacher and the sum
      of its other probabilities for the student. A lower bound of the full divergence.
    - ``zero``: nowhere; D runs over the list with the teacher's probabilities as they are.
    - ``renormalize``: the teacher's list is rescaled to sum to one; the student's is not.

    ``reverse_kl`` is infinite when the teacher has no mass outside the list, so it takes
    ``bucket`` only, with r of at least 2^-24. At T != 1 the list and the bucket are tempered as
    if the bucket were one id: an approximation, for the tail's own shape is not in the list.
    """

    ids: Tensor
    """int[N, k], unique within a row."""
    logprobs: Tensor
    """[N, k] natural logarithms at T = 1, summing to at most one in probability."""
    mix: float | Tensor = 1.0
    tail: str = "bucket"


@dataclass(frozen=True, eq=False)
class SampledTeacher:
    """Ids drawn from the teacher, weighted so that they are an unbiased picture of it.

    ``E[sum_j weights[n, j] * onehot(ids[n, j])] = p_n`` at the loss's temperature, e.g. weights
    1/m for m plain draws, or ``p / (m * proposal)`` for importance sampling
    (Anshumann et al. 2025, "Sparse Logit Sampling"). Only for ``forward_kl``, with
    ``D = -sum_j weights_j * log q(ids_j)``: in expectation KL(teacher || student) plus the
    teacher's entropy, with the KL's exact gradient. An id may occur more than once.
    """

    ids: Tensor
    """int[N, m]."""
    weights: Tensor
    """[N, m] >= 0."""
    mix: float | Tensor = 1.0


Teacher = LiveTeacher | LogitsTeacher | TopKTeacher | SampledTeacher

"""`DistillLoss`: what a distillation loss returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class DistillLoss:
    """The loss, its two parts and what the same sweep measures on the side.

    A token counts as *seen* if its label is not `ignore_index` and its cross-entropy weight or
    its distillation weight (with some teacher's mix above 0) is not 0. All but `loss` is detached.
    """

    loss: Tensor
    """[] differentiable; equals ``ce + kd``."""
    ce: Tensor
    """[] the cross-entropy part, weighted and normalised."""
    kd: Tensor
    """[] the distillation part, weighted (with T^2) and normalised: of KL(teacher || student) for
    ``forward_kl``, of KL(student || teacher) for ``reverse_kl``, of their mixture for ``jsd``."""
    per_token: Tensor
    """[N] weighted, not normalised; 0 where ignored. For its gradient: `linear_token_logprobs`."""
    per_teacher: Tensor
    """[K] mean of D_k in nats, without weights and T^2, over tokens with label, kd_weight and
    mix > 0; 0 where there are none."""
    student_entropy: Tensor
    """[] mean entropy in nats of the student's distribution at T = 1 over the seen tokens."""
    top1_agreement: Tensor
    """[K] share of teacher k's tokens where the student's most probable id is also the teacher's
    (a tie counts as agreement); NaN for a `SampledTeacher`, whose samples do not tell."""
    covered_mass: Tensor
    """[K] mean share of teacher k's distribution at T on ids that the loss compares one by one:
    1 for a full vocabulary, the list's mass for top-k, the shared columns' mass with `columns`,
    the sum of weights for samples."""

"""Distillation losses over huge vocabularies: exact, chunked, several teachers, no logits tensor.

For token n with student logits z and teachers k with distributions p_k (q is the student's, both
at temperature T)::

    ce_weight[n] * CE(z_n, label_n) + kd_weight[n] * T^2 * sum_k mix[k, n] * D_k(n)

summed over the tokens whose label is not `ignore_index` and divided by `normalizer`. ``forward_kl``
is KL(teacher || student), ``reverse_kl`` is KL(student || teacher), ``jsd`` lies between.

    from collegium.kernels import LiveTeacher, linear_distill_loss

    teacher = LiveTeacher(teacher_hidden, teacher_head.weight)
    out = linear_distill_loss(hidden, head.weight, labels, [teacher], kd_weight=0.5, ce_weight=0.5)
    out.loss.backward()

This package needs torch alone and nothing else of Collegium.
"""

from __future__ import annotations

from .dispatch import distill_loss, implementations, linear_distill_loss
from .logprobs import linear_token_logprobs
from .result import DistillLoss
from .teachers import LiveTeacher, LogitsTeacher, SampledTeacher, Teacher, TopKTeacher

__all__ = [
    "DistillLoss",
    "LiveTeacher",
    "LogitsTeacher",
    "SampledTeacher",
    "Teacher",
    "TopKTeacher",
    "distill_loss",
    "implementations",
    "linear_distill_loss",
    "linear_token_logprobs",
]

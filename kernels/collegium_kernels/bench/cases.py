"""The jobs that are measured: sizes of real models' heads, one question each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Case:
    """One job: a loss over N tokens, forward and backward."""

    tokens: int
    vocabulary: int
    student_size: int
    teacher_size: int
    dtype: str = "bfloat16"
    divergence: str = "forward_kl"
    """``forward_kl`` is KL(teacher || student), ``reverse_kl`` KL(student || teacher)."""
    beta: float = 0.5
    temperature: float = 1.0
    kd_weight: float = 1.0
    ce_weight: float = 0.0
    teachers: int = 1
    masked: float = 0.0
    """Share of the tokens that have no label."""
    frozen_head: bool = False
    top_k: int = 0
    """Ids per token of a teacher known by lists; 0: the teacher is live."""
    softcap: float | None = None
    logit_std: float = 10.0
    difference: float = 0.7
    """Standard deviation of student minus teacher logits: small, as where training ends."""
    among: tuple[str, ...] = ()
    """The implementations that the case is about; none: all."""

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of hidden states and heads."""
        return getattr(torch, self.dtype)

    @property
    def counted(self) -> int:
        """How many tokens have a label."""
        return self.tokens - int(self.tokens * self.masked)

    @property
    def products(self) -> int:
        """Multiply-adds, doubled, of the matrix products that cannot be avoided."""
        student = 2 * self.counted * self.vocabulary * self.student_size
        teacher = 2 * self.counted * self.vocabulary * self.teacher_size
        live = 0 if self.top_k else self.teachers
        return (2 if self.frozen_head else 3) * student + live * teacher

    @property
    def row_traffic(self) -> int:
        """Bytes that a row kernel has to move over float32 logits, dz written in half precision.

        Two sweeps for the KLs, three for jsd: each reads the student's logits and every live
        teacher's.
        """
        sweeps = 3 if self.divergence == "jsd" else 2
        read = 4 * sweeps * (1 + (0 if self.top_k else self.teachers))
        return self.counted * self.vocabulary * (read + 2)


_FLOORS = ("ours", "ours (torch)", "ours, call by call", "matrix products", "row traffic")
_QWEN = Case(8192, 151_936, 2048, 4096)
_LLAMA = Case(8192, 128_256, 4096, 4096, divergence="jsd")
_CPU = Case(
    2048, 151_936, 896, 1536, dtype="float32", kd_weight=0.5, ce_weight=0.5, logit_std=3.0,
    difference=1.3,
)  # fmt: skip

GPU_CASES: dict[str, Case] = {
    "forward-kl": _QWEN,
    "jsd": replace(_QWEN, divergence="jsd"),
    "llama-jsd": _LLAMA,
    "small-jsd": replace(_LLAMA, tokens=1024, student_size=2048),
    "reverse-kl": replace(_QWEN, divergence="reverse_kl", among=_FLOORS),
    "half-masked": replace(_QWEN, masked=0.5, among=_FLOORS),
    "three-teachers": replace(_QWEN, teachers=3, among=_FLOORS),
    "top-64": replace(_QWEN, top_k=64, among=_FLOORS),
    "frozen-head": replace(_QWEN, frozen_head=True),
    "long-jsd": replace(_LLAMA, tokens=16_384),
    "with-ce": Case(
        8192, 151_936, 896, 3584, temperature=2.0, kd_weight=0.5, ce_weight=0.5, logit_std=3.0,
        difference=1.3,
    ),
    "softcap": Case(8192, 262_144, 2304, 3584, softcap=30.0),
    "small-vocabulary": replace(_LLAMA, vocabulary=32_000, student_size=2048),
}  # fmt: skip
"""Most telling first: a run that is cut short has them."""

CPU_CASES: dict[str, Case] = {
    "cpu-1024": replace(_CPU, tokens=1024),
    "cpu": _CPU,
    "cpu-half-masked": replace(_CPU, masked=0.5, among=("ours",)),
    "cpu-three-teachers": replace(_CPU, teachers=3, among=("ours", "ours, call by call")),
}

TINY_CASES: dict[str, Case] = {
    "tiny": replace(_CPU, tokens=96, vocabulary=500, student_size=32, teacher_size=48),
    "tiny-jsd": replace(
        _CPU, tokens=96, vocabulary=500, student_size=32, teacher_size=48, divergence="jsd",
        temperature=2.0, ce_weight=0.0, masked=0.25, teachers=2,
    ),
    "tiny-top-k": replace(
        _CPU, tokens=64, vocabulary=500, student_size=32, teacher_size=48, top_k=8,
        frozen_head=True, softcap=20.0,
    ),
}  # fmt: skip
"""For trying the benchmark itself; their times mean nothing."""

CASES = GPU_CASES | CPU_CASES | TINY_CASES


def default_cases(device: str) -> list[str]:
    """Return the names of the cases that a device is measured with."""
    return list(GPU_CASES if device == "cuda" else CPU_CASES)

"""Refusing bad values inside tensors, under ``COLLEGIUM_CHECKS=1`` alone: a GPU waits for them.

Every message names the argument, the row, what was expected and what was given.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from .checks import refuse
from .problem import Problem
from .teachers import LiveTeacher, LogitsTeacher, SampledTeacher, TopKTeacher


def values_are_checked() -> bool:
    """Whether ``COLLEGIUM_CHECKS=1`` is set."""
    return os.environ.get("COLLEGIUM_CHECKS", "") == "1"


def check_labels(name: str, labels: Tensor, ignore_index: int, vocabulary: int) -> None:
    """Refuse labels that are neither `ignore_index` nor an id."""
    bad = (labels != ignore_index) & ((labels < 0) | (labels >= vocabulary))
    if bool(bad.any()):
        row = int(bad.nonzero()[0, 0])
        raise refuse(
            f"{name}[{row}]", f"an id in [0, {vocabulary}) or {ignore_index}", int(labels[row])
        )


def check_values(problem: Problem) -> None:
    """Check what lies inside the tensors, if that is switched on."""
    if not values_are_checked():
        return
    check_labels("labels", problem.labels, problem.ignore_index, problem.vocabulary)
    if problem.normalizer is not None and not bool(problem.normalizer > 0):
        raise refuse("normalizer", "a number above 0", problem.normalizer.item())
    labeled = problem.labels != problem.ignore_index
    for name, weights in (("ce_weight", problem.ce_weight), ("kd_weight", problem.kd_weight)):
        if not bool(weights[labeled].isfinite().all()):
            raise refuse(name, "finite numbers", "inf or NaN")
    for k in range(len(problem.teachers)):
        mix = problem.mix[k]
        bad = labeled & ~(mix >= 0)
        if bool(bad.any()):
            row = int(bad.nonzero()[0, 0])
            raise refuse(f"teachers[{k}].mix[{row}]", "a number >= 0", float(mix[row]))
    wanted = labeled & (problem.kd_weight != 0)
    if problem.teachers and bool(wanted.any()) and not bool((problem.mix[:, wanted] > 0).any()):
        raise refuse("mix", "at least one teacher above 0 on some token", "0 everywhere")
    for k, teacher in enumerate(problem.teachers):
        _check_teacher_values(problem, k, teacher, wanted & (problem.mix[k] > 0))


def _check_teacher_values(problem: Problem, k: int, teacher: Any, live: Tensor) -> None:
    name, vocabulary = f"teachers[{k}]", problem.vocabulary
    if isinstance(teacher, TopKTeacher | SampledTeacher):
        ids = teacher.ids[live].long()
        bad = (ids < 0) | (ids >= vocabulary)
        if bool(bad.any()):
            raise refuse(f"{name}.ids", f"ids in [0, {vocabulary})", int(ids[bad][0]))
    if isinstance(teacher, TopKTeacher):
        ordered = teacher.ids[live].long().sort(-1).values
        twice = ordered[:, 1:] == ordered[:, :-1]
        if bool(twice.any()):
            row, place = (int(i) for i in twice.nonzero()[0])
            token = int(live.nonzero()[row, 0])
            raise refuse(f"{name}.ids[{token}]", "unique ids", f"{int(ordered[row, place])} twice")
        total = teacher.logprobs[live].double().exp().sum(-1)
        if bool((total > 1.01).any()) or bool(total.isnan().any()):
            raise refuse(
                f"{name}.logprobs",
                "natural log-probabilities, at most 1 in sum",
                f"a sum of {float(total.max()):.4g}",
            )
    if isinstance(teacher, SampledTeacher) and not bool((teacher.weights[live] >= 0).all()):
        raise refuse(f"{name}.weights", "numbers >= 0", "a negative number or NaN")
    if isinstance(teacher, LiveTeacher | LogitsTeacher):
        _check_column_values(problem, name, teacher)
        _check_support(problem, name, teacher, live)


def _check_column_values(problem: Problem, name: str, teacher: LiveTeacher | LogitsTeacher) -> None:
    if teacher.columns is None:
        return
    dense = teacher.logits if isinstance(teacher, LogitsTeacher) else teacher.weight.t()
    width = dense.shape[1]
    bad = (teacher.columns < -1) | (teacher.columns >= width)
    if bool(bad.any()):
        raise refuse(
            f"{name}.columns", f"-1 or columns in [0, {width})", int(teacher.columns[bad][0])
        )
    matched = teacher.columns[teacher.columns >= 0].sort().values
    if not len(matched):
        raise refuse(f"{name}.columns", "at least one shared column", "none")
    twice = matched[1:] == matched[:-1]
    if bool(twice.any()):
        raise refuse(
            f"{name}.columns", "each column at most once", f"{int(matched[:-1][twice][0])} twice"
        )


def _check_support(
    problem: Problem, name: str, teacher: LiveTeacher | LogitsTeacher, live: Tensor
) -> None:
    """Refuse a reverse_kl that is infinite: a teacher's -inf where the student is finite."""
    if problem.divergence != "reverse_kl":
        return
    if isinstance(teacher, LogitsTeacher):
        impossible = torch.isneginf(teacher.logits[live])
    elif teacher.bias is not None and teacher.softcap is None:
        impossible = torch.isneginf(teacher.bias)[None]
    else:
        return
    if teacher.columns is not None:
        columns = teacher.columns.long()
        impossible = impossible[:, columns.clamp(min=0)] & (columns >= 0)
    possible = torch.ones_like(impossible)
    # A soft-cap makes every logit finite.
    if problem.softcap is None and problem.bias is not None:
        possible = possible & ~torch.isneginf(problem.bias)
    if problem.softcap is None and problem.weight is None:
        possible = possible & ~torch.isneginf(problem.student[live])
    infinite = (impossible & possible).any(0)
    if bool(infinite.any()):
        column = int(infinite.nonzero()[0, 0])
        raise refuse(
            f"{name}",
            "finite logits wherever the student's are, since reverse_kl is infinite otherwise "
            "(mask the student's too, or use forward_kl or jsd)",
            f"-inf for student id {column}",
        )

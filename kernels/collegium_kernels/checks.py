"""Refusing bad arguments, as far as can be seen without waiting for a device.

Shapes, dtypes, devices and options; `collegium.kernels.value_checks` has what lies inside tensors.
Every message names the argument, what was expected and what was given.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .formulas import DIVERGENCES
from .teachers import TAILS, LiveTeacher, LogitsTeacher, SampledTeacher, TopKTeacher

IMPLEMENTATIONS = ("auto", "triton", "torch", "reference")


def refuse(name: str, expected: str, given: object) -> ValueError:
    """Return the error for one argument."""
    return ValueError(f"{name}: expected {expected}, got {given}")


def one_of(name: str, value: Any, known: Sequence[str]) -> None:
    """Refuse a value that is not a known name, with the nearest one."""
    if value in known:
        return
    near = difflib.get_close_matches(str(value), known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise refuse(name, "one of " + ", ".join(map(repr, known)), f"{value!r}{hint}")


def tensor(
    name: str,
    value: Any,
    shape: Sequence[int | str],
    like: Tensor | None = None,
    *,
    integer: bool = False,
) -> None:
    """Refuse what is not a tensor of `shape` (names stand for any size) on the right device."""
    if not isinstance(value, Tensor):
        raise refuse(name, f"a tensor {_sizes(shape)}", type(value).__name__)
    if hasattr(value, "full_tensor"):
        raise refuse(
            name,
            "a whole tensor: call the loss inside the sharded module's forward, where it is one",
            "a DTensor",
        )
    fits = value.dim() == len(shape) and all(
        isinstance(want, str) or want == have for want, have in zip(shape, value.shape, strict=True)
    )
    if not fits:
        raise refuse(name, f"shape {_sizes(shape)}", list(value.shape))
    if integer:
        if value.dtype not in (torch.int64, torch.int32):
            raise refuse(name, "int64 or int32 ids", value.dtype)
    elif not value.dtype.is_floating_point:
        raise refuse(name, "a floating dtype", value.dtype)
    if like is not None and value.device != like.device:
        raise refuse(name, f"device {like.device}, where the student is", value.device)


def _sizes(shape: Sequence[int | str]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def same_dtype(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Refuse operands of two dtypes, unless autocast will cast them."""
    if value.dtype != other.dtype and not torch.is_autocast_enabled(value.device.type):
        raise refuse(
            name, f"the dtype of {other_name}, {other.dtype}, outside of autocast", value.dtype
        )


def check_options(divergence: Any, beta: float, temperature: float, softcap: Any) -> None:
    """Refuse unknown divergences and numbers outside their range."""
    one_of("divergence", divergence, tuple(DIVERGENCES))
    if not temperature > 0 or temperature == float("inf"):
        raise refuse("temperature", "a number above 0", temperature)
    if divergence == "jsd" and not 0.0 < beta < 1.0:
        hint = {
            0.0: "; its limit as beta falls to 0, divided by beta, is divergence='forward_kl'",
            1.0: "; its limit as beta rises to 1, divided by 1 - beta, is divergence='reverse_kl'",
        }.get(float(beta), "")
        raise refuse("beta", f"a number in (0, 1), exclusive{hint}", beta)
    check_cap("softcap", softcap)


def check_cap(name: str, softcap: Any) -> None:
    """Refuse a soft-cap that is neither None nor above 0."""
    if softcap is not None and not softcap > 0:
        raise refuse(name, "None or a number above 0", softcap)


def check_weight(name: str, value: Any, tokens: int, like: Tensor) -> None:
    """Refuse a per-token weight that is neither a number nor [N]."""
    if isinstance(value, Tensor):
        if value.dim():
            tensor(name, value, [tokens], like)
    elif not isinstance(value, int | float):
        raise refuse(name, f"a number or a tensor [{tokens}]", type(value).__name__)


def check_normalizer(value: Any, like: Tensor) -> None:
    """Refuse a normalizer that is neither None, a number above 0, nor a 0-d tensor."""
    if isinstance(value, Tensor):
        if value.dim():
            raise refuse("normalizer", "a number or a 0-d tensor", f"shape {list(value.shape)}")
        if value.device != like.device:
            raise refuse("normalizer", f"device {like.device}, where the student is", value.device)
    elif value is not None and not value > 0:
        raise refuse("normalizer", "None or a number above 0", value)


def check_teacher(name: str, teacher: Any, like: Tensor, vocabulary: int, divergence: str) -> None:
    """Refuse a teacher that does not fit a student of `vocabulary` ids; `like` is its input."""
    tokens = like.shape[0]
    if isinstance(teacher, LiveTeacher):
        tensor(f"{name}.hidden", teacher.hidden, [tokens, "Dt"], like)
        width = teacher.hidden.shape[1]
        tensor(f"{name}.weight", teacher.weight, ["Vt", width], like)
        same_dtype(f"{name}.weight", teacher.weight, f"{name}.hidden", teacher.hidden)
        if teacher.bias is not None:
            tensor(f"{name}.bias", teacher.bias, [teacher.weight.shape[0]], like)
        check_cap(f"{name}.softcap", teacher.softcap)
        _check_columns(name, teacher.columns, teacher.weight.shape[0], vocabulary, like)
    elif isinstance(teacher, LogitsTeacher):
        tensor(f"{name}.logits", teacher.logits, [tokens, "Vt"], like)
        _check_columns(name, teacher.columns, teacher.logits.shape[1], vocabulary, like)
    elif isinstance(teacher, TopKTeacher):
        tensor(f"{name}.ids", teacher.ids, [tokens, "k"], like, integer=True)
        width = teacher.ids.shape[1]
        tensor(f"{name}.logprobs", teacher.logprobs, [tokens, width], like)
        if not 1 <= width <= vocabulary:
            raise refuse(f"{name}.ids", f"k between 1 and the vocabulary {vocabulary}", width)
        one_of(f"{name}.tail", teacher.tail, TAILS)
        if divergence == "reverse_kl" and teacher.tail != "bucket":
            raise refuse(
                f"{name}.tail",
                "'bucket' with reverse_kl, which is infinite where the teacher has no mass",
                repr(teacher.tail),
            )
    elif isinstance(teacher, SampledTeacher):
        tensor(f"{name}.ids", teacher.ids, [tokens, "m"], like, integer=True)
        tensor(f"{name}.weights", teacher.weights, [tokens, teacher.ids.shape[1]], like)
        if divergence != "forward_kl":
            raise refuse(
                "divergence", f"'forward_kl' with a SampledTeacher ({name})", repr(divergence)
            )
    else:
        raise refuse(
            name,
            "a LiveTeacher, LogitsTeacher, TopKTeacher or SampledTeacher",
            type(teacher).__name__,
        )
    check_weight(f"{name}.mix", teacher.mix, tokens, like)
    if not isinstance(teacher.mix, Tensor) and not teacher.mix >= 0:
        raise refuse(f"{name}.mix", "a number >= 0", teacher.mix)


def _check_columns(name: str, columns: Any, width: int, vocabulary: int, like: Tensor) -> None:
    if columns is not None:
        tensor(f"{name}.columns", columns, [vocabulary], like, integer=True)
    elif width != vocabulary:
        common = min(width, vocabulary)
        raise refuse(
            f"{name}.columns",
            f"int64[{vocabulary}], since the teacher has {width} logits and the student "
            f"{vocabulary}; if the first {common} ids mean the same, entry i is i below {common} "
            "and -1 above",
            "None",
        )


def check_teachers(teachers: Any) -> None:
    """Refuse what is no sequence of teachers, a single one above all."""
    if not isinstance(teachers, Sequence) or isinstance(teachers, str):
        raise refuse("teachers", "a list of teachers, which may be empty", type(teachers).__name__)


def check_workspace(value: Any) -> None:
    """Refuse a workspace that is neither None nor a number of bytes."""
    if value is not None and not value >= 1:
        raise refuse("workspace_bytes", "None or a number of bytes", value)


def check_mix(teachers: Sequence[Any], kd_weight: Any) -> None:
    """Refuse teachers that all have the number 0 as mix while distillation is asked for."""
    if not teachers or (not isinstance(kd_weight, Tensor) and kd_weight == 0):
        return
    if all(not isinstance(t.mix, Tensor) and t.mix == 0 for t in teachers):
        raise refuse("mix", "a number above 0 for at least one teacher", "0 for all of them")

"""One process, one (case, implementation): first right or wrong, then time and memory.

Memory that the comparison freed is given back to the system first. Time on a CPU is given as wall
clock and as processor time of all threads, which other programs on the machine disturb less.
"""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from . import gate
from .cases import CASES, Case
from .inputs import Inputs, build
from .libraries import LIBRARIES
from .rivals import TORCH_ONLY, Implementation, Step, Unsupported

IMPLEMENTATIONS = TORCH_ONLY | LIBRARIES
MB = 1 << 20
_WARM_UP = 3
_L2_BYTES = 256 << 20


def measure(case_name: str, name: str, part: str, device: str, seconds: float) -> dict[str, Any]:
    """Return what one process finds out; its `status` is "measured" if all went well.

    Args:
        case_name: a key of `CASES`.
        name: a key of `IMPLEMENTATIONS`.
        part: "both", or "time" where the comparison has been made.
        device: "cpu" or "cuda".
        seconds: how long to go on repeating on a GPU.
    """
    case, implementation = CASES[case_name], IMPLEMENTATIONS[name]
    if device not in implementation.devices:
        return {"status": "unsupported", "why": f"not run on {device}"}
    try:
        found: dict[str, Any] = {"status": "measured"}
        given = build(case, device)
        if part == "both" and not implementation.floor:
            found |= _check(case, implementation, given)
            _give_back(device)
        if found["status"] == "measured":
            timed = _time_gpu if device == "cuda" else _time_cpu
            found |= timed(case, implementation, given, seconds)
        return found
    except Unsupported as lack:
        return {"status": "unsupported", "why": str(lack)}
    except ImportError as error:
        return {"status": "absent", "why": str(error).splitlines()[0]}
    except torch.OutOfMemoryError:
        return {"status": "out of memory", "why": "the device's memory does not suffice"}


def _check(case: Case, implementation: Implementation, given: Inputs) -> dict[str, Any]:
    few = given.first(gate.TOKENS[given.hidden.device.type])
    fewer = replace(case, tokens=len(few.labels))
    step = implementation.prepare(fewer, few)
    # Tuning on the way leaves its gradients behind.
    few.forget_gradients()
    step()
    errors = gate.errors(fewer, few, ce_only=implementation.ce_only)
    limit = gate.LIMIT_OURS[case.torch_dtype] if implementation.ours else gate.LIMIT_RIVALS
    # Not `>`: a NaN must not pass.
    right = all(value <= limit for value in errors.values())
    found: dict[str, Any] = {"status": "measured" if right else "wrong", **errors}
    if not right:
        found["why"] = f"a gradient is further than {limit:g} from float64"
    return found


def _give_back(device: str) -> None:
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    elif sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def _gradient_bytes(given: Inputs) -> int:
    grads = (given.hidden.grad, given.weight.grad)
    return sum(g.numel() * g.element_size() for g in grads if g is not None)


def _time_gpu(
    case: Case, implementation: Implementation, given: Inputs, seconds: float
) -> dict[str, Any]:
    start = time.perf_counter()
    step = implementation.prepare(case, given)
    for _ in range(_WARM_UP):
        given.forget_gradients()
        step()
    torch.cuda.synchronize()
    prepared = time.perf_counter() - start
    given.forget_gradients()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    extra = torch.cuda.max_memory_allocated() - before - _gradient_bytes(given)
    flush = torch.empty(_L2_BYTES, dtype=torch.int8, device="cuda")
    times: list[float] = []
    stop = time.perf_counter() + seconds
    while len(times) < 10 or (len(times) < 50 and time.perf_counter() < stop):
        given.forget_gradients()
        flush.zero_()
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        step()
        last.record()
        torch.cuda.synchronize()
        times.append(first.elapsed_time(last))
    return {
        "ms": times,
        "extra_mb": extra / MB,
        "prepare_s": prepared,
        **_chosen(step),
    }


def _time_cpu(
    case: Case, implementation: Implementation, given: Inputs, seconds: float
) -> dict[str, Any]:
    small = replace(case, tokens=16, vocabulary=512, top_k=min(case.top_k, 8))
    warm = build(small, "cpu")
    implementation.prepare(small, warm)()
    step = implementation.prepare(case, given)
    given.forget_gradients()
    before = _resident()
    _reset_peak()
    wall, processor = time.perf_counter(), time.process_time()
    step()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    extra = _peak() - before - _gradient_bytes(given)
    return {
        "ms": [wall * 1e3],
        "cpu_ms": [processor * 1e3],
        "extra_mb": extra / MB,
        **_chosen(step),
    }


def _chosen(step: Step) -> dict[str, int]:
    chunk = getattr(step, "chunk", None)
    return {} if chunk is None else {"chunk": chunk}


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def merge(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one entry from all processes of a (case, implementation): medians and ranges."""
    failed = next((run for run in runs if run["status"] != "measured"), None)
    if failed is not None:
        return failed
    out: dict[str, Any] = {"status": "measured"}
    for run in runs:
        out |= {k: v for k, v in run.items() if k.startswith(("error_", "chunk", "prepare_s"))}
    for key in ("ms", "cpu_ms"):
        times = sorted(t for run in runs for t in run.get(key, []))
        if times:
            out[key] = statistics.median(times)
            out[f"{key}_range"] = [times[0], times[-1]]
            out[f"{key}_runs"] = len(times)
            if len(times) >= 8:
                quarters = statistics.quantiles(times, n=4)
                out[f"{key}_quartiles"] = [quarters[0], quarters[2]]
    extras = [run["extra_mb"] for run in runs if "extra_mb" in run]
    if extras:
        out["extra_mb"] = statistics.median(extras)
    return out

"""Time, memory and accuracy of the distillation loss on a CPU, against dense autograd.

    PYTHONPATH=python python benchmarks/kernels_cpu.py --out benchmarks/results/kernels_cpu.json

Every (round, case) runs in a process of its own, cases in turn within a round, so that a machine
that slows down slows all of them. Time is one forward and backward after a small warm-up. Extra
memory is the peak beyond inputs, weights, dX and dW. Errors are of dX and dW against float64, over
the whole gradient at 256 tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from collegium.kernels import LiveTeacher, linear_distill_loss

VOCABULARY, STUDENT_SIZE, TEACHER_SIZE = 151_936, 896, 1536
WORKSPACE = 256 << 20
MB = 1 << 20
KD, CE = 0.5, 0.5
ERROR_TOKENS = 256


class Inputs:
    """Student, teachers and labels; logits of the size that real models have."""

    def __init__(self, tokens: int, teachers: int, masked: float) -> None:
        torch.manual_seed(0)
        self.weight = torch.empty(VOCABULARY, STUDENT_SIZE).normal_(0, 0.02).requires_grad_()
        self.hidden = (torch.randn(tokens, STUDENT_SIZE) * 4).requires_grad_()
        self.teacher_weights = [
            torch.empty(VOCABULARY, TEACHER_SIZE).normal_(0, 0.02) for _ in range(teachers)
        ]
        self.teacher_hidden = [torch.randn(tokens, TEACHER_SIZE) * 3 for _ in range(teachers)]
        self.labels = torch.randint(0, VOCABULARY, (tokens,))
        self.labels[torch.randperm(tokens)[: int(tokens * masked)]] = -100

    def teachers(self) -> list[LiveTeacher]:
        share = 1.0 / len(self.teacher_weights)
        pairs = zip(self.teacher_hidden, self.teacher_weights, strict=True)
        return [LiveTeacher(hidden, weight, share) for hidden, weight in pairs]


def ours(given: Inputs) -> None:
    """All teachers in one call."""
    linear_distill_loss(
        given.hidden, given.weight, given.labels, given.teachers(), kd_weight=KD, ce_weight=CE
    ).loss.backward()


def one_by_one(given: Inputs) -> None:
    """One call per teacher, gradients accumulated."""
    teachers = given.teachers()
    for teacher in teachers:
        linear_distill_loss(
            given.hidden,
            given.weight,
            given.labels,
            [teacher],
            kd_weight=KD,
            ce_weight=CE / len(teachers),
        ).loss.backward()


def eager(given: Inputs) -> None:
    """As usually written: softmax of both sides, KL and cross-entropy, all kept for backward."""
    logits = given.hidden @ given.weight.T
    with torch.no_grad():
        other = given.teacher_hidden[0] @ given.teacher_weights[0].T
        target = F.log_softmax(other, -1)
    kl = F.kl_div(F.log_softmax(logits, -1), target, log_target=True, reduction="batchmean")
    (KD * kl + CE * F.cross_entropy(logits, given.labels)).backward()


def lean(given: Inputs) -> None:
    """The same with one shared log-softmax and every tensor freed as early as possible."""
    logits = given.hidden @ given.weight.T
    with torch.no_grad():
        target = given.teacher_hidden[0] @ given.teacher_weights[0].T
        target = F.log_softmax(target, -1)
    logprobs = F.log_softmax(logits, -1)
    del logits
    kl = F.kl_div(logprobs, target, log_target=True, reduction="batchmean")
    (KD * kl + CE * F.nll_loss(logprobs, given.labels)).backward()


def products(given: Inputs) -> None:
    """The four matrix products alone, 208 rows at a time: the floor."""
    with torch.no_grad():
        given.weight.grad = torch.zeros_like(given.weight)
        z, v = torch.empty(208, VOCABULARY), torch.empty(208, VOCABULARY)
        for start in range(0, len(given.hidden), 208):
            rows = given.hidden[start : start + 208]
            torch.mm(rows, given.weight.T, out=z[: len(rows)])
            other = given.teacher_hidden[0][start : start + 208]
            torch.mm(other, given.teacher_weights[0].T, out=v[: len(rows)])
            torch.mm(z[: len(rows)], given.weight)
            given.weight.grad.addmm_(z[: len(rows)].T, rows)


CASES: dict[str, tuple[Callable[[Inputs], None], int, float]] = {
    "products": (products, 1, 0.0),
    "eager": (eager, 1, 0.0),
    "lean": (lean, 1, 0.0),
    "ours": (ours, 1, 0.0),
    "ours_half_masked": (ours, 1, 0.5),
    "ours_three_teachers": (ours, 3, 0.0),
    "ours_three_calls": (one_by_one, 3, 0.0),
}
ERRORS: dict[str, Callable[[Inputs], None]] = {"eager": eager, "lean": lean, "ours": ours}


def peak() -> int:
    """Return the largest resident size since the last reset, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run_case(name: str, tokens: int) -> dict[str, float]:
    function, teachers, masked = CASES[name]
    given = Inputs(tokens, teachers, masked)
    small = Inputs.__new__(Inputs)
    small.weight = torch.randn(512, STUDENT_SIZE, requires_grad=True)
    small.hidden = torch.randn(16, STUDENT_SIZE, requires_grad=True)
    small.teacher_weights = [torch.randn(512, TEACHER_SIZE) for _ in range(teachers)]
    small.teacher_hidden = [torch.randn(16, TEACHER_SIZE) for _ in range(teachers)]
    small.labels = torch.zeros(16, dtype=torch.long)
    if function is not products:
        function(small)
    before = resident()
    Path("/proc/self/clear_refs").write_text("5")
    start = time.perf_counter()
    function(given)
    seconds = time.perf_counter() - start
    gradients = (given.weight.numel() + given.hidden.numel()) * 4
    return {"seconds": seconds, "extra_mb": (peak() - before - gradients) / MB}


def run_error(name: str) -> dict[str, float]:
    given = Inputs(ERROR_TOKENS, 1, 0.0)
    ERRORS[name](given)
    hidden, weight = given.hidden.detach().double(), given.weight.detach().double()
    q = torch.softmax(hidden @ weight.T, -1)
    other = given.teacher_hidden[0].double() @ given.teacher_weights[0].double().T
    dz = q.mul_(KD + CE).sub_(torch.softmax(other, -1), alpha=KD)
    dz[torch.arange(ERROR_TOKENS), given.labels] -= CE
    dz /= ERROR_TOKENS
    errors = {}
    for key, found, exact in (
        ("error_dx", given.hidden.grad, dz @ weight),
        ("error_dw", given.weight.grad, dz.T @ hidden),
    ):
        errors[key] = float((found.double() - exact).norm() / exact.norm())
    return errors


def machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    return {
        "cpu": model,
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load_average": os.getloadavg(),
    }


def child(*arguments: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def bars(median: dict[str, dict[str, float]], errors: dict[str, dict[str, float]]) -> list[dict]:
    """Compare with what was set out to be reached."""

    def seconds(name: str) -> float:
        return median[name]["seconds"]

    ours_mb, eager_mb = median["ours"]["extra_mb"], median["eager"]["extra_mb"]
    values = [
        ("time / eager", seconds("ours") / seconds("eager"), 1.0),
        ("time / lean eager", seconds("ours") / seconds("lean"), 1.05),
        ("extra memory / eager", ours_mb / eager_mb, 1 / 12),
        ("extra MB beyond the workspace", ours_mb - WORKSPACE / MB, 128.0),
        ("half masked / full time", seconds("ours_half_masked") / seconds("ours"), 1 / 1.8),
        (
            "three teachers / three calls",
            seconds("ours_three_teachers") / seconds("ours_three_calls"),
            0.65,
        ),
        ("dX error / eager", errors["ours"]["error_dx"] / errors["eager"]["error_dx"], 1.0),
        ("dW error / eager", errors["ours"]["error_dw"] / errors["eager"]["error_dw"], 1.0),
    ]
    return [
        {"bar": name, "value": value, "at_most": limit, "reached": value <= limit}
        for name, value, limit in values
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--error", choices=ERRORS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(run_case(options.case, options.tokens)))
        return
    if options.error:
        print(json.dumps(run_error(options.error)))
        return
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    for number in range(options.rounds):
        for name in CASES:
            rounds[name].append(child("--case", name, "--tokens", str(options.tokens)))
            print(f"round {number + 1} {name}: {rounds[name][-1]}", file=sys.stderr, flush=True)
    median = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in rounds.items()
    }
    errors = {name: child("--error", name) for name in ERRORS}
    result = {
        "machine": machine(),
        "shape": {
            "tokens": options.tokens,
            "vocabulary": VOCABULARY,
            "student_size": STUDENT_SIZE,
            "teacher_size": TEACHER_SIZE,
            "workspace_bytes": WORKSPACE,
        },
        "median": median,
        "rounds": rounds,
        "errors": errors,
        "bars": bars(median, errors),
    }
    text = json.dumps(result, indent=2)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

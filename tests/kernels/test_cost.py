"""What the loss must not cost: matrix products for nothing, and tensors of [N, V]."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from collegium.kernels.chunked import ChunkedLoss, Wanted
from collegium.kernels.dispatch import build_problem
from collegium.kernels.planning import chunk_sizes, group_rows

ALL = Wanted(student=True, weight=True, bias=False)


def problem_of(made):
    return build_problem(made.student, made.weight, made.labels, made.teachers, **made.options)


def flops(made, wanted: Wanted = ALL) -> int:
    """Return the multiply-adds of the matrix products of a call, doubled."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        ChunkedLoss(problem_of(made), wanted, None).run()
    return counter.get_total_flops()


def test_three_products_for_the_student_and_one_per_teacher(case):
    made = case(24, 50, 8, teachers=("live", "capped"), labels="none")
    student, teacher = 2 * 24 * 50 * 8, 2 * 24 * 50 * 6
    assert flops(made) == 3 * student + 2 * teacher
    assert flops(made, Wanted(True, False, False)) == 2 * student + 2 * teacher
    assert flops(made, Wanted(False, True, False)) == 2 * student + 2 * teacher
    assert flops(made, Wanted(False, False, False)) == student + 2 * teacher
    assert flops(made, Wanted(False, False, True)) == student + 2 * teacher


def test_tokens_that_do_not_count_cost_nothing(case):
    made = case(24, 50, 8, teachers=("live",), labels="none")
    full = flops(made)
    made.labels[::2] = -100
    assert flops(made) == full / 2
    made.labels[:] = -100
    assert flops(made) == 0
    weightless = replace(made, labels=torch.zeros(24, dtype=torch.long))
    weightless.options = {"ce_weight": 0.0, "kd_weight": (torch.arange(24) % 4 == 0).double()}
    assert flops(weightless) == full / 4


def test_tokens_without_distillation_cost_no_teacher(case):
    made = case(24, 50, 8, teachers=("live",), labels="none")
    made.options["kd_weight"] = (torch.arange(24) < 6).double()
    assert flops(made) == 3 * (2 * 24 * 50 * 8) + 2 * 6 * 50 * 6


def test_routing_costs_one_teacher_in_all(case):
    made = case(24, 50, 8, teachers=("live", "live", "live"), labels="none")
    choice = torch.randint(0, 3, (24,))
    made.teachers = [replace(t, mix=(choice == k).double()) for k, t in enumerate(made.teachers)]
    assert flops(made) == 3 * (2 * 24 * 50 * 8) + 2 * 24 * 50 * 6


def test_lists_cost_no_teacher(case):
    made = case(24, 50, 8, teachers=("bucket", "sampled"), labels="none")
    assert flops(made) == 3 * (2 * 24 * 50 * 8)


class Largest(TorchDispatchMode):
    """Records the number of elements of the largest floating result, except the head's shape."""

    def __init__(self, allowed: tuple[int, ...]) -> None:
        super().__init__()
        self.allowed, self.elements = allowed, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for value in torch.utils._pytree.tree_leaves(out):
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                size = value.untyped_storage().nbytes() // value.element_size()
                if value.numel() not in self.allowed:
                    self.elements = max(self.elements, size)
        return out


@pytest.mark.parametrize("kind, dtype", [("forward_kl", torch.float32), ("jsd", torch.bfloat16)])
@pytest.mark.parametrize(
    "teachers", [("live",), ("live", "capped"), ("bucket",), ("both_columns",)], ids=str
)
def test_no_tensor_as_large_as_the_logits(case, kind, dtype, teachers):
    tokens, vocabulary, workspace = 96, 1000, 1 << 17
    made = case(tokens, vocabulary, 8, teachers=teachers, labels="none", dtype=dtype)
    made.options.update(divergence=kind, temperature=2.0, softcap=10.0)
    problem = problem_of(made)
    heads = (vocabulary * 8, vocabulary * 6)
    with torch.no_grad(), Largest(heads) as largest:
        ChunkedLoss(problem, ALL, workspace).run()
    assert largest.elements <= workspace // 4 < tokens * vocabulary // 2


def test_chunks_are_balanced_and_fit():
    cpu = torch.device("cpu")
    row = 2 * 151_936 * 4
    sizes = chunk_sizes(1024, row, 4 * 151_936 * 4, 256 << 20, cpu)
    assert 200 <= sizes.chunk <= 224 and sizes.tile >= 4
    for rows in (1, 15, 16, 17, 1000, 4097):
        for budget in (1, 1 << 20, 64 << 20, 1 << 30):
            sizes = chunk_sizes(rows, row, row, budget, cpu)
            assert 1 <= sizes.tile <= sizes.chunk <= rows
            if sizes.chunk > 1:
                assert sizes.chunk * row + sizes.tile * row <= budget
            count = -(-rows // sizes.chunk)
            # No chunk is left with a small rest, which would waste its weight traffic.
            assert count * sizes.chunk - rows <= 16 * count


def test_groups_hold_every_seen_token_once():
    seen = torch.rand(200) > 0.3
    live = (torch.rand(3, 200) > 0.5) & seen
    groups = group_rows(seen, live, [True, False, True])
    rows = torch.cat([group.rows for group in groups]).sort().values
    assert torch.equal(rows, seen.nonzero()[:, 0])
    for group in groups:
        for k in (0, 2):
            assert bool((live[k, group.rows] == (k in group.dense)).all())
        assert (1 in group.listed) == bool(live[1, group.rows].any())


PEAK = """
import resource, sys, torch
from collegium.kernels import LiveTeacher, linear_distill_loss
torch.set_num_threads(1)
N, V, D = 1024, 16000, 16
hidden, weight = torch.randn(N, D, requires_grad=True), torch.randn(V, D, requires_grad=True)
teacher = LiveTeacher(torch.randn(N, D), torch.randn(V, D))
labels = torch.randint(0, V, (N,))
def call(n):
    linear_distill_loss(hidden[:n], weight, labels[:n],
        [LiveTeacher(teacher.hidden[:n], teacher.weight)], workspace_bytes=4 << 20).loss.backward()
call(64)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
call(N)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_peak_memory():
    """Where one logits tensor takes 64 MB, the process grows by less than 8 MB."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(done.stdout) * 1024 < 8 << 20


def test_a_gradient_as_large_as_the_head_is_not_copied(case):
    """Backward hands out the very tensor that forward filled."""
    made = case(8, 50, teachers=("live",), dtype=torch.float32)
    from collegium.kernels import linear_distill_loss

    weight = made.weight.requires_grad_()
    out = linear_distill_loss(made.student, weight, made.labels, made.teachers)
    node = out.loss.grad_fn.next_functions[0][0]
    held = {t.data_ptr() for t in node.saved_tensors if t.shape == weight.shape}
    del node
    out.loss.backward()
    assert weight.grad.data_ptr() in held

"""Two processes, parameters sharded (FSDP2): the loss inside the wrapped forward is the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.ci, pytest.mark.unpoisoned, pytest.mark.timeout(900)]

PROGRAM = '''
import os, sys
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from collegium.kernels import LiveTeacher, linear_distill_loss

V, D, N = 41, 8, 12


class Student(nn.Module):
    """Embedding, a layer and a head; the loss is computed where the parameters are whole."""

    def __init__(self, tied):
        super().__init__()
        self.embedding, self.body = nn.Embedding(V, D), nn.Linear(D, D)
        self.head = nn.Linear(D, V, bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, ids, labels, teacher_hidden, teacher_weight):
        hidden = torch.tanh(self.body(self.embedding(ids)))
        teachers = [LiveTeacher(teacher_hidden, teacher_weight)]
        return linear_distill_loss(
            hidden, self.head.weight, labels, teachers, normalizer=float(N), temperature=2.0
        ).loss


def whole(tensor):
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


rank, path = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
mesh = init_device_mesh("cpu", (2,))
for tied in (False, True):
    torch.manual_seed(0)
    plain, sharded = Student(tied), Student(tied)
    sharded.load_state_dict(plain.state_dict())
    ids, labels = torch.randint(0, V, (N,)), torch.randint(0, V, (N,))
    labels[1] = -100
    teacher_hidden, teacher_weight = torch.randn(N, 6), torch.randn(V, 6)
    fully_shard(sharded, mesh=mesh)
    assert isinstance(sharded.head.weight, DTensor)
    try:
        linear_distill_loss(torch.randn(N, D), sharded.head.weight, labels, [])
    except ValueError as error:
        assert "inside the sharded module's forward" in str(error)
    else:
        raise SystemExit("a DTensor was taken")
    mine = slice(rank * N // 2, (rank + 1) * N // 2)
    loss = sharded(ids[mine], labels[mine], teacher_hidden[mine], teacher_weight)
    loss.backward()
    total = loss.detach().clone()
    dist.all_reduce(total)
    expected = plain(ids, labels, teacher_hidden, teacher_weight)
    expected.backward()
    assert torch.allclose(total, expected, atol=1e-5), (total, expected)
    grads = dict(plain.named_parameters())
    for name, parameter in sharded.named_parameters():
        # Sharding averages over the ranks; the loss is a sum over them.
        found = 2 * whole(parameter.grad)
        assert torch.allclose(found, grads[name].grad, atol=1e-5), name
dist.destroy_process_group()
print("same")
'''


def test_fully_shard(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    store = str(tmp_path / "store")
    ranks = [
        subprocess.Popen(
            [*command, str(rank), store],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [rank.communicate(timeout=850) for rank in ranks]
    for rank, (out, err) in zip(ranks, outputs, strict=True):
        assert rank.returncode == 0, err[-2000:]
        assert out.strip() == "same"

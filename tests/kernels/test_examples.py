"""The examples for users' own loops do what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

ROOT = Path(__file__).parents[2]
V, DS, DT = 50, 16, 24


def example(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def heads():
    return nn.Linear(DS, V, bias=False), nn.Linear(DT, V, bias=False)


def batch():
    ids = torch.randint(0, V, (4, 8))
    labels = (ids * 3 + 1) % V
    labels[:, 0] = -100
    return ids, labels


def test_bare_loop(heads):
    student = nn.Embedding(V, DS)
    teacher = nn.Embedding(V, DT)
    losses = example("bare_loop").train(
        student, heads[0], teacher, heads[1], [batch()] * 25, lr=3e-2
    )
    assert losses[-1] < 0.7 * losses[0]
    assert teacher.weight.grad is None and heads[1].weight.grad is None


def test_frozen_head(heads):
    module = example("frozen_head")
    body = nn.Linear(DS, DS)
    student = nn.Sequential(nn.Embedding(V, DS).requires_grad_(False), module.LowRank(body))
    ids, labels = batch()
    cached = torch.randn(*ids.shape, DT)
    before = {k: v.clone() for k, v in student.state_dict().items()}
    head = heads[0].weight.clone()
    losses = module.train(student, *heads, [(ids, labels, cached)] * 25)
    assert losses[-1] < 0.9 * losses[0]
    assert heads[0].weight.grad is None and torch.equal(heads[0].weight, head)
    changed = {k for k, v in student.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"1.a", "1.b"}

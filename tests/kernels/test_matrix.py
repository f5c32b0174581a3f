"""The chunked implementation against the dense reference in float64, over a pairwise matrix."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch

FACTORS: dict[str, list[Any]] = {
    "divergence": [
        ("forward_kl", 0.5),
        ("reverse_kl", 0.5),
        ("jsd", 0.1),
        ("jsd", 0.5),
        ("jsd", 0.9),
    ],
    "temperature": [1.0, 2.0, 0.7],
    "teachers": [
        (),
        ("live",),
        ("capped",),
        ("masked",),
        ("logits",),
        ("token_mix",),
        ("live_half", "live_half"),
        ("token_mix", "logits", "token_mix"),
        ("both_columns",),
        ("student_columns", "live"),
        ("teacher_columns",),
        ("prefix_columns", "both_columns"),
        ("bucket",),
        ("zero",),
        ("renormalize",),
        ("sparse_bucket", "live"),
        ("sampled",),
        ("token_mix", "sampled", "bucket", "capped"),
    ],
    "softcap": [None, 3.0],
    "logit_scale": [1.0, 0.6],
    "bias": [None, "finite", "masked"],
    "labels": ["none", "some", "all"],
    "kd_weight": [0.0, 1.0, "random"],
    "ce_weight": [0.0, 0.5, "random"],
    "normalizer": [None, 3.5, "tensor"],
    "workspace": [None, 3_000],
    "logits": [False, True],
    "tokens": [1, 11],
    "vocabulary": [1, 2, 17, 37],
    "dtype": [torch.float64, torch.float32],
}


def possible(row: dict[str, Any]) -> bool:
    kind, teachers = row["divergence"][0], row["teachers"]
    if kind != "forward_kl" and "sampled" in teachers:
        return False
    if kind == "reverse_kl" and {"zero", "renormalize", "masked"} & set(teachers):
        return False
    # A student that cannot say what its teacher says has no finite forward KL.
    return not (row["bias"] == "masked" and kind == "forward_kl" and teachers)


def pairwise(factors: dict[str, list[Any]], seed: int) -> list[dict[str, Any]]:
    """Return rows that hold every possible pair of values of two factors (greedy cover)."""
    rng = random.Random(seed)
    names = list(factors)
    left = {
        (a, i, b, j)
        for a, b in itertools.combinations(names, 2)
        for i in range(len(factors[a]))
        for j in range(len(factors[b]))
    }
    rows: list[dict[str, Any]] = []
    failures = 0
    while left and failures < 300:
        best, best_new, ordered = None, set(), sorted(left)
        for _ in range(30):
            a, i, b, j = rng.choice(ordered)
            index = {n: rng.randrange(len(factors[n])) for n in names} | {a: i, b: j}
            row = {n: factors[n][index[n]] for n in names}
            if not possible(row):
                continue
            new = {
                pair
                for x, y in itertools.combinations(names, 2)
                if (pair := (x, index[x], y, index[y])) in left
            }
            if len(new) > len(best_new):
                best, best_new = row, new
        if best is None:
            failures += 1
            continue
        rows.append(best)
        left -= best_new
    return rows


def build(case, row: dict[str, Any]):
    torch.manual_seed(1)
    tokens, vocabulary, dtype = row["tokens"], row["vocabulary"], row["dtype"]
    kind, beta = row["divergence"]
    options = {
        "divergence": kind,
        "beta": beta,
        "temperature": row["temperature"],
        "softcap": row["softcap"],
        "logit_scale": row["logit_scale"],
    }
    if row["bias"] is not None:
        options["student_bias"] = bias = torch.randn(vocabulary, dtype=dtype)
        if row["bias"] == "masked":
            bias[2::5] = -torch.inf
            # tanh would turn a mask into a finite logit.
            options["softcap"] = None
    for name in ("kd_weight", "ce_weight"):
        options[name] = torch.rand(tokens, dtype=dtype) if row[name] == "random" else row[name]
    normalizer = row["normalizer"]
    options["normalizer"] = torch.tensor(2.5, dtype=dtype) if normalizer == "tensor" else normalizer
    made = case(
        tokens,
        vocabulary,
        teachers=row["teachers"],
        labels=row["labels"],
        logits=row["logits"],
        dtype=dtype,
        **options,
    )
    if row["bias"] == "masked":
        # No label on a masked id: its cross-entropy is infinite.
        made.labels[(made.labels >= 0) & (made.labels % 5 == 2)] = 0
    return made


def check(case, error, row: dict[str, Any]) -> None:
    made = build(case, row)
    found = made.run("torch", workspace_bytes=row["workspace"])
    eager = made.run("reference")
    exact = made.to(torch.float64).run("reference")
    assert set(found) == set(exact)
    tolerance = 1e-11 if row["dtype"] == torch.float64 else 3e-6
    for name, value in found.items():
        assert value.dtype == eager[name].dtype, name
        budget = error(eager[name], exact[name]) + tolerance
        assert error(value, exact[name]) <= budget, name
    assert torch.allclose(found["loss"], found["ce"] + found["kd"])


@pytest.mark.parametrize(
    "row", pairwise(FACTORS, seed=0), ids=lambda row: "-".join(row["teachers"])
)
def test_pairwise(case, error, row):
    check(case, error, row)


@pytest.mark.ci
@pytest.mark.parametrize("seed", range(1, 9))
def test_more_pairwise_covers(case, error, seed):
    for row in pairwise(FACTORS, seed=seed):
        check(case, error, row)


def test_the_cover_holds_every_possible_pair():
    rows = pairwise(FACTORS, seed=0)
    for a, b in itertools.combinations(FACTORS, 2):
        seen = {(str(row[a]), str(row[b])) for row in rows}
        for x, y in itertools.product(FACTORS[a], FACTORS[b]):
            if {a, b} & {"divergence", "teachers", "bias"}:
                continue
            assert (str(x), str(y)) in seen, (a, x, b, y)

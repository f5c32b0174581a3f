"""The row kernels through Triton's interpreter; `test_triton_interpreted` runs this file.

The interpreter is chosen when triton is imported, so these tests have a process of their own. It
sees neither races nor bfloat16 arithmetic (it computes that wrongly): those wait for a GPU.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from collegium.kernels import LiveTeacher, LogitsTeacher, TopKTeacher
from collegium.kernels.triton import configurations

# Divisions by zero and the like are part of the arithmetic; only numpy warns about them.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

KINDS = ["forward_kl", "reverse_kl", "jsd"]
SINGLE = torch.float32
EPS = torch.finfo(SINGLE).eps


def _load(name: str):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"kernels_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MATRIX = _load("test_matrix")
FACTORS = MATRIX.FACTORS | {"dtype": [SINGLE], "tokens": [1, 5]}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Make the vocabulary longer than a tile, and lists longer than theirs."""
    monkeypatch.setattr(configurations, "LARGEST_BLOCK", 32)
    monkeypatch.setattr(configurations, "SMALLEST_BLOCK", 4)
    monkeypatch.setattr(configurations, "LARGEST_LIST_BLOCK", 4)


def compare(made, error, tolerance: float = 3e-6, **options) -> None:
    """Hold every output and gradient against the dense loss in float64."""
    found = made.run("triton", **options)
    eager = made.run("reference")
    exact = made.to(torch.float64).run("reference")
    assert set(found) == set(exact)
    for name, value in found.items():
        assert value.dtype == eager[name].dtype, name
        assert error(value, exact[name]) <= error(eager[name], exact[name]) + tolerance, name


@pytest.mark.parametrize(
    "row", MATRIX.pairwise(FACTORS, seed=0), ids=lambda row: "-".join(row["teachers"])
)
def test_pairwise(case, error, row):
    compare(MATRIX.build(case, row), error, workspace_bytes=row["workspace"])


@pytest.mark.ci
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_more_pairwise_covers(case, error, seed):
    for row in MATRIX.pairwise(FACTORS, seed=seed):
        compare(MATRIX.build(case, row), error, workspace_bytes=row["workspace"])


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_and_tiles_do_not_change_the_result(case, error, monkeypatch, kind):
    teachers = ("live", "token_mix", "sparse_bucket")
    made = case(4, 53, teachers=teachers, dtype=SINGLE, divergence=kind, temperature=2.0)
    whole = made.run("triton")
    parts = [made.run("triton", workspace_bytes=1)]
    monkeypatch.setattr(configurations, "LARGEST_BLOCK", 256)
    parts.append(made.run("triton"))
    for part in parts:
        assert all(error(part[name], whole[name]) < 1e-6 for name in whole)


@pytest.mark.parametrize("kind", KINDS)
def test_many_teachers_are_folded(case, error, kind):
    """Seven dense teachers take three launches, the last one with two overlapping lists."""
    teachers = ("live", "capped", "token_mix", "logits", "live_half", "live", "live")
    teachers += ("bucket", "bucket")
    made = case(2, 41, teachers=teachers, labels="none", dtype=SINGLE, divergence=kind)
    made.options |= {"softcap": 4.0, "temperature": 1.5}
    compare(made, error)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tail", ["bucket", "zero", "renormalize"])
def test_overlapping_lists(case, error, kind, tail):
    if kind == "reverse_kl" and tail != "bucket":
        pytest.skip("refused: infinite")
    made = case(6, 23, teachers=(tail, tail, "live"), dtype=SINGLE, divergence=kind)
    first, second, _ = made.teachers
    ids = first.ids.clone()
    ids[:, 0] = second.ids[:, 0]
    ids[:, 1:] = torch.stack([torch.arange(20, 23)] * 6)
    ids[:, 1:][ids[:, 1:] == ids[:, :1]] = 19
    made.teachers[0] = replace(first, ids=ids)
    made.options |= {"temperature": 0.7, "softcap": 5.0, "logit_scale": 1.2}
    compare(made, error)
    made.teachers = made.teachers[:1]
    compare(made, error)


def test_repeated_samples(case, error):
    made = case(5, 19, teachers=("sampled", "bucket"), dtype=SINGLE, temperature=2.0)
    sampled, listed = made.teachers
    ids = sampled.ids.clone()
    ids[:, 1], ids[:, 2] = ids[:, 0], listed.ids[:, 0]
    made.teachers[0] = replace(sampled, ids=ids)
    compare(made, error)


def test_a_confident_student_keeps_the_digits_of_its_tail(case, error):
    """1 - sum(q) would have none left: the student's tail has a mass of about 1e-9."""
    made = case(4, 30, teachers=("bucket",), dtype=SINGLE, logits=True, labels="none")
    listed = made.teachers[0]
    made.student.scatter_(1, listed.ids, made.student.gather(1, listed.ids) + 22.0)
    made.teachers = [replace(listed, logprobs=listed.logprobs - 1.0)]
    compare(made, error)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("teacher", ["live", "bucket"])
def test_identical_teachers_are_one(case, error, kind, teacher):
    made = case(6, teachers=(teacher,), dtype=SINGLE, divergence=kind)
    shared = replace(made.teachers[0], mix=0.25)
    one = replace(made, teachers=[replace(shared, mix=0.75)]).run("triton")
    three = replace(made, teachers=[shared] * 3).run("triton")
    for name in ("loss", "ce", "kd", "per_token", "d_student", "d_weight", "student_entropy"):
        assert error(three[name], one[name]) < 1e-6, name
    for name in ("per_teacher", "top1_agreement", "covered_mass"):
        assert error(three[name], one[name].expand(3)) < 1e-6, name


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_added_to_the_logits_changes_nothing(case, error, kind):
    made = case(6, teachers=("logits",), logits=True, dtype=SINGLE, divergence=kind)
    # Multiples of a power of two, so that adding loses no digits of the inputs themselves.
    made.student = (made.student * 64).round() / 64
    teacher = LogitsTeacher((made.teachers[0].logits * 64).round() / 64)
    moved = replace(made, student=made.student + 512.0)
    made.teachers, moved.teachers = [teacher], [LogitsTeacher(teacher.logits - 2048.0)]
    before, after = made.run("triton"), moved.run("triton")
    assert all(error(after[name], before[name]) < 1e-6 for name in before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_a_student_like_its_teacher_learns_nothing_from_it(case, kind, temperature):
    made = case(5, 301, 16, teachers=(), dtype=SINGLE, sharpness=2.0, ce_weight=0.0)
    made.options |= {"divergence": kind, "temperature": temperature}
    made.teachers = [LiveTeacher(made.student, made.weight)]
    out = made.run("triton")
    assert out["kd"].abs() < 30 * EPS
    assert out["d_student"].abs().max() < 30 * EPS * temperature
    assert out["d_weight"].abs().max() < 30 * EPS * temperature
    assert out["top1_agreement"].item() == 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("magnitude", [1e2, 1e4])
def test_extreme_logits_stay_finite_and_right(case, error, kind, magnitude):
    made = case(5, 33, teachers=("logits", "bucket"), logits=True, divergence=kind)
    made.student *= magnitude
    made.teachers[0] = LogitsTeacher(made.teachers[0].logits * magnitude)
    made = made.to(SINGLE)
    assert all(value.isfinite().all() for value in made.run("triton").values())
    # Log-ratios of hundreds: float32 is spaced by 3e-5 there.
    compare(made, error, tolerance=3e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_impossible_ids_on_both_sides(case, error, kind):
    made = case(5, 70, teachers=("masked",), logits=True, dtype=SINGLE, divergence=kind)
    made.options["temperature"] = 2.0
    made.student[:, 1::4] = -torch.inf
    made.student[:, 32:64] = -torch.inf
    made.teachers[0].logits[:, 32:64] = -torch.inf
    made.labels[made.labels >= 0] = 0
    compare(made, error)


def test_a_student_that_cannot_say_what_its_teacher_says(case):
    made = case(3, 40, teachers=("logits",), logits=True, dtype=SINGLE, labels="none")
    made.student[:, 3] = -torch.inf
    made.labels[:] = 0
    out = made.run("triton", divergence="forward_kl")
    assert out["per_teacher"].item() == torch.inf
    assert made.run("triton", divergence="jsd")["per_teacher"].isfinite()


def test_nothing_to_do(case):
    for tokens, labels in [(0, "none"), (4, "all")]:
        teachers = ("live", "token_mix", "bucket", "logits")
        out = case(tokens, teachers=teachers, labels=labels, dtype=SINGLE).run("triton")
        for name in ("loss", "ce", "kd", "student_entropy"):
            assert out[name].item() == 0.0
        assert out["per_token"].shape == (tokens,)
        assert out["per_teacher"].tolist() == [0.0] * 4
        assert not out["d_student"].any() and not out["d_weight"].any()


def test_what_is_left_out_may_be_anything(case):
    """Ignored tokens and mix 0 hide NaN, infinities and ids out of range."""
    made = case(6, teachers=("live", "bucket", "sampled"), labels="none", dtype=SINGLE)
    out = made.with_rubbish().run("triton")
    for name, value in out.items():
        if name != "top1_agreement":
            assert value.isfinite().all(), name
    assert not out["d_student"][0].any()


def test_nan_is_not_hidden(case):
    made = case(3, 40, teachers=("live", "bucket"), labels="none", dtype=SINGLE, logits=True)
    made.student[1, 5] = torch.nan
    out = made.run("triton")
    assert out["loss"].isnan() and out["d_student"][1].isnan().any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, SINGLE])
def test_given_logits_are_read_where_they_lie(case, error, monkeypatch, kind, dtype):
    """Rows picked out of [N, V], some of them strided, without a copy."""
    made = case(7, 45, teachers=("logits", "token_mix"), logits=True, divergence=kind)
    wide = torch.randn(7, 90)[:, :45]
    made = made.to(dtype)
    made.teachers[0] = replace(made.teachers[0], logits=wide.to(dtype))
    made.teachers[0] = replace(made.teachers[0], logits=torch.randn(7, 90).to(dtype)[:, 5:50])
    compare(made, error, tolerance=3e-6 if dtype == SINGLE else 1e-3)
    made.teachers[0] = replace(made.teachers[0], logits=torch.randn(45, 7).to(dtype).T)
    compare(made, error, tolerance=3e-6 if dtype == SINGLE else 1e-3)


def test_half_precision_operands(case, error):
    made = case(6, 61, teachers=("live", "bucket"), divergence="jsd").to(torch.float16)
    compare(made, error, tolerance=1e-3)


def test_wanted_gradients_only(case):
    made = case(5, 40, teachers=("live", "bucket"), dtype=SINGLE, student_bias=torch.randn(40))
    full = made.run("triton")
    from collegium.kernels import distill_loss, linear_distill_loss

    options = made.options | {"implementation": "triton"}
    with torch.no_grad():
        out = linear_distill_loss(made.student, made.weight, made.labels, made.teachers, **options)
    assert torch.equal(out.per_token, full["per_token"])
    bias = options.pop("student_bias").requires_grad_()
    out = linear_distill_loss(
        made.student, made.weight, made.labels, made.teachers, student_bias=bias, **options
    )
    (out.loss * 1.7).backward()
    assert torch.allclose(bias.grad, full["d_bias"], atol=1e-6)
    logits = made.student @ made.weight.T
    bias.grad = None
    out = distill_loss(logits, made.labels, made.teachers, student_bias=bias, **options)
    (out.loss * 1.7).backward()
    assert torch.allclose(bias.grad, full["d_bias"], atol=1e-6)


def test_a_bias_alone_learns_from_given_logits(case):
    """The logits have no gradient to write dz into, and the chunk is not the first one."""
    from collegium.kernels import distill_loss

    made = case(6, 40, teachers=("logits",), logits=True, dtype=SINGLE)
    made.labels[:2] = -100
    bias = torch.randn(40, requires_grad=True)
    out = distill_loss(
        made.student,
        made.labels,
        made.teachers,
        student_bias=bias,
        implementation="triton",
        workspace_bytes=1,
    )
    out.loss.backward()
    exact = bias.detach().clone().requires_grad_()
    whole = distill_loss(
        made.student, made.labels, made.teachers, student_bias=exact, implementation="reference"
    )
    whole.loss.backward()
    assert torch.allclose(bias.grad, exact.grad, atol=1e-6)


def test_a_step_under_a_list_of_the_whole_vocabulary(case, error):
    made = case(4, 23, teachers=("live",), labels="none", dtype=SINGLE, temperature=2.0)
    logits = made.teachers[0].hidden @ made.teachers[0].weight.T
    order = torch.argsort(torch.randn(4, 23), dim=-1)
    listed = TopKTeacher(order, torch.log_softmax(logits, -1).gather(1, order))
    for kind in KINDS:
        dense = made.run("triton", divergence=kind)
        full = replace(made, teachers=[listed]).run("triton", divergence=kind)
        assert all(error(full[name], dense[name]) < 3e-6 for name in dense)


@pytest.mark.parametrize("name", ["Liger fused JSD", "Liger dense-target KL", "Liger chunked JSD"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_benchmark_gives_rivals_the_same_job(name, kind):
    """Rivals that run on a GPU only, in the interpreter: their gradients are the exact ones."""
    from collegium.kernels.bench import gate, inputs, libraries, rivals
    from collegium.kernels.bench.cases import Case

    rival = libraries.LIBRARIES[name]
    pytest.importorskip(rival.library)
    job = Case(64, 512, 64, 96, "float32", kind, logit_std=3.0, difference=1.3, temperature=2.0)
    given = inputs.build(replace(job, masked=0.25), "cpu")
    try:
        step = rival.prepare(replace(job, masked=0.25), given)
    except rivals.Unsupported as why:
        pytest.skip(str(why))
    given.forget_gradients()
    step()
    found = gate.errors(replace(job, masked=0.25), given, ce_only=False)
    assert max(found.values()) < 1e-5

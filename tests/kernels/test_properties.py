"""What must hold whatever the numbers are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from collegium.kernels import LiveTeacher, LogitsTeacher, TopKTeacher, linear_distill_loss

KINDS = ["forward_kl", "reverse_kl", "jsd"]
IMPLEMENTATIONS = ["torch", "reference"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workspace", [1, 2_000, 20_000])
def test_chunks_do_not_change_the_result(case, error, kind, workspace):
    teachers = ("live", "token_mix", "both_columns", "sparse_bucket")
    made = case(41, 53, teachers=teachers, divergence=kind, temperature=2.0, softcap=5.0)
    whole = made.run("torch")
    parts = made.run("torch", workspace_bytes=workspace)
    assert all(error(parts[name], whole[name]) < 1e-12 for name in whole)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("teacher", ["live", "bucket", "both_columns"])
def test_identical_teachers_are_one(case, error, implementation, kind, teacher):
    made = case(teachers=(teacher,), divergence=kind)
    shared = replace(made.teachers[0], mix=0.25)
    one = replace(made, teachers=[replace(shared, mix=0.75)]).run(implementation)
    three = replace(made, teachers=[shared] * 3).run(implementation)
    for name in ("loss", "ce", "kd", "per_token", "d_student", "d_weight", "student_entropy"):
        assert error(three[name], one[name]) < 1e-12, name
    for name in ("per_teacher", "top1_agreement", "covered_mass"):
        assert error(three[name], one[name].expand(3)) < 1e-12, name


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_teachers_on_different_tokens_are_routed(case, error, implementation, kind):
    made = case(12, teachers=("live", "capped", "logits"), divergence=kind, normalizer=1.0)
    choice = torch.arange(12) % 3
    routed = [
        replace(teacher, mix=(choice == k).double()) for k, teacher in enumerate(made.teachers)
    ]
    together = replace(made, teachers=routed).run(implementation)
    kd, d_weight = torch.zeros(()), torch.zeros(())
    for k, teacher in enumerate(made.teachers):
        labels = made.labels.masked_fill(choice != k, -100)
        alone = replace(made, labels=labels, teachers=[replace(teacher, mix=1.0)])
        alone = alone.run(implementation)
        assert error(together["per_teacher"][k], alone["per_teacher"][0]) < 1e-12
        kd, d_weight = kd + alone["kd"], d_weight + alone["d_weight"]
    assert error(together["kd"], kd) < 1e-12
    assert error(together["d_weight"], d_weight) < 1e-12


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_added_to_the_logits_changes_nothing(case, error, implementation, kind):
    made = case(teachers=("logits",), logits=True, divergence=kind, temperature=0.7)
    teacher = made.teachers[0]
    moved = replace(
        made,
        student=made.student + torch.randn(len(made.labels), 1).double() * 50,
        teachers=[replace(teacher, logits=teacher.logits - 200.0)],
    )
    before, after = made.run(implementation), moved.run(implementation)
    assert all(error(after[name], before[name]) < 1e-11 for name in before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_student_like_its_teacher_learns_nothing_from_it(case, kind, temperature, dtype):
    made = case(19, 301, 16, teachers=(), dtype=dtype, sharpness=2.0)
    made = replace(
        made,
        teachers=[LiveTeacher(made.student, made.weight)],
        options={"divergence": kind, "temperature": temperature, "ce_weight": 0.0},
    )
    out = made.run("torch")
    eps = torch.finfo(dtype).eps
    assert out["kd"].abs() < 30 * eps
    assert out["d_student"].abs().max() < 30 * eps * temperature
    assert out["d_weight"].abs().max() < 30 * eps * temperature
    assert out["top1_agreement"].item() == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_divergences_are_not_negative(case, kind):
    for teachers in [("live",), ("bucket",), ("both_columns",), ("student_columns",)]:
        out = case(50, 80, teachers=teachers, divergence=kind, temperature=1.5).run("torch")
        assert out["per_teacher"].min() >= 0
        assert out["per_token"].min() >= 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("magnitude", [1e2, 1e4])
def test_extreme_logits_stay_finite_and_right(case, error, kind, magnitude):
    made = case(9, 33, teachers=("logits", "bucket"), logits=True, divergence=kind)
    made.student *= magnitude
    made.teachers[0] = LogitsTeacher(made.teachers[0].logits * magnitude)
    exact = made.run("reference")
    single = made.to(torch.float32).run("torch")
    for name, value in single.items():
        assert value.isfinite().all(), name
        assert error(value, exact[name]) < 1e-5, name


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_gradient_of_the_kd_part_sums_to_zero(case, implementation):
    for kind in KINDS:
        made = case(logits=True, teachers=("live", "bucket"), divergence=kind, ce_weight=0.0)
        assert made.run(implementation)["d_student"].sum(-1).abs().max() < 1e-14


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_permuting_the_vocabulary_changes_nothing(case, error, implementation):
    made = case(teachers=("live", "bucket"), labels="none", divergence="jsd", beta=0.3)
    order = torch.randperm(37)
    new_id = torch.argsort(order)
    live, listed = made.teachers
    moved = replace(
        made,
        weight=made.weight[order],
        labels=new_id[made.labels],
        teachers=[
            replace(live, weight=live.weight[order]),
            replace(listed, ids=new_id[listed.ids]),
        ],
    )
    before, after = made.run(implementation), moved.run(implementation)
    after["d_weight"] = after["d_weight"][new_id]
    assert all(error(after[name], before[name]) < 1e-12 for name in before)


def test_hinton_factor_keeps_the_gradient_of_small_logits(case, error):
    """With logits much smaller than T the gradient is (z - v) / V, whatever T is."""
    made = case(8, 20, teachers=("logits",), labels="none", logits=True, ce_weight=0.0)
    made.student *= 1e-3
    made.teachers[0] = LogitsTeacher(made.teachers[0].logits * 1e-3, mix=1.0)
    gradients = [
        made.run("torch", temperature=temperature, normalizer=1.0)["d_student"] / 1.7
        for temperature in (10.0, 40.0)
    ]
    difference = made.student - made.teachers[0].logits
    expected = (difference - difference.mean(-1, keepdim=True)) / 20
    for gradient in gradients:
        assert error(gradient * 1e3, expected * 1e3) < 1e-3


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_nothing_to_do(case, implementation):
    for tokens, labels in [(0, "none"), (7, "all")]:
        teachers = ("live", "token_mix", "bucket", "both_columns", "logits")
        out = case(tokens, teachers=teachers, labels=labels).run(implementation)
        for name in ("loss", "ce", "kd", "student_entropy"):
            assert out[name].item() == 0.0
        assert out["per_token"].shape == (tokens,)
        assert not out["per_token"].any()
        assert out["per_teacher"].tolist() == [0.0] * 5
        assert out["d_student"].shape == (tokens, 8)
        assert not out["d_student"].any() and not out["d_weight"].any()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_what_is_left_out_may_be_anything(case, implementation):
    """Ignored tokens and mix 0 hide NaN, infinities and ids out of range."""
    made = case(9, teachers=("live", "bucket", "sampled"), labels="none")
    out = made.with_rubbish().run(implementation)
    for name, value in out.items():
        if name != "top1_agreement":
            assert value.isfinite().all(), name
    assert not out["d_student"][0].any()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_weights_scale_their_part(case, error, implementation):
    made = case(teachers=("live",), labels="none", normalizer=1.0)
    ce_weight, kd_weight = torch.rand(11).double(), torch.rand(11).double()
    out = made.run(implementation, ce_weight=ce_weight, kd_weight=kd_weight)
    ce = made.run(implementation, ce_weight=1.0, kd_weight=0.0)["per_token"]
    kd = made.run(implementation, ce_weight=0.0, kd_weight=1.0)["per_token"]
    assert error(out["per_token"], ce_weight * ce + kd_weight * kd) < 1e-12
    assert error(out["ce"], (ce_weight * ce).sum()) < 1e-12
    assert error(out["loss"], out["per_token"].sum()) < 1e-12


def test_a_full_list_is_the_full_distribution(case, error):
    made = case(teachers=("live",), labels="none", temperature=2.0)
    logits = made.teachers[0].hidden @ made.teachers[0].weight.T
    order = torch.argsort(torch.randn(11, 37), dim=-1)
    listed = TopKTeacher(order, torch.log_softmax(logits, -1).gather(1, order))
    for kind in KINDS:
        dense = made.run("torch", divergence=kind)
        full = replace(made, teachers=[listed]).run("torch", divergence=kind)
        assert all(error(full[name], dense[name]) < 1e-11 for name in dense)


def test_the_bucket_is_a_lower_bound_that_grows_with_the_list(case):
    made = case(teachers=("live",), labels="none")
    logprobs = torch.log_softmax(made.teachers[0].hidden @ made.teachers[0].weight.T, -1)
    for kind in KINDS:
        values = []
        for k in (1, 4, 16, 37):
            best = logprobs.topk(k, -1)
            listed = [TopKTeacher(best.indices, best.values)]
            values.append(replace(made, teachers=listed).run("torch", divergence=kind)["kd"])
        dense = made.run("torch", divergence=kind)["kd"]
        assert values == sorted(values)
        assert torch.allclose(values[-1], dense)


def test_samples_are_unbiased(case, error):
    made = case(3, 10, teachers=("live",), labels="none", ce_weight=0.0)
    teacher = made.teachers[0]
    p = torch.softmax(teacher.hidden @ teacher.weight.T, -1)
    every = torch.arange(10).expand(3, 10)
    exact = made.run("torch")
    made.teachers = [case(3, 10, teachers=("sampled",)).teachers[0]]
    made.teachers = [replace(made.teachers[0], ids=every, weights=p, mix=1.0)]
    sampled = made.run("torch")
    entropy = -(p * p.log()).sum(-1).mean()
    assert error(sampled["kd"], exact["kd"] + entropy) < 1e-12
    assert error(sampled["d_weight"], exact["d_weight"]) < 1e-12


def test_shared_prefix_equals_the_cut_head(case, error):
    made = case(teachers=("prefix_columns",))
    teacher = made.teachers[0]
    cut = replace(teacher, weight=teacher.weight[:37], columns=None)
    whole, other = made.run("torch"), replace(made, teachers=[cut]).run("torch")
    for name in ("loss", "d_student", "d_weight"):
        assert error(whole[name], other[name]) < 1e-12


@pytest.mark.parametrize("kind", ["jsd", "reverse_kl"])
def test_a_student_may_rule_out_all_that_its_teacher_does_not_know(case, error, kind):
    """All unmatched ids at -inf: the bucket exists and is empty on the student's side."""
    made = case(teachers=("both_columns",), divergence=kind, temperature=2.0)
    bias = torch.zeros(37, dtype=torch.float64)
    bias[made.teachers[0].columns < 0] = -torch.inf
    made.labels[made.labels >= 0] = int(made.teachers[0].columns.argmax())
    expected = made.run("reference", student_bias=bias)
    found = made.run("torch", student_bias=bias)
    for name, value in found.items():
        assert value.isfinite().all(), name
        assert error(value, expected[name]) < 1e-12, name


def test_numbers_worked_out_by_hand():
    """V = 2, student (1/2, 1/2), teacher (3/4, 1/4)."""
    hidden, weight = torch.zeros(1, 1), torch.zeros(2, 1)
    teacher = LogitsTeacher(torch.tensor([[3.0, 1.0]]).log())
    log = torch.log
    p, q = torch.tensor([0.75, 0.25]), torch.tensor([0.5, 0.5])
    m = 0.5 * (p + q)
    expected = {
        "forward_kl": (p * log(p / q)).sum(),
        "reverse_kl": (q * log(q / p)).sum(),
        "jsd": 0.5 * (p * log(p / m)).sum() + 0.5 * (q * log(q / m)).sum(),
    }
    for kind, value in expected.items():
        for implementation in IMPLEMENTATIONS:
            out = linear_distill_loss(
                hidden,
                weight,
                torch.tensor([0]),
                [teacher],
                divergence=kind,
                implementation=implementation,
            )
            assert torch.allclose(out.kd, value, atol=1e-6)
            assert torch.allclose(out.ce, log(torch.tensor(2.0)))
            assert torch.allclose(out.student_entropy, log(torch.tensor(2.0)))

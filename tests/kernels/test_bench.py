"""The benchmark of the wheel: it measures, compares first, and says what is absent."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import pytest
import torch

from collegium.kernels.bench import bars, cases, gate, inputs, measure, rivals, runner, table

pytestmark = pytest.mark.unpoisoned


@pytest.mark.parametrize("name", cases.TINY_CASES)
def test_ours_passes_the_gate(name):
    found = measure.measure(name, "ours", "both", "cpu", 0.1)
    assert found["status"] == "measured", found
    assert found["error_dx"] < 2e-5 and found["ms"][0] > 0


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jsd"])
def test_the_formula_of_the_rivals_is_the_same_job(kind):
    """Where logits are not rounded, the eager rivals have our gradient."""
    case = cases.replace(cases.TINY_CASES["tiny-jsd"], divergence=kind, ce_weight=0.3)
    for prepare in (rivals.eager, rivals.call_by_call):
        given = inputs.build(case, "cpu")
        prepare(case, given)()
        assert max(gate.errors(case, given, ce_only=False).values()) < 1e-5, prepare.__name__


@pytest.mark.ci
def test_so_is_the_checkpointed_one():
    case = cases.TINY_CASES["tiny-jsd"]
    given = inputs.build(case, "cpu")
    rivals.checkpointed(case, given)()
    assert max(gate.errors(case, given, ce_only=False).values()) < 1e-5


def test_a_wrong_gradient_gets_no_time(monkeypatch):
    def wrong(case, given):
        right = rivals.eager(case, given)

        def step():
            right()
            given.weight.grad.mul_(2.0)

        return step

    entry = rivals.Implementation(wrong, "twice the gradient")
    monkeypatch.setitem(measure.IMPLEMENTATIONS, "eager", entry)
    found = measure.measure("tiny", "eager", "both", "cpu", 0.1)
    assert found["status"] == "wrong" and "ms" not in found
    assert found["error_dw"] == pytest.approx(1.0, abs=1e-3)


def test_what_cannot_be_measured_says_why():
    assert measure.measure("tiny-top-k", "eager", "both", "cpu", 0.1) == {
        "status": "unsupported",
        "why": "written for live teachers",
    }
    assert measure.measure("tiny", "torch.compile", "both", "cpu", 0.1)["status"] == "unsupported"


def test_inputs_are_like_real_ones():
    case = cases.Case(400, 3000, 96, 160, dtype="float32", logit_std=10.0, difference=0.7)
    given = inputs.build(case, "cpu")
    z = given.hidden.detach() @ given.weight.detach().T
    v = given.teacher_hidden[0] @ given.teacher_weight[0].T
    assert float(z.std()) == pytest.approx(10.0, rel=0.1)
    assert float(v.std()) == pytest.approx(10.0, rel=0.1)
    assert float((z - v).std()) == pytest.approx(0.7, rel=0.15)
    again = inputs.build(case, "cpu")
    assert torch.equal(given.hidden, again.hidden) and torch.equal(given.labels, again.labels)


def test_floor_counts_what_the_case_needs():
    case = cases.Case(8, 10, 3, 5, teachers=2)
    assert case.products == 2 * 8 * 10 * (3 * 3 + 2 * 5)
    frozen = cases.replace(case, frozen_head=True, masked=0.5, top_k=2)
    assert frozen.products == 2 * 4 * 10 * (2 * 3)
    assert case.row_traffic == 8 * 10 * (2 * 4 * 3 + 2)


def entry(ms, extra=100.0, error=1e-6):
    return {
        "status": "measured", "ms": ms, "ms_range": [ms, ms],
        "cpu_ms": ms, "cpu_ms_range": [ms, ms],
        "extra_mb": extra, "error_dx": error, "error_dw": error,
    }  # fmt: skip


def test_bars_and_tables():
    absent = {"status": "absent", "why": "trl is not installed"}
    measured = {
        "cpu": {
            "job": {**vars(cases.CASES["cpu"])},
            "results": {
                "ours": entry(900.0, 300.0),
                "eager": entry(1000.0, 9000.0, 2e-6),
                "TRL GKD": absent,
            },
        }
    }  # fmt: skip
    rows = {row["bar"]: row for row in bars.bars("cpu", measured)}
    assert rows["N = 2048: time / eager"]["value"] == pytest.approx(0.9)
    assert rows["N = 2048: time / eager"]["reached"] is True
    assert rows["N = 2048: extra MB beyond workspace"]["value"] == pytest.approx(44.0)
    assert rows["N = 2048: time / lean eager"]["reached"] is None
    text = table.markdown({"cases": measured, "bars": list(rows.values())})
    assert "| eager | 1.00 | 1.00 to 1.00 | 1.11 | 9000 | 2.0e-06 | 2.0e-06 |" in text
    assert "- absent: trl is not installed: TRL GKD" in text
    assert "| N = 2048: time / lean eager |  | 1.05 | not measured |" in text
    assert {row["reached"] for row in bars.bars("cuda", {})} == {None}


def test_failed_processes_do_not_count():
    runs = [{"status": "measured", "ms": [1.0]}, {"status": "failed", "why": "exit 1"}]
    assert measure.merge(runs) == {"status": "failed", "why": "exit 1"}
    runs = [{"status": "measured", "ms": [t], "extra_mb": t} for t in (3.0, 1.0, 2.0)]
    merged = measure.merge([{"status": "measured", "error_dx": 0.1}, *runs])
    assert merged["ms"] == 2.0 and merged["ms_range"] == [1.0, 3.0]
    assert merged["error_dx"] == 0.1 and merged["extra_mb"] == 2.0


@pytest.mark.ci
def test_command_line(tmp_path):
    out = tmp_path / "result.json"
    command = [sys.executable, "-m", "collegium.kernels.bench", "--cases", "tiny", "--rounds", "2"]
    command += ["--implementations", "ours", "eager", "--device", "cpu", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(out.read_text())
    assert result["environment"]["versions"]["torch"] == torch.__version__
    for name in ("ours", "eager"):
        found = result["cases"]["tiny"]["results"][name]
        assert found["status"] == "measured" and found["ms_runs"] == 2


def test_a_run_that_has_no_time_left_says_so(capsys):
    parser = argparse.ArgumentParser()
    runner.add_arguments(parser)
    args = parser.parse_args(
        ["--device", "cpu", "--cases", "tiny", "--implementations", "ours", "--budget", "1e-9"]
    )
    result = runner.run(args)
    assert result["cases"]["tiny"]["results"] == {}
    assert result["not_run"][0] == "tiny: ours (both)"
    assert json.dumps(result)

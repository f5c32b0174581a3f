"""Killed anywhere and started again, a run goes on and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

RUN = [
    sys.executable, "-c", "from collegium.cli.main import entry; entry()",
    "train", "tinyllm",
    "-o", "task.options={train: 64, validation: 16, test: 8}",
    "-o", "student.config={model_type: llama, hidden_size: 32, intermediate_size: 64, "
    "num_hidden_layers: 2, num_attention_heads: 2, attention_dropout: 0.2}",
    "-o", "train.max_steps=60",
    "-o", "train.batch_size=8",
    "-o", "train.evaluate_every=10",
    "--json",
]  # fmt: skip


def start(cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        RUN,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )


def finish(cwd: Path) -> tuple[dict, bytes, str]:
    process = start(cwd)
    out, err = process.communicate()
    assert process.returncode == 0, err[-3000:]
    [stage] = [s for s in json.loads(out)["stages"] if s["stage"] == "train"]
    folder = cwd / stage["path"]
    weights = (folder / "student" / "model.safetensors").read_bytes()
    return stage["summary"], weights, (folder / "log.json").read_text()


def test_killed_in_training(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    expected, weights, log = finish(whole)
    assert expected["resumed_from"] is None

    process = start(killed)
    deadline = time.monotonic() + 120
    while not list(killed.glob("runs/tinyllm/stages/.work/train-*/checkpoints/checkpoint-2*")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list(killed.glob("runs/tinyllm/stages/train-*"))

    summary, resumed_weights, resumed_log = finish(killed)
    assert summary["resumed_from"] is not None
    assert summary["loss"] == expected["loss"]
    assert resumed_weights == weights
    assert resumed_log == log

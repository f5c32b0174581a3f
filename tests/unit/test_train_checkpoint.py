"""Checkpoints: complete or not there; a full disk leaves the earlier ones."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from collegium.errors import RunError
from collegium.objectives.sequences import EncodedSequence
from collegium.train.checkpoint import (
    find_last_checkpoint,
    is_complete,
    load_weights,
    remove_partial,
    rotate,
    save_student,
    seal,
    writing,
)
from collegium.train.config import DistillArguments
from collegium.train.trainer import DistillTrainer


def fake(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"x" * 100)
    seal(path)
    return path


def model(hidden: int = 16, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(
        LlamaConfig(
            vocab_size=40, hidden_size=hidden, intermediate_size=24, num_hidden_layers=1,
            num_attention_heads=2, tie_word_embeddings=False,
        )
    )  # fmt: skip


def test_the_last_complete_checkpoint_is_found(tmp_path: Path) -> None:
    assert find_last_checkpoint(tmp_path / "none") is None
    for step in (5, 10, 20, 100):
        fake(tmp_path, step)
    (tmp_path / "checkpoint-100" / "model.safetensors").write_bytes(b"x" * 40)  # cut off
    (tmp_path / "checkpoint-20" / "complete.json").write_text("{")
    (tmp_path / "checkpoint-200").mkdir()
    assert find_last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert not is_complete(tmp_path / "checkpoint-100")


def test_rotation_keeps_the_best_and_the_last(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4, 5):
        fake(tmp_path, step)
    rotate(tmp_path, 2, tmp_path / "checkpoint-2")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-5"]
    fake(tmp_path, 6)
    rotate(tmp_path, 1, tmp_path / "checkpoint-2")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-6"]
    fake(tmp_path, 7)
    rotate(tmp_path, None, None)
    assert len(list(tmp_path.iterdir())) == 3


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    fake(tmp_path, 1)
    (tmp_path / ".checkpoint-2.partial").mkdir()
    (tmp_path / ".other").mkdir()
    remove_partial(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other", "checkpoint-1"]


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    save_student(model(), None, tmp_path / "a")
    other = model(seed=1)
    load_weights(other, tmp_path / "a")
    pairs = zip(model().parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    with pytest.raises((RunError, RuntimeError)):
        load_weights(model(hidden=32), tmp_path / "a")


def test_only_a_full_disk_is_reported_as_one(tmp_path: Path) -> None:
    message = "the disk is full: .*/x .*could not be written"
    with pytest.raises(RunError, match=message), writing(tmp_path / "x") as partial:
        (partial / "file").touch()
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(ValueError, match="other"), writing(tmp_path / "x"):
        raise ValueError("other")
    with pytest.raises(RuntimeError, match="iostream"), writing(tmp_path / "x"):
        raise RuntimeError("basic_ios::clear: iostream error")  # there is room here
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small tmpfs cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_leaves_the_earlier_checkpoint(small_disk: Path) -> None:
    """The first checkpoint fits, the second does not."""
    rows = [
        EncodedSequence(f"q{i}", "label", [3 + i, 4, 5], [1, 2], [5, 2], [1.0, 1.0])
        for i in range(4)
    ]
    args = DistillArguments(
        output_dir=str(small_disk), use_cpu=True, max_steps=4, batch_size=2, save_steps=1,
        save_strategy="steps",
    )  # fmt: skip
    trainer = DistillTrainer(model(hidden=32), args, rows)
    with pytest.raises(RunError, match=r"the disk is full.*intact: make room and run again"):
        trainer.train()
    last = find_last_checkpoint(small_disk)
    assert last is not None
    assert json.loads((last / "trainer_state.json").read_text())["global_step"] >= 1
    assert not list(small_disk.glob(".*"))
    load_weights(model(hidden=32), last)

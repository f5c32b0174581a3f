"""A training killed with SIGKILL and started again ends as the one that was left alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

# Dropout, an epoch boundary off the save interval, log entries across checkpoints, selection and
# early stopping by validation loss, two teachers, accumulation.
SCRIPT = """
import json, random, time, warnings
import torch
from transformers import AutoConfig, AutoModelForCausalLM, TrainerCallback
from collegium.objectives.sequences import EncodedSequence
from collegium.train.config import DistillArguments
from collegium.train.trainer import DistillTrainer

warnings.simplefilter("ignore")
torch.set_num_threads(1)

def model(seed):
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(
        "gpt_neox", vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, hidden_dropout=0.3, attention_dropout=0.2, initializer_range=0.2,
        bos_token_id=1, eos_token_id=2, pad_token_id=0))

def data(first, count):
    rows = []
    for q in range(first, first + count):
        r = random.Random(q)
        for name, n in (("label", 2), ("rationale:a", 5)):
            prompt = [r.randrange(3, 40) for _ in range(r.randint(3, 6))]
            target = [(prompt[0] + i) % 40 for i in range(n)]
            edges = list(range(len(prompt) - 1, len(prompt) - 1 + n))
            ids = prompt + target[:-1]
            rows.append(EncodedSequence(f"q{q}", name, ids, edges, target, [1.0] * n))
    return rows

class Slow(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        with open(folder + "/steps", "a") as file:
            print(state.global_step, file=file, flush=True)
        time.sleep(pause)

args = DistillArguments(
    output_dir=folder, use_cpu=True, seed=5, max_steps=40, batch_size=4,
    objectives={"label": {"weight": 1, "distill": 0.5}, "rationale:a": 2}, learning_rate=2e-2,
    gradient_accumulation_steps=2, lr_scheduler_type="cosine", warmup_steps=4, logging_steps=6,
    eval_strategy="steps", eval_steps=8, save_strategy="steps", save_steps=5, selection="loss",
    patience=20)
t = DistillTrainer(model(0), args, data(0, 13), data(100, 5), {"one": model(1), "two": model(2)},
                   callbacks=[Slow()])
out = t.train(resume_from_checkpoint=True)
t.save_model(folder + "/final")
state = t.state
json.dump({"history": [e for e in state.log_history if "train_runtime" not in e],
           "loss": out.training_loss, "best": [state.best_global_step, state.best_metric],
           "tokens": state.num_input_tokens_seen}, open(folder + "/result.json", "w"))
"""


class Runs:
    """Starts the script in processes forked from a server that has imported everything once."""

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["collegium.train.trainer"])

    def start(self, folder: Path, pause: float = 0.0) -> BaseProcess:
        folder.mkdir(exist_ok=True)
        names = {"folder": str(folder), "pause": pause}
        process = self.context.Process(target=exec, args=(SCRIPT, names))
        process.start()
        return process

    def finish(self, folder: Path) -> list[int]:
        """Run to the end; return the steps that this process trained."""
        before = len(steps(folder))
        process = self.start(folder)
        process.join(200)
        assert process.exitcode == 0
        return steps(folder)[before:]

    def kill_at(self, folder: Path, step: int) -> None:
        """Start, wait until `step` is done and a moment longer, kill."""
        process = self.start(folder, pause=0.05)
        while process.is_alive() and max(steps(folder), default=0) < step:
            time.sleep(0.01)
        time.sleep(0.03)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL


def steps(folder: Path) -> list[int]:
    path = folder / "steps"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    yield Runs()


def test_killed_twice_and_resumed(tmp_path: Path, runs: Runs) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert runs.finish(whole) == list(range(1, 41))
    runs.kill_at(folder, 12)
    # A checkpoint that a crash of the machine left half-written is skipped.
    broken = folder / "checkpoint-35"
    broken.mkdir()
    (broken / "trainer_state.json").write_text("{")
    runs.kill_at(folder, 27)
    rest = runs.finish(folder)
    assert 20 < rest[0] <= 28
    assert rest == list(range(rest[0], 41))
    results = [json.loads((path / "result.json").read_text()) for path in (folder, whole)]
    assert results[0] == results[1]
    ours, theirs = (load_file(path / "final" / "model.safetensors") for path in (folder, whole))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name
    assert not list(folder.glob(".checkpoint-*"))

    # Started again after its end, it trains no step and ends the same.
    assert runs.finish(folder) == []
    assert json.loads((folder / "result.json").read_text()) == results[1]

"""From questions to a trained student that plain transformers loads; one rank equals two."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from collegium.example import Example, Rationale
from collegium.objectives.encode import encode_examples
from collegium.objectives.formats import PromptFormat
from collegium.objectives.prompts import encode_prompts
from collegium.objectives.sequences import read_sequences, write_sequences
from collegium.tokenizer import Tokenizer
from collegium.train.config import DistillArguments
from collegium.train.student import build_student, describe_student
from collegium.train.trainer import DistillTrainer
from collegium.train.vocabulary import tokenizer_file

OBJECTIVES = {"label": 1.0, "rationale:sums": 1.0}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def examples() -> list[Example]:
    return [
        Example(
            id=f"{a}+{b}", task="sums", split="train", question=f"how many : {a} + {b} ?",
            answer=str(a + b), rationales=[
                Rationale(
                    teacher="sums", text=f"{a} + {b} = {a + b}", answer=str(a + b), parsed=True,
                    prompt_hash="-",
                )
            ],
        )
        for a in range(4) for b in range(4)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    vocabulary = [
        "[pad]",
        "[eos]",
        "[unk]",
        "predict:",
        "explain:",
        "how",
        "many",
        ":",
        "+",
        "=",
        "?",
    ]
    vocabulary += [str(n) for n in range(7)]
    backend = Backend(models.WordLevel({w: i for i, w in enumerate(vocabulary)}, unk_token="[unk]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="[eos]", pad_token="[pad]", unk_token="[unk]"
    ).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("config", "position", "packing"),
    [("llama_tiny", "before", True), ("neox_mini", "after", False), ("t5_mini", "before", False)],
)
def test_a_student_learns_and_loads_without_this_package(
    tmp_path: Path, words: Path, config: str, position: str, packing: bool
) -> None:
    spec = describe_student(config=config, tokenizer=words)
    tokenizer = Tokenizer.from_file(tokenizer_file(words))
    form = PromptFormat(marker_position=position).resolve(list(OBJECTIVES))  # type: ignore[arg-type]
    rows, counts = encode_examples(
        examples(), tokenizer, form, list(OBJECTIVES), spec.special, kind=spec.kind,
        input_text=lambda example: example.question,
    )  # fmt: skip
    assert all(c.sequences == 16 and not c.dropped for c in counts.objectives.values())
    write_sequences(tmp_path / "train.parquet", rows)
    rows = read_sequences(tmp_path / "train.parquet")
    model, hf_tokenizer = build_student(config=config, tokenizer=words, seed=1)
    args = DistillArguments(
        output_dir=str(tmp_path / "run"), use_cpu=True, objectives=OBJECTIVES, batch_size=8,
        max_steps=150, learning_rate=5e-3, packing=packing, row_tokens=64, save_strategy="no",
        warmup_steps=15, objective_batches="mixed",
    )  # fmt: skip
    trainer = DistillTrainer(model, args, rows, processing_class=hf_tokenizer)
    trainer.train()
    trainer.save_model(str(tmp_path / "student"))

    loader = AutoModelForSeq2SeqLM if config == "t5_mini" else AutoModelForCausalLM
    loaded = loader.from_pretrained(tmp_path / "student")
    again = AutoTokenizer.from_pretrained(tmp_path / "student")
    for objective, target in (("label", "3"), ("rationale:sums", "2 + 1 = 3")):
        (prompt,), _ = encode_prompts(
            ["how many : 2 + 1 ?"], objective, form, tokenizer, spec.special, kind=spec.kind,
            max_prompt_tokens=64,
        )  # fmt: skip
        ids = torch.tensor([prompt])
        out = loaded.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=8
        )[0]
        answer = out[0 if config == "t5_mini" else len(prompt) :]
        assert again.decode(answer, skip_special_tokens=True) == target


def test_a_real_t5_tokenizer(tokenizer_file: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tokenizer_file("t5").parent
    spec = describe_student(config="t5_mini", tokenizer=folder)
    tokenizer = Tokenizer.from_file(folder / "tokenizer.json")
    rows, _ = encode_examples(
        examples()[:4], tokenizer, PromptFormat(), list(OBJECTIVES), spec.special, kind=spec.kind,
        input_text=lambda example: example.question,
    )  # fmt: skip
    model, hf_tokenizer = build_student(config="t5_mini", tokenizer=folder)
    args = DistillArguments(
        output_dir=str(tmp_path), use_cpu=True, objectives=OBJECTIVES, batch_size=4, max_steps=3,
        logging_steps=1, learning_rate=1e-3, save_strategy="no",
    )  # fmt: skip
    trainer = DistillTrainer(model, args, rows, processing_class=hf_tokenizer)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0] < 40  # a tied head is scaled: no enormous logits at the start


RANKS = """
import os, random, warnings
warnings.simplefilter("ignore")
os.environ.update(env)
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from collegium.objectives.sequences import EncodedSequence
from collegium.train.config import DistillArguments
from collegium.train.trainer import DistillTrainer

torch.set_num_threads(1)
def model(seed):
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(
        "llama", vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
        num_attention_heads=2, initializer_range=0.2, tie_word_embeddings=True))
rows = []
for q in range(9):
    r = random.Random(q)
    for name, n in (("label", 2), ("rationale:a", 4)):
        if name == "label" or q % 2:
            ids = [r.randrange(3, 40) for _ in range(r.randint(5, 8))]
            edges = list(range(len(ids) - n, len(ids)))
            target = [r.randrange(3, 40) for _ in edges]
            rows.append(EncodedSequence(f"q{q}", name, ids, edges, target, [1.0] * n))
args = DistillArguments(
    output_dir=folder, use_cpu=True, max_steps=6, batch_size=4, logging_steps=2,
    objectives={"label": {"weight": 1, "distill": 0.5}, "rationale:a": 2}, learning_rate=1e-2,
    gradient_accumulation_steps=2, eval_strategy="steps", eval_steps=3, selection="loss",
    save_strategy="steps", save_steps=3, **extra)
t = DistillTrainer(model(0), args, rows, rows[:5], {"one": model(1)})
t.train()
if args.process_index == 0:
    torch.save({"weights": [p.detach() for p in t.student.parameters()],
                "log": [e for e in t.state.log_history if "train_runtime" not in e]},
               folder + "/result.pt")
if args.world_size > 1:
    torch.distributed.destroy_process_group()
"""


def run_ranks(folder: Path, world: int) -> dict[str, Any]:
    folder.mkdir()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["collegium.train.trainer"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = []
    for rank in range(world):
        env = {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        } if world > 1 else {}  # fmt: skip
        names = {
            "folder": str(folder),
            "env": env,
            "extra": {"ddp_backend": "gloo"} if world > 1 else {},
        }
        processes.append(context.Process(target=exec, args=(RANKS, names)))
        processes[-1].start()
    for process in processes:
        process.join(200)
        assert process.exitcode == 0
    return torch.load(folder / "result.pt")


def test_one_rank_equals_two(tmp_path: Path) -> None:
    one, two = run_ranks(tmp_path / "one", 1), run_ranks(tmp_path / "two", 2)
    for a, b in zip(one["weights"], two["weights"], strict=True):
        assert (a - b).abs().max() < 2e-4
    assert [e["step"] for e in one["log"]] == [e["step"] for e in two["log"]]
    for a, b in zip(one["log"], two["log"], strict=True):
        assert a == pytest.approx(b, rel=1e-3)

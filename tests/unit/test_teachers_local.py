"""Local teachers: real generation with small models, and what a directory may lack."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from collegium.errors import CheckpointError, RecipeError
from collegium.tasks import Task, open_task
from collegium.teachers import build_teacher, prompt_hash, read_config
from collegium.teachers.local import LocalTeacher
from collegium.teachers.sampling import RowSampler

Save = Callable[..., Path]


@pytest.fixture(scope="module")
def task() -> Task:
    return open_task(options={"train": 5, "validation": 2, "test": 2})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, save_tiny_model: Save) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("models") / "llama")


def made(task: Task, checkpoint: Path, **section: Any) -> LocalTeacher:
    section = {"max_new_tokens": 8, **section}
    config = read_config("t", {"kind": "local", "checkpoint": str(checkpoint), **section})
    teacher = build_teacher("t", config, task, device="cpu")
    assert isinstance(teacher, LocalTeacher)
    return teacher


def texts(teacher: LocalTeacher, examples: Any) -> list[list[str]]:
    return [[r.text for r in rationales] for rationales in teacher.annotate(examples)]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_neither_batch_nor_order_matters(task: Task, model: Path, temperature: float) -> None:
    examples = list(task.load()["train"])
    section = {"temperature": temperature, "samples": 2 if temperature else 1}
    one = texts(made(task, model, batch_size=1, **section), examples)
    assert texts(made(task, model, batch_size=2, **section), examples) == one
    assert texts(made(task, model, batch_size=4, **section), examples[::-1]) == one[::-1]
    if temperature:
        assert all(first != second for first, second in one)
        other = texts(made(task, model, seed=1, **section), examples)
        assert other != one


def test_sampling_follows_the_distribution() -> None:
    scores = torch.tensor([[2.0, 0.0, 1.0, -1.0]]).expand(4000, 4)
    drawn = RowSampler(range(4000), 2.0)(torch.zeros(4000, 1), scores).argmax(1)
    share = torch.bincount(drawn, minlength=4) / 4000
    expected = torch.softmax(scores[0] / 2.0, 0)
    assert (share - expected).abs().max() < 0.03


def test_counts_and_prompt(task: Task, model: Path) -> None:
    examples = task.load()["train"][:3]
    for rationales, example in zip(made(task, model).annotate(examples), examples, strict=True):
        prompt = task.teacher_prompt(example)
        assert rationales[0].prompt_hash == prompt_hash(prompt)
        assert rationales[0].prompt_tokens == len(prompt.encode())
        assert rationales[0].completion_tokens is not None
        assert 1 <= rationales[0].completion_tokens <= 8
        assert not rationales[0].gold_in_prompt


def test_a_context_that_is_too_short_is_named(task: Task, model: Path) -> None:
    teacher = made(task, model, max_new_tokens=4096)
    with pytest.raises(RecipeError, match=r"exceed the model's 4096 positions; lower teachers\.t"):
        teacher.annotate(task.load()["train"][:1])


def test_teacher_forcing_shows_gold_and_says_so(task: Task, model: Path) -> None:
    teacher = made(task, model, forced_gold=True)
    assert teacher.config.sees_gold("t", task)
    example = task.load()["train"][0]
    (rationale,) = teacher.annotate([example])[0]
    assert rationale.gold_in_prompt
    assert rationale.prompt_hash == prompt_hash(task.teacher_prompt(example, gold=example.answer))
    unlabeled = example.model_copy(update={"answer": None})
    assert teacher.annotate([unlabeled, example]) == [[], [rationale]]


def test_chat_template(task: Task, tmp_path: Path, save_tiny_model: Save) -> None:
    model = save_tiny_model(tmp_path / "chat", chat=True)
    example = task.load()["train"][0]
    plain = task.teacher_prompt(example)
    for chat, prompt in {"never": plain, "auto": f"<user>{plain}<assistant>"}.items():
        (rationale,) = made(task, model, chat=chat).annotate([example])[0]
        assert rationale.prompt_hash == prompt_hash(prompt)


def test_a_prompt_of_its_own(task: Task, model: Path) -> None:
    config = read_config("t", {"kind": "local", "train": {"seed": 1}, "max_new_tokens": 3})
    with pytest.raises(RecipeError, match=r"teachers\.t: its train stage has to run"):
        build_teacher("t", config, task)
    teacher = build_teacher(
        "t", config, task, checkpoint=model, prompt=lambda e: f"explain: {e.question}\n"
    )
    example = task.load()["train"][0]
    (rationale,) = teacher.annotate([example])[0]
    assert rationale.prompt_hash == prompt_hash(f"explain: {example.question}\n")


def test_encoder_decoder(task: Task, tmp_path: Path, save_tiny_model: Save) -> None:
    model = save_tiny_model(tmp_path / "t5", kind="t5")
    examples = task.load()["train"][:4]
    one = texts(made(task, model, batch_size=1), examples)
    assert texts(made(task, model, batch_size=4), examples) == one


def test_generation_stops_where_the_completion_is_cut(task: Task, model: Path) -> None:
    from collegium.teachers.sampling import StopAtText

    tokenizer = made(task, model).load()[1]
    ids = tokenizer(["ab cd Q: x", "ab cd ef x"], return_tensors="pt")["input_ids"]
    assert StopAtText(tokenizer, 0, ("Q:",))(ids, None).tolist() == [True, False]
    assert StopAtText(tokenizer, 8, ("Q:",))(ids, None).tolist() == [False, False]


def test_the_fingerprint_follows_weights_and_prompt(
    task: Task, model: Path, tmp_path: Path, save_tiny_model: Save
) -> None:
    first = made(task, model).fingerprint()
    assert made(task, model, batch_size=3).fingerprint() == first
    same = save_tiny_model(tmp_path / "same")
    other = save_tiny_model(tmp_path / "other", seed=1)
    assert made(task, same).fingerprint() == first
    assert made(task, other).fingerprint() != first
    assert made(task, model, forced_gold=True).fingerprint() != first
    assert made(task, model, seed=1).fingerprint() != first


def broken(model: Path, folder: Path, change: Callable[[Path], object]) -> Path:
    shutil.copytree(model, folder)
    change(folder)
    return folder


def drop(*names: str) -> Callable[[Path], object]:
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names]


def edit(**changes: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def lose_a_layer(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    kept = {name: w for name, w in weights.items() if "layers.1." not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("config.json"), "missing config\\.json"),
        (lambda folder: (folder / "config.json").write_text("{"), r"config\.json cannot be loaded"),
        (
            drop("tokenizer.json", "tokenizer_config.json"),
            r"missing tokenizer\.json or tokenizer\.model",
        ),
        (drop("model.safetensors"), r"missing model\.safetensors$"),
        (
            pickle_only,
            r"found pytorch_model\.bin; pickled weights are not read, since they can run code",
        ),
        (
            lose_a_layer,
            r"weights are missing that LlamaForCausalLM needs \(e\.g\. model\.layers\.1\.",
        ),
        (truncate, "cannot be loaded"),
        (edit(hidden_size=32), "weights are missing|cannot be loaded"),
        (edit(model_type="vit", architectures=["ViTModel"]), "cannot be loaded"),
        (edit(model_type="no-such-model"), "cannot be loaded"),
        (
            edit(model_type="mine", auto_map={"AutoModelForCausalLM": "mine.Mine"}),
            "cannot be loaded",
        ),
    ],
)
def test_what_a_directory_may_lack(
    task: Task, model: Path, tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    folder = broken(model, tmp_path / "broken", change)
    with pytest.raises(CheckpointError, match=message) as caught:
        made(task, folder).annotate(task.load()["train"][:1])
    assert str(caught.value).startswith("teacher 't': ")
    assert "\n" not in str(caught.value)


def test_no_directory(task: Task, model: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"expected a checkpoint directory, .* does not exist"
    ):
        made(task, model / "nowhere")
    with pytest.raises(CheckpointError, match="is a file"):
        made(task, model / "config.json")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "exactly one of checkpoint and train"),
        ({"checkpoint": "x", "train": {}}, "exactly one of checkpoint and train"),
        ({"checkpoint": "x", "samples": 2}, "set temperature"),
        ({"checkpoint": "x", "dtype": "int8"}, "dtype"),
        ({"checkpoint": "x", "temprature": 1.0}, "Did you mean 'temperature'"),
    ],
)
def test_sections_that_cannot_be(section: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_config("t", {"kind": "local", **section})


def test_a_real_model_annotates(shared: Path, smollm2: Path) -> None:
    task = open_task("svamp", shared / "data" / "svamp")
    (answers,) = made(task, smollm2, max_new_tokens=60).annotate(task.load()["train"][:1])
    assert len(answers) == 1
    assert len(answers[0].text.split()) > 5
    assert "Q:" not in answers[0].text

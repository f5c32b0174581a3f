"""DistillTrainer: the same weights however a step is cut, selection, early stopping, fallbacks."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, TrainerCallback

from collegium.errors import ArgumentError, DataError, RunError
from collegium.objectives.sequences import EncodedSequence
from collegium.train.checkpoint import find_last_checkpoint
from collegium.train.config import DistillArguments
from collegium.train.trainer import DistillTrainer

VOCAB = 40
OBJECTIVES = {"label": 1.0, "rationale:a": 2.0, "rationale:b": {"weight": 0.5}}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def model(seed: int = 0, kind: str = "llama", **values: Any) -> Any:
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 2, "initializer_range": 0.2,
        "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
    }  # fmt: skip
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**sizes, **values}))


def data(questions: int = 14, first: int = 0) -> list[EncodedSequence]:
    rows = []
    for q in range(first, first + questions):
        r = random.Random(q)
        prompt = [r.randrange(3, VOCAB) for _ in range(r.randint(3, 6))]
        for name in OBJECTIVES:
            if name == "rationale:b" and q % 3 == 0:
                continue
            target = [(prompt[0] + i) % VOCAB for i in range(2 if name == "label" else 5)]
            n = len(prompt)
            edges = list(range(n - 1, n - 1 + len(target)))
            rows.append(
                EncodedSequence(
                    f"q{q}", name, prompt + target[:-1], edges, target, [1.0] * len(target)
                )
            )
    return rows


def trainer(folder: Path, student: Any = None, **values: Any) -> DistillTrainer:
    extra = {
        k: values.pop(k)
        for k in ("validation_sequences", "teachers", "callbacks", "train_sequences")
        if k in values
    }
    args = DistillArguments(
        **{
            "output_dir": str(folder), "use_cpu": True, "objectives": OBJECTIVES, "batch_size": 4,
            "max_steps": 6, "learning_rate": 1e-2, "logging_steps": 2, "save_strategy": "no",
            **values,
        }
    )  # fmt: skip
    sequences = extra.pop("train_sequences", data())
    return DistillTrainer(model() if student is None else student, args, sequences, **extra)


def weights(t: DistillTrainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in t.student.parameters()])


def losses(t: DistillTrainer) -> list[float]:
    return [entry["loss"] for entry in t.state.log_history if "loss" in entry]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.Tensor, list[float], dict]:
    torch.set_num_threads(1)
    t = trainer(tmp_path_factory.mktemp("plain"))
    t.train()
    return weights(t), losses(t), t.state.log_history[-2]


@pytest.mark.parametrize(
    "values",
    [
        {"gradient_accumulation_steps": 3},
        {"objective_batches": "mixed"},
        {"packing": True, "row_tokens": 24},
        {"packing": True, "row_tokens": 64, "objective_batches": "mixed",
         "gradient_accumulation_steps": 2},
    ],
    ids=["accumulated", "mixed", "packed", "all"],
)  # fmt: skip
def test_how_a_step_is_cut_does_not_matter(tmp_path: Path, plain: Any, values: dict) -> None:
    t = trainer(tmp_path, **values)
    assert t.plan.packing == ("packing" in values)
    t.train()
    assert losses(t) == pytest.approx(plain[1], rel=1e-4)
    assert (weights(t) - plain[0]).abs().max() < 2e-4


def test_the_log_tells_the_parts(plain: Any) -> None:
    entry = plain[2]
    parts = sum(w * entry[f"ce/{n}"] for n, w in (("label", 1), ("rationale:a", 2)))
    assert entry["loss"] == entry["ce_loss"]
    assert entry["loss"] == pytest.approx(parts + 0.5 * entry["ce/rationale:b"], rel=1e-5)
    assert "kd_loss" not in entry


def test_a_float64_sum_of_single_steps_is_the_run_loss(tmp_path: Path) -> None:
    t = trainer(tmp_path, logging_steps=4, max_steps=6)
    output = t.train()
    assert [entry["step"] for entry in t.state.log_history if "loss" in entry] == [4, 6]
    first, second = losses(t)
    assert output.training_loss == pytest.approx((4 * first + 2 * second) / 6)
    assert output.metrics["train_loss"] == output.training_loss
    assert t.state.num_input_tokens_seen > 0


def test_two_teachers_distil_into_a_third(tmp_path: Path) -> None:
    """Two models that disagree: the student approaches their mixture from both sides."""
    teachers = {"one": model(1), "two": model(2, tie_word_embeddings=False)}
    t = trainer(
        tmp_path,
        model(3),
        objectives={"label": {"weight": 0, "distill": 1.0}, "rationale:a": {"weight": 0.1,
                                                                            "distill": 1.0}},
        teachers=teachers,
        validation_sequences=data(6, first=100),
        eval_strategy="steps",
        eval_steps=20,
        max_steps=80,
        logging_steps=20,
    )  # fmt: skip
    before = t.evaluate()
    t.train()
    after = t.evaluate()
    entry = t.state.log_history
    assert after["eval_kd_loss"] < 0.8 * before["eval_kd_loss"]
    for name in teachers:
        key = f"eval_teacher/{name}/divergence"
        assert after[key] < before[key]
    assert losses(t)[-1] < losses(t)[0]
    assert any("kd/label" in e and "ce/rationale:a" in e and "ce/label" not in e for e in entry)
    assert not any(p.requires_grad for p in teachers["one"].parameters())


def test_distilling_is_cut_the_same_way(tmp_path: Path) -> None:
    found = []
    for number, values in enumerate(
        ({}, {"packing": True, "row_tokens": 40, "objective_batches": "mixed",
              "gradient_accumulation_steps": 2})
    ):  # fmt: skip
        t = trainer(
            tmp_path / str(number),
            objectives={"label": {"weight": 0.5, "distill": 0.5}, "rationale:a": 1.0},
            teachers={"one": model(1), "two": model(2)},
            divergence="jsd",
            temperature=2.0,
            max_steps=3,
            **values,
        )
        t.train()
        found.append((losses(t), weights(t)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)
    assert (found[0][1] - found[1][1]).abs().max() < 2e-4


def test_the_best_model_is_kept(tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []

    class Keep(TrainerCallback):
        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            seen.append(weights(t))

    t = trainer(
        tmp_path,
        validation_sequences=data(5, first=100),
        selection="loss",
        eval_strategy="steps",
        eval_steps=3,
        save_strategy="steps",
        save_steps=100,
        max_steps=18,
        learning_rate=0.2,
        callbacks=[Keep()],
    )
    t.train()
    evaluated = [e["eval_loss"] for e in t.state.log_history if "eval_loss" in e]
    best = evaluated.index(min(evaluated))
    assert t.state.best_global_step == 3 * (best + 1)
    assert torch.equal(weights(t), seen[best])
    assert find_last_checkpoint(tmp_path) == tmp_path / "checkpoint-18"
    kept = {p.name for p in tmp_path.glob("checkpoint-*")}
    assert f"checkpoint-{t.state.best_global_step}" in kept
    assert len(kept) == 2


def test_early_stopping_and_going_on_after_the_end(tmp_path: Path) -> None:
    def make() -> DistillTrainer:
        return trainer(
            tmp_path,
            validation_sequences=data(5, first=100),
            selection="loss",
            patience=2,
            eval_strategy="steps",
            eval_steps=1,
            save_strategy="steps",
            save_steps=1,
            max_steps=60,
            learning_rate=0.3,
        )

    t = make()
    t.train()
    assert t.state.global_step < 60
    again = make()
    output = again.train(resume_from_checkpoint=True)
    assert output.global_step == t.state.global_step
    assert torch.equal(weights(again), weights(t))
    assert output.training_loss == pytest.approx(t.meter.mean())


def test_validation_runs_without_dropout_and_leaves_the_random_state(tmp_path: Path) -> None:
    student = model(kind="gpt_neox", hidden_dropout=0.5)
    t = trainer(tmp_path, student, validation_sequences=data(5))
    state = torch.random.get_rng_state()
    first, second = t.evaluate(), t.evaluate()
    assert first["eval_loss"] == second["eval_loss"]
    assert torch.equal(state, torch.random.get_rng_state())
    assert student.training is False or t.model.training


def test_sliding_windows_fall_back_aloud(tmp_path: Path) -> None:
    student = model(kind="mistral", sliding_window=4)
    with pytest.warns(UserWarning, match=r"student: .*sliding-window layers \(window 4\)"):
        t = trainer(tmp_path, student, packing=True, row_tokens=64)
    assert not t.plan.packing
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wide = trainer(tmp_path, model(kind="mistral", sliding_window=64), packing=True)
    assert wide.plan.packing
    with pytest.warns(UserWarning, match="one: .*sliding-window"):
        t = trainer(
            tmp_path, packing=True, teachers={"one": student}, objectives={"label": {"distill": 1}}
        )
    assert not t.plan.packing


def test_tied_weights_stay_tied_and_are_saved_once(tmp_path: Path) -> None:
    from safetensors import safe_open

    t = trainer(tmp_path / "run")
    t.train()
    assert t.student.lm_head.weight is t.student.model.embed_tokens.weight
    t.save_model(str(tmp_path / "student"))
    with safe_open(tmp_path / "student" / "model.safetensors", "pt") as file:
        assert "lm_head.weight" not in file.keys()  # noqa: SIM118
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "student")
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, t.student.eval()(ids).logits)
    config = json.loads((tmp_path / "student" / "config.json").read_text())
    assert config.get("use_cache", True)


def test_a_diverging_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"the loss became (nan|inf) .*learning_rate"):
        trainer(tmp_path, learning_rate=1e30, max_grad_norm=0.0, max_steps=8).train()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"objectives": {"rationale:x": 1}}, ArgumentError, r"rationale:x: no training"),
        ({"objectives": {"label": {"distill": 1}}}, ArgumentError, "but no teacher"),
        ({"teachers": {"t": "MODEL"}}, ArgumentError, "no objective has distill > 0"),
        ({"validation_sequences": []}, ArgumentError, "no validation sequence"),
        ({"train_sequences": []}, ArgumentError, "no sequences at all"),
        (
            {"train_sequences": [EncodedSequence("q", "label", [99], [0], [1], [1.0])],
             "objectives": {"label": 1}},
            DataError,
            "outside the student's vocabulary of 40",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    tmp_path: Path, values: dict[str, Any], error: type, message: str
) -> None:
    if "teachers" in values:
        values = {"teachers": {"t": model(1)}}
    with pytest.raises(error, match=message):
        trainer(tmp_path, **values)


def test_unknown_teacher_of_the_mixture(tmp_path: Path) -> None:
    args = DistillArguments(
        output_dir=str(tmp_path), use_cpu=True, objectives={"label": {"distill": 1}},
        teachers={"palm2": 1.0},
    )  # fmt: skip
    with pytest.raises(ArgumentError, match="Did you mean 'palm'"):
        DistillTrainer(model(), args, data(), teachers={"palm": model(1)})

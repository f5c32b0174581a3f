"""A student trained until it knows its questions, saved, loaded and asked.

The training below uses the encoding of the trainer and nothing else of it, so a student that knows
its questions proves that prompts are the same in training and at test time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from tokenizers import Tokenizer as Reference
from tokenizers import models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from collegium.errors import ArgumentError, CheckpointError
from collegium.evaluate.card import CardFacts, Source, render_card, write_card
from collegium.evaluate.evaluate import Evaluation, evaluate_student
from collegium.evaluate.info import FILE, StudentInfo, write_student_info
from collegium.evaluate.student import Student
from collegium.example import Example, Rationale
from collegium.objectives.encode import encode_examples
from collegium.objectives.formats import PromptFormat
from collegium.objectives.sequences import EncodedSequence
from collegium.tasks import open_task
from collegium.tasks.base import Task
from collegium.tokenizer import Tokenizer
from collegium.train.student import build_student, describe_student

OPTIONS = {"difficulty": "easy", "train": 16, "validation": 4, "test": 8}
OBJECTIVES = ["label", "rationale:first", "rationale:second"]
DECODER = {
    "model_type": "llama",
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 128,
    "initializer_range": 0.05,
    "tie_word_embeddings": True,
}
ENCODER_DECODER = {
    "model_type": "t5",
    "d_model": 48,
    "d_kv": 16,
    "d_ff": 96,
    "num_layers": 1,
    "num_decoder_layers": 1,
    "num_heads": 4,
    "feed_forward_proj": "gated-gelu",
    "dropout_rate": 0.0,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Made:
    folder: Path
    info: StudentInfo
    examples: list[Example]
    sequences: list[EncodedSequence]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small are slowed down by a second thread, on busy cores tenfold."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def task() -> Task:
    return open_task("wordproblems", None, OPTIONS)


def known_questions(task: Task) -> list[Example]:
    """Return the training questions, each with a rationale of two teachers."""
    rows = []
    for example in task.load()["train"]:
        answer = example.answer or ""
        words = example.question.split()
        texts = {"first": f"{words[0]} has {words[2]} ;", "second": f"start with {words[2]} ,"}
        rationales = [
            Rationale(teacher=name, text=text, answer=answer, parsed=True, prompt_hash="")
            for name, text in texts.items()
        ]
        rows.append(example.model_copy(update={"rationales": rationales}))
    return rows


def save_tokenizer(task: Task, folder: Path, markers: list[str], *, bos: bool) -> None:
    tokenizer = Reference(models.WordLevel({}, unk_token="[unk]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore
    special = ["[pad]", "[bos]", "[eos]", "[unk]"]
    tokenizer.train_from_iterator(
        [*task.corpus(task.load()), *markers], trainers.WordLevelTrainer(special_tokens=special)
    )
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(  # pyright: ignore
            single="[bos] $A", special_tokens=[("[bos]", tokenizer.token_to_id("[bos]"))]
        )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[pad]",
        bos_token="[bos]",
        eos_token="[eos]",
        unk_token="[unk]",
    ).save_pretrained(folder)


def memorise(model: torch.nn.Module, sequences: list[EncodedSequence], pad: int) -> None:
    """Train one full batch an update, rows padded on the right, until every target is known."""

    def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
        width = max(map(len, rows))
        return torch.tensor([row + [fill] * (width - len(row)) for row in rows])

    labels = []
    for s in sequences:
        row = [-100] * len(s)
        for src, target in zip(s.edge_src, s.edge_target, strict=True):
            row[src] = target
        labels.append(row)
    target = padded(labels, -100)
    tokens = padded([s.input_ids for s in sequences], pad)
    inputs = {"input_ids": tokens, "attention_mask": padded([[1] * len(s) for s in sequences], 0)}
    if sequences[0].encoder_ids is not None:
        encoded = [s.encoder_ids or [] for s in sequences]
        inputs = {
            "input_ids": padded(encoded, pad),
            "attention_mask": padded([[1] * len(row) for row in encoded], 0),
            "decoder_input_ids": tokens,
        }
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.train()
    loss = torch.tensor(torch.inf)
    for _ in range(400):
        logits = model(**inputs, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
        if loss < 5e-3:
            return
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    raise AssertionError(f"not learnt, loss {loss:.3f}")


KINDS = ("decoder", "encoder-decoder")


@pytest.fixture(scope="module")
def make(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """Return a function from a kind of student to a checkpoint of one that knows its questions."""
    return cache(lambda kind: teach(kind, task, tmp_path_factory.mktemp(kind)))


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, make: Callable[[str], Made]) -> Made:
    return make(request.param)


def teach(kind: str, task: Task, folder: Path) -> Made:
    decoder = kind == "decoder"
    form = PromptFormat(marker_position="after" if decoder else "before", conclusion=True).resolve(
        OBJECTIVES
    )
    save_tokenizer(task, folder, list(form.markers.values()), bos=decoder)
    config = DECODER if decoder else ENCODER_DECODER
    spec = describe_student(config=config, tokenizer=folder)
    encoder = Tokenizer.from_pretrained(str(folder))
    examples = known_questions(task)
    sequences, counts = encode_examples(
        examples,
        encoder,
        form,
        OBJECTIVES,
        spec.special,
        input_text=task.input_text,
        kind=spec.kind,
        conclusion=lambda example, answer: task.conclusion(answer),
        max_prompt_tokens=64,
        max_target_tokens=24,
    )
    assert not any(c["dropped"] for c in counts.to_dict().values())
    model, tokenizer = build_student(config=config, tokenizer=folder, seed=1)
    memorise(model, sequences, spec.special.pad)
    # What a checkpoint asks for beyond greedy decoding must not reach the student's answers.
    model.generation_config.repetition_penalty = 5.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    info = StudentInfo(
        task="wordproblems",
        task_options=OPTIONS,
        format=form,
        objectives=OBJECTIVES,
        kind=spec.kind,
        max_prompt_tokens=64,
        max_target_tokens=24,
        tokenizer="of the file that the tokenizer was read from",
    )
    write_student_info(folder, info)
    return Made(folder, info, examples, sequences)


@pytest.fixture
def student(made: Made) -> Student:
    return Student.load(made.folder, device="cpu")


def test_a_student_answers_what_it_was_taught(made: Made, student: Student) -> None:
    predictions = student.predict(made.examples, batch_size=5)
    assert [p.id for p in predictions] == [e.id for e in made.examples]
    assert all(p.correct and p.parsed and p.finished and p.mode == "label" for p in predictions)
    assert [p.gold for p in predictions] == [e.answer for e in made.examples]
    assert all(p.tokens == 2 for p in predictions)


@pytest.mark.parametrize("teacher", ["first", "second", None])
def test_a_student_explains_in_a_teachers_way(
    made: Made, student: Student, teacher: str | None
) -> None:
    predictions = student.explain(made.examples, teacher)
    known = {r.teacher: r.text for r in made.examples[0].rationales}
    assert all(p.correct for p in predictions)
    assert predictions[0].rationale == known[teacher or "first"]
    assert predictions[0].raw.endswith(student.task.conclusion(made.examples[0].answer or ""))


def test_the_saved_tokenizer_is_the_one_that_counts(made: Made, student: Student) -> None:
    assert student.info.tokenizer == student.encoder.fingerprint
    assert student.info == made.info.model_copy(update={"tokenizer": student.info.tokenizer})


def test_prompts_are_those_of_the_training(made: Made, student: Student) -> None:
    for objective in OBJECTIVES:
        trained = {s.example_id: s for s in made.sequences if s.objective == objective}
        prompts, cut = student.encode(made.examples, objective)
        assert not any(cut)
        for example, prompt in zip(made.examples, prompts, strict=True):
            sequence = trained[example.id]
            if sequence.encoder_ids is None:
                assert sequence.input_ids[: sequence.edge_src[0] + 1] == prompt
            else:
                assert sequence.encoder_ids == prompt


def test_texts_are_answered_like_examples(made: Made, student: Student) -> None:
    texts = [e.question for e in made.examples[:3]]
    predictions = student.predict(texts)
    assert [p.answer for p in predictions] == [e.answer for e in made.examples[:3]]
    first = predictions[0]
    assert (first.id, first.gold, first.correct) == ("0", None, None)
    assert student.prompt(texts[0]) == student.prompt(made.examples[0])


def test_modes_that_were_not_taught_are_refused(student: Student) -> None:
    with pytest.raises(ArgumentError, match=r"not trained on 'rationale:frist'.*'rationale:first'"):
        student.explain(["Tom has 1 pen ."], "frist")
    with pytest.raises(ArgumentError, match="expected a list"):
        student.predict("Tom has 1 pen .")  # pyright: ignore


def test_no_rationales_no_explanation(student: Student) -> None:
    labels = student.info.model_copy(update={"objectives": ["label"]})
    bare = Student(
        student.model, student.tokenizer, student.encoder, labels, student.task, student.special
    )
    with pytest.raises(ArgumentError, match="learnt no rationales"):
        bare.explain(["Tom has 1 pen ."])
    found = evaluate_student(bare, student.task.load()["test"])
    assert found.metrics["skipped"] == ["rationale"]
    assert list(found.metrics["modes"]) == ["label"]


def test_evaluation_counts_and_keeps_every_prediction(
    made: Made, student: Student, tmp_path: Path
) -> None:
    asked = [*made.examples, made.examples[0].model_copy(update={"id": "open", "answer": None})]
    told: list[tuple[str, int, int]] = []
    found = evaluate_student(
        student, asked, rationale_limit=6, progress=lambda *event: told.append(event)
    )
    modes = found.metrics["modes"]
    assert list(modes) == ["label", "rationale:first", "rationale:second", "rationale"]
    assert modes["label"]["accuracy"] == 1.0
    assert (modes["label"]["n"], modes["rationale:first"]["n"]) == (16, 6)
    assert modes["rationale"]["n"] == 6
    assert modes["rationale"]["tokens"] == sum(p.tokens for p in found.predictions[17:])
    assert modes["rationale:first"]["parsed"] == 1.0
    assert modes["rationale:first"]["overlap"] == 1.0
    assert modes["rationale:first"]["distinct_trigrams"] == 1.0
    assert found.metrics["unlabelled"] == 1
    assert found.metrics["consistency"]["rationale"] == {"same": 1.0, "n": 12}
    assert found.metrics["skipped"] == []
    assert told[-1] == ("rationale:second", 6, 6)
    assert len(found.predictions) == 17 + 6 + 6
    assert found.predictions[16].correct is None
    found.save(tmp_path)
    assert Evaluation.read(tmp_path) == found
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.json", "predictions.jsonl"]


def test_an_evaluation_depends_on_the_task_that_checks(made: Made, student: Student) -> None:
    class Strict(type(student.task)):
        def check(self, prediction: str | None, example: Example) -> bool:
            return False

    strict = Strict(None, student.task.options)
    found = evaluate_student(student, made.examples[:2], strict, modes=["label"])
    assert found.metrics["modes"]["label"]["accuracy"] == 0.0


def test_wrong_evaluation_arguments(student: Student) -> None:
    with pytest.raises(ArgumentError, match="at least one question"):
        evaluate_student(student, [])
    with pytest.raises(ArgumentError, match="'label' or 'rationale', found 'labels'"):
        evaluate_student(student, student.task.load()["test"], modes=["labels"])  # pyright: ignore


def test_plain_transformers_gives_the_same_text(
    make: Callable[[str], Made], tmp_path: Path
) -> None:
    """The cards' programs run where collegium cannot be imported and nothing can be reached."""
    program = [
        "import os, socket, sys",
        "sys.modules['collegium'] = None",
        "def refuse(*args, **kwargs): raise OSError('no network here')",
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse",
    ]
    expected = []
    for kind in KINDS:
        made = make(kind)
        folder = tmp_path / kind
        shutil.copytree(made.folder, folder)
        rewrite(folder / "generation_config.json", repetition_penalty=1.0)
        program.append(f"os.chdir({str(folder)!r})")
        student = Student.load(made.folder, device="cpu")
        question = made.examples[3]
        for objective in ("label", "rationale:second"):
            info = made.info.model_copy(update={"objectives": [objective]})
            facts = CardFacts("tiny", student.task.input_text(question))
            card = render_card(info, facts, student.special)
            program.append(card.split("```python\n")[1].split("```")[0])
            (answer,) = student.answer([question], objective)
            assert answer.correct
            expected.append(answer.raw)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(program)],
        env={**environment, "HF_HUB_OFFLINE": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == expected


def test_card_front_matter_and_sections(made: Made, student: Student, tmp_path: Path) -> None:
    found = evaluate_student(student, made.examples[:4])
    facts = CardFacts(
        name="tiny student",
        example="Tom has 3 pens .",
        sources=[
            Source("first", "teacher (rationales)", "Apache-2.0"),
            Source("a | b", "teacher (distributions)", note="saw 20000 labels"),
        ],
        metrics=found.metrics,
        training={"steps": 400},
        parameters=student.parameters,
    )
    path = write_card(tmp_path, made.info, facts, student.special)
    text = path.read_text("utf-8")
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["library_name"] == "transformers"
    assert (head["license"], head["license_name"]) == ("other", "not-chosen")
    assert head["model-index"][0]["results"][0]["metrics"][0]["value"] == 100.0
    assert "The licence of a | b is not known" in text
    assert "a \\| b" in text
    assert "| rationale:first | 100.0 | 100.0 to 100.0 | 4 |" in text
    assert "rationale ends with its answer" in text
    assert "| steps | 400 |" in text
    chosen = render_card(made.info, CardFacts("x", "q", licence="mit"), student.special)
    assert yaml.safe_load(chosen.split("---\n")[1])["license"] == "mit"
    assert "Not measured yet" in chosen
    assert "license_name" not in chosen


@pytest.fixture
def broken(made: Made, tmp_path: Path) -> Path:
    """A copy of the checkpoint to be damaged."""
    folder = tmp_path / "broken"
    shutil.copytree(made.folder, folder)
    return folder


def rewrite(path: Path, **changes: object) -> None:
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, **changes}))


def test_foreign_and_damaged_checkpoints_are_refused(broken: Path) -> None:
    def refused(match: str) -> None:
        with pytest.raises(CheckpointError, match=match) as caught:
            Student.load(broken, device="cpu")
        assert str(broken) in str(caught.value)

    info = (broken / FILE).read_bytes()
    (broken / FILE).unlink()
    refused("this checkpoint was not made by collegium")
    (broken / FILE).write_text("{")
    refused("cannot be read")
    (broken / FILE).write_bytes(info)
    rewrite(broken / FILE, v=9)
    refused("expected version 1, found 9")
    (broken / FILE).write_bytes(info)
    rewrite(broken / FILE, task="wordproblem")
    refused("Did you mean 'wordproblems'")
    (broken / FILE).write_bytes(info)
    rewrite(broken / FILE, tasks="x")
    refused("unknown key 'tasks'")
    (broken / FILE).write_bytes(info)
    rewrite(broken / FILE, task_options={"trian": 3})
    refused("trian")
    (broken / FILE).write_bytes(info)
    rewrite(broken / FILE, tokenizer="of another")
    refused("tokenizer.json is not the one")
    (broken / FILE).write_bytes(info)
    other = {"decoder": "encoder-decoder", "encoder-decoder": "decoder"}
    rewrite(broken / FILE, kind=other[json.loads(info)["kind"]])
    refused("do not belong together")
    (broken / FILE).write_bytes(info)
    weights = broken / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    refused("cannot be loaded")
    weights.unlink()
    (broken / "pytorch_model.bin").write_bytes(b"")
    refused("pickled weights are not read")
    weights.write_bytes(whole)
    (broken / "tokenizer.json").unlink()
    refused("missing tokenizer.json")


def test_missing_weights_are_not_made_up(broken: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(broken / "model.safetensors")
    dropped = sorted(name for name in weights if "layer" in name or "block" in name)[0]
    del weights[dropped]
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 weights are missing"):
        Student.load(broken, device="cpu")


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such directory"):
        Student.load(tmp_path / "nowhere")

"""What every task in `TASKS` owes the rest of the package; a new task needs a sample here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collegium.errors import DataError, RecipeError
from collegium.tasks import TASKS, Task, open_task

SVAMP = {
    "input": "Ann had 5 pens.\nHow many",
    "label": "( 5.0 - 2.0 )",
    "teachers": {"palm540b": {"rationale": "5 - 2 = 3.", "label": "(5 - 2)", "parsed": True}},
}
ESNLI = {
    "premise": "A dog runs.",
    "hypothesis": "An animal moves.",
    "label": "entailment",
    "human_explanations": ["A dog is an animal.", "Running is moving."],
    "teachers": {"palm540b": {"rationale": "A dog.", "label": "entailment", "parsed": True}},
}
OBQA = {
    "question": "The sun",
    "choices": ["warms", "cools", "sings", "rains"],
    "label": "cools",
    "teachers": {
        "flan-t5-xl": {"rationale": "It is so.", "label": "cools", "parsed": True},
        "llama2-7b-chat": {"rationale": "Let's think step by"},
    },
}
CUSTOM = {"question": "Is it?", "answer": "yes", "why": "It is."}
SAMPLES: dict[str, tuple[dict[str, Any] | None, dict[str, Any]]] = {
    "custom": (
        CUSTOM,
        {"answer_kind": "yes_no", "rationales": {"me": {"text": "why", "answer": "answer"}}},
    ),
    "esnli": (ESNLI, {}),
    "obqa": (OBQA, {}),
    "svamp": (SVAMP, {}),
    "wordproblems": (None, {"train": 20, "validation": 5, "test": 30}),
}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest, tmp_path: Path) -> Task:
    row, options = SAMPLES[request.param]
    if row is None:
        return open_task(request.param, None, options)
    for split, count in {"train": 20, "valid": 10, "test": 5}.items():
        texts = [json.dumps({"id": f"{split}-{i}", **row}) for i in range(count)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(texts))
    return open_task(request.param, tmp_path, options)


def test_registered_under_its_own_name(task: Task) -> None:
    assert TASKS[task.name] is type(task)
    for name in task.folder_names:
        assert name == name.lower()


def test_splits_are_disjoint_and_complete(task: Task) -> None:
    splits = task.load()
    assert set(splits) == {"train", "validation", "test"}
    rows = [e for examples in splits.values() for e in examples]
    assert len({e.id for e in rows}) == len(rows)
    for split, examples in splits.items():
        assert examples
        assert {(e.task, e.split) for e in examples} == {(task.name, split)}
        assert not any(e.rationales for e in examples)
    assert task.load() == splits


def test_source_files_are_there(task: Task) -> None:
    files = task.source_files()
    assert all(path.is_file() for path in files)
    assert bool(files) == task.needs_data


def test_input_and_prompts_show_the_question_and_gold_only_when_forced(task: Task) -> None:
    example = task.load()["test"][0]
    assert example.question in task.input_text(example)
    unlabeled = example.model_copy(update={"answer": None})
    assert task.input_text(unlabeled) == task.input_text(example)
    assert task.teacher_prompt(unlabeled) == task.teacher_prompt(example)
    plain = task.teacher_prompt(example)
    forced = task.teacher_prompt(example, gold=example.answer)
    assert example.question in plain
    assert example.question in forced
    assert forced.endswith("Rationale: Let's think step by step.")
    before_it = plain[: plain.rindex(example.question)]
    for shown in task.demonstrations():
        assert shown.question in before_it
        assert shown.rationales[0].text in before_it


def test_a_conclusion_is_found_again(task: Task) -> None:
    examples = [*task.load()["train"], *task.demonstrations()]
    for example in examples:
        assert example.answer is not None
        text = f"Because it is so. {task.conclusion(example.answer)}"
        parsed = task.parse(text, example)
        assert parsed.parsed
        assert parsed.rationale == "Because it is so."
        assert task.check(parsed.answer, example)
        assert task.same_answer(parsed.answer, example.answer)
        for stop in task.stop_strings:
            assert task.parse(f"{text}\n\n{stop} more {task.conclusion('zzz')}", example) == parsed


def test_checking(task: Task) -> None:
    example = task.load()["train"][0]
    assert task.check(example.answer, example)
    assert task.check(task.parse_label(f" {example.answer}\n"), example)
    assert not task.check(None, example)
    assert not task.check("", example)
    assert not task.check("zzz", example)
    unlabeled = example.model_copy(update={"answer": None})
    assert not task.check("zzz", unlabeled)
    assert not task.check(None, unlabeled)
    assert task.same_answer(None, None)
    assert not task.same_answer(None, example.answer)
    assert not task.same_answer(example.answer, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\n",
        "Q:",
        "The answer is",
        "So the answer is (",
        "The answer is ()",
        "The answer is (((((((1)",
        "The answer is " + "(" * 5000,
        "Answer:",
        "answer",
        "answer 99999999999999999999999999999999",
        "answer -",
        "The answer is (z)",
        "The answer is (1 / 0)",
        "The answer is (9 ** 9 ** 9)",
        "The answer is \ud800",
        "\0",
        "é" * 10_000,
    ],
)
def test_nothing_that_a_model_may_write_raises(task: Task, text: str) -> None:
    example = task.load()["train"][0]
    for known in (example, None):
        parsed = task.parse(text, known)
        assert parsed.parsed == (parsed.answer is not None)
        assert not task.check(parsed.answer, example) or parsed.parsed
    assert not task.check(task.parse_label(text), example)


def test_recordings_belong_to_examples(task: Task) -> None:
    ids = {e.id for examples in task.load().values() for e in examples}
    for found in task.recordings():
        assert found.id in ids
        assert found.text == found.text.strip()
        assert found.parsed == (found.answer is not None)
        assert isinstance(task.saw_gold(found.teacher), bool)


def test_the_corpus_holds_no_test_question(task: Task) -> None:
    splits = task.load()
    texts = list(task.corpus(splits))
    assert texts
    assert all(isinstance(text, str) for text in texts)
    splits = {**splits, "test": ()}
    assert list(task.corpus(splits)) == texts


def test_an_unknown_option_is_refused(task: Task) -> None:
    with pytest.raises(RecipeError, match="unknown key 'sed'"):
        open_task(task.name, task.data, {"sed": 1})


def test_a_name_that_nobody_has() -> None:
    with pytest.raises(RecipeError, match=r"unknown task 'svmp'\. Did you mean 'svamp'"):
        open_task("svmp", "x")


def test_data_where_it_is_needed(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="task 'svamp' needs data"):
        open_task("svamp")
    with pytest.raises(RecipeError, match="reads no data"):
        open_task("wordproblems", tmp_path)
    with pytest.raises(DataError, match="nowhere does not exist"):
        open_task("svamp", tmp_path / "nowhere")


def test_tasks_are_recognised_by_folder(tmp_path: Path) -> None:
    assert open_task().name == "wordproblems"
    for folder, name in {"svamp": "svamp", "ESNLI": "esnli", "tinyllm_obqa": "obqa"}.items():
        (tmp_path / folder).mkdir()
        assert open_task(None, tmp_path / folder).name == name
        assert open_task(None, str(tmp_path / folder) + "/").name == name
        (tmp_path / folder / "train.jsonl").touch()
        assert open_task(None, tmp_path / folder / "train.jsonl").name == name
    with pytest.raises(RecipeError, match=r"cannot tell which task .* Set task\.name"):
        open_task(None, tmp_path)

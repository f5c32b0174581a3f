"""The task `custom`: columns of any file become questions, answers and recorded rationales."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collegium.errors import DataError, RecipeError
from collegium.tasks import Task, open_task


def data(tmp_path: Path, row: dict[str, Any], **files: int) -> Path:
    for name, count in (files or {"train": 20, "test": 4}).items():
        text = "\n".join(json.dumps(row) for _ in range(count))
        (tmp_path / f"{name}.jsonl").write_text(text)
    return tmp_path


QUIZ = {
    "nr": 7,
    "stem": "Which one barks?",
    "text": "Pets.",
    "options": ["a cat", "a dog"],
    "key": "B",
    "gpt": "Dogs bark.",
    "gpt_key": "(b)",
}
COLUMNS = {"question": "stem", "answer": "key", "choices": "options", "context": "text"}


def quiz(tmp_path: Path, **options: Any) -> Task:
    return open_task(
        "custom",
        data(tmp_path, QUIZ),
        {
            "columns": COLUMNS,
            "answer_kind": "choice",
            "rationales": {"gpt": {"text": "gpt", "answer": "gpt_key", "gold_in_prompt": True}},
            **options,
        },
    )


def test_columns_are_mapped(tmp_path: Path) -> None:
    task = quiz(tmp_path)
    splits = task.load()
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [18, 2, 4]
    example = splits["test"][0]
    assert example.id == "test-1"
    assert example.answer == "a dog"
    assert task.input_text(example) == (
        "Pets.\nWhich one barks?\nAnswer Choices:\n(a) a cat\n(b) a dog"
    )
    found = next(iter(task.recordings()))
    assert (found.id, found.teacher, found.text, found.answer) == (
        "train-1",
        "gpt",
        "Dogs bark.",
        "a dog",
    )
    assert task.saw_gold("gpt")
    assert not task.saw_gold("other")


def test_demonstrations_from_the_options(tmp_path: Path) -> None:
    shown = {
        "question": "Which one flies?",
        "choices": ["a bird", "a stone"],
        "answer": "a bird",
        "rationale": "Birds fly.",
    }
    task = quiz(tmp_path, demonstrations=[shown])
    example = task.load()["test"][0]
    assert task.teacher_prompt(example) == (
        "Q: Which one flies?\nAnswer Choices:\n(a) a bird\n(b) a stone\n"
        "A: Birds fly. The answer is (a) a bird.\n\n"
        "Q: Pets.\nWhich one barks?\nAnswer Choices:\n(a) a cat\n(b) a dog\nA:"
    )
    assert task.teacher_prompt(example, gold="a dog") == (
        "Question: Which one flies?\nOptions:\n(a) a bird\n(b) a stone\nAnswer: (a) a bird\n"
        "Rationale: Let's think step by step. Birds fly.\n\n"
        "Question: Pets.\nWhich one barks?\nOptions:\n(a) a cat\n(b) a dog\nAnswer: (b) a dog\n"
        "Rationale: Let's think step by step."
    )
    assert task.parse("It barks. The answer is B.", example).answer == "a dog"


@pytest.mark.parametrize(
    ("kind", "gold", "completion", "answer", "wrong"),
    [
        ("text", "Paris", "It is. The answer is Paris.\nAnd", "Paris", "paris"),
        ("equation", "(2 + 3)", "Add. The answer is (3 + 2).", "(3 + 2)", "(3 * 2)"),
        ("equation", "5", "Add. The answer is 3 + 2.", "3 + 2", "6"),
        ("number", 1200, "So. #### $1,200 in all", "1200", "1201"),
        ("number", 2.5, "So. Answer: 2.50", "2.50", "2"),
        ("yes_no", True, "It is. So the answer is yes, it is", "yes", "no"),
        ("yes_no", "False", "Not. The answer is No.", "no", "yes"),
    ],
)
def test_answer_kinds(
    tmp_path: Path, kind: str, gold: object, completion: str, answer: str, wrong: str
) -> None:
    folder = data(tmp_path, {"question": "q", "answer": gold})
    task = open_task("custom", folder, {"answer_kind": kind})
    example = task.load()["test"][0]
    parsed = task.parse(completion, example)
    assert parsed.answer == answer
    assert task.check(answer, example)
    assert not task.check(wrong, example)
    assert example.answer is not None
    assert task.check(task.parse(task.conclusion(example.answer), example).answer, example)


def test_unlabeled_questions(tmp_path: Path) -> None:
    task = open_task("custom", data(tmp_path, {"question": "q", "answer": None}))
    assert {e.answer for e in task.load()["train"]} == {None}
    task = open_task("custom", data(tmp_path, {"question": "q"}), {"columns": {"answer": None}})
    assert {e.answer for e in task.load()["train"]} == {None}


def test_ids_from_a_column(tmp_path: Path) -> None:
    for split, start in {"train": 0, "test": 50}.items():
        rows = [{"nr": start + i, "question": "q", "answer": "a"} for i in range(5)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = open_task("custom", tmp_path, {"columns": {"id": "nr"}})
    assert task.load()["test"][0].id == "50"


def test_files_by_name(tmp_path: Path) -> None:
    folder = data(tmp_path, {"question": "q", "answer": "a"}, big=30, small=6, held=3)
    options = {"train": "big.jsonl", "validation": "held.jsonl", "test": "small.jsonl"}
    splits = open_task("custom", folder, options).load()
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [30, 3, 6]
    with pytest.raises(
        DataError, match=r"task\.options\.train: no file 'bg\.jsonl' in .*big\.jsonl"
    ):
        open_task("custom", folder, {**options, "train": "bg.jsonl"}).load()
    with pytest.raises(DataError, match=r"expected a file test\.jsonl"):
        open_task("custom", folder, {"train": "big.jsonl"}).load()
    with pytest.raises(DataError, match="give the folder instead"):
        open_task("custom", folder / "big.jsonl", options).load()


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        (
            {"qestion": "q", "answer": "a"},
            {},
            "line 1: no field 'question'. Did you mean 'qestion'",
        ),
        ({"question": "q", "label": "a"}, {}, "no field 'answer'"),
        ({"question": 5, "answer": "a"}, {}, "field 'question': expected text, found 5"),
        (
            {"question": "q", "answer": ["a"]},
            {},
            "expected text or a whole number or a number or true or false",
        ),
        ({"question": "q", "answer": "perhaps"}, {"answer_kind": "yes_no"}, "expected yes or no"),
        (
            {**QUIZ, "key": "C"},
            {"columns": COLUMNS, "answer_kind": "choice"},
            "field 'key': expected one of the choices .* or its letter, found 'C'",
        ),
        (
            {"question": "q", "answer": "a"},
            {"rationales": {"gpt": {"text": "why"}}},
            "no field 'why'",
        ),
    ],
)
def test_rows_that_do_not_fit(tmp_path: Path, row: dict, options: dict, message: str) -> None:
    task = open_task("custom", data(tmp_path, row), options)
    with pytest.raises(DataError, match=message):
        task.load()
        list(task.recordings())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colums": {}}, "unknown key 'colums'. Did you mean 'columns'"),
        ({"columns": {"qestion": "q"}}, "unknown key 'columns.qestion'. Did you mean 'question'"),
        ({"answer_kind": "choices"}, "answer_kind: .*'choice'"),
        ({"rationales": {"gpt": {}}}, "rationales.gpt.text is missing"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        open_task("custom", tmp_path, options)

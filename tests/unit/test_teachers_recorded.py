"""Recorded teachers on real recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from collegium.errors import DataError
from collegium.tasks import open_task
from collegium.teachers import build_teacher, read_config


def test_one_rationale_a_question(shared: Path) -> None:
    task = open_task("svamp", shared / "data" / "svamp")
    examples = task.load()["test"]
    teacher = build_teacher(
        "palm", read_config("palm", {"kind": "recorded", "recording": "palm540b"}), task
    )
    answers = teacher.annotate(examples)
    assert all(len(rationales) == 1 for rationales in answers)
    assert answers[0][0].teacher == "palm"
    assert not answers[0][0].gold_in_prompt
    right = sum(task.check(r[0].answer, e) for r, e in zip(answers, examples, strict=True))
    assert right / len(examples) == 0.74
    assert not teacher.costly


def test_several_explanations_are_samples(shared: Path) -> None:
    task = open_task("esnli", shared / "data" / "esnli")
    config = read_config("human", {"kind": "recorded", "licence": "MIT"})
    teacher = build_teacher("human", config, task)
    answers = teacher.annotate(task.load()["test"][:50])
    assert {len(rationales) for rationales in answers} <= {2, 3}
    assert [r.sample for r in answers[0]] == list(range(len(answers[0])))
    assert {r.licence for r in answers[0]} == {"MIT"}
    assert all(r.gold_in_prompt and r.answer is None for r in answers[0])


def test_forced_recordings_are_marked(shared: Path) -> None:
    task = open_task("obqa", shared / "data" / "tinyllm_obqa")
    for name, answered in {"flan-t5-xl": True, "llama2-7b-chat": False}.items():
        config = read_config("t", {"kind": "recorded", "recording": name})
        assert config.sees_gold("t", task)
        rationales = build_teacher("t", config, task).annotate(task.load()["train"][:20])
        assert all(r[0].gold_in_prompt and r[0].parsed == answered for r in rationales)


def test_an_unknown_recording_lists_those_there_are(shared: Path) -> None:
    task = open_task("obqa", shared / "data" / "tinyllm_obqa")
    teacher = build_teacher("flan-t5", read_config("flan-t5", {"kind": "recorded"}), task)
    with pytest.raises(DataError) as caught:
        teacher.annotate(task.load()["test"][:1])
    message = str(caught.value)
    assert "no recordings of 'flan-t5' in" in message
    assert "Did you mean 'flan-t5-xl'?" in message
    assert "Recorded there: flan-t5-xl, llama2-7b-chat." in message
    assert "teachers.flan-t5.recording" in message


def test_recordings_of_other_files(shared: Path) -> None:
    task = open_task("svamp", shared / "data" / "svamp")
    path = shared / "data" / "svamp" / "test.jsonl.gz"
    config = read_config("palm540b", {"kind": "recorded", "path": str(path)})
    assert list(config.files()) == [path]
    teacher = build_teacher("palm540b", config, task)
    splits = task.load()
    assert all(teacher.annotate(splits["test"]))
    assert not any(teacher.annotate(splits["train"]))


def test_a_task_without_recordings() -> None:
    task = open_task()
    teacher = build_teacher("palm", read_config("palm", {"kind": "recorded"}), task)
    with pytest.raises(DataError, match=r"in task 'wordproblems'\. It holds none"):
        teacher.annotate(task.load()["train"])
